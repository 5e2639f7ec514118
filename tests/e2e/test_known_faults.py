"""Faults that a system of this kind is known for: each really happened somewhere, none may here."""

import http.server
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest

from backendai.halfstack.images import BUSYBOX
from backendai.kernel.bundle import build_bundle
from tests.running.rest import Api, new_session
from tests.running.sessions import await_status, batch, end, enqueue, execute, resources, start
from tests.running.stack import COMMAND, Stack, run
from tests.running.waiting import until

SMALL: Final = resources(cpu="0.2", mem="64m")


def test_a_start_that_hangs_has_a_deadline_and_ends_well(stack: Stack, api: Api) -> None:
    """Every status but the final ones and RUNNING has an end in sight, whatever does not answer."""
    pid = stack.daemon("agent")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        session = enqueue(api, "hanging", kind="busybox", config=SMALL)
        await_status(api, session, "SCHEDULED", "PULLING", "PREPARING", seconds=10)
        [kernel] = stack.query(f"SELECT deadline_at FROM kernels WHERE session_id = '{session}'")
        assert kernel["deadline_at"] is not None
    finally:
        os.kill(pid, signal.SIGCONT)
    await_status(api, session, "RUNNING", seconds=60)


def test_fast_batch_jobs_never_leak_a_slot(stack: Stack, api: Api) -> None:
    jobs = [batch(api, f"fast-{n:02}", "true", kind="busybox", config=SMALL) for n in range(20)]
    results = [await_status(api, job, "TERMINATED", seconds=180)["result"] for job in jobs]
    assert results == ["SUCCESS"] * len(jobs)
    until(lambda: not stack.drift(), "no drift")
    assert not stack.query("SELECT 1 FROM allocations WHERE freed_at IS NULL")
    if stack.backend == "docker":
        until(lambda: not stack.containers(), "no container left")


@pytest.mark.parametrize("status", ["SCHEDULED", "PREPARING"])
def test_forced_end_of_a_starting_session_leaks_nothing(
    stack: Stack, api: Api, status: str
) -> None:
    for attempt in range(3):
        session = enqueue(api, f"cut-{attempt}", kind="busybox", config=SMALL)
        await_status(api, session, status, "RUNNING", seconds=30)
        began = time.monotonic()
        assert api.ask("DELETE", f"/session/{session}?forced=true").status == 200
        assert time.monotonic() - began < 30
        await_status(api, session, "TERMINATED", "CANCELLED")
    if stack.backend == "docker":
        until(lambda: not stack.containers(), "no container left")
    until(lambda: not stack.drift(), "no drift")
    end(api, start(api, "still-works", kind="busybox", config=SMALL))


def test_many_at_once_get_no_internal_error(stack: Stack) -> None:
    """Conflicts of transactions are ours to repeat, not the user's to see."""

    def live(number: int) -> list[int]:
        own = stack.api()
        answers = []
        for round_number in range(3):
            body = new_session(
                f"crowd-{number}-{round_number}", BUSYBOX.name, config=SMALL, enqueueOnly=True
            )
            made = own.ask("POST", "/session", body)
            answers.append(made.status)
            session = made.json().get("sessionId")
            answers.append(own.ask("DELETE", f"/session/{session}?forced=true").status)
        return answers

    with ThreadPoolExecutor(10) as pool:
        statuses = [status for answers in pool.map(live, range(10)) for status in answers]
    assert set(statuses) <= {200, 201}, statuses


def test_a_half_made_runner_bundle_does_not_count_as_done(tmp_path: Path) -> None:
    """A crash in the middle of unpacking leaves something: that it is there must prove nothing."""
    code = f"from backendai.kernel.bundle import *; build_bundle(Path({str(tmp_path)!r}))"
    builder = subprocess.Popen([sys.executable, "-c", code])
    until(lambda: any(tmp_path.glob("*/lib")), "the builder has begun")
    builder.kill()
    builder.wait()
    whole = list_files(build_bundle(tmp_path).path)
    assert Path("bundle.json") in whole
    assert not [*tmp_path.glob(".building-*")]
    emptied = build_bundle(tmp_path).path
    shutil.rmtree(emptied)
    emptied.mkdir()
    assert list_files(build_bundle(tmp_path).path) == whole


def list_files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_deleted_scratch_directory_does_not_break_later_starts(stack: Stack, api: Api) -> None:
    root = Path(stack.settings("agent")["container"]["scratch-root"])
    end(api, start(api, "before-loss", kind="busybox", config=SMALL))
    shutil.rmtree(root)
    session = start(api, "after-loss", kind="busybox", config=SMALL)
    assert execute(api, session, "print(42)") == "42\n"


def test_why_a_container_could_not_be_made_reaches_the_user(stack: Stack, api: Api) -> None:
    """The engine's own words, not "unknown"."""
    if stack.backend != "docker":
        pytest.skip("the engine refuses here")
    name = "bai/vanishing:latest"
    with stack.engine() as client:
        client.images.get(BUSYBOX.name).tag(name)
    until(lambda: is_known(api, name), f"{name} can be used")
    blocker = start(api, "blocker", config=resources(cpu=f"{stack.cores:g}"))
    body = new_session("vanished", name, config=SMALL, enqueueOnly=True)
    session = api.ask("POST", "/session", body).json()["sessionId"]
    with stack.engine() as client:
        client.images.remove(name)
    end(api, blocker)
    facts = await_status(api, session, "CANCELLED", "TERMINATED", seconds=120)
    told = stack.ok("session", "why", session) + str(facts)
    assert "vanishing" in told, told


def is_known(api: Api, image: str) -> bool:
    body = new_session("probing-image", image, config=resources(cpu="100000"), enqueueOnly=True)
    return api.ask("POST", "/session", body).status != 404


class Nonsense(http.server.BaseHTTPRequestHandler):
    """A server that is no API."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>welcome</html>")

    do_POST = do_GET  # noqa: N815 - the name that the library calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as in the library
        pass


@pytest.fixture
def nonsense() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Nonsense) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("words", [("ps",), ("session", "info", "x"), ("run", "-c", "1")])
def test_a_command_that_meets_nonsense_says_so_and_ends(
    stack: Stack, nonsense: str, words: tuple[str, ...]
) -> None:
    environ = stack.environ | stack.credentials() | {"BACKEND_ENDPOINT": nonsense}
    done = run([str(COMMAND), *words], environ, seconds=60)
    assert done.code != 0
    assert done.err.startswith("error: "), done.both
    assert "Traceback" not in done.both


def test_without_an_agent_a_waiting_session_says_why(stack: Stack, api: Api) -> None:
    pid = stack.daemon("agent")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: not alive_agents(stack), "the agent counts as missing")
        session = enqueue(api, "lonely", kind="busybox", config=SMALL)
        told = until(lambda: waiting_reason(stack, session), "a reason is told")
        assert "agent" in told.lower() or "node" in told.lower(), told
    finally:
        os.kill(pid, signal.SIGCONT)
    await_status(api, session, "RUNNING", seconds=60)


def alive_agents(stack: Stack) -> list[object]:
    return [row["id"] for row in stack.query("SELECT id FROM agents WHERE status = 'ALIVE'")]


def waiting_reason(stack: Stack, session: str) -> str:
    told = stack.ok("session", "why", session).strip()
    return told.removeprefix("PENDING").strip(": ")
