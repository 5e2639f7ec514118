"""Makes an agent of its settings and runs it: the only place that constructs things."""

import asyncio
import os
import signal
import threading
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from backendai.common.clock import Clock, SystemClock
from backendai.common.contracts.agent import CONTRACT
from backendai.common.etcd import EtcdStore
from backendai.common.faults import ServerMisconfigured
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, supervise
from backendai.common.metrics import CallMeter, Metrics
from backendai.common.monitoring import monitored
from backendai.common.notify import told_ready
from backendai.common.pidfile import hold_pid_file
from backendai.common.rpc.curve import KeyPair, ensure_keypair
from backendai.common.rpc.server import RpcServer
from backendai.common.tracing import traced
from backendai.kernel.bundle import BundleError, build_bundle

from .accelerators.load import load_accelerators
from .accelerators.watch import WATCH_PERIOD_SECONDS, Watch
from .accounts import AccountFiles
from .backends.backend import Backend
from .calls import Calls
from .desires import FileStore
from .firewall import Firewall
from .housekeeping import Housekeeper
from .images import Images
from .keys import ManagerKeys
from .ledger import Ledger
from .networks import NetworkNames
from .node import Node
from .notes import Notes, Reporter
from .profile import Maker
from .readings import reading_of
from .registration import NOTICES, AgentNotice, Registration, address_told, name_node
from .registration import PERIOD_SECONDS as REGISTRATION_PERIOD_SECONDS
from .relay.keys import KeyRing
from .relay.listener import Relay, RelayAddress
from .relay.opening import Opening
from .reports import NodeFacts, ReportMaker
from .resources.detect import Reserved, inspect_machine, take_inventory
from .resources.inventory import Inventory
from .runners import Runners
from .scratch import Scratch
from .settings import AgentSettings
from .stats import STATS_PERIOD_SECONDS, Meter
from .supervisor import Supervisor
from .swarm import SWARM_PERIOD_SECONDS, ClusterNetworks
from .threads import Threads
from .volumes import Volumes
from .workdisk import BYTES_MIN, find_obstacle

log = get_logger(__name__)

KERNEL_UID: Final = 1000
FILE_THREADS: Final = 4
STOP_SECONDS_MAX: Final = 8.0
FIREWALL_PERIOD_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Agent:
    """A whole agent, made but not started."""

    settings: AgentSettings
    keypair: KeyPair
    node: Node
    supervisor: Supervisor
    server: RpcServer
    store: EtcdStore
    keeper: Housekeeper
    meter: Meter
    watch: Watch
    relay: Relay
    networks: ClusterNetworks
    firewall: Firewall | None
    health: LoopHealth
    metrics: Metrics


def make_agent(settings: AgentSettings) -> Agent:
    """Raises ServerMisconfigured with what must be changed."""
    clock, ledger = SystemClock(), Ledger()
    health = LoopHealth(clock)
    metrics = Metrics("agent", version("backendai-agent"), health)
    node = make_node(settings, ledger, clock, metrics)
    supervisor = Supervisor(node, ledger, health)
    relay = make_relay(settings, node, ledger)
    places = [settings.container.scratch_root.absolute(), settings.agent.state_dir.absolute()]
    meter = Meter(node, ledger, relay.traffic_of, places)
    reports = ReportMaker(
        _facts(settings, node),
        node.inventory,
        ledger,
        meter,
        node.notes,
        node.conditions,
        clock,
        lambda: relay.address,
    )
    keypair = ensure_keypair(settings.agent.rpc_keypair)
    server = RpcServer(
        f"tcp://{settings.agent.rpc_listen_addr}",
        keypair,
        ManagerKeys(settings.agent.manager_public_keys_file),
        CONTRACT,
        timed=metrics.calls("rpc", "Calls that managers made here").timed,
    )
    networks = ClusterNetworks(node.backend, ledger)
    Calls(node, ledger, supervisor, reports.make, networks).register(server)
    metrics.add("report", reading_of(reports.make))
    return Agent(
        settings=settings,
        keypair=keypair,
        node=node,
        supervisor=supervisor,
        server=server,
        store=EtcdStore(settings.etcd),
        keeper=Housekeeper(node, ledger, supervisor.networks_in_use),
        meter=meter,
        watch=Watch(node.inventory, node.conditions, node.notes, ledger),
        relay=relay,
        networks=networks,
        firewall=make_firewall(settings, node.maker.agent_id),
        health=health,
        metrics=metrics,
    )


def make_node(settings: AgentSettings, ledger: Ledger, clock: Clock, metrics: Metrics) -> Node:
    maker = _maker(settings)
    scratch_root = settings.container.scratch_root.absolute()
    scratch = Scratch(scratch_root, maker.uid, maker.gid, limit_work(settings))
    threads = Threads("files", FILE_THREADS)
    calls = metrics.calls("engine_call", "Calls of the container engine")
    backend = make_backend(settings, maker.agent_id, clock, calls)
    state_dir = settings.agent.state_dir.absolute()
    return Node(
        backend=backend,
        store=FileStore(state_dir / "desires", threads),
        images=Images(backend),
        inventory=make_inventory(settings),
        scratch=scratch,
        accounts=AccountFiles(backend, scratch_root / ".accounts", maker.uid, maker.gid),
        runners=Runners(scratch.run_dir, clock),
        relay_keys=KeyRing(state_dir / "relay.keys", threads),
        threads=threads,
        notes=Notes(),
        reporter=Reporter(ledger, clock),
        maker=maker,
        clock=clock,
        bundle=_bundle(settings.agent.bundle_dir.absolute()),
        booted_at=time.time() - time.clock_gettime(time.CLOCK_BOOTTIME),
        volumes=Volumes(settings.container.unmanaged_roots),
    )


def limit_work(settings: AgentSettings) -> int:
    """The room for work files, in bytes; 0 without a limit, or where the node cannot keep one."""
    size = settings.container.scratch_size
    if 0 < size < BYTES_MIN:
        raise ServerMisconfigured(f"[container] scratch-size is {size}; the least is {BYTES_MIN}")
    if not size:
        return 0
    root = settings.container.scratch_root.absolute()
    root.mkdir(parents=True, exist_ok=True)
    obstacle = find_obstacle(root)
    if obstacle:
        log.warning("scratch.unlimited", detail=f"scratch-size is not kept: {obstacle}")
        return 0
    return size


def make_relay(settings: AgentSettings, node: Node, ledger: Ledger) -> Relay:
    own = settings.agent
    return Relay(
        RelayAddress(own.relay_listen_addr, own.advertised_relay_addr),
        node.maker.agent_id,
        node.relay_keys,
        ledger,
        Opening(node.scratch.run_dir),
        node.clock,
    )


def make_inventory(settings: AgentSettings) -> Inventory:
    """Raises ServerMisconfigured; an accelerator that fails is told of and left out."""
    resource = settings.resource
    return take_inventory(
        inspect_machine(),
        Reserved.of(resource.reserved_cpu, resource.reserved_mem),
        resource.devices,
        load_accelerators(settings.accelerators, settings.agent.mode),
    )


def make_backend(
    settings: AgentSettings, agent_id: str, clock: Clock, calls: CallMeter | None = None
) -> Backend:
    """Imports only the backend that is used: the other's libraries cost memory."""
    if settings.agent.mode == "docker":
        from .backends.docker.backend import DockerBackend
        from .backends.docker.bridges import Bridges
        from .backends.docker.overlays import Overlays

        host = settings.container.docker_host
        overlays = Overlays(is_encrypted=settings.container.encrypted_networks)
        return DockerBackend(host, agent_id, Bridges(agent_id), clock, calls, overlays)
    from .backends.process.backend import ProcessBackend

    return ProcessBackend(
        settings.container.scratch_root.absolute() / ".sandboxes",
        settings.agent.image_dir.absolute(),
        agent_id,
        clock,
        shares_host_network=settings.container.host_network,
    )


def make_firewall(settings: AgentSettings, agent_id: str) -> Firewall | None:
    """None where there are no bridges to guard, or no right to."""
    is_wanted = settings.agent.mode == "docker" and settings.container.firewall
    if not is_wanted:
        return None
    if not Firewall.is_possible():
        log.warning(
            "firewall.impossible",
            detail="without root and iptables, kernels can reach the node and its metadata address",
        )
        return None
    return Firewall(NetworkNames(agent_id).interface_prefix, settings.container.blocked_networks)


async def run_agent(agent: Agent, stop: asyncio.Event) -> None:
    """Serve until `stop`. Containers are left as they are, whatever ends this."""
    async with AsyncExitStack() as stack:
        tracing, release = agent.settings.tracing, agent.node.maker.version
        await stack.enter_async_context(traced(tracing, "backendai-agent", release))
        stack.enter_context(hold_pid_file(agent.settings.agent.pid_file))
        stack.push_async_callback(agent.node.backend.close)
        stack.callback(agent.node.threads.close)
        stack.callback(agent.node.volumes.close)
        stack.push_async_callback(agent.node.runners.close_all)
        stack.push_async_callback(agent.store.close)
        # Which devices are sick must be known before the first kernel gets one.
        await agent.watch.step()
        await agent.supervisor.recover()
        await agent.node.relay_keys.load()
        await guard_node(agent.firewall)
        stack.push_async_callback(agent.relay.close)
        await agent.relay.start()
        await stack.enter_async_context(agent.server)
        log.info(
            "agent.started",
            agent=agent.node.maker.agent_id,
            address=agent.server.address,
            relay=agent.relay.address,
        )
        await stack.enter_async_context(
            monitored(agent.settings.monitoring, agent.metrics, agent.health)
        )
        async with _cancelled_at_end(agent), told_ready(agent.health):
            await stop.wait()
        log.info("agent.stopping")


def serve(settings: AgentSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises ServerMisconfigured."""

    async def main() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def begin_end() -> None:
            stop.set()
            _end_for_sure()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, begin_end)
        await run_agent(make_agent(settings), stop)

    asyncio.run(main(), debug=settings.debug.asyncio)


def _end_for_sure() -> None:
    """An engine that hangs must not keep the daemon: dying at any moment is safe anyway."""
    timer = threading.Timer(STOP_SECONDS_MAX, os._exit, (0,))
    timer.daemon = True
    timer.start()


async def guard_node(firewall: Firewall | None) -> None:
    """No kernel starts before the rules are there. Raises ServerMisconfigured."""
    if firewall is None:
        return
    try:
        await firewall.ensure()
    except ServerMisconfigured as fault:
        raise ServerMisconfigured(
            f"kernels cannot be kept from the node: {fault.detail}; "
            "mend iptables, or set `[container] firewall = false` to run without"
        ) from fault


@asynccontextmanager
async def _cancelled_at_end(agent: Agent) -> AsyncIterator[None]:
    """The agent's loops, running as long as the body does; one that breaks ends the body."""
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(agent.supervisor.run(), name="supervisor"),
            group.create_task(agent.relay.run(), name="relay"),
            *agent.keeper.start(group, agent.health),
            *(
                group.create_task(
                    supervise(
                        name,
                        step,
                        period_seconds=period,
                        clock=agent.node.clock,
                        health=agent.health if is_quick else None,
                    ),
                    name=name,
                )
                for name, step, period, is_quick in _periodic(agent)
            ),
        ]
        yield
        for task in tasks:
            task.cancel()


def _periodic(agent: Agent) -> Iterator[tuple[str, Callable[[], Awaitable[None]], float, bool]]:
    """Name, step and period in seconds of each further loop, and whether a step is short: what
    takes as long as users have files is no part of the daemon's health, which it is ended by."""
    registration = Registration(
        agent.store, f"{NOTICES}{agent.node.maker.agent_id}", _notice(agent)
    )
    yield "stats", agent.meter.step, STATS_PERIOD_SECONDS, True
    yield "scratch", agent.meter.size_scratch, STATS_PERIOD_SECONDS, False
    yield "devices", agent.watch.step, WATCH_PERIOD_SECONDS, True
    yield "swarm", agent.networks.step, SWARM_PERIOD_SECONDS, False
    yield "registration", registration.step, REGISTRATION_PERIOD_SECONDS, True
    if agent.firewall is not None:
        yield "firewall", agent.firewall.ensure, FIREWALL_PERIOD_SECONDS, True


def _notice(agent: Agent) -> AgentNotice:
    return AgentNotice(
        addr=address_told(agent.settings.agent.advertised_rpc_addr, agent.server.address),
        public_key=agent.keypair.public,
        instance=agent.node.maker.instance,
    )


def _maker(settings: AgentSettings) -> Maker:
    uid = settings.container.kernel_uid or (KERNEL_UID if os.geteuid() == 0 else os.geteuid())
    if os.geteuid() not in (0, uid):
        raise ServerMisconfigured(
            f"[container] kernel-uid is {uid}, and only root may run kernels as another user "
            f"than itself (which is {os.geteuid()})"
        )
    return Maker(
        agent_id=name_node(settings.agent.id),
        instance=uuid.uuid4().hex,
        version=version("backendai-agent"),
        uid=uid,
        gid=settings.container.kernel_gid or uid,
    )


def _facts(settings: AgentSettings, node: Node) -> NodeFacts:
    return NodeFacts(
        agent_id=node.maker.agent_id,
        instance=node.maker.instance,
        version=node.maker.version,
        started_at=node.clock.now().timestamp(),
        architecture=os.uname().machine,
        region=settings.agent.region,
        resource_group=settings.agent.resource_group,
        backend=node.backend.name,
    )


def _bundle(folder: Path) -> str:
    try:
        return str(
            build_bundle(folder, progress=lambda line: log.info("bundle.build", step=line)).path
        )
    except (BundleError, OSError) as error:
        raise ServerMisconfigured(f"the runner bundle cannot be built: {error}") from error
