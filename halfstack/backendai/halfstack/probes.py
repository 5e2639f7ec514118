"""One question to each kind of service: do you answer? Returns "" for yes, else the reason."""

import asyncio
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from .services import Probe

_PROBE_SECONDS = 3.0


async def run_probe(probe: Probe) -> str:
    ask = _QUESTIONS[probe.kind]
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            return await ask(probe)
    except TimeoutError:
        return f"no answer in {_PROBE_SECONDS:g} s"
    except (OSError, EOFError, asyncio.IncompleteReadError) as error:
        return str(error) or type(error).__name__


@asynccontextmanager
async def _connected(probe: Probe) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    if probe.port:
        reader, writer = await asyncio.open_connection(probe.host, probe.port)
    else:
        reader, writer = await asyncio.open_unix_connection(probe.host)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _ask_nothing(probe: Probe) -> str:
    return ""


async def _ask_connect(probe: Probe) -> str:
    async with _connected(probe):
        return ""


async def _ask_http(probe: Probe) -> str:
    async with _connected(probe) as (reader, writer):
        writer.write(f"GET {probe.path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        line = (await reader.readline()).decode("latin-1").strip()
    status = line.split()[1] if len(line.split()) > 1 else ""
    return "" if status.isdigit() and int(status) < 500 else f"answered {line or 'nothing'}"


async def _ask_postgres(probe: Probe) -> str:
    # A start-up message is answered by an authentication request once the server accepts
    # clients, and by an error ("the database system is starting up") before.
    parameters = b"user\0backendai\0database\0postgres\0\0"
    async with _connected(probe) as (reader, writer):
        writer.write(struct.pack("!II", 8 + len(parameters), 196608) + parameters)
        kind = await reader.readexactly(1)
        return "" if kind == b"R" else "the database system is starting up"


async def _ask_redis(probe: Probe) -> str:
    async with _connected(probe) as (reader, writer):
        writer.write(b"PING\r\n")
        line = (await reader.readline()).decode("latin-1").strip()
    return "" if line.startswith(("+PONG", "-NOAUTH")) else f"answered {line or 'nothing'}"


_QUESTIONS: dict[str, Callable[[Probe], Awaitable[str]]] = {
    "none": _ask_nothing,
    "tcp": _ask_connect,
    "unix": _ask_connect,
    "http": _ask_http,
    "postgres": _ask_postgres,
    "redis": _ask_redis,
}
