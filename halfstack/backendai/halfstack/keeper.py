"""Keeps one service running: adopt or start, probe, restart with back-off, stop."""

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .places import Layout
from .probes import run_probe
from .processes import Process, find_recorded, launch, listens_on, reap, stop_process, wait_exit
from .services import Service, Standing

_POLL_STARTING_SECONDS = 0.02
_POLL_HEALTHY_SECONDS = 3.0
_STEADY_SECONDS = 20.0
_BACKOFF_SECONDS_MAX = 3.0


@dataclass
class _Progress:
    """What is true now; only the keeper writes it."""

    process: Process | None = None
    healthy: bool = False
    state: str = "waiting"
    problem: str = ""
    restarts: int = 0
    adopted: bool = False


class Keeper:
    """`run()` never returns by itself: it is cancelled, which leaves the process running."""

    def __init__(
        self,
        layout: Layout,
        service: Service,
        are_healthy: Callable[[tuple[str, ...]], bool],
    ) -> None:
        self.service = service
        self._layout = layout
        self._are_healthy = are_healthy
        self._record = layout.run / f"{service.name}.process"
        self._now = _Progress()

    @property
    def is_healthy(self) -> bool:
        return self._now.healthy

    def describe(self) -> Standing:
        now, service = self._now, self.service
        return Standing(
            name=service.name,
            pid=now.process.pid if now.process else None,
            healthy=now.healthy,
            address=service.address,
            state=now.state,
            restarts=now.restarts,
            adopted=now.adopted,
            problem=now.problem,
        )

    async def run(self) -> None:
        failures = 0
        while True:
            started_at = time.monotonic()
            process = await self._adopt() or await self._start()
            if process is not None:
                await self._watch(process)
            steady = time.monotonic() - started_at > _STEADY_SECONDS
            failures = 0 if steady else failures + 1
            self._now.restarts += 1
            await asyncio.sleep(_backoff_seconds(failures))

    async def stop(self) -> None:
        """The process is gone afterwards; call it when `run()` is no longer running."""
        self._now.healthy, self._now.state = False, "stopping"
        process = self._now.process or find_recorded(self._record)
        if process is not None:
            await stop_process(process, self.service.stop_signal, self.service.stop_seconds)
        self._record.unlink(missing_ok=True)
        self._now = _Progress(state="stopped")

    async def _adopt(self) -> Process | None:
        found = find_recorded(self._record)
        if found is None:
            return None
        if found.digest != self.service.digest:
            self._now.state = "replacing"
            await stop_process(found, self.service.stop_signal, self.service.stop_seconds)
            return None
        self._now.adopted = True
        return found

    async def _start(self) -> Process | None:
        self._now.state = "waiting"
        await self._await_needed()
        try:
            pid = self._launch()
        except OSError as error:
            # A full disk or a full process table passes; the next try may succeed.
            self._note_problem(f"could not be started: {error}")
            return None
        return await self._await_record(pid)

    def _launch(self) -> int:
        return launch(
            self.service.command,
            record=self._record,
            digest=self.service.digest,
            cwd=Path(self.service.cwd),
            log=self._layout.log_file(self.service.name),
            env={**os.environ, **self.service.env, "BAI_INSTANCE": self._layout.instance},
        )

    async def _await_needed(self) -> None:
        while True:
            if self._are_healthy(self.service.after):
                return
            await asyncio.sleep(_POLL_STARTING_SECONDS)

    async def _await_record(self, pid: int) -> Process | None:
        while True:
            found = find_recorded(self._record)
            if found is not None:
                return found
            status = reap(pid)
            if status is not None:
                self._note_exit(status)
                return None
            await asyncio.sleep(0.002)

    async def _watch(self, process: Process) -> None:
        self._now.process, self._now.state = process, "starting"
        probing = asyncio.create_task(self._probe_on(), name=f"probe {self.service.name}")
        try:
            self._note_exit(await wait_exit(process))
        finally:
            probing.cancel()
            with suppress(asyncio.CancelledError):
                await probing

    async def _probe_on(self) -> None:
        while True:
            problem = await run_probe(self.service.probe) or self._find_usurper()
            self._now.healthy, self._now.problem = not problem, problem
            if not problem:
                self._now.state = "running"
            await asyncio.sleep(_POLL_STARTING_SECONDS if problem else _POLL_HEALTHY_SECONDS)

    def _find_usurper(self) -> str:
        """Another program may answer on our port while ours fails to take it."""
        port, process = self.service.probe.port, self._now.process
        if self._now.healthy or not port or process is None or listens_on(process, port):
            return ""
        return f"port {port} belongs to another program: end it, or choose another port"

    def _note_exit(self, status: int | None) -> None:
        self._note_problem("ended" if status is None else f"ended with status {status}")

    def _note_problem(self, problem: str) -> None:
        self._now = _Progress(state="restarting", problem=problem, restarts=self._now.restarts)


def _backoff_seconds(failures: int) -> float:
    return float(min(_BACKOFF_SECONDS_MAX, 0.05 * 2 ** max(0, failures - 1)))
