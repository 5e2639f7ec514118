"""Many files at a time: so many and no more, with one account of how far all of them are."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

PARALLEL: Final = 4

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the file `path` is, and all of them together. Counts of bytes, but for the files."""

    path: str
    done: int
    size: int
    all_done: int
    all_size: int
    files_done: int
    files: int


OnProgress = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Move:
    """One file on its way; `run` tells how many of its bytes are done, and may tell fewer than
    before when it begins anew."""

    path: str
    size: int
    run: Callable[[Callable[[int], None]], Awaitable[None]]


async def run_moves(
    moves: Sequence[Move], *, parallel: int = PARALLEL, on_progress: OnProgress | None = None
) -> None:
    """The first that fails ends the others and is raised; what is whole by then stays."""
    account = _Account(moves, on_progress)

    async def run(move: Move) -> None:
        await move.run(lambda done: account.note(move, done))
        account.finish(move)

    await for_each(moves, run, parallel=parallel)


async def for_each(
    items: Iterable[T], work: Callable[[T], Awaitable[None]], *, parallel: int
) -> None:
    """`work` on each, `parallel` at a time. What the first failure raises is raised as it is."""
    left = iter(items)

    async def go_on() -> None:
        for item in left:
            await work(item)

    try:
        async with asyncio.TaskGroup() as tasks:
            for number in range(parallel):
                tasks.create_task(go_on(), name=f"move-{number}")
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


class _Account:
    def __init__(self, moves: Sequence[Move], on_progress: OnProgress | None) -> None:
        self._on_progress = on_progress
        self._all_size = sum(move.size for move in moves)
        self._files = len(moves)
        self._files_done = 0
        self._finished = 0
        self._running: dict[str, int] = {}

    def note(self, move: Move, done: int) -> None:
        self._running[move.path] = done
        self._tell(move, done)

    def finish(self, move: Move) -> None:
        self._running.pop(move.path, None)
        self._finished += move.size
        self._files_done += 1
        self._tell(move, move.size)

    def _tell(self, move: Move, done: int) -> None:
        if self._on_progress is None:
            return
        self._on_progress(
            Progress(
                path=move.path,
                done=done,
                size=move.size,
                all_done=self._finished + sum(self._running.values()),
                all_size=self._all_size,
                files_done=self._files_done,
                files=self._files,
            )
        )
