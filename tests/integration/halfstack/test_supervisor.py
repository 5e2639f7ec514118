"""The supervisor: restarts what ends, adopts what runs, may itself be killed."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from backendai.halfstack.control import (
    ask,
    await_healthy,
    ensure_services,
    find_standings,
    shut_down,
    start_supervisor,
    stop_services,
)
from backendai.halfstack.down import bring_down, kill_marked
from backendai.halfstack.faults import SetupFault
from backendai.halfstack.places import Layout
from backendai.halfstack.services import Probe, Service, Standing
from backendai.halfstack.stores import ExternalStores, prepare_stores

from .traces import is_running

_SLEEPER = Service("sleeper", ("sleep", "1000"))


@pytest.fixture
async def layout(tmp_path: Path) -> AsyncIterator[Layout]:
    made = Layout(tmp_path / "state")
    await start_supervisor(made)
    yield made
    if await find_standings(made) is None:
        await start_supervisor(made)
    await shut_down(made)
    await asyncio.to_thread(kill_marked, made)


async def _find(layout: Layout, name: str) -> Standing | None:
    standings = await find_standings(layout) or []
    return next((standing for standing in standings if standing.name == name), None)


async def _await_other(layout: Layout, name: str, pid: int) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        standing = await _find(layout, name)
        if standing and standing.healthy and standing.pid not in (None, pid):
            return standing.pid or 0
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} is not healthy again")


async def _start(layout: Layout, *services: Service) -> dict[str, int]:
    await ensure_services(layout, services)
    await await_healthy(layout, [service.name for service in services], 20)
    return {one.name: one.pid or 0 for one in await find_standings(layout) or ()}


async def _pid_of_supervisor(layout: Layout, unlike: int = 0) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if await find_standings(layout) is not None:
            pid = int((await ask(layout, {"do": "status"}))["pid"])
            if pid != unlike:
                return pid
        await asyncio.sleep(0.01)
    raise AssertionError("no supervisor")


async def test_a_killed_service_is_back(layout: Layout) -> None:
    pid = (await _start(layout, _SLEEPER))["sleeper"]
    os.kill(pid, signal.SIGKILL)
    await _await_other(layout, "sleeper", pid)
    standing = await _find(layout, "sleeper")
    assert standing is not None
    assert standing.restarts == 1


async def test_a_killed_supervisor_is_back_and_adopts(layout: Layout) -> None:
    stores = await prepare_stores(layout, ExternalStores())
    before = await _start(layout, *stores)
    old = await _pid_of_supervisor(layout)
    os.kill(old, signal.SIGKILL)
    await _pid_of_supervisor(layout, unlike=old)
    await await_healthy(layout, list(before), 10)
    after = await find_standings(layout) or []
    assert {one.name: one.pid for one in after} == before
    assert all(one.adopted for one in after)


async def test_an_adopted_service_is_still_kept(layout: Layout) -> None:
    pid = (await _start(layout, _SLEEPER))["sleeper"]
    old = await _pid_of_supervisor(layout)
    os.kill(old, signal.SIGKILL)
    await _pid_of_supervisor(layout, unlike=old)
    os.kill(pid, signal.SIGKILL)
    await _await_other(layout, "sleeper", pid)


async def test_down_stops_what_a_dead_supervisor_left(layout: Layout) -> None:
    pid = (await _start(layout, _SLEEPER))["sleeper"]
    supervisor = await _pid_of_supervisor(layout)
    os.kill(_parent_of(supervisor), signal.SIGKILL)
    os.kill(supervisor, signal.SIGKILL)
    await bring_down(layout, lambda words: None)
    assert not is_running(pid)


async def test_two_supervisors_do_not_run_at_once(layout: Layout) -> None:
    first = await _pid_of_supervisor(layout)
    await asyncio.gather(*[start_supervisor(layout) for _ in range(3)])
    assert await _pid_of_supervisor(layout) == first


async def test_the_same_again_restarts_nothing(layout: Layout) -> None:
    first = await _start(layout, _SLEEPER)
    assert await _start(layout, _SLEEPER) == first


async def test_a_changed_service_is_replaced(layout: Layout) -> None:
    pid = (await _start(layout, _SLEEPER))["sleeper"]
    await ensure_services(layout, [replace(_SLEEPER, argv=("sleep", "2000"))])
    await _await_other(layout, "sleeper", pid)
    assert not is_running(pid)


async def test_what_depends_waits(layout: Layout) -> None:
    socket = layout.run / "late.sock"
    late = Service("late", ("sleep", "1000"), Probe("unix", str(socket)))
    early = Service("early", ("sleep", "1000"), after=("late",))
    await ensure_services(layout, [early, late])
    await asyncio.sleep(0)
    standing = await _find(layout, "early")
    assert standing is not None
    assert standing.pid is None
    server = await asyncio.start_unix_server(lambda reader, writer: writer.close(), str(socket))
    async with server:
        await await_healthy(layout, ["early", "late"], 10)


async def test_one_that_ignores_the_signal_is_killed(layout: Layout) -> None:
    stubborn = ("sh", "-c", "trap '' TERM; while :; do sleep 1; done")
    pids = await _start(layout, Service("stubborn", stubborn, stop_seconds=0.2))
    await stop_services(layout, ["stubborn"])
    assert not is_running(pids["stubborn"])


async def test_one_that_cannot_start_is_told_with_its_last_words(layout: Layout) -> None:
    broken = Service("broken", ("sh", "-c", "echo no such luck; exit 3"), Probe("tcp", "::1", 1))
    await ensure_services(layout, [broken])
    with pytest.raises(SetupFault) as caught:
        await await_healthy(layout, ["broken"], 30)
    assert "no such luck" in caught.value.problem
    assert "status 3" in caught.value.problem


async def test_a_missing_program_is_told(layout: Layout) -> None:
    await ensure_services(
        layout, [Service("absent", ("/no/such/program",), Probe("tcp", "::1", 1))]
    )
    with pytest.raises(SetupFault) as caught:
        await await_healthy(layout, ["absent"], 30)
    assert "/no/such/program" in caught.value.problem


async def test_others_may_not_talk_to_the_supervisor(layout: Layout) -> None:
    assert _mode_of(layout.control_socket) == 0o600
    with pytest.raises(SetupFault, match="unknown order"):
        await ask(layout, {"do": "dance"})


def _mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o777


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


async def test_a_port_that_another_program_serves_is_not_taken_for_ours(layout: Layout) -> None:
    stranger = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = stranger.sockets[0].getsockname()[1]
    idle = Service("idle", ("sleep", "1000"), probe=Probe("tcp", "127.0.0.1", port))
    async with stranger:
        await ensure_services(layout, (idle,))
        deadline = time.monotonic() + 10
        while not (standing := await _find(layout, "idle")) or not standing.problem:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
    assert not standing.healthy
    assert f"port {port} belongs to another program" in standing.problem
