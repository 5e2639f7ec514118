"""What runs and what answers, also when the supervisor itself is gone."""

import asyncio
import json
import subprocess
from dataclasses import asdict, dataclass

from .config import HalfstackSettings
from .control import ask, find_standings
from .daemons import command
from .faults import SetupFault
from .places import Layout
from .ports import find_watch_port, load_ports
from .probes import run_probe
from .processes import find_recorded
from .services import Probe, Service, decode_services
from .stores import ExternalStores, split_address

_NEEDED = ("manager", "agent", "storage", "webserver", "wsproxy")


@dataclass(frozen=True)
class Daemon:
    """One line of `status`; `pid` is None for what somebody else runs, `monitoring` is where
    Prometheus asks what tells it something."""

    name: str
    pid: int | None
    healthy: bool
    address: str
    monitoring: str | None = None


@dataclass(frozen=True)
class Report:
    healthy: bool
    daemons: tuple[Daemon, ...]

    def to_json(self) -> str:
        rows = [asdict(daemon) for daemon in self.daemons]
        return json.dumps({"healthy": self.healthy, "daemons": rows}, indent=1)


async def report_status(layout: Layout, settings: HalfstackSettings) -> Report:
    """Healthy when every daemon is, and none of those that a cluster needs is missing."""
    ours, external = await asyncio.gather(
        _report_services(layout), report_external(settings.external)
    )
    daemons = (*ours, *external)
    known = {daemon.name for daemon in daemons}
    healthy = all(daemon.healthy for daemon in daemons) and known.issuperset(_NEEDED)
    return Report(healthy, daemons)


def examine_cluster(layout: Layout, *, as_json: bool) -> int:
    """What `mgr doctor --cluster` says of the instance, and its exit code. Raises SetupFault."""
    file = layout.etc / "manager.toml"
    if not file.exists():
        raise SetupFault("there is no cluster here", "run `./bai up` first")
    web = load_ports(layout).get("webserver")
    asked = ["--webserver", f"http://127.0.0.1:{web}"] if web else []
    form = ["--output", "json"] if as_json else []
    words = command("mgr", "doctor", "--cluster", "-f", file, *asked, *form)
    return subprocess.run(words, check=False, cwd=layout.root).returncode


def load_wanted(layout: Layout) -> tuple[Service, ...]:
    """What the supervisor was told to keep, from its file."""
    path = layout.run / "services.json"
    return decode_services(json.loads(path.read_text())) if path.exists() else ()


async def _report_services(layout: Layout) -> list[Daemon]:
    standings = await find_standings(layout)
    if standings is None:
        return [
            Daemon("supervisor", None, False, str(layout.control_socket)),
            *[_report_orphan(layout, service) for service in load_wanted(layout)],
        ]
    reply = await ask(layout, {"do": "status"})
    supervisor = Daemon("supervisor", reply["pid"], True, str(layout.control_socket))
    rows = [
        Daemon(row.name, row.pid, row.healthy, row.address, _find_monitoring(layout, row.name))
        for row in standings
    ]
    return [supervisor, *rows]


def _find_monitoring(layout: Layout, name: str) -> str | None:
    port = find_watch_port(layout, name)
    return None if port is None else f"http://127.0.0.1:{port}/metrics"


def _report_orphan(layout: Layout, service: Service) -> Daemon:
    """Alive perhaps, but nobody watches it, which is not healthy."""
    found = find_recorded(layout.run / f"{service.name}.process")
    return Daemon(service.name, found.pid if found else None, False, service.address)


async def report_external(external: ExternalStores) -> list[Daemon]:
    """Whether the stores that somebody else runs answer."""
    probes: list[tuple[str, Probe]] = []
    if external.postgres:
        host, port, *_ = split_address(external.postgres)
        probes.append(("postgres", Probe("postgres", host, port or 5432)))
    if external.redis:
        host, port, *_ = split_address(external.redis)
        probes.append(("valkey", Probe("redis", host, port or 6379)))
    if external.etcd:
        host, port, *_ = split_address(f"//{external.etcd}")
        probes.append(("etcd", Probe("http", host, port, "/health")))
    problems = await asyncio.gather(*[run_probe(probe) for _, probe in probes])
    return [
        Daemon(name, None, not problem, f"{probe.host}:{probe.port}")
        for (name, probe), problem in zip(probes, problems, strict=True)
    ]
