"""The watcher of a node: tells managers how the agent's unit is, and starts, stops or restarts it.

It lives apart from the agent, so that an agent which is stopped or broken can be seen and started
from afar. systemd does the work: it alone knows the unit, and restarts it without anybody's word.
"""

import asyncio
import signal
from typing import Final

import msgspec

from backendai.common.clock import SystemClock
from backendai.common.contracts.watcher import (
    CHANGE,
    CONTRACT,
    LOOK,
    NOTICES,
    ChangeUnit,
    LookAtUnit,
    UnitState,
    WatcherNotice,
)
from backendai.common.etcd import EtcdStore
from backendai.common.faults import Unavailable
from backendai.common.logs import get_logger
from backendai.common.loops import LoopHealth, supervise
from backendai.common.notify import told_ready
from backendai.common.rpc.curve import ensure_keypair
from backendai.common.rpc.server import RpcServer, caller

from .keys import ManagerKeys
from .registration import PERIOD_SECONDS, Registration, address_told, name_node
from .settings import AgentSettings

log = get_logger(__name__)

SYSTEMCTL_SECONDS: Final = 8.0
# Property of systemd -> field of the state.
_PROPERTIES: Final = {
    "Id": "unit",
    "ActiveState": "active",
    "SubState": "sub",
    "StateChangeTimestamp": "since",
    "StatusText": "status",
    "MainPID": "pid",
    "NRestarts": "restarts",
}


class Unit:
    """One unit of systemd. Raises Unavailable with what systemctl said when it refuses."""

    def __init__(self, name: str) -> None:
        self._name = name

    async def look(self, _request: LookAtUnit) -> UnitState:
        shown = await run_systemctl("show", f"--property={','.join(_PROPERTIES)}", self._name)
        return parse_state(shown)

    async def change(self, request: ChangeUnit) -> UnitState:
        log.warning("watcher.change", verb=request.verb.value, unit=self._name, by=caller())
        await run_systemctl("--no-block", request.verb.value, self._name)
        return await self.look(LookAtUnit())


async def run_systemctl(*words: str) -> str:
    """Its standard output. Raises Unavailable."""
    try:
        process = await asyncio.create_subprocess_exec(
            *("systemctl", "--no-ask-password", *words),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise Unavailable(f"systemctl cannot be run: {error.strerror}") from error
    try:
        async with asyncio.timeout(SYSTEMCTL_SECONDS):
            out, err = await process.communicate()
    except TimeoutError as error:
        process.kill()
        raise Unavailable("systemd does not answer") from error
    if process.returncode != 0:
        raise Unavailable(f"systemctl {words[0]}: {err.decode(errors='replace').strip()}")
    return out.decode(errors="replace")


def parse_state(shown: str) -> UnitState:
    """Of lines NAME=value. PURE."""
    pairs = dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)
    values = {field: pairs.get(name, "") for name, field in _PROPERTIES.items()}
    return msgspec.convert(values, UnitState, strict=False)


def serve(settings: AgentSettings) -> None:
    """Run until SIGTERM or SIGINT. Raises ServerMisconfigured."""
    asyncio.run(_serve(settings), debug=settings.debug.asyncio)


async def _serve(settings: AgentSettings) -> None:
    own = settings.watcher
    keys = settings.agent
    server = RpcServer(
        f"tcp://{own.listen_addr}",
        ensure_keypair(keys.rpc_keypair),
        ManagerKeys(keys.manager_public_keys_file),
        CONTRACT,
    )
    unit = Unit(own.unit)
    server.on(LOOK, unit.look)
    server.on(CHANGE, unit.change)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with server, EtcdStore(settings.etcd) as store:
        await _watch(settings, server, store, stop)


async def _watch(
    settings: AgentSettings, server: RpcServer, store: EtcdStore, stop: asyncio.Event
) -> None:
    clock = SystemClock()
    health = LoopHealth(clock)
    notice = WatcherNotice(address_told(settings.watcher.advertised_addr, server.address))
    registration = Registration(store, f"{NOTICES}{name_node(settings.agent.id)}", notice)
    async with asyncio.TaskGroup() as group:
        announcing = group.create_task(
            supervise(
                "registration",
                registration.step,
                period_seconds=PERIOD_SECONDS,
                clock=clock,
                health=health,
            ),
            name="registration",
        )
        log.info("watcher.started", address=server.address, unit=settings.watcher.unit)
        async with told_ready(health):
            await stop.wait()
        announcing.cancel()
    log.info("watcher.stopping")
