"""kill -9 under somebody who is logged in, with a terminal and a notebook open: nothing is lost."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import pytest

from tests.running.images import provide_image
from tests.running.rest import Api, new_session
from tests.running.sessions import execute, find, resources
from tests.running.stack import Stack
from tests.running.visitor import Notebook, Screen, Visitor
from tests.running.waiting import until
from tests.running.wsproxy import Loop

# Whose death cuts what goes through them; the others' is not even noticed by what is open.
CUTTING: Final = ("wsproxy", "agent")
ASIDE: Final = ("webserver", "manager")
IMPATIENT_SECONDS: Final = 3.0


@dataclass
class Desk:
    """What a visitor has open, and what tells that it is still the same."""

    visitor: Visitor
    api: Api
    session: str
    screen: Screen
    notebook: Notebook
    terminal: str
    shell_pid: int
    session_cookie: str

    def is_logged_in(self) -> bool:
        path = f"/func/session/{self.session}"
        return self.visitor.is_logged_in() and self.visitor.ask("GET", path).status == 200

    def has_circuits(self) -> bool:
        """Neither circuit is lost: the permits of before open the addresses of before."""
        seen = [
            self.visitor.ask("GET", f"{address}{path}").status
            for address, path in ((self.terminal, "/"), (self.notebook.address, "/api/kernels"))
        ]
        assert not {401, 403, 404, 410} & set(seen), seen
        return seen == [200, 200]

    def has_same_shell(self) -> bool:
        """Another view, with what was on the screen before."""
        screen = Screen(self.visitor, self.terminal)
        try:
            assert (screen.opened["pid"], screen.opened["is_new"]) == (self.shell_pid, False)
            screen.await_text("before it happened")
            return screen.run("echo $mine $$") == f"kept {self.shell_pid}"
        finally:
            screen.socket.close()

    def has_same_notebook(self) -> bool:
        assert self.notebook.list_kernels() == [self.notebook.kernel]
        again = Notebook(self.visitor, self.notebook.address, self.notebook.kernel)
        try:
            return again.run("print(x + 1)") == "42\n"
        finally:
            again.socket.close()

    def has_same_session(self) -> bool:
        return execute(self.api, self.session, "print(y + 1)") == "43\n"

    def checks(self) -> dict[str, Callable[[], bool]]:
        return {
            "login": self.is_logged_in,
            "circuits": self.has_circuits,
            "terminal": self.has_same_shell,
            "notebook": self.has_same_notebook,
            "code": self.has_same_session,
        }


@pytest.fixture
def visitor(stack: Stack) -> Iterator[Visitor]:
    loop = Loop()
    found = Visitor(loop, str(stack.daemon("webserver")["address"]))
    try:
        known = stack.credentials()
        found.log_in(known["BAI_LOGIN"], known["BAI_PASSWORD"])
        yield found
    finally:
        found.close()
        loop.stop()


@pytest.fixture
def desk(stack: Stack, api: Api, visitor: Visitor) -> Desk:
    notebook_image = provide_image(stack, "jupyter")
    config = resources(mem="768m")
    answer = api.ask("POST", "/session", new_session("desk", notebook_image, config=config))
    assert answer.status == 201, answer
    session = str(answer.json()["sessionId"])
    execute(api, session, "y = 42")
    terminal = visitor.open_app(session, "ttyd")
    notebook = Notebook(visitor, visitor.open_app(session, "jupyterlab"))
    notebook.run("x = 41")
    screen = Screen(visitor, terminal)
    screen.run("mine=kept; echo before it happened")
    cookie = visitor.cookie("AIOHTTP_SESSION", terminal)
    assert cookie
    made = Desk(visitor, api, session, screen, notebook, terminal, screen.opened["pid"], cookie)
    # What was asked of a daemon at the moment of its death is lost: ask anew before long.
    visitor.answer_seconds = IMPATIENT_SECONDS
    return made


@dataclass(frozen=True)
class Return:
    """When a daemon that was killed was there again, as its supervisor says: its process, and its
    good health."""

    began_at: float
    healthy_at: float


def await_return(stack: Stack, name: str, killed: int) -> Return:
    until(lambda: stack.daemon(name)["pid"] not in (None, killed), f"{name} is there again")
    began_at = time.monotonic()
    until(lambda: stack.daemon(name)["healthy"], f"{name} is well again")
    return Return(began_at, time.monotonic())


def kill(stack: Stack, name: str) -> int:
    pid = int(stack.daemon(name)["pid"])
    os.kill(pid, signal.SIGKILL)
    return pid


@pytest.mark.parametrize("name", [*CUTTING, *ASIDE])
def test_whoever_works_goes_on_after_a_death(stack: Stack, desk: Desk, name: str) -> None:
    circuits = list_circuits(stack)
    killed = kill(stack, name)
    killed_at = time.monotonic()
    with ThreadPoolExecutor(1) as beside:
        returning = beside.submit(await_return, stack, name, killed)
        usable = {}
        for what, check in desk.checks().items():
            until(check, f"{what} after the death of {name}")
            usable[what] = time.monotonic()
        back = returning.result()
    print(tell(name, killed_at, back, usable))
    assert desk.visitor.cookie("AIOHTTP_SESSION", desk.terminal) == desk.session_cookie
    assert list_circuits(stack) == circuits
    assert find(desk.api, desk.session)["status"] == "RUNNING"
    if name in ASIDE:
        # These sockets go past it: they were never cut.
        assert desk.screen.run("echo $mine") == "kept"
        assert desk.notebook.run("print(x)") == "41\n"


def list_circuits(stack: Stack) -> list[str]:
    rows = stack.query("SELECT id FROM live_circuits ORDER BY id")
    assert len(rows) == 2
    return [str(row["id"]) for row in rows]


def tell(name: str, killed_at: float, back: Return, usable: dict[str, float]) -> str:
    """The figures, for whoever reads the output: what the issue bounds by 5 seconds."""
    after = {what: round(max(0.0, at - back.healthy_at), 2) for what, at in usable.items()}
    last = max(usable.values())
    return (
        f"{name}: its process {back.began_at - killed_at:.2f} s and its health "
        f"{back.healthy_at - killed_at:.2f} s after the kill; all usable {last - killed_at:.2f} s "
        f"after the kill, {last - back.began_at:.2f} s after the process began; after its health: "
        f"{after}"
    )
