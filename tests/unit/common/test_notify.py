"""systemd hears that a daemon is ready, that it lives, and that it ends; nobody else is told."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendai.common.clock import FakeClock
from backendai.common.loops import LoopHealth
from backendai.common.notify import told_ready
from backendai.common.systemd import Notifier


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def environ_of(systemd: socket.socket, **more: str) -> dict[str, str]:
    return {"NOTIFY_SOCKET": systemd.getsockname(), **more}


async def hear(systemd: socket.socket) -> list[str]:
    """The lines of the next message, waited for."""
    async with asyncio.timeout(10):
        said = await asyncio.get_running_loop().sock_recv(systemd, 4096)
    return said.decode().splitlines()


async def test_ready_comes_first_and_stopping_last(systemd: socket.socket) -> None:
    async with told_ready(LoopHealth(FakeClock()), environ_of(systemd)):
        assert "READY=1" in await hear(systemd)
    assert "STOPPING=1" in await hear(systemd)


async def test_stopping_is_told_after_a_failure_too(systemd: socket.socket) -> None:
    async def fail() -> None:
        async with told_ready(LoopHealth(FakeClock()), environ_of(systemd)):
            await hear(systemd)
            raise ZeroDivisionError

    with pytest.raises(ExceptionGroup):
        await fail()
    assert "STOPPING=1" in await hear(systemd)


async def test_the_watchdog_hears_of_a_healthy_daemon_and_not_of_a_standing_loop(
    systemd: socket.socket,
) -> None:
    clock = FakeClock()
    health = LoopHealth(clock)
    health.start("passes", period_seconds=1.0)
    async with told_ready(health, environ_of(systemd, WATCHDOG_USEC="40000")):
        assert "READY=1" in await hear(systemd)
        assert "WATCHDOG=1" in await hear(systemd)
        await clock.advance(10.0)
        said = await hear(systemd)
        while "WATCHDOG=1" in said:  # what was told before the loop stood still
            said = await hear(systemd)
        assert said == ["STATUS=These loops stand still: passes."]
        health.tick("passes", 1.0)
        while "WATCHDOG=1" not in said:
            said = await hear(systemd)


async def test_nobody_beats_without_a_watchdog(systemd: socket.socket) -> None:
    async with told_ready(LoopHealth(FakeClock()), environ_of(systemd)):
        await hear(systemd)
    assert "STOPPING=1" in await hear(systemd)


async def test_without_systemd_nothing_is_told() -> None:
    async with told_ready(LoopHealth(FakeClock()), {}):
        pass


async def test_a_gone_listener_ends_nothing(tmp_path: Path) -> None:
    environ = {"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "40000"}
    async with told_ready(LoopHealth(FakeClock()), environ):
        pass


def test_an_abstract_address_is_understood() -> None:
    name = f"@bai-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:])
        Notifier({"NOTIFY_SOCKET": name}).tell("READY=1")
        assert listening.recv(100) == b"READY=1"


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_the_watchdog_is_that_of_this_process(environ: dict[str, str], seconds: float) -> None:
    assert Notifier(environ).watchdog_seconds == seconds
