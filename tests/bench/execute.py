"""`print(1)` in a session, through API, manager, agent and runner, beside ipykernel itself."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import start_new_kernel

from tests.bench.harness import CpuMeter, Row, interleave, per_operation, show, show_cpu, timed
from tests.running.rest import Api
from tests.running.sessions import end, execute, resources, start
from tests.running.stack import Stack

NEEDS_STACK: Final = True
ROUNDS: Final = 9
CALLS: Final = 30
PRINTED_BYTES: Final = 10_000_000
PRINT_CODE: Final = f"for _ in range({PRINTED_BYTES // 100}): print('x' * 99)"


def measure(stack: Stack) -> list[Row]:
    api = stack.api()
    session = start(api, "bench-execute", config=resources(mem="512m"))
    try:
        with ipykernel() as kernel:
            return [
                *_measure_rest(stack, api, session, kernel),
                _measure_socket(api, session, kernel),
                _measure_output(api, session, kernel),
            ]
    finally:
        end(api, session)


@contextmanager
def ipykernel() -> Iterator[BlockingKernelClient]:
    manager, client = start_new_kernel(kernel_name="python3")
    try:
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def ask_ipykernel(client: BlockingKernelClient, code: str) -> int:
    """Run, and read until the kernel is idle again; returns how much it printed."""
    asked = client.execute(code)
    printed = 0
    while True:
        message: dict[str, Any] = client.get_iopub_msg(timeout=60)
        if message["parent_header"].get("msg_id") != asked:
            continue
        content = message["content"]
        if message["msg_type"] == "stream":
            printed += len(content["text"])
        if message["msg_type"] == "status" and content["execution_state"] == "idle":
            client.get_shell_msg(timeout=60)
            return printed


def _measure_rest(stack: Stack, api: Api, session: str, kernel: BlockingKernelClient) -> list[Row]:
    ours = per_operation(lambda: _check(execute(api, session, "print(1)")), CALLS)
    peer = per_operation(lambda: ask_ipykernel(kernel, "print(1)"), CALLS)
    rounds = interleave(ours, peer, ROUNDS)
    meter = CpuMeter({name: stack.processes(name) for name in ("manager", "agent")})
    for _ in range(CALLS):
        execute(api, session, "print(1)")
    cpu = meter.milliseconds_per(CALLS)
    return [
        rounds.row("G8a", "print(1) by POST", 1.0),
        Row("", "processor time of one print(1)", sum(cpu.values()), None, "ms", show_cpu(cpu)),
    ]


def _check(printed: str) -> None:
    assert printed == "1\n", printed


def _measure_socket(api: Api, session: str, kernel: BlockingKernelClient) -> Row:
    with asyncio.Runner() as runner:
        http = runner.run(_open_http())
        ours = per_operation(lambda: runner.run(_execute_once(http, api, session)), CALLS)
        peer = per_operation(lambda: ask_ipykernel(kernel, "print(1)"), CALLS)
        rounds = interleave(ours, peer, ROUNDS)
        runner.run(http.close())
    return rounds.row("G8a", "print(1) by WebSocket, opened for each", 1.0)


async def _open_http() -> aiohttp.ClientSession:
    return aiohttp.ClientSession()


async def _execute_once(http: aiohttp.ClientSession, api: Api, session: str) -> None:
    """The protocol runs one piece of code on one connection."""
    target = f"/stream/session/{session}/execute"
    headers = api.sign("GET", target, "application/octet-stream")
    headers["Host"] = urlsplit(api.endpoint).netloc
    async with http.ws_connect(api.endpoint + target, headers=headers) as socket:
        await socket.send_str(json.dumps({"code": "print(1)", "mode": "query", "options": {}}))
        printed = ""
        async for message in socket:
            step = json.loads(message.data)
            printed += "".join(text for _, text in step.get("console") or ())
            if step["status"] == "finished":
                break
        _check(printed)


def _measure_output(api: Api, session: str, kernel: BlockingKernelClient) -> Row:
    def ours() -> None:
        printed = len(execute(api, session, PRINT_CODE))
        assert printed == PRINTED_BYTES, printed

    def peer() -> None:
        # ipykernel drops nothing either, so both have to bring every byte.
        printed = ask_ipykernel(kernel, PRINT_CODE)
        assert printed == PRINTED_BYTES, printed

    rounds = interleave(timed(ours), timed(peer), 3)
    faster = 1 / rounds.ratio
    what = f"{PRINTED_BYTES // 10**6} MB of prints: times ipykernel's rate"
    shown = show(rounds.ours), show(rounds.peer)
    return Row("G8c", what, faster, 5.0, "x", *shown, is_floor=True)
