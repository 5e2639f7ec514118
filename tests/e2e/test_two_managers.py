"""Two managers on the same stores: either answers, and no kernel is started twice."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from backendai.common.settings.render import render_toml
from tests.running.rest import Api
from tests.running.sessions import (
    await_status,
    end,
    enqueue,
    execute,
    find,
    list_live,
    resources,
    start,
)
from tests.running.stack import COMMAND, Stack
from tests.running.waiting import until

SMALL: Final = resources(cpu="0.1", mem="64m")


class Second:
    """A manager beside the stack's own one."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._config = folder / "manager.toml"
        self._log = folder / "manager.log"
        self.port = _find_port()
        settings: dict[str, Any] = stack.settings("manager")
        # The first one is watched there.
        settings.pop("monitoring")
        settings["manager"] |= {
            "id": "second-manager",
            "service-addr": {"host": "127.0.0.1", "port": self.port},
            "pid-file": str(folder / "manager.pid"),
        }
        self._config.touch(mode=0o600)
        self._config.write_text(render_toml(settings))
        self.process = self.start()

    @property
    def api(self) -> Api:
        return replace(self._stack.api(), endpoint=f"http://127.0.0.1:{self.port}")

    def start(self) -> subprocess.Popen[bytes]:
        argv = [str(COMMAND), "mgr", "start-server", "--config", str(self._config)]
        with self._log.open("ab") as log:
            process = subprocess.Popen(argv, env=self._stack.environ, stdout=log, stderr=log)
        try:
            until(lambda: self.api.ask("GET", "/").status == 200, "the second manager answers")
        except AssertionError:
            process.kill()
            process.wait()
            raise
        return process

    def end(self) -> None:
        self.process.send_signal(signal.SIGCONT)
        self.process.terminate()
        assert self.process.wait(20) == 0, self._log.read_text()


def _find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture
def second(stack: Stack, tmp_path: Path) -> Iterator[Second]:
    made = Second(stack, tmp_path)
    yield made
    made.end()


def assert_once(stack: Stack, sessions: list[str]) -> None:
    """Exactly one container for each session, and no difference between rows and reports."""
    if stack.backend == "docker":
        assert {len(stack.containers(session)) for session in sessions} == {1}
    until(lambda: not stack.drift(), "no drift")


def test_a_session_of_one_is_used_and_ended_through_the_other(
    stack: Stack, api: Api, second: Second
) -> None:
    session = start(api, "through-both", kind="busybox", config=SMALL)
    execute(api, session, "x = 41")
    assert execute(second.api, session, "print(x + 1)") == "42\n"
    assert_once(stack, [session])
    end(second.api, session)
    assert find(api, session)["status"] == "TERMINATED"


def test_sessions_asked_of_both_start_once(stack: Stack, api: Api, second: Second) -> None:
    apis = (api, second.api)
    sessions = [
        enqueue(apis[number % 2], f"both-{number}", kind="busybox", config=SMALL)
        for number in range(8)
    ]
    for session in sessions:
        await_status(api, session, "RUNNING", seconds=120)
    assert_once(stack, sessions)


def test_one_that_was_stopped_for_a_while_does_no_harm_afterwards(
    stack: Stack, api: Api, second: Second
) -> None:
    """A paused manager comes back with old knowledge: its orders are of an older generation."""
    first_pid = stack.daemon("manager")["pid"]
    sessions = [
        enqueue(api, f"before-pause-{number}", kind="busybox", config=SMALL) for number in range(3)
    ]
    os.kill(first_pid, signal.SIGSTOP)
    try:
        for session in sessions:
            await_status(second.api, session, "RUNNING", seconds=60)
        gone, *kept = sessions
        end(second.api, gone)
    finally:
        os.kill(first_pid, signal.SIGCONT)
    until(stack.is_green, "green again")
    for session in kept:
        assert execute(api, session, "print(1)") == "1\n"
    assert find(api, gone)["status"] == "TERMINATED"
    assert_once(stack, kept)
    assert sorted(list_live(api)) == sorted(kept)


def test_either_may_be_killed(stack: Stack, api: Api, second: Second) -> None:
    session = start(api, "survivor", kind="busybox", config=SMALL)
    second.process.kill()
    second.process.wait()
    assert execute(api, session, "print(1)") == "1\n"
    second.process = second.start()
    os.kill(stack.daemon("manager")["pid"], signal.SIGKILL)
    assert execute(second.api, session, "print(2)") == "2\n"
    assert_once(stack, [session])
