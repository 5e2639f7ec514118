"""What takes as long as users have files holds up nothing, and does not count as standing still."""

import asyncio
from pathlib import Path

import pytest

from backendai.agent import stats
from backendai.agent.backends.backend import Whereabouts
from backendai.agent.housekeeping import Housekeeper
from backendai.agent.ledger import Ledger
from backendai.agent.relay.lines import Traffic
from backendai.agent.stats import SCRATCH_PERIOD_SECONDS, Meter
from backendai.common.clock import FakeClock
from backendai.common.contracts.agent import KernelReport, KernelState
from backendai.common.loops import LoopHealth
from tests.unit.agent.fakes import FakeBackend, make_node


class RunningBackend(FakeBackend):
    async def locate(self, container_id: str) -> Whereabouts:
        return Whereabouts(pid=0, started_at=0.0)


async def test_a_home_is_sized_beside_what_is_sampled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, ledger, sized = FakeClock(), Ledger(), 0

    def size_of(folder: Path) -> int:
        nonlocal sized
        sized += 1
        return 4096

    monkeypatch.setattr(stats, "size_of", size_of)
    node = make_node(tmp_path, RunningBackend(), ledger, clock)
    running = KernelReport(
        kernel_id="k", session_id="s", generation=1, state=KernelState.RUNNING, container_id="c"
    )
    ledger.put(running)
    meter = Meter(node, ledger, lambda _key: Traffic())
    for _ in range(2):
        await meter.step()
        assert sized == 0
    assert [disk.path for disk in meter.load.disks] == ["/"]
    for _ in range(2):
        await meter.size_scratch()
        assert sized == 1
    await meter.step()
    (report,) = ledger.kernels()
    assert report.use is not None
    assert report.use.scratch_bytes == 4096
    await clock.advance(SCRATCH_PERIOD_SECONDS)
    await meter.size_scratch()
    assert sized == 2


async def test_removing_many_files_is_not_standing_still(tmp_path: Path) -> None:
    clock, ledger = FakeClock(), Ledger()
    health = LoopHealth(clock)
    keeper = Housekeeper(make_node(tmp_path, FakeBackend(), ledger, clock), ledger, frozenset)
    async with asyncio.TaskGroup() as group:
        tasks = keeper.start(group, health)
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
    assert [state.name for state in health.states()] == ["images"]
