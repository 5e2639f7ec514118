"""A channel at the edge of the world: answers as they are scripted, and time that takes none."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from backendai.client.channel import Channel
from backendai.client.config import Config
from backendai.client.transport import Answer, Request
from backendai.common.clock import EPOCH
from backendai.common.faults import Fault, to_problem
from backendai.common.ids import SeededIds

SECRET = "secret of the test"


class HurryingClock:
    """Sleeping takes no real time."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return EPOCH

    def monotonic(self) -> float:
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


class ScriptedTransport:
    """Answers in order; the last one again and again."""

    def __init__(self, outcomes: Sequence[Answer | Fault]) -> None:
        self.outcomes = list(outcomes)
        self.sent: list[Request] = []

    async def send(self, request: Request) -> Answer:
        self.sent.append(request)
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        if isinstance(outcome, Fault):
            raise outcome
        return outcome

    async def close(self) -> None:
        self.outcomes = []


def open_channel(
    *outcomes: Answer | Fault,
    endpoints: tuple[str, ...] = ("http://h:8081",),
    signs_body: bool = False,
) -> tuple[Channel, ScriptedTransport]:
    transport = ScriptedTransport(outcomes or [Answer(200, body=b"{}")])
    config = Config(endpoints, "AKIA", SECRET, domain="lab", signs_body=signs_body)
    channel = Channel(config, transport, clock=HurryingClock(), ids=SeededIds(1))
    return channel, transport


def refuse(fault: Fault) -> Answer:
    return Answer(fault.http_status, body=msgspec.json.encode(to_problem(fault)))


def told(root: str, fields: Any) -> Answer:
    """An answer of GraphQL with one root."""
    return Answer(200, body=msgspec.json.encode({"data": {root: fields}}))


def erred(message: str) -> Answer:
    """An answer of GraphQL that is nothing but an error."""
    body = {"data": None, "errors": [{"message": message}]}
    return Answer(200, body=msgspec.json.encode(body))
