"""The client's end of a relay, against servers that answer well, badly, late and never."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from backendai.common.relay import (
    AppNotListening,
    RelayBusy,
    RelayDenied,
    RelayFailed,
    RelayKernelGone,
    RelayUnreachable,
    open_relay,
)
from backendai.common.tickets import RelayCode

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def relay_that(talk: Talk) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"{host}:{port}"


def answering(answer: bytes) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)
        await writer.drain()

    return talk


async def test_what_follows_ok_is_the_apps() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readline() == b"BAI1 tick.et\n"
        writer.write(b"BAI1 ok\nwelcome\n")
        assert await reader.readline() == b"hello\n"
        writer.write(b"bye")

    async with relay_that(talk) as address:
        reader, writer = await open_relay(address, "tick.et")
        writer.write(b"hello\n")
        assert await reader.read() == b"welcome\nbye"
        writer.close()


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (RelayCode.DENIED, RelayDenied),
        (RelayCode.GONE, RelayKernelGone),
        (RelayCode.REFUSED, AppNotListening),
        (RelayCode.BUSY, RelayBusy),
        (RelayCode.FAILED, RelayFailed),
    ],
)
async def test_a_refusal_is_raised_with_its_words(code: RelayCode, fault: type[Exception]) -> None:
    async with relay_that(answering(f"BAI1 {code} it is so\n".encode())) as address:
        with pytest.raises(fault, match="it is so"):
            await open_relay(address, "tick.et")


@pytest.mark.parametrize("answer", [b"", b"BAI1 o", b"HTTP/1.1 400\n", b"BAI1 ok " + b"x" * 5000])
async def test_what_is_no_relay_is_unreachable(answer: bytes) -> None:
    async with relay_that(answering(answer)) as address:
        with pytest.raises(RelayUnreachable):
            await open_relay(address, "tick.et")


async def test_one_that_never_answers_is_given_up() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with relay_that(talk) as address:
        with pytest.raises(RelayUnreachable, match="in time"):
            await open_relay(address, "tick.et", seconds=0.05)


@pytest.mark.parametrize("address", ["127.0.0.1:1", "", "nowhere", "127.0.0.1:x", "[::1]:1"])
async def test_nobody_there(address: str) -> None:
    with pytest.raises(RelayUnreachable):
        await open_relay(address, "tick.et")
