"""Commands in this process, with answers of GraphQL by their roots."""

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
class GraphTransport:
    """`replies` are by the root of the document; functions get its variables. `asked` are pairs of
    a root and its variables."""

    replies: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, Any]]] = field(default_factory=list)
    closed: int = 0

    async def send(self, request: Request) -> Answer:
        body = msgspec.json.decode(request.body)
        found = re.search(r"{ (\w+)", body["query"])
        assert found is not None
        name, variables = found[1], body["variables"]
        self.asked.append((name, variables))
        reply = self.replies[name]
        value = reply(variables) if callable(reply) else reply
        if isinstance(value, Fault):
            raise value
        return Answer(200, body=msgspec.json.encode({"data": {name: value}}))

    async def close(self) -> None:
        self.closed += 1


class Typed(io.BytesIO):
    """What stdin has."""

    name = "<stdin>"


@dataclass
class Commands:
    """Runs `backendai …`; nobody sits at its terminal."""

    transport: GraphTransport = field(default_factory=GraphTransport)

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
