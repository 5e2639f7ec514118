"""A trace goes on over RPC: the caller's span is the parent of the one at the other end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from backendai.common.faults import InternalError, SessionNotFound
from backendai.common.logs import context_field, log_context
from backendai.common.rpc.call import Call
from backendai.common.rpc.client import RpcPeer
from backendai.common.rpc.server import RpcServer
from backendai.common.settings.sections import TracingSettings
from backendai.common.tracing import span, traced
from tests.running.apart import apart
from tests.running.collector import Collector, running_collector


class Word(msgspec.Struct, frozen=True):
    text: str


SAY = Call("say", Word, Word)
LOOK = Call("look", Word, Word, is_poll=True)


async def say(request: Word) -> Word:
    if request.text == "fault":
        raise SessionNotFound("of a secret kind")
    if request.text == "broken":
        raise RuntimeError("a secret detail")
    return Word(str(context_field("trace_id")))


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with running_collector() as running:
        yield running


@asynccontextmanager
async def served(settings: TracingSettings) -> AsyncIterator[RpcPeer]:
    """A peer of an agent that is traced by `settings`; the peer's own is for the caller to say."""
    async with apart(serving(settings)) as address, RpcPeer(address, None, None) as peer:
        yield peer


@asynccontextmanager
async def serving(settings: TracingSettings) -> AsyncIterator[str]:
    async with traced(settings, "backendai-agent", "1"):
        server = RpcServer("tcp://127.0.0.1:0", None, [], [SAY, LOOK])
        server.on(SAY, say)
        server.on(LOOK, say)
        async with server:
            yield server.address


async def test_both_ends_of_a_call_are_of_one_trace(collector: Collector) -> None:
    settings = TracingSettings(endpoint=collector.endpoint)
    async with traced(settings, "backendai-manager", "1"), served(settings) as peer:
        with log_context(request_id="r-1234567"), span("request") as request:
            answer = await peer.ask(SAY, Word("secret of a body"))
        for word, fault in (("fault", SessionNotFound), ("broken", InternalError)):
            with pytest.raises(fault):
                await peer.ask(SAY, Word(word))
        await peer.ask(LOOK, Word("again and again"))
    top = await collector.find("request")
    caller = collector.list("rpc say", "backendai-manager")
    server = collector.list("rpc say", "backendai-agent")
    assert answer.text == request.trace_id == top.trace, "log lines there name it too"
    assert {each.trace for each in (caller[0], server[0])} == {top.trace}
    assert (caller[0].parent, caller[0].kind) == (top.id, "CLIENT")
    assert (server[0].parent, server[0].kind) == (caller[0].id, "SERVER")
    assert server[0].facts == {"rpc.method": "say", "request_id": "r-1234567"}
    assert caller[0].facts == {"rpc.method": "say", "server.address": peer.address}
    assert [each.facts.get("error.type") for each in server] == [
        None,
        SessionNotFound.code,
        "RuntimeError",
    ]
    assert [each.is_failed for each in caller] == [False, True, True]
    assert not collector.list("rpc look"), "what is asked without end begins no trace"
    assert b"secret" not in collector.raw


async def test_one_end_that_is_not_traced_changes_nothing(collector: Collector) -> None:
    on, off = TracingSettings(endpoint=collector.endpoint), TracingSettings()
    async with traced(on, "backendai-manager", "1"), served(off) as peer:
        assert (await peer.ask(SAY, Word("x"))).text
    async with served(on) as peer:
        assert len((await peer.ask(SAY, Word("x"))).text) == 32
    caller, server = collector.spans
    assert (caller.service, server.service) == ("backendai-manager", "backendai-agent")
    assert server.parent == ""
