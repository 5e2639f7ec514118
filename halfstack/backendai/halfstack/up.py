"""`up`: from whatever is there to a cluster that answers, step by step, each repeatable."""

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from backendai.common.faults import Fault

from . import doctor
from .accounts import compose_fixture, write_environment_files
from .config import HalfstackSettings
from .control import await_healthy, ensure_services, find_standings, start_supervisor
from .daemons import (
    Core,
    Node,
    digest_of,
    find_program,
    specify_agent,
    specify_manager,
    write_agent_config,
    write_manager_config,
)
from .display import Display
from .engine import Engine, find_engine, prepare_engine
from .errand import run_errand
from .faults import SetupFault
from .first_session import run_first_session
from .gui import is_built
from .images import BASE, PYTHON, find_cache, name_first_image
from .places import Layout, find_checkout, write_file
from .ports import forget_ports, is_port_free, keep_ports, keep_watch_port, load_ports
from .status import report_external
from .storage import Storage, announce_storage, specify_storage, write_storage_config
from .stores import StoreAddresses, find_etcd, list_addresses, prepare_stores
from .webserver import Web, specify_web, write_web_config
from .wsproxy import AppProxy, announce_app_proxy, specify_app_proxy, write_app_proxy_config

_MANAGER_PORT = 8081
_STORAGE_PORT = 6021
_APP_PROXY_PORT = 5050
_WEB_PORT = 8090
_READY_SECONDS = 60.0


@dataclass(frozen=True)
class Cluster:
    """What `up` has brought: for the summary. `gui` is the address for browsers, `output` what the
    first session printed."""

    core: Core
    gui: str
    output: str
    warnings: tuple[str, ...]


async def bring_up(
    layout: Layout, settings: HalfstackSettings, display: Display, *, installs: bool = True
) -> Cluster:
    """All steps in order of dependence. Raises SetupFault; run again it goes on from there."""
    with display.step("machine") as say:
        await asyncio.to_thread(_check_machine, layout, settings, say, installs)
    layout.make()
    await start_supervisor(layout)
    try:
        return await _bring_cluster(layout, settings, display)
    except asyncio.CancelledError:
        display.say("interrupted: ending the step that runs, which may take some seconds")
        raise


async def _bring_cluster(layout: Layout, settings: HalfstackSettings, display: Display) -> Cluster:
    async with asyncio.TaskGroup() as group:
        engine = group.create_task(_bring_engine(layout, settings, display), name="engine")
        bundle = group.create_task(_build_bundle(display), name="bundle")
        group.create_task(_build_gui(display), name="gui")
        manager = group.create_task(_bring_manager(layout, settings, display), name="manager")
    core, stores, gui = manager.result()
    await _bring_agent(core, stores, engine.result(), bundle.result(), display)
    image = name_first_image(layout, engine.result().backend)
    write_environment_files(layout, core.endpoint, image)
    with display.step("first session") as say:
        output = await run_first_session(core, image, say)
    return Cluster(core, gui, output, _list_warnings(layout, settings, engine.result()))


def _check_machine(
    layout: Layout, settings: HalfstackSettings, say: Callable[[str], None], installs: bool
) -> None:
    machine = doctor.Machine(layout, settings)
    findings = doctor.examine(machine)
    missing = doctor.list_missing_packages(findings)
    if missing and installs and doctor.can_install():
        doctor.install_missing(missing, say)
        findings = doctor.examine(machine)
    for finding in findings:
        if not finding.is_ok and finding.severity == "required":
            raise SetupFault(f"{finding.name}: {finding.told}", finding.fix)


async def _bring_manager(
    layout: Layout, settings: HalfstackSettings, display: Display
) -> tuple[Core, tuple[str, ...], str]:
    """Stores, then what only needs them. Returns the names of the stores that are ours, and the
    address for browsers."""
    with display.step("stores") as say:
        await _check_external(settings)
        await _replace_taken_ports(layout)
        services = await prepare_stores(layout, settings.external)
        await ensure_services(layout, services)
        names = tuple(service.name for service in services)
        await await_healthy(layout, names, _READY_SECONDS, say)
    addresses = list_addresses(layout, settings.external)
    port = await _keep_manager_port(layout, settings.manager.port)
    core = Core(layout, addresses, port, keep_watch_port(layout, "manager"))
    write_manager_config(core)
    with display.step("database and accounts"):
        await asyncio.to_thread(_prepare_database, core, is_ours="postgres" in names)
    with display.step("storage"):
        storage = await _bring_storage(layout, addresses)
    with display.step("manager") as say:
        proxy = _prepare_app_proxy(core)
        web = _prepare_web(core, proxy)
        daemons = [specify_manager(core, names), specify_web(web), specify_app_proxy(proxy, names)]
        await ensure_services(layout, daemons)
        waited = [*(daemon.name for daemon in daemons), storage]
        await await_healthy(layout, waited, _READY_SECONDS, say)
        await _announce(core, proxy)
    return core, names, web.address


def _prepare_web(core: Core, proxy: AppProxy) -> Web:
    port = keep_ports(core.layout, {"webserver": _WEB_PORT})["webserver"]
    # Ports of storage and app proxies are told by the API.
    connects = ("http://127.0.0.1:*", "http://localhost:*")
    watched = keep_watch_port(core.layout, "webserver")
    web = Web(core.layout, core.addresses, port, watched, core.endpoint, proxy.address, connects)
    write_web_config(web)
    return web


def _prepare_app_proxy(core: Core) -> AppProxy:
    port = keep_ports(core.layout, {"wsproxy": _APP_PROXY_PORT})["wsproxy"]
    proxy = AppProxy(core.layout, core.addresses, port, keep_watch_port(core.layout, "wsproxy"))
    write_app_proxy_config(proxy)
    return proxy


async def _announce(core: Core, proxy: AppProxy) -> None:
    try:
        await announce_app_proxy(core, proxy)
    except Fault as fault:
        raise SetupFault(
            f"the manager does not take the address of the app proxy: {fault}",
            "look at `backendai logs manager`, then run `./bai up` again",
        ) from fault


async def _bring_storage(layout: Layout, addresses: StoreAddresses) -> str:
    """Starts beside the manager, which finds it in etcd. Returns its name."""
    wanted = {"storage": _STORAGE_PORT, "storage-peer": _STORAGE_PORT + 1}
    ports = keep_ports(layout, wanted)
    watched = keep_watch_port(layout, "storage")
    storage = Storage(layout, ports["storage"], ports["storage-peer"], watched)
    write_storage_config(storage)
    service = specify_storage(storage)
    await ensure_services(layout, [service])
    try:
        await announce_storage(storage, addresses)
    except Fault as fault:
        raise SetupFault(
            f"etcd does not take the address of the storage proxy: {fault}",
            "look at `backendai logs etcd`, then run `./bai up` again",
        ) from fault
    return service.name


async def _check_external(settings: HalfstackSettings) -> None:
    silent = [one for one in await report_external(settings.external) if not one.healthy]
    if silent:
        told = ", ".join(f"{one.name} at {one.address}" for one in silent)
        raise SetupFault(
            f"these stores do not answer: {told}",
            "start them, or correct `[stores]` in bai.toml ($BAI_POSTGRES, $BAI_REDIS, $BAI_ETCD)",
        )


async def _bring_agent(
    core: Core, stores: tuple[str, ...], engine: Engine, bundles: Path, display: Display
) -> None:
    with display.step("agent") as say:
        ports = keep_ports(core.layout, {"agent": None, "agent-relay": None})
        node = Node(
            core.layout,
            core.addresses,
            ports["agent"],
            ports["agent-relay"],
            keep_watch_port(core.layout, "agent"),
            engine,
            bundles,
        )
        write_agent_config(node)
        await ensure_services(core.layout, [specify_agent(node, stores)])
        await await_healthy(core.layout, ["agent"], _READY_SECONDS, say)


async def _replace_taken_ports(layout: Layout) -> None:
    """Ports that we chose are ours to change when somebody took them while we were down."""
    standings = {standing.name: standing for standing in await find_standings(layout) or ()}
    taken = []
    for name, port in load_ports(layout).items():
        standing = standings.get(name.partition("-")[0])
        is_ours = standing is not None and standing.pid is not None
        if not is_ours and not is_port_free(port):
            taken.append(name)
    if taken:
        forget_ports(layout, taken)


async def _keep_manager_port(layout: Layout, wanted: int | None) -> int:
    """8081 or another free one; a number of `bai.toml` is taken literally."""
    port = keep_ports(layout, {"manager": wanted or _MANAGER_PORT})["manager"]
    if wanted is None or wanted == port:
        return port
    if not is_port_free(wanted):
        raise SetupFault(
            f"port {wanted} of `[manager] port` is taken",
            "stop what listens there, or choose another port in bai.toml",
        )
    forget_ports(layout, ["manager"])
    return keep_ports(layout, {"manager": wanted})["manager"]


async def _bring_engine(layout: Layout, settings: HalfstackSettings, display: Display) -> Engine:
    with display.step("container engine") as say:
        engine = await _choose_engine(layout, settings)
        say(engine.reason)
        if engine.own:
            services = await asyncio.to_thread(prepare_engine, layout)
            await ensure_services(layout, services)
            await await_healthy(layout, [service.name for service in services], _READY_SECONDS)
    with display.step("images") as say:
        await _bring_images(layout, settings, engine, say)
    return engine


async def _choose_engine(layout: Layout, settings: HalfstackSettings) -> Engine:
    if settings.engine.backend == "process":
        return Engine("process", "", False, "sandboxed processes, as configured")
    engine = await find_engine(layout, settings.engine.docker_host)
    if settings.engine.backend == "docker" and engine.backend != "docker":
        raise SetupFault(
            f"Docker is configured and cannot be had: {engine.reason}",
            "run as root, join the group docker, or set `[engine] backend` to auto in bai.toml",
        )
    if engine.backend == "process" and shutil.which("bwrap") is None:
        raise SetupFault(
            f"nothing here can run containers: {engine.reason}",
            "run `./bai up` as root, install bubblewrap, or join the group docker",
        )
    return engine


async def _bring_images(
    layout: Layout, settings: HalfstackSettings, engine: Engine, say: Callable[[str], None]
) -> None:
    arguments = {
        "root": str(layout.root),
        "backend": engine.backend,
        "docker_host": engine.docker_host,
        "pulled": {BASE.name: settings.images.base, PYTHON.name: settings.images.python},
    }
    await run_errand("images", arguments, say)


async def _build_bundle(display: Display) -> Path:
    """The folder that holds it: the agent finds the bundle there by its digest."""
    from backendai.kernel.bundle import compute_digest, is_whole

    folder = find_cache() / "bundles"
    with display.step("runner bundle") as say:
        if not is_whole(folder / await asyncio.to_thread(compute_digest)):
            await run_errand("bundle", {"folder": str(folder)}, say)
    return folder


async def _build_gui(display: Display) -> None:
    checkout = find_checkout()
    if not await asyncio.to_thread(is_built, checkout):
        with display.step("GUI") as say:
            await run_errand("gui", {"checkout": str(checkout)}, say)


def _prepare_database(core: Core, *, is_ours: bool) -> None:
    """Migrations, then first rows; in a database of ours only once for each release."""
    fixture = json.dumps(compose_fixture(core.layout), indent=1)
    mark = digest_of(core.addresses.postgres, _list_migrations(), fixture)
    done = core.layout.root / "database.done"
    if is_ours and done.exists() and done.read_text() == mark:
        return
    config = str(core.layout.etc / "manager.toml")
    _run_manager(core, "schema", "upgrade", "-f", config)
    rows = core.layout.secrets / "first-rows.json"
    write_file(rows, fixture)
    try:
        _run_manager(core, "fixture", "populate", str(rows), "-f", config)
    finally:
        rows.unlink()
    write_file(done, mark)


def _list_migrations() -> list[str]:
    import importlib.util

    spec = importlib.util.find_spec("backendai.manager")
    folders = list(spec.submodule_search_locations or ()) if spec else []
    return sorted(
        path.name for folder in folders for path in Path(folder).glob("db/migrations/versions/*.py")
    )


def _run_manager(core: Core, *words: str) -> None:
    argv = [str(find_program()), "mgr", *words]
    done = subprocess.run(argv, check=False, capture_output=True, text=True, cwd=core.layout.root)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()[-1500:]
        raise SetupFault(
            f"`backendai mgr {' '.join(words[:2])}` failed: {said}",
            "correct that (it may be in `[stores]` of bai.toml), then run `./bai up` again",
        )


def _list_warnings(layout: Layout, settings: HalfstackSettings, engine: Engine) -> tuple[str, ...]:
    warnings = []
    if engine.backend == "process":
        warnings.append(f"sessions are sandboxed processes, not containers: {engine.reason}")
    if settings.external.etcd is None and (warning := find_etcd(layout)[1]):
        warnings.append(warning)
    if os.geteuid() == 0 and settings.external.postgres is None:
        warnings.append("the stores are for trying out: name your own in bai.toml for production")
    return tuple(warnings)
