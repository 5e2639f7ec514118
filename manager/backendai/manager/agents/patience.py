"""Asking an agent for what takes it long, through restarts of it and of its engine."""

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from backendai.common.clock import Clock
from backendai.common.faults import AgentTimeout, Fault, Kind
from backendai.common.ids import AgentId
from backendai.common.logs import get_logger
from backendai.common.rpc.call import Call

from .link import AgentLink

log = get_logger(__name__)

Req = TypeVar("Req")
Rep = TypeVar("Rep")
Out = TypeVar("Out")

RETRY_SECONDS: Final = 2.0
# A node that is away for longer fails what is asked, as does one whose engine never comes to an
# end; it may be asked for again.
SILENCE_SECONDS_MAX: Final = 900.0
WORK_SECONDS_MAX: Final = 3600.0


async def ask_until_done(
    link: AgentLink,
    clock: Clock,
    agent_id: AgentId,
    call: Call[Req, Rep],
    request: Req,
    take: Callable[[Rep], Awaitable[Out | None]],
) -> Out:
    """Ask until `take` makes something of a reply. `call` has to be idempotent.

    Raises the agent's fault, and AgentTimeout.
    """
    heard_at = begun_at = clock.monotonic()
    while True:
        try:
            reply = await link.ask(agent_id, call, request)
        except Fault as fault:
            is_over = clock.monotonic() - heard_at >= SILENCE_SECONDS_MAX
            if fault.kind is not Kind.UNAVAILABLE or is_over:
                raise
            log.info("agent.awaited", agent=agent_id, call=call.name, detail=fault.detail)
            await clock.sleep(RETRY_SECONDS)
            continue
        found = await take(reply)
        if found is not None:
            return found
        heard_at = clock.monotonic()
        if heard_at - begun_at >= WORK_SECONDS_MAX:
            raise AgentTimeout("the engine of the node did not come to an end")
