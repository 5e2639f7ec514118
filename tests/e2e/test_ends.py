"""However a session ends, its reason is told and nothing of it stays behind."""

import os
import signal
from contextlib import suppress
from typing import Any, Final

import docker
import pytest

from tests.running.rest import Api
from tests.running.sessions import await_status, batch, logs, resources, start
from tests.running.stack import Stack

SMALL: Final = resources(cpu="0.2", mem="64m")


def read_end(stack: Stack, session: str) -> dict[str, Any]:
    """The row of an ended session: status, result, exit code, reason."""
    rows = stack.query(
        f"SELECT status, result, exit_code, status_info FROM sessions WHERE id = '{session}'"
    )
    return rows[0]


@pytest.fixture
def session(stack: Stack, api: Api) -> str:
    if stack.backend != "docker":
        pytest.skip("this story acts on containers behind the agent's back")
    return start(api, "to-be-ended", kind="busybox", config=SMALL)


def only_container(stack: Stack, session: str) -> tuple[str, int]:
    [found] = stack.containers(session).items()
    return found


def test_a_batch_that_succeeds(stack: Stack, api: Api) -> None:
    session = batch(api, "good", "echo fine", kind="busybox", config=SMALL)
    await_status(api, session, "TERMINATED")
    end = read_end(stack, session)
    assert (end["result"], end["exit_code"], end["status_info"]) == ("success", 0, "task-done")
    assert logs(api, session) == "fine\n"


def test_a_batch_that_fails_tells_its_exit_code(stack: Stack, api: Api) -> None:
    session = batch(api, "bad-batch", "echo oh >&2; exit 3", kind="busybox", config=SMALL)
    await_status(api, session, "TERMINATED")
    end = read_end(stack, session)
    assert (end["result"], end["exit_code"], end["status_info"]) == ("failure", 3, "task-failed")
    assert "oh" in logs(api, session)


def test_a_command_that_does_not_exist_is_told(stack: Stack, api: Api) -> None:
    session = batch(api, "no-command", "no-such-program", kind="busybox", config=SMALL)
    await_status(api, session, "TERMINATED")
    assert read_end(stack, session)["exit_code"] == 127
    assert "no-such-program" in logs(api, session)


def test_a_batch_that_uses_too_much_memory(stack: Stack, api: Api) -> None:
    hog = "/opt/kernel/bin/python3 -c 'x = bytearray(10**9)' || python3 -c 'x = bytearray(10**9)'"
    session = batch(api, "hungry", hog, kind="python", config=resources(mem="128m"))
    await_status(api, session, "TERMINATED")
    end = read_end(stack, session)
    assert end["status_info"] == "out-of-memory", (end, logs(api, session))


def test_code_that_uses_too_much_memory_leaves_the_session_or_ends_it_with_the_reason(
    stack: Stack, api: Api
) -> None:
    session = start(api, "greedy", config=resources(mem="128m"))
    body = {"mode": "query", "code": "x = bytearray(10**9)", "runId": None}
    answer = api.ask("POST", f"/session/{session}", body)
    assert answer.status < 600
    facts = await_status(api, session, "RUNNING", "TERMINATED")
    if facts["status"] == "TERMINATED":
        assert read_end(stack, session)["status_info"] == "out-of-memory"


def test_killed_by_docker(stack: Stack, api: Api, session: str) -> None:
    name, _ = only_container(stack, session)
    with stack.engine() as client:
        client.api.kill(name)
    await_status(api, session, "TERMINATED")
    assert read_end(stack, session)["status_info"] == "killed-by-event"


def test_killed_by_the_host(stack: Stack, api: Api, session: str) -> None:
    _, pid = only_container(stack, session)
    os.kill(pid, signal.SIGKILL)
    await_status(api, session, "TERMINATED")
    assert read_end(stack, session)["status_info"] == "killed-by-event"


def test_removed_by_docker(stack: Stack, api: Api, session: str) -> None:
    name, _ = only_container(stack, session)
    with stack.engine() as client:
        client.api.remove_container(name, force=True)
    await_status(api, session, "TERMINATED")
    assert read_end(stack, session)["status_info"] in ("not-found-on-agent", "killed-by-event")


def test_removed_by_docker_while_it_is_being_terminated(
    stack: Stack, api: Api, session: str
) -> None:
    name, _ = only_container(stack, session)
    api.ask("DELETE", f"/session/{session}")
    with stack.engine() as client, suppress(docker.errors.NotFound):
        client.api.remove_container(name, force=True)
    await_status(api, session, "TERMINATED")


def test_ended_by_its_user(stack: Stack, api: Api, session: str) -> None:
    answer = api.ask("DELETE", f"/session/{session}")
    assert answer.status == 200, answer
    await_status(api, session, "TERMINATED")
    assert read_end(stack, session)["status_info"] == "user-requested"


def test_a_waiting_session_is_cancelled(stack: Stack, api: Api) -> None:
    blocker = start(api, "blocker", config=resources(cpu=f"{stack.cores:g}"))
    waiting = batch(api, "waiting", "true", config=resources())
    assert await_status(api, waiting, "PENDING", "SCHEDULED")["status"] == "PENDING"
    assert api.ask("DELETE", f"/session/{waiting}").status == 200
    await_status(api, waiting, "CANCELLED")
    assert api.ask("DELETE", f"/session/{blocker}").status == 200


def test_ended_twice_is_no_fault(api: Api, session: str) -> None:
    first = api.ask("DELETE", f"/session/{session}")
    second = api.ask("DELETE", f"/session/{session}")
    assert first.status == 200
    assert second.status in (200, 403, 404), second


def test_a_foreign_container_is_never_touched(stack: Stack, session: str) -> None:
    """Labels that only mimic ours are told of, and left alone, also over the agent's restart."""
    name, _ = only_container(stack, session)
    with stack.engine() as client:
        labels = client.containers.get(name).labels
        other = client.containers.run(
            "bai/busybox:latest", ["sleep", "600"], labels=labels, name="mimic", detach=True
        )
        try:
            os.kill(stack.daemon("agent")["pid"], signal.SIGKILL)
            stack.ok("session", "exec", "to-be-ended", "-c", "print(1)")
            other.reload()
            assert other.status == "running"
        finally:
            other.remove(force=True)
