"""G2a to G2c: from asking for a notebook's machine to the first result, beside JupyterHub.

Both start containers of the same image on the same engine. JupyterHub's time ends when its server
is ready; ours only when `print(1)` has come back.
"""

import asyncio
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from itertools import repeat
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from backendai.common.settings.checks import HostPort
from backendai.common.signing import SignedRequest, signed_headers
from tests.bench.asking import ask_again
from tests.bench.harness import Rounds, Row, interleave, timed
from tests.bench.hub import USERS, Hub, run_hub
from tests.running.rest import VERSION, Api, new_session
from tests.running.sessions import end, execute, resources
from tests.running.stack import Stack
from tests.running.waiting import until

NEEDS_STACK: Final = True
IMAGE: Final = "bai/jupyter:4"
ROUNDS: Final = 5
CROWD_ROUNDS: Final = 3
CONNECTIONS: Final = 16
REQUESTS: Final = 800
# One session alone has a processor, as a server of JupyterHub has; a crowd shares the machine.
ALONE: Final = "1"
SHARED: Final = "0.2"


def measure(stack: Stack) -> list[Row]:
    with (
        tempfile.TemporaryDirectory(prefix="bench-hub-") as folder,
        run_hub(Path(folder), stack.docker_host) as hub,
    ):
        api = stack.api()
        _await_image(api)
        return [_measure_one(api, hub), _measure_crowd(stack, hub), _measure_reads(stack, hub)]


def _await_image(api: Api) -> None:
    """It was built a moment ago: the agent tells of it in its next report."""
    end(api, until(lambda: _ask_for(api, "bench-image"), f"{IMAGE} to be known"))


def _measure_one(api: Api, hub: Hub) -> Row:
    def ours() -> float:
        started = time.perf_counter()
        session = _start_and_print(api, "bench-notebook", ALONE)
        seconds = time.perf_counter() - started
        end(api, session)
        return seconds

    def peer() -> float:
        seconds = timed(lambda: hub.start("user0"))()
        hub.stop("user0")
        return seconds

    rounds = interleave(ours, peer, ROUNDS)
    return rounds.row("G2a", "create until the first result beside JupyterHub until ready", 0.20)


def _measure_crowd(stack: Stack, hub: Hub) -> Row:
    """Sessions a second: the ratio is of times, so it is turned round."""
    names = [f"bench-notebook-{number}" for number in range(USERS)]
    users = [f"user{number}" for number in range(USERS)]
    apis = [stack.api() for _ in names]
    with ThreadPoolExecutor(USERS) as pool:

        def ours() -> float:
            started = time.perf_counter()
            sessions = list(pool.map(_start_and_print, apis, names, repeat(SHARED)))
            seconds = time.perf_counter() - started
            list(pool.map(end, apis, sessions))
            return seconds

        def peer() -> float:
            seconds = timed(lambda: list(pool.map(hub.start, users)))()
            list(pool.map(hub.stop, users))
            return seconds

        rounds = interleave(ours, peer, CROWD_ROUNDS)
    return _turned(rounds, "G2b", f"{USERS} at once, a second", 5.0, USERS)


def _measure_reads(stack: Stack, hub: Hub) -> Row:
    api = stack.api()
    session = _ask_for(api, "bench-read")
    try:
        rounds = interleave(
            lambda: asyncio.run(_read(api.endpoint, _signed_get(api, f"/session/{session}"))),
            lambda: asyncio.run(_read(hub.url, _get(hub, "/hub/api/users/user0"))),
            ROUNDS,
        )
    finally:
        end(api, session)
    return _turned(rounds, "G2c", "GET of one object by its owner, a second", 8.0, REQUESTS)


def _turned(rounds: Rounds, goal: str, what: str, limit: float, count: int) -> Row:
    rates = Rounds(
        tuple(count / seconds for seconds in rounds.ours),
        tuple(count / seconds for seconds in rounds.peer),
    )
    row = replace(rates.row(goal, what, limit), is_floor=True)
    ours, peer = (f"{statistics.median(side):.1f}/s" for side in (rates.ours, rates.peer))
    return replace(row, ours=ours, peer=peer)


def _ask_for(api: Api, name: str, cpu: str = SHARED) -> str:
    """The id of a session that runs; empty where the image is not known yet."""
    body = new_session(name, IMAGE, config=resources(cpu=cpu, mem="256m"))
    answer = api.ask("POST", "/session", body)
    assert answer.status in (201, 404), answer
    return str(answer.json()["sessionId"]) if answer.status == 201 else ""


def _start_and_print(api: Api, name: str, cpu: str) -> str:
    session = _ask_for(api, name, cpu)
    assert execute(api, session, "print(1)").strip() == "1"
    return session


async def _read(endpoint: str, request: bytes) -> float:
    parts = urlsplit(endpoint)
    address = HostPort(parts.hostname or "", parts.port or 80)
    started = time.perf_counter()
    each = REQUESTS // CONNECTIONS
    await asyncio.gather(*(ask_again(address, request, each) for _ in range(CONNECTIONS)))
    return time.perf_counter() - started


def _get(hub: Hub, path: str) -> bytes:
    host = urlsplit(hub.url).netloc
    return (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {hub.authorization}\r\n\r\n"
    ).encode()


def _signed_get(api: Api, path: str) -> bytes:
    host = urlsplit(api.endpoint).netloc
    signed = SignedRequest(
        method="GET",
        target=path,
        date_text=datetime.now(UTC).isoformat(),
        host=host,
        content_type="text/plain",
        version=VERSION,
    )
    headers = {"Host": host, "Content-Type": "text/plain"}
    headers |= signed_headers(signed, api.access_key, api.secret_key)
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()
