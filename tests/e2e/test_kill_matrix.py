"""kill -9 of everything, while sessions live and one is being made: nothing is lost."""

import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import psutil
import pytest
import redis

from tests.running.rest import Api, new_session
from tests.running.sessions import (
    IMAGES,
    await_status,
    enqueue,
    execute,
    find,
    list_live,
    resources,
    start,
)
from tests.running.stack import Stack
from tests.running.waiting import until

DAEMONS: Final = ("manager", "agent", "storage", "postgres", "valkey", "etcd", "dockerd")
IMPATIENT_SECONDS: Final = 3.0
LIVE: Final = 2
SMALL: Final = resources(cpu="0.2", mem="64m")


@dataclass(frozen=True)
class Living:
    """Sessions that run with something in their memory, and their containers' process ids."""

    api: Api
    sessions: tuple[str, ...]
    containers: dict[str, int]

    def answers(self) -> bool:
        # What was asked of a daemon at the moment of its death is lost: ask anew before long.
        impatient = replace(self.api, answer_seconds=IMPATIENT_SECONDS, _connection=None)
        return all(
            execute(impatient, session, "print(x)") == f"{number}\n"
            for number, session in enumerate(self.sessions)
        )


@pytest.fixture
def living(stack: Stack, api: Api) -> Living:
    if stack.backend != "docker":
        pytest.skip("process ids are compared by the engine's own word")
    sessions = tuple(
        start(api, f"live-{number}", kind="busybox", config=SMALL) for number in range(LIVE)
    )
    for number, session in enumerate(sessions):
        execute(api, session, f"x = {number}")
    return Living(api, sessions, stack.containers())


def kill(stack: Stack, name: str) -> int:
    pid = int(stack.daemon(name)["pid"])
    os.kill(pid, signal.SIGKILL)
    return pid


def skip_unless_ours(stack: Stack, name: str) -> None:
    if name not in {row["name"] for row in stack.status()["daemons"]}:
        pytest.skip(f"{name} is not run by this stack")


def same_containers(stack: Stack, living: Living) -> None:
    now = stack.containers()
    assert {name: now.get(name) for name in living.containers} == living.containers


@pytest.mark.parametrize("name", DAEMONS)
def test_killed_daemon_loses_nothing(stack: Stack, living: Living, name: str) -> None:
    skip_unless_ours(stack, name)
    newborn = enqueue(living.api, "newborn", kind="busybox", config=SMALL)
    killed = kill(stack, name)
    until(living.answers, f"sessions answer after the death of {name}")
    until(stack.is_green, f"green after the death of {name}")
    assert stack.daemon(name)["pid"] != killed
    await_status(living.api, newborn, "RUNNING", seconds=60)
    assert execute(living.api, newborn, "print(6 * 7)") == "42\n"
    same_containers(stack, living)
    assert len(stack.containers()) == LIVE + 1
    until(lambda: not stack.drift(), "no drift")


def test_killed_containerd_keeps_what_runs(stack: Stack, living: Living) -> None:
    skip_unless_ours(stack, "containerd")
    begun = enqueue(living.api, "begun", kind="busybox", config=SMALL)
    kill(stack, "containerd")
    until(living.answers, "sessions answer after the death of containerd")
    until(stack.is_green, "green after the death of containerd")
    same_containers(stack, living)
    await_status(living.api, begun, "RUNNING", seconds=60)
    newborn = start(living.api, "after-containerd", kind="busybox", config=SMALL)
    assert execute(living.api, newborn, "print(6 * 7)") == "42\n"


@pytest.mark.parametrize("name", DAEMONS)
def test_session_that_was_being_ended_ends(stack: Stack, living: Living, name: str) -> None:
    skip_unless_ours(stack, name)
    victim, *others = living.sessions
    living.api.ask("DELETE", f"/session/{victim}")
    kill(stack, name)
    await_status_patiently(living.api, victim, "TERMINATED")
    for session in others:
        assert find(living.api, session)["status"] == "RUNNING"


def await_status_patiently(api: Api, session: str, wanted: str) -> None:
    """Answers of 503 on the way are no reason to give up."""
    until(lambda: find(api, session)["status"] == wanted, f"{session} in {wanted}")


def test_killed_supervisor_is_back_and_disturbs_nobody(stack: Stack, living: Living) -> None:
    before = pids_of_others(stack)
    lock = stack.layout.run / "supervisor.lock"
    killed = int(lock.read_text())
    os.kill(killed, signal.SIGKILL)
    until(lambda: int(lock.read_text() or 0) not in (0, killed), "another supervisor")
    until(stack.is_green, "green again")
    assert pids_of_others(stack) == before
    assert living.answers()


def pids_of_others(stack: Stack) -> dict[str, int]:
    daemons = stack.status()["daemons"]
    return {row["name"]: row["pid"] for row in daemons if row["name"] != "supervisor"}


def test_all_stores_and_daemons_killed_at_once(stack: Stack, living: Living) -> None:
    for row in stack.status()["daemons"]:
        if row["name"] != "containerd":
            os.kill(row["pid"], signal.SIGKILL)
    until(stack.is_green, "green again")
    until(living.answers, "sessions answer")
    same_containers(stack, living)


def test_lost_postgres_is_told_as_unavailable_and_never_as_a_bug(stack: Stack, api: Api) -> None:
    """Requests while it is away get 503 with Retry-After, not 500."""
    kill(stack, "postgres")
    seen: list[int] = []

    def ask() -> bool:
        answer = api.ask("GET", "/session/nosuch-session")
        seen.append(answer.status)
        if answer.status == 503:
            assert answer.headers.get("retry-after"), answer
        assert answer.status in (404, 503), answer
        return answer.status == 404

    until(ask, "the API answers again")


def test_emptied_valkey_loses_no_state(stack: Stack, living: Living) -> None:
    with redis.Redis.from_url(stack.stores.redis) as client:
        client.flushall()
    assert living.answers()
    newborn = start(living.api, "after-flush", kind="busybox", config=SMALL)
    assert execute(living.api, newborn, "print(1)") == "1\n"
    assert stack.is_green()


def test_agent_killed_with_many_sessions_adopts_all(stack: Stack, api: Api) -> None:
    if stack.backend != "docker":
        pytest.skip("process ids are compared by the engine's own word")
    config = resources(cpu=f"{stack.cores / 16:.3f}", mem="64m")
    sessions = [
        enqueue(api, f"many-{number:02}", kind="busybox", config=config) for number in range(10)
    ]
    for session in sessions:
        await_status(api, session, "RUNNING", seconds=120)
    before = stack.containers()
    kill(stack, "agent")
    all_answer = partial(answer_all, api, sessions)
    until(all_answer, "all sessions answer")
    assert stack.containers() == before
    assert {find(api, session)["status"] for session in sessions} == {"RUNNING"}


def answer_all(api: Api, sessions: list[str]) -> bool:
    return all(execute(api, session, "print(1)") == "1\n" for session in sessions)


def test_agent_without_its_state_directory_adopts_all(stack: Stack, living: Living) -> None:
    """The labels of containers are the truth; files of the agent may be lost."""
    folder = stack.home / "data" / "agent"
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if not path.is_dir() else path.rmdir()
    kill(stack, "agent")
    until(living.answers, "sessions answer")
    same_containers(stack, living)


@contextmanager
def killed_again_and_again(stack: Stack, name: str, times: int) -> Iterator[threading.Thread]:
    """Kill a daemon at random moments beside the test."""
    chance = random.Random(20260101)

    def work() -> None:
        for _ in range(times):
            time.sleep(chance.uniform(0.05, 0.6))
            pid = until(lambda: find_pid(stack, name), f"{name} runs")
            psutil.Process(pid).kill()

    thread = threading.Thread(target=work, name=f"killer of {name}")
    thread.start()
    try:
        yield thread
    finally:
        thread.join()


def find_pid(stack: Stack, name: str) -> int | None:
    pid = stack.daemon(name)["pid"]
    return int(pid) if pid and psutil.pid_exists(pid) else None


@pytest.mark.parametrize("name", ["manager", "agent"])
def test_killed_at_random_under_load_makes_each_session_once(
    stack: Stack, api: Api, name: str
) -> None:
    config = resources(cpu=f"{stack.cores / 16:.3f}", mem="64m")
    tokens = {f"load-{number}": uuid.uuid4().hex for number in range(8)}
    with killed_again_and_again(stack, name, 5):
        ids = {label: create_once(api, label, tokens[label], config) for label in tokens}
    again = {label: create_once(api, label, tokens[label], config) for label in tokens}
    assert again == ids
    assert sorted(list_live(api)) == sorted(ids.values())
    for session in ids.values():
        await_status_patiently(api, session, "RUNNING")
    assert len(stack.containers()) == len(ids)
    until(lambda: not stack.drift(), "no drift")


def create_once(api: Api, name: str, token: str, config: dict[str, Any]) -> str:
    """Ask again with the same token until an answer arrives."""
    body = new_session(name, IMAGES["busybox"], config=config, enqueueOnly=True)

    def ask() -> str | None:
        answer = api.ask("POST", "/session", body, **{"X-BackendAI-Client-Token": token})
        if answer.status >= 500:
            return None
        assert answer.status == 201, answer
        return str(answer.json()["sessionId"])

    return until(ask, f"a session called {name}")
