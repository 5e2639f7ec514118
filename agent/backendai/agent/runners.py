"""The runners inside kernels: one connection each, readiness, and refusals in our own faults."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from backendai.agent.faults import AppFailed, AppUnknown, BadOrder, RunnerSilent
from backendai.common.clock import Clock
from backendai.common.failpoints import failpoint
from backendai.common.faults import AgentBusy, AgentFailure, AgentFault, Fault, FileNotFound
from backendai.kernel.peer import RunnerError, RunnerGone, RunnerPeer
from backendai.kernel.wire import (
    SOCKET_NAME,
    Answer,
    AppEntry,
    Ask,
    FrameError,
    Hello,
    HelloReply,
    ListApps,
    ListAppsReply,
    Shutdown,
)

# A look costs microseconds: often while a runner is about to come up, seldom when one is slow.
READY_POLL_SECONDS: Final = 0.004
READY_POLL_SECONDS_MAX: Final = 0.1
READY_POLL_GROWTH: Final = 1.02
HELLO_TIMEOUT_SECONDS: Final = 5.0

_FAULTS: Final[dict[str, type[Fault]]] = {
    "bad-request": BadOrder,
    "bad-path": BadOrder,
    "bad-offset": BadOrder,
    "busy": AgentBusy,
    "download-expired": AgentFailure,
    "internal": AgentFailure,
    "io-error": AgentFailure,
    "not-found": FileNotFound,
    "not-started": AppFailed,
    "not-waiting-input": BadOrder,
    "refused": AppFailed,
    "too-large": BadOrder,
    "unknown-app": AppUnknown,
    "unknown-run": BadOrder,
}


class Runners:
    """Peers by kernel and generation. `run_dir` tells where the runner's socket is."""

    def __init__(self, run_dir: Callable[[str, int], Path], clock: Clock) -> None:
        self._run_dir = run_dir
        self._clock = clock
        self._peers: dict[tuple[str, int], RunnerPeer] = {}

    async def wait_ready(self, kernel_id: str, generation: int, seconds: float) -> HelloReply:
        """The runner's greeting. Raises RunnerSilent when none came in `seconds`."""
        path = self._run_dir(kernel_id, generation) / SOCKET_NAME
        deadline = self._clock.monotonic() + seconds
        pause = READY_POLL_SECONDS
        await failpoint("agent.runner.before_hello")
        while True:
            if path.is_socket():
                greeting = await self._greet(kernel_id, generation)
                if greeting is not None:
                    await failpoint("agent.runner.after_hello")
                    return greeting
            if self._clock.monotonic() >= deadline:
                raise RunnerSilent(f"no answer within {seconds:g} s of the start")
            await self._clock.sleep(pause)
            pause = min(pause * READY_POLL_GROWTH, READY_POLL_SECONDS_MAX)

    async def ask(self, kernel_id: str, generation: int, request: Ask, seconds: float) -> Answer:
        """The runner's answer. Raises RunnerSilent, and the fault for what the runner refused."""
        peer = self._peer(kernel_id, generation)
        await failpoint("agent.runner.before_ask")
        answer = await _translated(peer.ask(request, seconds), seconds)
        await failpoint("agent.runner.after_ask")
        return answer

    async def list_apps(self, kernel_id: str, generation: int) -> list[AppEntry]:
        """What the kernel offers now. Raises as `ask`."""
        answer = await self.ask(kernel_id, generation, ListApps(), HELLO_TIMEOUT_SECONDS)
        return answer.apps if isinstance(answer, ListAppsReply) else []

    async def shut_down(self, kernel_id: str, generation: int, seconds: float) -> bool:
        """Let the runner end what runs in the kernel, and wait until it is done, or for `seconds`.

        False when it could not be asked.
        """
        peer = self._peer(kernel_id, generation)
        await failpoint("agent.runner.before_shutdown")
        try:
            async with asyncio.timeout(seconds):
                await peer.ask(Shutdown(), seconds)
                await peer.wait_closed()
        except TimeoutError:
            return True
        except (RunnerGone, RunnerError):
            return False
        await failpoint("agent.runner.after_shutdown")
        return True

    async def close(self, kernel_id: str, generation: int) -> None:
        peer = self._peers.pop((kernel_id, generation), None)
        if peer is not None:
            await peer.close()

    async def close_all(self) -> None:
        for key in list(self._peers):
            await self.close(*key)

    async def _greet(self, kernel_id: str, generation: int) -> HelloReply | None:
        try:
            return await self._peer(kernel_id, generation).ask(Hello(), HELLO_TIMEOUT_SECONDS)
        except (RunnerGone, TimeoutError):
            return None

    def _peer(self, kernel_id: str, generation: int) -> RunnerPeer:
        key = (kernel_id, generation)
        if key not in self._peers:
            self._peers[key] = RunnerPeer(self._run_dir(*key) / SOCKET_NAME)
        return self._peers[key]


async def _translated(answer: Awaitable[Answer], seconds: float) -> Answer:
    try:
        return await answer
    except RunnerGone as error:
        raise RunnerSilent(str(error)) from error
    except RunnerError as error:
        raise _FAULTS.get(error.code, AgentFault)(error.message) from error
    except FrameError as error:
        raise BadOrder(str(error)) from error
    except TimeoutError as error:
        raise RunnerSilent(f"no answer within {seconds:g} s") from error
