"""Requests made from the OpenAPI document, sound and unsound, and bytes that are no requests.

No answer is 500 and none takes two seconds. `BAI_TEST_MALFORMED` sets how many requests there are,
an eighth of them made from the document, which costs more than to answer them; `BAI_TEST_SEED`
sets which ones.
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
import schemathesis
from schemathesis import GenerationMode
from yarl import URL

from backendai.manager.app import Manager
from backendai.manager.gate.openapi import make_document
from backendai.manager.gate.routes import JSON
from backendai.manager.inventory import declared_routes
from tests.integration.manager.api.caller import Caller
from tests.integration.manager.api.malformed import WIRES, Odd, odd_requests

COUNT: Final = int(os.environ.get("BAI_TEST_MALFORMED", "1600"))
SEED: Final = int(os.environ.get("BAI_TEST_SEED", "20231"))
SECONDS_MAX: Final = 2.0
AT_ONCE: Final = 4
ROUTES: Final = declared_routes()


async def test_requests_made_from_the_document_break_nothing(
    manager: Manager, as_user: Callable[[str], Caller]
) -> None:
    made = generated(make_document(ROUTES, "under test", "1"), COUNT // 8)
    await ask_all(as_user, made)


async def test_odd_requests_break_nothing(
    manager: Manager, as_user: Callable[[str], Caller]
) -> None:
    odd = odd_requests(ROUTES, random.Random(SEED))
    await ask_all(as_user, itertools.islice(odd, COUNT - COUNT // 8))


async def test_bytes_that_are_no_request_break_nothing(
    manager: Manager, as_user: Callable[[str], Caller]
) -> None:
    for wire in WIRES:
        head = await asyncio.wait_for(_send_wire(manager, wire), SECONDS_MAX)
        assert not head.startswith(b"HTTP/1.1 500"), (wire[:100], head)
    answer = await as_user("alice").ask("GET", "/auth")
    assert answer.status == 200


async def _send_wire(manager: Manager, wire: bytes) -> bytes:
    """What comes back, up to the end of the connection."""
    address = manager.address
    reader, writer = await asyncio.open_connection(address.host, address.port)
    try:
        writer.write(wire)
        writer.write_eof()
        await writer.drain()
        return await reader.read(4096)
    except ConnectionError:
        # Closed before all of it was read.
        return b""
    finally:
        writer.close()


def generated(document: dict[str, Any], count: int) -> Iterator[Odd]:
    """At least `count` requests of every operation, half of them against the document."""
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


async def ask_all(as_user: Callable[[str], Caller], requests: Iterable[Odd]) -> None:
    """Everybody asks in turn; administrators more often, as they get further."""
    callers = itertools.cycle([as_user(name) for name in ("root", "alice", "root", "carol")])
    answers: Counter[int] = Counter()
    broken: list[Any] = []
    asks = iter(requests)
    while group := list(itertools.islice(asks, AT_ONCE)):
        caller = next(callers)
        for odd, (status, body) in zip(
            group, await asyncio.gather(*(_ask_in_time(caller, odd) for odd in group)), strict=True
        ):
            answers[status] += 1
            if status == 500:
                broken.append((caller.access_key, odd, body))
    print(f"seed {SEED}, answers by status: {dict(sorted(answers.items()))}")
    assert not broken, "\n".join(map(str, broken))
    # What is only ever refused at the door proves little of what is behind it.
    assert answers[200] > 0 < answers[404]


async def _ask_in_time(caller: Caller, odd: Odd) -> tuple[int, bytes]:
    """One that took too long is asked again: a busy machine is no hang."""
    for _ in range(2):
        began = time.monotonic()
        answer = await _ask(caller, _without_waiting(odd))
        if time.monotonic() - began < SECONDS_MAX:
            return answer
    raise AssertionError(f"took more than {SECONDS_MAX} s, twice: {odd}")


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
