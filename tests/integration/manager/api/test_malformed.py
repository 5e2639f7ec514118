"""Requests made from the OpenAPI document, sound and unsound, odd ones of routes and of GraphQL,
and bytes that are no requests.

No answer is 500 and none takes two seconds. `BAI_TEST_MALFORMED` sets how many requests there are,
an eighth of them made from the document and a twentieth bytes; `BAI_TEST_SEED` sets which ones.
"""

import asyncio
import itertools
import json
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final
from urllib.parse import quote, urlencode

import aiohttp
import hypothesis
import pytest
import schemathesis
import sqlalchemy as sa
from schemathesis import GenerationMode
from yarl import URL

from backendai.manager.app import Manager
from backendai.manager.gate.openapi import make_document
from backendai.manager.gate.routes import JSON
from backendai.manager.inventory import declared_routes
from tests.integration.manager.api.asks import EXAMPLES
from tests.integration.manager.api.caller import Caller, until
from tests.integration.manager.api.conftest import body_of
from tests.integration.manager.api.malformed import Odd, OddRequests, odd_wires
from tests.integration.manager.api.scripted import ScriptedAgent

COUNT: Final = int(os.environ.get("BAI_TEST_MALFORMED", "10000"))
SEED: Final = int(os.environ.get("BAI_TEST_SEED", "20231"))
SECONDS_MAX: Final = 2.0
TRIES: Final = 3
CALM_SECONDS: Final = 0.1
SILENT_SECONDS: Final = 0.1
GENERATED: Final = COUNT // 8
WIRED: Final = COUNT // 20
AT_ONCE: Final = 8
CALLERS: Final = ("root", "alice", "root", "carol", "root", "alice", "root", "eve")
# A session of each of them.
STAGED: Final = "staged"
# After so many requests there is again what they are about.
STAGE_EVERY: Final = 400
ROUTES: Final = declared_routes()
pytestmark = pytest.mark.timeout(300 + COUNT // 10)


async def test_requests_made_from_the_document_break_nothing(
    manager: Manager, as_user: Callable[[str], Caller]
) -> None:
    made = generated(make_document(ROUTES, "under test", "1"), GENERATED // 2)
    # Each by two callers: to make one costs more than to answer it.
    twice = itertools.cycle(odd for odd in made for _ in range(2))
    answers = await ask_all(as_user, itertools.islice(twice, GENERATED))
    print(f"{answers.total()} generated requests: {answers}")


async def test_odd_requests_break_nothing(
    manager: Manager, as_user: Callable[[str], Caller], agent: ScriptedAgent
) -> None:
    odd = OddRequests(ROUTES, random.Random(SEED))
    left = COUNT - GENERATED - WIRED
    asks = iter(odd)
    answers: Counter[int] = Counter()
    while left > 0:
        odd.names |= await stage(manager, as_user)
        some = min(left, STAGE_EVERY)
        answers += await ask_all(as_user, itertools.islice(asks, some))
        left -= some
    print(f"{answers.total()} odd requests: {answers}")


async def test_bytes_that_are_no_request_break_nothing(
    manager: Manager, as_user: Callable[[str], Caller]
) -> None:
    alice = as_user("alice")
    sent = alice.headers("POST", "/auth", JSON, b'{"echo":"x"}')
    lines = [f"{name}: {value}" for name, value in sent.items()]
    lines += [f"Host: {alice.address}", f"Content-Type: {JSON}", "Content-Length: 12"]
    sound = "\r\n".join(["POST /auth HTTP/1.1", *lines, "", '{"echo":"x"}']).encode()
    assert (await _send_wire(manager, sound, 60.0)).startswith(b"HTTP/1.1 200")
    wires = itertools.islice(odd_wires(sound, random.Random(SEED)), WIRED)
    while group := list(itertools.islice(wires, AT_ONCE)):
        heads = await asyncio.gather(*(_send_in_time(alice, manager, wire) for wire in group))
        for wire, head in zip(group, heads, strict=True):
            assert not head.startswith(b"HTTP/1.1 500"), (wire[:100], head)
    answer = await alice.ask("GET", "/auth")
    assert answer.status == 200


async def stage(manager: Manager, as_user: Callable[[str], Caller]) -> dict[str, str]:
    """Something for requests to be about, under names that are known, and not much else."""
    root, alice = as_user("root"), as_user("alice")
    assert (await root.ask("PUT", "/manager/status", {"status": "running"})).status == 204
    live = "select id from sessions where status not in ('TERMINATED', 'CANCELLED')"
    async with manager.stores.database.begin() as connection:
        # Some that are asked for would leave nothing to start.
        await connection.execute(sa.text("update images set is_active = true"))
        left = (await connection.scalars(sa.text(f"{live} and name <> '{STAGED}'"))).all()
    for session_id in left:
        await root.ask("DELETE", f"/session/{session_id}?forced=true")
    for caller in (root, alice, as_user("carol")):
        body = body_of(STAGED, enqueueOnly=True, reuseIfExists=True)
        assert (await caller.ask("POST", "/session", body)).status in (200, 201)
    payload = {"payload": EXAMPLES["payload"], "group": "default", "domain": "default"}
    made = await alice.ask("POST", "/template/session", payload)
    log = {"severity": "error", "source": "x", "message": "x", "context_lang": "en"}
    assert (await alice.ask("POST", "/logs/error", {**log, "context_env": "{}"})).status == 200
    logs = await alice.ask("GET", "/logs/error")
    return {
        "session": STAGED,
        "template_id": made.json[0]["id"],
        "log_id": logs.json["logs"][0]["log_id"],
        "name": "default",
    }


async def _send_in_time(caller: Caller, manager: Manager, wire: bytes) -> bytes:
    """As `_ask_in_time`."""
    for _ in range(TRIES):
        try:
            return await asyncio.wait_for(_send_wire(manager, wire), SECONDS_MAX)
        except TimeoutError:
            await until(lambda: _is_calm(caller))
    raise AssertionError(f"took more than {SECONDS_MAX} s, each of {TRIES} times: {wire!r}")


async def _send_wire(manager: Manager, wire: bytes, patience: float = SILENT_SECONDS) -> bytes:
    """What comes back. What gets no answer for `patience` seconds is told that no more comes."""
    address = manager.address
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(wire)
        await writer.drain()
        try:
            return await asyncio.wait_for(reader.read(4096), patience)
        except TimeoutError:
            writer.write_eof()
            return await reader.read(4096)
    except ConnectionError:
        # Closed before all of it was read.
        return b""
    finally:
        writer.close()


def generated(document: dict[str, Any], count: int) -> Iterator[Odd]:
    """About `count` requests of all operations, half of them against the document."""
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    each = -(-count // (len(operations) * len(GenerationMode)))
    for operation, mode in itertools.product(operations, GenerationMode):
        declared = operation.definition.raw
        if mode is GenerationMode.POSITIVE or declared.keys() & {"parameters", "requestBody"}:
            for case in _cases_of(operation, mode, each):
                yield _odd_of(case)


def _cases_of(operation: Any, mode: GenerationMode, count: int) -> list[Any]:
    """Generated all at once, as they are sent from a coroutine."""
    cases: list[Any] = []

    @hypothesis.seed(SEED)
    @hypothesis.settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        cases.append(case)

    collect()
    return cases


def _odd_of(case: Any) -> Odd:
    sent = case.as_transport_kwargs(base_url="http://x")
    path = quote(URL(sent["url"], encoded=True).raw_path, safe="/%")
    query = urlencode(sent.get("params") or {}, doseq=True, errors="surrogatepass")
    body = b""
    if "json" in sent:
        body = json.dumps(sent["json"]).encode()
    elif sent.get("data"):
        body = str(sent["data"]).encode("utf-8", "surrogatepass")
    kind = sent["headers"].get("Content-Type", JSON)
    return Odd(case.method.upper(), f"{path}?{query}" if query else path, body, kind)


async def ask_all(as_user: Callable[[str], Caller], requests: Iterable[Odd]) -> Counter[int]:
    """Everybody asks in turn; who gets further does more often."""
    callers = itertools.cycle([as_user(name) for name in CALLERS])
    answers: Counter[int] = Counter()
    alone = asyncio.Lock()
    broken: list[Any] = []
    asks = iter(requests)
    while group := list(itertools.islice(asks, AT_ONCE)):
        pairs = [(next(callers), odd) for odd in group]
        given = await asyncio.gather(*(_ask_in_time(*pair, alone) for pair in pairs))
        for (caller, odd), (status, body) in zip(pairs, given, strict=True):
            answers[status] += 1
            if status == 500:
                broken.append((caller.access_key, odd, body))
    assert not broken, "\n".join(map(str, broken))[:20_000]
    # What is only ever refused at the door proves little of what is behind it.
    assert answers[200] > answers.total() / 20
    return answers


async def _ask_in_time(caller: Caller, odd: Odd, alone: asyncio.Lock) -> tuple[int, bytes]:
    """What took too long is asked again, alone, when others are answered at once: to wait for a
    busy machine is no hang."""
    answer, seconds = await _ask_timed(caller, odd)
    for _ in range(TRIES - 1):
        if seconds >= SECONDS_MAX and answer[0] != 500:
            async with alone:
                await until(lambda: _is_calm(caller))
                answer, seconds = await _ask_timed(caller, odd)
    assert seconds < SECONDS_MAX, f"{seconds} s, the last of {TRIES} times: {odd}"[:1000]
    return answer


async def _is_calm(caller: Caller) -> bool:
    """Whether a plain request, which reads of every store, is answered as on a quiet machine."""
    began = time.monotonic()
    await caller.ask("GET", "/auth")
    return time.monotonic() - began < CALM_SECONDS


async def _ask_timed(caller: Caller, odd: Odd) -> tuple[tuple[int, bytes], float]:
    began = time.monotonic()
    answer = await _ask(caller, _without_waiting(odd))
    return answer, time.monotonic() - began


async def _ask(caller: Caller, odd: Odd) -> tuple[int, bytes]:
    kind = odd.content_type
    sent = {**caller.headers(odd.verb, odd.target, kind, odd.body), "Content-Type": kind}
    url = URL(f"http://{caller.address}{odd.target}", encoded=True)
    timeout = aiohttp.ClientTimeout(total=30)
    async with caller.http.request(
        odd.verb, url, data=odd.body, headers={**sent, **odd.headers}, timeout=timeout
    ) as response:
        goes_on = response.content_type == "text/event-stream"
        return response.status, b"" if goes_on else await response.read()


def _without_waiting(odd: Odd) -> Odd:
    """To wait until a session runs is what its creation is asked for: here it only queues."""
    if odd.target not in ("/session", "/session/_/create"):
        return odd
    try:
        body = json.loads(odd.body)
    except (ValueError, RecursionError):
        return odd
    if not isinstance(body, dict):
        return odd
    body = {**body, "enqueueOnly": True}
    return Odd(odd.verb, odd.target, json.dumps(body).encode(), odd.content_type, odd.headers)
