"""Bugs that systems of this kind really had, planted one at a time: the worlds must find each."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from backendai.common.contracts.agent import KernelReport, KernelState
from backendai.common.enums import Reason
from backendai.common.ids import AgentId
from backendai.common.lifecycle import HOLDING, KernelEvent, KernelStatus
from backendai.manager.lifecycle import changes, decide, drive
from backendai.manager.lifecycle.decide import Findings, KernelCase
from backendai.manager.lifecycle.model import KernelRow, Move
from backendai.manager.sched import admit
from tests.sim import memory
from tests.sim.agent import FakeEngine
from tests.sim.troubles import RIVALS, Incident
from tests.sim.world import simulate

SEEDS_MAX = 40

Plant = Callable[[pytest.MonkeyPatch], None]


def forget_to_free(patch: pytest.MonkeyPatch) -> None:
    """A path that ends kernels and leaves their room taken; no trigger comes to its help."""
    patch.setattr(memory.Disk, "guard_slots", lambda self, row: None)
    work_out = memory.work_out

    def forgetful(*args: Any) -> changes.Changes:
        change = work_out(*args)
        is_exit = any(moved.event is KernelEvent.EXITED for moved in change.moved)
        return replace(change, freed=()) if is_exit else change

    patch.setattr(memory, "work_out", forgetful)


def kill_on_missing_information(patch: pytest.MonkeyPatch) -> None:
    """What an agent does not name counts as ended, at once and whatever the agent can see."""

    def hasty(
        agent_id: AgentId,
        cases: Sequence[KernelCase],
        reports: Sequence[KernelReport],
        **options: Any,
    ) -> Findings:
        named = {report.kernel_id for report in reports if report.state is not KernelState.UNKNOWN}
        findings = decide.decide(agent_id, cases, reports, **options)
        lost = tuple(
            Move(
                kernel_id=case.row.id,
                event=KernelEvent.EXITED,
                reason=Reason.NOT_FOUND_ON_AGENT,
                expected_revision=case.row.revision,
            )
            for case in cases
            if case.row.status is KernelStatus.RUNNING
            and case.row.agent_id == agent_id
            and str(case.row.id) not in named
        )
        return replace(findings, moves=(*findings.moves, *lost))

    patch.setattr(drive, "decide", hasty)


def lose_an_event(patch: pytest.MonkeyPatch) -> None:
    """An end that comes while a kernel is still starting is refused, and never looked at again."""
    judge = decide.judge

    def deaf(case: KernelCase, report: KernelReport) -> Any:
        if report.state is KernelState.EXITED and case.row.status is not KernelStatus.RUNNING:
            return None
        return judge(case, report)

    patch.setattr(decide, "judge", deaf)


def start_twice(patch: pytest.MonkeyPatch) -> None:
    """A start is given a new generation each time it is asked for, so the guard of names fails."""
    create = FakeEngine.create

    def careless(self: FakeEngine, kernel_id: str, generation: int, spec: Any) -> Any:
        self.containers.pop(f"bai.{kernel_id}.{generation}", None)
        return create(self, kernel_id, generation, spec)

    def requeue(case: KernelCase, report: KernelReport) -> Any:
        row = case.row
        if row.status in (KernelStatus.PULLING, KernelStatus.PREPARING) and case.cluster_size == 1:
            return Move(kernel_id=row.id, event=KernelEvent.REQUEUE, generation=row.generation)
        return judge(case, report)

    judge = decide.judge
    patch.setattr(FakeEngine, "create", careless)
    patch.setattr(decide, "judge", requeue)


def rule_of_all_does_nothing(patch: pytest.MonkeyPatch) -> None:
    """A session ends when ALL its kernels are gone, and nobody ends the rest."""
    patch.setattr(changes, "implied_moves", lambda kernels: [])


def overbook(patch: pytest.MonkeyPatch) -> None:
    """Placements are written as they were planned, however old the plan is."""

    def trusting(placements: Any, candidates: Any, nodes: Any, quotas: Any) -> Any:
        waiting = [
            one for one in placements if admit._is_unchanged(one, candidates[one.session_id])
        ]
        return waiting, []

    patch.setattr(memory, "admit", trusting)


def ignore_generations(patch: pytest.MonkeyPatch) -> None:
    """Whatever an agent says of a kernel is taken to be about its present generation."""

    def blind(reports: Sequence[KernelReport], cases: Mapping[str, KernelRow]) -> list[Any]:
        return [
            msgspec.structs.replace(one, generation=cases[one.kernel_id].generation)
            if one.kernel_id in cases
            else one
            for one in reports
        ]

    look = decide.decide

    def decide_blindly(agent_id: Any, cases: Any, reports: Any, **options: Any) -> Findings:
        rows = {str(case.row.id): case.row for case in cases if case.row.status in HOLDING}
        return look(agent_id, cases, blind(reports, rows), **options)

    patch.setattr(drive, "decide", decide_blindly)


PLANTS: tuple[Plant, ...] = (
    forget_to_free,
    kill_on_missing_information,
    lose_an_event,
    start_twice,
    rule_of_all_does_nothing,
    overbook,
    ignore_generations,
)
# Where the incidents that a seed draws give a bug too little to do.
INCIDENTS: Mapping[Plant, Sequence[Incident]] = {overbook: RIVALS}


@pytest.fixture
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_bug_is_found(plant: Plant, patch: pytest.MonkeyPatch) -> None:
    plant(patch)
    incidents = INCIDENTS.get(plant)
    found = next((n for n in range(SEEDS_MAX) if simulate(n, incidents).violation), None)
    assert found is not None, f"{plant.__name__} survived {SEEDS_MAX} seeds"


@pytest.mark.parametrize("seed", range(5))
def test_rivals_do_no_harm_without_a_bug(seed: int) -> None:
    assert not simulate(seed, RIVALS).violation
