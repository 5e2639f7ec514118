"""Running code over the execute WebSocket: frames out, steps in, prompts answered."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, Final

import msgspec

from backendai.client.channel import Call, Channel, decode, path_of
from backendai.client.faults import ExecutionBroken
from backendai.client.results import Batch, Prompt, Result, Step

OnInput = Callable[[Prompt], str | Awaitable[str]]

FINISHED: Final = "finished"
WAITING_INPUT: Final = "waiting-input"
# What the server says in place of an end.
BROKEN: Final = ("error", "server-restarting", "exec-timeout")


async def stream_steps(
    channel: Channel, session: str, code: str, batch: Batch | None, on_input: OnInput | None
) -> AsyncGenerator[Step, None]:
    """Steps until `finished`. Raises ExecutionBroken when the server ends it otherwise."""
    call = Call(
        method="GET",
        path=path_of("stream", "session", session, "execute"),
        content_type="",
        timeout_seconds=None,
    )
    async with channel.socket(call) as socket:
        await socket.write(first_frame(code, batch))
        async for frame in socket:
            step = decode(Step, frame.encode())
            if step.status in BROKEN:
                raise ExecutionBroken(step.msg or f"The server says: {step.status}.")
            yield step
            if step.status == FINISHED:
                return
            if step.status == WAITING_INPUT:
                await socket.write(await _answer(step, on_input))
    raise ExecutionBroken("The connection ended before the code did.")


async def collect(steps: AsyncIterator[Step]) -> Result:
    """Everything that was printed, and the exit code (0 when the last step has none)."""
    printed: dict[str, list[str]] = {"stdout": [], "stderr": []}
    media: list[tuple[str, Any]] = []
    exit_code: int | None = None
    async for step in steps:
        exit_code = step.exit_code
        for kind, content in step.console:
            if kind in printed:
                printed[kind].append(str(content))
            else:
                media.append((kind, content))
    return Result(
        exit_code or 0, "".join(printed["stdout"]), "".join(printed["stderr"]), tuple(media)
    )


def first_frame(code: str, batch: Batch | None) -> str:
    if batch is None:
        return _text({"mode": "query", "code": code, "options": {}})
    options = {
        "clean": batch.clean,
        "build": batch.build,
        "buildLog": False,
        "exec": batch.exec,
    }
    return _text({"mode": "batch", "code": code, "options": options})


async def _answer(step: Step, on_input: OnInput | None) -> str:
    if on_input is None:
        return ""
    prompt = Prompt(is_password=bool((step.options or {}).get("is_password")))
    # A plain function may block on a terminal, so it gets a thread.
    answer = await asyncio.to_thread(on_input, prompt)
    return answer if isinstance(answer, str) else await answer


def _text(value: dict[str, Any]) -> str:
    return msgspec.json.encode(value).decode()
