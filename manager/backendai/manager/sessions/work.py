"""Work inside a running session: each request goes to the agent of its main kernel."""

import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import sqlalchemy as sa

from backendai.common.contracts import agent as contract
from backendai.common.enums import ExecutionMode
from backendai.common.faults import (
    AgentFault,
    Conflict,
    Fault,
    KernelExecutionFailed,
    KernelNotFound,
    Kind,
    SessionNotFound,
)
from backendai.common.ids import AgentId, IdSource
from backendai.common.lifecycle import KernelStatus
from backendai.common.rpc.call import Call
from backendai.common.rpc.repeat import ask_repeatedly
from backendai.manager.db.engine import Database
from backendai.manager.gate.actor import Scope

from . import store
from .model import Kernel

Req = TypeVar("Req")
Rep = TypeVar("Rep")

HTTP_FLUSH_SECONDS: Final = 2.0
# What the agent may take beyond the flush time before it counts as away.
EXECUTE_SLACK_SECONDS: Final = 10.0
RUN_ID_BYTES: Final = 8


class Agents(Protocol):
    """The way to the agents. Raises AgentTimeout or Unavailable when one is away."""

    async def ask(
        self,
        agent_id: AgentId,
        call: Call[Req, Rep],
        request: Req,
        timeout_seconds: float | None = None,
    ) -> Rep: ...


class Uses(Protocol):
    """Where it counts that somebody uses a session; `what` is one word."""

    def note(self, session_id: uuid.UUID, what: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Place:
    """Where the main kernel of a session runs."""

    session_id: uuid.UUID
    agent_id: AgentId
    kernel: contract.KernelRef


class SessionWork:
    """Runs code, moves files and reads logs, through the agents."""

    def __init__(self, database: Database, agents: Agents, ids: IdSource, uses: Uses) -> None:
        self._database = database
        self._agents = agents
        self._ids = ids
        self._uses = uses
        self._asked: dict[uuid.UUID, int] = {}

    async def locate(self, scope: Scope, reference: str) -> Place:
        """Raises SessionNotFound, and Conflict while its main kernel does not run."""
        row = await self._database.read(
            lambda connection: store.find_main(connection, scope, reference)
        )
        if row is None:
            raise SessionNotFound
        if row.kernel_status != KernelStatus.RUNNING or row.kernel_agent_id is None:
            raise Conflict(
                f"The session is {row.status}; it must be RUNNING for this.",
                {"status": row.status},
            )
        ref = contract.KernelRef(kernel_id=str(row.kernel_id), generation=row.kernel_generation)
        return Place(row.id, AgentId(row.kernel_agent_id), ref)

    async def execute(
        self,
        place: Place,
        mode: ExecutionMode,
        code: str,
        *,
        run_id: str | None = None,
        options: Mapping[str, Any] | None = None,
        flush_seconds: float = HTTP_FLUSH_SECONDS,
    ) -> contract.ExecuteResult:
        """One step of a run. Raises KernelExecutionFailed, AgentTimeout, Unavailable."""
        if mode in (ExecutionMode.QUERY, ExecutionMode.BATCH):
            self._asked[place.session_id] = self._asked.get(place.session_id, 0) + 1
        request = contract.Execute(
            kernel=place.kernel,
            run_id=run_id or self._ids.token(RUN_ID_BYTES).hex(),
            mode=mode.value,
            code=code,
            options=dict(options or {}),
            flush_seconds=flush_seconds,
        )
        return await self._ask(
            place, contract.EXECUTE, request, flush_seconds + EXECUTE_SLACK_SECONDS
        )

    async def interrupt(self, place: Place) -> None:
        await self._ask(place, contract.INTERRUPT, place.kernel)

    async def complete(self, place: Place, code: str, options: Mapping[str, Any]) -> list[str]:
        request = contract.Complete(kernel=place.kernel, code=code, **options)
        return (await self._ask(place, contract.COMPLETE, request)).completions

    async def logs(self, scope: Scope, reference: str, kernel_id: str | None = None) -> bytes:
        """What the kernel has printed, also after its end; empty before it was ever placed."""
        session = await self._database.read(
            lambda connection: store.get_session(connection, scope, reference, ended_too=True)
        )
        kernel = _kernel_of(session.kernels, kernel_id)
        if kernel.agent_id is None:
            return b""
        ref = contract.KernelRef(kernel_id=str(kernel.id), generation=kernel.generation)
        place = Place(session.id, AgentId(kernel.agent_id), ref)
        return (await self._ask(place, contract.LOGS, contract.ReadLogs(kernel=ref))).data

    async def task_logs(self, scope: Scope, task_id: uuid.UUID) -> bytes:
        """As `logs`, of the kernel or of the main kernel of the session whose id this is."""
        session_id = await self._database.read(
            lambda connection: store.find_session_of(connection, scope, task_id)
        )
        if session_id is None:
            return await self.logs(scope, str(task_id))
        return await self.logs(scope, str(session_id), str(task_id))

    async def upload(self, place: Place, path: str, chunks: AsyncIterator[bytes]) -> None:
        """Write one file below /home/work; it appears under its name when it is whole."""
        offset, held = 0, b""
        async for chunk in chunks:
            if held:
                await self._send(place, path, offset, held, last=False)
                offset += len(held)
            held = chunk
        await self._send(place, path, offset, held, last=True)

    async def download(self, place: Place, path: str) -> AsyncGenerator[bytes, None]:
        """The chunks of an uncompressed tar of `path`. Raises FileNotFound with the first one."""
        offset = 0
        while True:
            request = contract.DownloadFile(kernel=place.kernel, path=path, offset=offset)
            chunk = await self._ask(place, contract.DOWNLOAD, request)
            offset = chunk.offset + len(chunk.data)
            yield chunk.data
            if chunk.last:
                return

    async def start_app(
        self,
        place: Place,
        app: str,
        port: int | None,
        arguments: Mapping[str, str | list[str] | None],
        envs: Mapping[str, str],
    ) -> contract.AppStarted:
        """Answered when it accepts connections. Raises KernelExecutionFailed when it does not."""
        request = contract.StartApp(
            kernel=place.kernel, app=app, port=port, arguments=dict(arguments), envs=dict(envs)
        )
        return await self._ask(place, contract.START_APP, request)

    async def stop_app(self, place: Place, app: str) -> None:
        request = contract.StopApp(kernel=place.kernel, app=app)
        await self._ask(place, contract.STOP_APP, request)

    async def list_files(self, place: Place, path: str) -> contract.FileList:
        request = contract.ListFiles(kernel=place.kernel, path=path)
        return await self._ask(place, contract.LIST_FILES, request)

    async def save_counts(self) -> None:
        """Write how many queries ran since the last time, all sessions at once."""
        asked, self._asked = self._asked, {}
        if not asked:
            return
        rows = [{"id": key, "count": count} for key, count in sorted(asked.items())]
        statement = sa.text("update sessions set query_count = query_count + :count where id = :id")
        await self._database.transact(lambda connection: connection.execute(statement, rows))

    async def _send(self, place: Place, path: str, offset: int, data: bytes, *, last: bool) -> None:
        request = contract.UploadFile(
            kernel=place.kernel, path=path, offset=offset, data=data, last=last
        )
        await self._ask(place, contract.UPLOAD, request)

    async def _ask(
        self, place: Place, call: Call[Req, Rep], request: Req, seconds: float | None = None
    ) -> Rep:
        self._uses.note(place.session_id, call.name)
        try:
            return await ask_repeatedly(
                call,
                seconds,
                lambda left: self._agents.ask(place.agent_id, call, request, left),
            )
        except AgentFault as fault:
            raise _explained(fault) from fault


def _explained(fault: AgentFault) -> Fault:
    """Failures inside the kernel are told as such; an agent that is away stays a 503."""
    if fault.kind is Kind.AGENT_FAILED and not isinstance(fault, KernelExecutionFailed):
        return KernelExecutionFailed.after(fault)
    return fault


def _kernel_of(kernels: tuple[Kernel, ...], kernel_id: str | None) -> Kernel:
    if kernel_id is None:
        return kernels[0]
    for kernel in kernels:
        if str(kernel.id) == kernel_id:
            return kernel
    raise KernelNotFound
