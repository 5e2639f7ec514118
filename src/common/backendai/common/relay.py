"""The client's end of a relay: one connection to one app of a kernel, opened with a ticket."""

import asyncio
import contextlib
from typing import Final

from .faults import AgentConnectionLost, AgentFault, Kind
from .tickets import LINE_BYTES_MAX, Refusal, RelayCode, decode_answer, encode_hello

# A built-in app may have to be started first, and relays give that up after half of this.
OPEN_SECONDS: Final = 10.0
READ_BUFFER_BYTES: Final = 256 * 1024


class RelayUnreachable(AgentConnectionLost):
    """Nobody answers at the relay's address, or not as a relay does."""

    code, agent_title = "relay.unreachable", "The relay of the node does not answer."


class RelayDenied(AgentFault):
    """The ticket is not accepted: another key, another agent, or clocks that differ."""

    code = "relay.denied"
    agent_slug, agent_title = "relay-denied", "The relay does not accept the ticket."


class RelayKernelGone(AgentFault):
    kind, code, status = Kind.CONFLICT, "relay.gone", 409
    slug, title = "conflict", "The request conflicts with the present state."
    agent_slug, agent_title = "kernel-not-running", "The kernel is not running."


class AppNotListening(AgentFault):
    """The app has not been started, or does not accept connections yet."""

    kind, code = Kind.UNAVAILABLE, "relay.refused"
    slug, title = "service-unavailable", "Service unavailable."
    agent_slug, agent_title = "app-not-listening", "The app does not accept connections."


class RelayBusy(AgentFault):
    kind, code = Kind.UNAVAILABLE, "relay.busy"
    slug, title = "service-unavailable", "Service unavailable."
    agent_slug, agent_title = "relay-busy", "The relay has too many connections."


class RelayFailed(AgentFault):
    code = "relay.failed"
    agent_slug, agent_title = "relay-failed", "The relay could not connect to the app."


_FAULTS: Final[dict[RelayCode, type[AgentFault]]] = {
    RelayCode.DENIED: RelayDenied,
    RelayCode.GONE: RelayKernelGone,
    RelayCode.REFUSED: AppNotListening,
    RelayCode.BUSY: RelayBusy,
    RelayCode.FAILED: RelayFailed,
}


def refusal_fault(refusal: Refusal) -> AgentFault:
    """The fault that a relay's refusal is, for whoever asked for the connection."""
    return _FAULTS[refusal.code](refusal.message)


async def open_relay(
    address: str, ticket: str, *, seconds: float = OPEN_SECONDS
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The bare connection to the app. `address` is `host:port`, `ticket` sealed text.

    Raises RelayUnreachable, and what `refusal_fault` gives when the relay does not open.
    """
    host, _, port = address.rpartition(":")
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(
                host.strip("[]"), int(port), limit=READ_BUFFER_BYTES
            )
            return await _greet(reader, writer, ticket)
    except TimeoutError as error:
        raise RelayUnreachable(f"the relay at {address} did not answer in time") from error
    except (OSError, EOFError, ValueError) as error:
        raise RelayUnreachable(f"the relay at {address} does not answer: {error}") from error


async def _greet(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ticket: str
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    async with contextlib.AsyncExitStack() as stack:
        stack.callback(writer.transport.abort)
        writer.write(encode_hello(ticket))
        line = await reader.readline()
        if not line.endswith(b"\n") or len(line) > LINE_BYTES_MAX:
            raise EOFError("it hung up without an answer")
        refusal = decode_answer(line[:-1])
        if refusal is not None:
            raise refusal_fault(refusal)
        stack.pop_all()
    return reader, writer
