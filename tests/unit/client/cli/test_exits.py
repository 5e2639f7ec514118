"""Exit codes by kind of fault, and what is said to people."""

import pytest

from backendai.client.cli.exits import TRACEBACK_VARIABLE, describe, exit_code_of, explain
from backendai.client.faults import NotConfigured, NotRunning, Unreachable, WaitedTooLong
from backendai.common.faults import (
    AgentFailure,
    AgentTimeout,
    AuthFailed,
    Conflict,
    Fault,
    Forbidden,
    InvalidAuthParams,
    InvalidParams,
    Kind,
    QuotaExceeded,
    SessionAlreadyExists,
    SessionNotFound,
    TooManySessionsMatched,
    fault_from_problem,
)

CODES = [
    (Fault(), 1),
    (AgentFailure(), 1),
    (WaitedTooLong(), 3),
    (InvalidParams(), 4),
    (NotConfigured(), 4),
    (AuthFailed(), 5),
    (InvalidAuthParams(), 5),
    (Forbidden(), 5),
    (SessionNotFound(), 6),
    (Conflict(), 7),
    (SessionAlreadyExists(), 7),
    (QuotaExceeded(), 7),
    (Unreachable(), 8),
    (AgentTimeout(), 8),
    (fault_from_problem(502, None), 8),
]


@pytest.mark.parametrize(("fault", "code"), CODES, ids=str)
def test_a_kind_has_its_exit_code(fault: Fault, code: int) -> None:
    assert exit_code_of(fault) == code


@pytest.mark.parametrize("kind", Kind)
def test_no_fault_exits_as_success_or_as_wrong_usage(kind: Kind) -> None:
    fault = Fault()
    fault.kind = kind
    assert exit_code_of(fault) not in (0, 2)


def test_who_asks_for_a_session_that_is_not_there_learns_how_to_list_them() -> None:
    assert any("backendai ps" in line for line in describe(SessionNotFound()))


def test_every_wrong_field_is_told() -> None:
    lines = list(describe(InvalidParams(facts={"cpu": "too many", "mem": "no size"})))
    assert "  cpu: too many" in lines
    assert "  mem: no size" in lines


def test_matches_and_the_existing_session_are_told() -> None:
    match = {"id": "1", "name": "demo", "status": "RUNNING"}
    assert "  1  demo  RUNNING" in list(
        describe(TooManySessionsMatched(facts={"matches": [match]}))
    )
    existing = SessionAlreadyExists(facts={"existingSessionId": "abc"})
    assert any("abc" in line and "--reuse" in line for line in describe(existing))


def test_what_nobody_answers_names_the_address_and_the_next_step() -> None:
    told = "\n".join(describe(Unreachable("http://h:1: Connection refused")))
    assert "http://h:1" in told
    assert "./bai status" in told


def test_what_the_agent_said_is_told_once() -> None:
    fault = AgentFailure("disk full", {"agent-details": {"exception": "disk full"}})
    assert list(describe(fault)) == [f"error: {fault}"]
    other = AgentFailure("failed", {"agent-details": {"exception": "disk full"}})
    assert list(describe(other))[-1] == "  disk full"


def test_a_message_cannot_command_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(QuotaExceeded("a\x1b[2Jb\nc")) == 7
    assert capsys.readouterr().err.endswith("a [2Jb\nc\n")


def test_what_nobody_foresaw_is_told_without_its_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(TRACEBACK_VARIABLE, raising=False)
    assert explain(KeyError("waiting")) == 1
    assert "KeyError: 'waiting'" in capsys.readouterr().err
    monkeypatch.setenv(TRACEBACK_VARIABLE, "1")
    with pytest.raises(KeyError):
        explain(KeyError("waiting"))


def test_a_daemon_dies_with_its_trace() -> None:
    with pytest.raises(ZeroDivisionError):
        explain(ZeroDivisionError(), is_own=False)


def test_a_fault_of_the_system_is_told_with_the_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert explain(PermissionError(13, "Permission denied", "out/a")) == 1
    assert capsys.readouterr().err == "error: Permission denied: out/a\n"


def test_a_session_that_does_not_run_is_told_with_the_next_step() -> None:
    fault = NotRunning("It is PENDING.", {"session": "a", "status": "PENDING"})
    assert exit_code_of(fault) == 7
    assert [*describe(fault)][-1].endswith("backendai session why a")
