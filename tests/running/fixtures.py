"""One whole system for all stories, started by `./bai up` and purged at the end.

`BAI_TEST_STACK` names the state directory of a running one to use instead; it is left running.
"""

import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running.leftovers import find_leftovers
from tests.running.rest import Api
from tests.running.sessions import end_all
from tests.running.stack import FirstUp, Stack
from tests.running.waiting import until


@pytest.fixture(scope="session")
def started() -> Iterator[tuple[Stack, FirstUp | None]]:
    if shared := os.environ.get("BAI_TEST_STACK"):
        yield Stack(Path(shared).absolute()), None
        return
    home = Path(tempfile.mkdtemp(prefix="bai-e2e-"))
    home.chmod(0o711)
    stack = Stack(home)
    # Two instances that start at once must not both wait for the usual port.
    stack.config.write_text(f"[manager]\nport = {find_port()}\n")
    began = time.monotonic()
    done = stack.bai("up", "--no-install", seconds=900)
    try:
        assert done.code == 0, done.both
        yield stack, FirstUp(done, time.monotonic() - began)
    finally:
        purged = stack.bai("down", "--purge")
        left = find_leftovers(home)
        shutil.rmtree(home, ignore_errors=True)
        stack.config.unlink()
    assert purged.code == 0, purged.both
    assert not left, left


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture(scope="session")
def shared_stack(started: tuple[Stack, FirstUp | None]) -> Stack:
    return started[0]


@pytest.fixture
def stack(shared_stack: Stack) -> Iterator[Stack]:
    """The running system: green before a story, without sessions and drift after it."""
    until(shared_stack.is_green, "the stack is green before the story")
    yield shared_stack
    until(shared_stack.is_green, "the stack is green after the story")
    for who in ("user", "admin"):
        end_all(shared_stack.api(who))
    until(lambda: not shared_stack.drift(), "no drift after the story")
    if shared_stack.backend == "docker":
        until(lambda: not shared_stack.containers(), "no container after the story")


@pytest.fixture
def api(stack: Stack) -> Iterator[Api]:
    """The API as the first user."""
    found = stack.api()
    yield found
    found.close()
