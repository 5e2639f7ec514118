"""Commands on sessions that have a second name, lists of administrators, watching, the proxy."""

import json
import urllib.request
from contextlib import ExitStack

import pytest

from tests.conformance.official import Official
from tests.conformance.test_session_commands import BUSYBOX, SMALL, find_by_name
from tests.running.fixtures import find_port
from tests.running.rest import Api
from tests.running.sessions import await_status, batch, find, resources
from tests.running.sessions import start as start_session
from tests.running.waiting import until


def test_short_ways_to_make_look_at_and_end_a_session(official: Official, api: Api) -> None:
    assert "ready" in official.ok("create", "-t", "shortly", *SMALL, BUSYBOX)
    [session] = find_by_name(official, "shortly")
    for words in (("info",), ("admin", "session", "info")):
        shown = official.ok(*words, session)
        assert "shortly" in shown
        assert "RUNNING" in shown
    for words in (
        ("session", "list", "--running", "-f", "name,status"),
        ("admin", "session", "list"),
    ):
        assert "shortly" in official.ok(*words)
    assert "{}" in official.ok("session", "abuse-history", "shortly")
    official.ok("restart", "shortly")
    await_status(api, session, "RUNNING")
    official.ok("kill", "shortly")
    await_status(api, session, "TERMINATED")


@pytest.fixture
def session(api: Api) -> str:
    return start_session(api, "watched-one", kind="busybox", config=resources())


def test_watching_a_session_ends_with_it(official: Official, session: str, api: Api) -> None:
    ways = (("events",), ("session", "watch"), ("watch",))
    with ExitStack() as stack:
        seen = [stack.enter_context(official.following(*way, "watched-one")) for way in ways]

        def restart_until_all_see() -> bool:
            # The streams have no word for "connected": what happens before is not shown.
            api.ask("PATCH", f"/session/{session}")
            return all(any("_started" in line for line in lines) for lines in seen)

        until(restart_until_all_see, "events are shown by all")
        official.ok("destroy", "-f", "watched-one")
        ended = "session_terminated"
        until(lambda: all(any(ended in line for line in lines) for lines in seen), "the end")


def test_logs_of_a_task_by_session_and_by_kernel(official: Official, api: Api) -> None:
    session = batch(api, "logged-task", "echo from the task", kind="busybox", config=resources())
    await_status(api, session, "TERMINATED")
    kernel = find(api, session)["main_kernel_id"]
    for task in (session, kernel):
        assert "from the task" in official.ok("task-logs", task)
    done = official("task-logs", "00000000-0000-0000-0000-000000000001")
    assert done.code == 1
    assert "No such" in done.both


def test_the_proxy_signs_requests(official: Official) -> None:
    port = find_port()
    with official.following("proxy", "--bind", "127.0.0.1", "-p", str(port)) as lines:
        until(lambda: any("Running on" in line for line in lines), "the proxy listens")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/auth/role", timeout=60) as answer:
            assert json.loads(answer.read())["global_role"] == "user"
