"""Documents follow from types, and refusals become the faults that they tell of."""

import msgspec
import pytest

from backendai.client.faults import BadUsage, UnexpectedAnswer
from backendai.client.graph import fields_of, read_row, write_document, write_row
from backendai.client.refusals import fault_told, refusal
from backendai.common.faults import (
    Conflict,
    Fault,
    Forbidden,
    InsufficientPrivilege,
    InvalidParams,
    ProjectNotFound,
    UserNotFound,
)


class Inner(msgspec.Struct, frozen=True):
    id: str


class Outer(msgspec.Struct, frozen=True):
    name: str
    domain: str | None = msgspec.field(name="domain_name", default=None)
    amounts: dict[str, str] = {}
    inner: tuple[Inner, ...] = msgspec.field(name="inners", default=())
    first: Inner | None = None
    others: tuple[Inner, ...] | None = None
    more: dict[str, str] | None = None


def test_a_selection_has_every_field_by_the_name_of_the_wire() -> None:
    told = "name domain_name amounts inners { id } first { id } others { id } more"
    assert fields_of(Outer) == told


def test_a_document_declares_what_it_passes() -> None:
    assert write_document("query", "users", {}, "id") == "query { users { id } }"
    assert (
        write_document("mutation", "purge", {"a": "Int", "b": "ID!"}, "ok")
        == "mutation($a: Int, $b: ID!) { purge(a: $a, b: $b) { ok } }"
    )


def test_objects_that_travel_as_text_are_read() -> None:
    row = {"name": '{"no": "object"}', "amounts": '{"cpu": "1"}', "inners": [{"id": "1"}]}
    assert read_row(Outer, row) == Outer('{"no": "object"}', None, {"cpu": "1"}, (Inner("1"),))
    assert read_row(Outer, {"name": "a", "amounts": {"cpu": "2"}}).amounts == {"cpu": "2"}
    assert read_row(Outer, {"name": "a", "more": '{"b": "c"}'}).more == {"b": "c"}
    assert read_row(Outer, {"name": "a", "more": None}).more is None
    assert write_row({"a": {"b": 1}, "c": ["d"]}) == {"a": '{"b":1}', "c": ["d"]}
    for wrong in ("{", "[]", '{"cpu": 1}'):
        with pytest.raises(UnexpectedAnswer):
            read_row(Outer, {"name": "a", "amounts": wrong})


@pytest.mark.parametrize(
    "fault",
    [
        UserNotFound("a@b.c"),
        ProjectNotFound(),
        Conflict("There is one."),
        Forbidden("You cannot delete yourself."),
        InvalidParams("odd"),
    ],
    ids=lambda fault: fault.code,
)
def test_what_a_sentence_tells_is_the_fault_that_wrote_it(fault: Fault) -> None:
    told = fault_told(str(fault))
    assert type(told) is type(fault)
    assert str(told) == str(fault)


def test_refusals_without_a_title_name_what_is_wrong() -> None:
    assert isinstance(refusal("no permission to execute create_user"), InsufficientPrivilege)
    assert fault_told("role: 'king' is none of user, admin") is None
    told = refusal("role: 'king' is none of user, admin")
    assert isinstance(told, BadUsage)
    assert told.detail == "role: 'king' is none of user, admin"
