"""The schema of a contract is complete, stable, and changes when the contract does."""

import msgspec
import pytest

from backendai.common.rpc.call import Call
from backendai.common.rpc.schema import contract_schema


class Inner(msgspec.Struct):
    name: str


class Ask(msgspec.Struct):
    inner: Inner
    count: int = 1


class Answer(msgspec.Struct):
    ok: bool


ASK = Call("ask", Ask, Answer, idempotent=True, deadline_seconds=3.0)
PING = Call("ping", Inner, Inner)


def test_every_struct_and_call_is_in_it() -> None:
    schema = contract_schema([ASK, PING])
    assert sorted(schema["structs"]) == ["Answer", "Ask", "Inner"]
    assert schema["calls"]["ask"] == {
        "request": {"$ref": "#/structs/Ask"},
        "reply": {"$ref": "#/structs/Answer"},
        "idempotent": True,
        "deadline_seconds": 3.0,
    }


def test_the_order_of_calls_does_not_matter() -> None:
    assert msgspec.json.encode(contract_schema([ASK, PING])) == msgspec.json.encode(
        contract_schema([PING, ASK])
    )


def test_two_calls_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="same name"):
        contract_schema([ASK, Call("ask", Inner, Inner)])
