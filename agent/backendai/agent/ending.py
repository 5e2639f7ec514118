"""Ends kernels, and finds out why those ended that nobody ended."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

import msgspec

from backendai.common.contracts.agent import KernelReport, KernelState
from backendai.common.enums import Reason
from backendai.common.failpoints import failpoint
from backendai.kernel.wire import EXIT_NAME, ExitRecord

from .exits import Ending, ExitFacts, explain, explain_removed
from .hints import Exits
from .machine import Container, Desire, Discard, Phase
from .node import Node
from .reading import read_head
from .threads import finish

EXIT_RECORD_BYTES_MAX: Final = 4096
# What an engine notes for a container that had vanished when the engine came up again. A runner
# that ends by itself with that code leaves a record.
LOST_CODE: Final = 255
_OWN_END: Final = frozenset({Reason.SELF_TERMINATED, Reason.TASK_FAILED})


class Ender:
    """Carries out Discard, Clear, Conclude and Lose."""

    def __init__(self, node: Node, exits: Exits) -> None:
        self._node = node
        self._exits = exits

    async def discard(self, action: Discard) -> None:
        """Stop the container politely, then surely, and keep nothing of it but its log."""
        node, one = self._node, action.container
        if action.for_good:
            node.reporter.note(one.kernel_id, one.generation, state=KernelState.STOPPING)
        if one.phase is Phase.RUNNING and action.grace_seconds > 0:
            await self._end_politely(one, action.grace_seconds)
        if action.for_good:
            # The kernel's files go all at once when it is cleared.
            await self._take_apart(one.kernel_id, one.generation, one.container_id)
        else:
            await self.remove(one.kernel_id, one.generation, one.container_id)

    async def _end_politely(self, one: Container, grace_seconds: float) -> None:
        """What runs in the kernel gets its SIGTERM and a grace.

        The runner tells when that is over, long before the engine has taken the container apart; a
        runner that cannot be asked gets the signal from the engine.
        """
        node = self._node
        if not await node.runners.shut_down(one.kernel_id, one.generation, grace_seconds):
            await node.backend.terminate(one.container_id)
            await self._exits.wait_at_most(one.container_id, grace_seconds)

    async def remove(self, kernel_id: str, generation: int, container_id: str) -> None:
        """Returns when nothing of the container is left but its log."""
        await self._take_apart(kernel_id, generation, container_id)
        await failpoint("agent.scratch.before_drop")
        await self._node.threads.run(self._node.scratch.drop_generation, kernel_id, generation)
        await failpoint("agent.scratch.after_drop")

    async def _take_apart(self, kernel_id: str, generation: int, container_id: str) -> None:
        await self._node.runners.close(kernel_id, generation)
        await _whole(self._node.backend.remove(container_id))

    async def clear(self, desire: Desire, network: str) -> KernelReport:
        """Put the kernel's files aside and report it gone; the caller sweeps later."""
        node = self._node
        await failpoint("agent.scratch.before_put_aside")
        await node.threads.run(node.scratch.put_aside, desire.kernel_id)
        await failpoint("agent.scratch.after_put_aside")
        if network:
            await node.backend.remove_network(network)
        return node.reporter.gone(desire)

    async def conclude(self, container: Container, session_type: str) -> KernelReport:
        """The report of an exited container, with its exit code and reason."""
        node = self._node
        await node.runners.close(container.kernel_id, container.generation)
        facts = await node.backend.exit_facts(container.container_id)
        record = await self.read_exit_record(container.kernel_id, container.generation)
        facts, ending = judge(facts, record, session_type, node.booted_at)
        return self._report(container.kernel_id, container.generation, facts, ending)

    def lose(self, kernel_id: str, generation: int) -> KernelReport:
        return self._report(kernel_id, generation, ExitFacts(), explain_removed())

    async def read_exit_record(self, kernel_id: str, generation: int) -> ExitRecord | None:
        """What the runner wrote at its end; None when it did not, or something else is there."""
        folder = self._node.scratch.run_dir(kernel_id, generation)
        data = await self._node.threads.run(read_head, folder, EXIT_NAME, EXIT_RECORD_BYTES_MAX)
        try:
            return None if data is None else msgspec.json.decode(data, type=ExitRecord)
        except msgspec.DecodeError:
            return None

    def _report(
        self, kernel_id: str, generation: int, facts: ExitFacts, ending: Ending
    ) -> KernelReport:
        started = {} if facts.started_at is None else {"started_at": facts.started_at}
        return self._node.reporter.draft(
            kernel_id,
            generation,
            state=KernelState.EXITED,
            reason=str(ending.reason),
            detail=ending.detail,
            exit_code=facts.exit_code,
            ended_at=facts.ended_at or self._node.clock.now().timestamp(),
            progress="",
            **started,
        )


def judge(
    facts: ExitFacts, record: ExitRecord | None, session_type: str, booted_at: float
) -> tuple[ExitFacts, Ending]:
    """The engine's facts and the runner's own record together. PURE.

    The record lies where the kernel's user can write: it may tell how a command ended, and never
    outweighs what the engine knows of a kill.
    """
    ending = explain(facts, session_type, booted_at)
    if record is None and facts.exit_code == LOST_CODE and ending.reason in _OWN_END:
        return facts, Ending(Reason.KILLED_BY_EVENT, "the kernel was killed with its engine")
    if record is None or ending.reason in (Reason.OUT_OF_MEMORY, Reason.AGENT_RESTARTED_NODE):
        return facts, ending
    if record.reason == "terminated" and record.exit_code == facts.exit_code:
        return facts, Ending(Reason.KILLED_BY_EVENT, "the kernel was ended from outside (SIGTERM)")
    return facts, ending


async def _whole(step: Coroutine[Any, Any, None]) -> None:
    await finish(asyncio.create_task(step, name="engine.remove"))
