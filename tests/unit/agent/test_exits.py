"""Every way to end has its reason."""

import pytest

from backendai.agent.ending import judge
from backendai.agent.exits import ExitFacts, explain, name_exit
from backendai.common.enums import Reason
from backendai.kernel.wire import ExitRecord

BOOTED_AT = 1000.0


@pytest.mark.parametrize(
    ("facts", "session_type", "reason"),
    [
        (ExitFacts(0, started_at=2000), "interactive", Reason.SELF_TERMINATED),
        (ExitFacts(3, started_at=2000), "interactive", Reason.SELF_TERMINATED),
        (ExitFacts(0, started_at=2000), "batch", Reason.TASK_DONE),
        (ExitFacts(3, started_at=2000), "batch", Reason.TASK_FAILED),
        (ExitFacts(137, True, started_at=2000), "batch", Reason.OUT_OF_MEMORY),
        (ExitFacts(137, started_at=2000), "batch", Reason.KILLED_BY_EVENT),
        (ExitFacts(None, started_at=2000), "interactive", Reason.KILLED_BY_EVENT),
        (ExitFacts(255, started_at=500), "interactive", Reason.AGENT_RESTARTED_NODE),
        (ExitFacts(127, error="no such file"), "interactive", Reason.FAILED_TO_START),
    ],
)
def test_an_end_has_a_reason(facts: ExitFacts, session_type: str, reason: Reason) -> None:
    ending = explain(facts, session_type, BOOTED_AT)
    assert ending.reason is reason
    assert ending.detail


def test_an_exit_is_named_for_people() -> None:
    assert name_exit(3) == "exit code 3"
    assert name_exit(143) == "killed by SIGTERM"


def test_a_runner_ended_by_a_signal_was_ended_from_outside() -> None:
    record = ExitRecord(exit_code=143, reason="terminated", ended_at=3000)
    _, ending = judge(ExitFacts(143, started_at=2000), record, "interactive", BOOTED_AT)
    assert ending.reason is Reason.KILLED_BY_EVENT


def test_a_forged_record_does_not_hide_what_the_engine_knows() -> None:
    record = ExitRecord(exit_code=0, reason="finished", ended_at=3000)
    facts = ExitFacts(137, out_of_memory=True, started_at=2000)
    assert judge(facts, record, "batch", BOOTED_AT)[1].reason is Reason.OUT_OF_MEMORY
    killed = ExitFacts(137, started_at=2000)
    assert judge(killed, record, "batch", BOOTED_AT)[1].reason is Reason.KILLED_BY_EVENT


@pytest.mark.parametrize("session_type", ["interactive", "batch"])
def test_a_container_that_vanished_with_its_engine_did_not_end_by_itself(session_type: str) -> None:
    facts = ExitFacts(255, started_at=2000)
    _, ending = judge(facts, None, session_type, BOOTED_AT)
    assert ending.reason is Reason.KILLED_BY_EVENT
    own = ExitRecord(exit_code=255, reason="finished", ended_at=3000)
    assert judge(facts, own, "batch", BOOTED_AT)[1].reason is Reason.TASK_FAILED
