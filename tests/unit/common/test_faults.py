"""Faults keep their class, detail and facts over HTTP and RPC, and nothing else gets out."""

import msgspec
import pytest

from backendai.common import faults
from backendai.common.faults import (
    AgentTimeout,
    Fault,
    FaultData,
    InvalidParams,
    KernelCreationFailed,
    Kind,
    NotFound,
    SessionAlreadyExists,
    SessionNotFound,
    TooManySessionsMatched,
    UrlNotFound,
    fault_data,
    fault_from_data,
    fault_from_problem,
    to_problem,
)

LEAVES = sorted(Fault.by_code.values(), key=lambda leaf: leaf.code)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.code)
def test_every_leaf_survives_both_wires(leaf: type[Fault]) -> None:
    fault = leaf("what happened", {"path": "/x"})
    problem = msgspec.json.decode(msgspec.json.encode(to_problem(fault)))
    data = msgspec.msgpack.decode(msgspec.msgpack.encode(fault_data(fault)), type=FaultData)
    for copy in (fault_from_problem(fault.http_status, problem), fault_from_data(data)):
        assert type(copy) is leaf
        assert (copy.detail, copy.facts["path"]) == ("what happened", "/x")
        assert (copy.code, copy.kind, copy.http_status) == (
            fault.code,
            fault.kind,
            fault.http_status,
        )


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.code)
def test_every_leaf_has_what_clients_need(leaf: type[Fault]) -> None:
    problem = to_problem(leaf())
    assert problem["type"].startswith("https://api.backend.ai/probs/")
    assert problem["title"]
    assert 400 <= leaf().http_status < 600
    assert str(leaf())


def test_codes_are_unique_and_classes_are_found_by_them() -> None:
    assert all(Fault.by_code[leaf.code] is leaf for leaf in LEAVES)
    with pytest.raises(TypeError, match="taken"):
        type("Other", (Fault,), {"code": "session.not_found"})


@pytest.mark.parametrize(
    ("fault", "status", "slug", "title"),
    [
        (SessionNotFound(), 404, "object-not-found", "No such session."),
        (faults.ImageNotFound(), 404, "object-not-found", "No such environment image."),
        (SessionAlreadyExists(), 400, "session-already-exists", None),
        (TooManySessionsMatched(), 404, "too-many-sessions-matched", None),
        (faults.QuotaExceeded(), 412, "quota-exceeded", None),
        (faults.AuthFailed(), 401, "auth-failed", "Credential/signature mismatch."),
    ],
)
def test_the_wire_shows_what_clients_know(
    fault: Fault, status: int, slug: str, title: str | None
) -> None:
    problem = to_problem(fault)
    assert fault.http_status == status
    assert problem["type"].endswith("/" + slug)
    assert title in (None, problem["title"])


def test_invalid_params_map_fields_to_messages() -> None:
    problem = to_problem(InvalidParams("", {"name": "is required"}))
    assert problem["msg"] == "Input validation error"
    assert problem["data"] == {"name": "is required"}


def test_the_data_of_an_unknown_url_is_its_path() -> None:
    assert to_problem(UrlNotFound("", {"path": "/a"}))["data"] == "/a"


def test_agent_faults_are_told_as_agent_details() -> None:
    problem = to_problem(KernelCreationFailed.after(AgentTimeout("no reply within 10 s")))
    assert problem["agent-details"] == {
        "type": "https://api.backend.ai/probs/agent-timeout",
        "title": AgentTimeout.agent_title,
        "exception": "no reply within 10 s",
    }
    assert "data" not in problem
    copy = fault_from_problem(500, problem)
    assert to_problem(copy)["agent-details"] == problem["agent-details"]


def test_causes_never_travel() -> None:
    fault = SessionNotFound("gone")
    fault.__cause__ = RuntimeError("secret")
    assert "secret" not in str(to_problem(fault)) + str(fault_data(fault))


def test_problems_of_other_servers_are_known_by_type_and_title() -> None:
    body = {"type": "https://api.backend.ai/probs/object-not-found", "title": "No such session."}
    assert type(fault_from_problem(404, body)) is SessionNotFound
    assert type(fault_from_problem(404, {**body, "title": "No such unicorn."})) is NotFound


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Kind.INVALID),
        (404, Kind.NOT_FOUND),
        (418, Kind.INVALID),
        (500, Kind.INTERNAL),
        (502, Kind.UNAVAILABLE),
        (504, Kind.UNAVAILABLE),
        (599, Kind.INTERNAL),
    ],
)
@pytest.mark.parametrize("body", [None, "<html>", [1], {}, {"type": 3, "data": 7}])
def test_any_answer_becomes_a_fault_of_its_status(status: int, kind: Kind, body: object) -> None:
    fault = fault_from_problem(status, body)
    assert (fault.kind, fault.http_status) == (kind, status)
    assert to_problem(fault)["title"]


def test_an_unknown_code_over_rpc_keeps_kind_status_and_title() -> None:
    data = FaultData("new.thing", "conflict", "detail", {"a": 1}, "New thing.", "new-thing", 409)
    fault = fault_from_data(data)
    assert (fault.kind, fault.code, fault.title) == (
        Kind.CONFLICT,
        "new.thing",
        "New thing.",
    )
