"""Commands in this process, with answers by what they ask."""

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from backendai.client.cli import connect
from backendai.client.cli.root import root
from backendai.client.transport import Answer, Request
from backendai.common.faults import Fault

Reply = Mapping[str, Any] | Fault | Callable[[Mapping[str, Any]], Any] | list[Any]


@dataclass
class ScriptedTransport:
    """`replies` are by the root of a document, or by `METHOD target`; functions get the variables
    or the body. `asked` are pairs of both."""

    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    closed: int = 0

    async def send(self, request: Request) -> Answer:
        body = msgspec.json.decode(request.body) if request.body else {}
        is_graph = request.target == "/admin/gql"
        name = _root_of(body["query"]) if is_graph else f"{request.method} {request.target}"
        given = body["variables"] if is_graph else body
        self.asked.append((name, given))
        reply = self.replies[name]
        value = reply(given) if callable(reply) else reply
        if isinstance(value, Fault):
            raise value
        return Answer(200, body=msgspec.json.encode({"data": {name: value}} if is_graph else value))

    async def close(self) -> None:
        self.closed += 1


def _root_of(document: str) -> str:
    found = re.search(r"{ (\w+)", document)
    assert found is not None
    return found[1]


class Typed(io.BytesIO):
    """What stdin has."""

    name = "<stdin>"


@dataclass
class Commands:
    """Runs `backendai …`; nobody sits at its terminal."""

    transport: ScriptedTransport = field(default_factory=ScriptedTransport)

    def run(self, *words: str, typed: str = "") -> Result:
        stdin = Typed(typed.encode())
        return CliRunner().invoke(root, [*words], input=stdin, prog_name="backendai")


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Commands:
    made = Commands()
    for name, text in [("ENDPOINT", "http://h"), ("ACCESS_KEY", "AK"), ("SECRET_KEY", "s")]:
        monkeypatch.setenv(f"BACKEND_{name}", text)
    monkeypatch.setattr(connect, "PlainTransport", lambda _config: made.transport)
    return made
