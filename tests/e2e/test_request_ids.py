"""One id through the logs: from a browser to the webserver, the manager, and what that asks."""

import json
from collections.abc import Iterator
from typing import Final

import pytest

from tests.running.rest import Api
from tests.running.sessions import start
from tests.running.stack import Stack
from tests.running.visitor import Visitor
from tests.running.waiting import until
from tests.running.wsproxy import Loop

HEADER: Final = "X_Request_Id"


@pytest.fixture
def visitor(stack: Stack) -> Iterator[Visitor]:
    found = Visitor(Loop(), str(stack.daemon("webserver")["address"]))
    known = stack.credentials()
    found.log_in(known["BAI_LOGIN"], known["BAI_PASSWORD"])
    yield found
    found.close()


def said(stack: Stack, daemon: str, request_id: str) -> list[str]:
    """The events that a daemon's log has of a request."""
    lines = (stack.home / "log" / f"{daemon}.log").read_text().splitlines()
    known = [json.loads(line) for line in lines if request_id in line and line.startswith("{")]
    return [one["event"] for one in known if one.get("request_id") == request_id]


@pytest.mark.parametrize(
    ("path", "asked"),
    [("/func/session/followed/logs", "agent"), ("/func/folders/_/hosts", "storage")],
)
def test_an_id_is_in_the_log_of_every_daemon_that_a_request_reaches(
    stack: Stack, api: Api, visitor: Visitor, path: str, asked: str
) -> None:
    start(api, "followed")
    request_id = f"followed-to-{asked}"
    answer = visitor.ask("GET", path, **{HEADER: request_id})
    assert answer.status == 200, answer
    for daemon in ("webserver", "manager", asked):
        until(lambda name=daemon: said(stack, name, request_id), f"{daemon} tells of {request_id}")
