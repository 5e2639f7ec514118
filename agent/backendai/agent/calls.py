"""The agent's side of the contract: orders, the report, and relays to the runners of kernels."""

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from backendai.common.contracts import agent as contract
from backendai.common.faults import AgentFailure, Fault, KernelNotFound
from backendai.common.rpc.server import RpcServer
from backendai.kernel import wire

from .commits import Commits
from .faults import BadOrder, EngineUnreachable, KernelNotRunning, StaleGeneration
from .labels import LabelError, parse_kernel_id
from .ledger import LIVE_STATES, Ledger
from .node import Node
from .ports import is_sound
from .preloads import Preloads
from .reading import read_tail
from .supervisor import Supervisor
from .swarm import ClusterNetworks

RELAY_SECONDS: Final = 15.0
FLUSH_SECONDS_MAX: Final = 30.0
LOG_BYTES_MAX: Final = 12 * 1024 * 1024
RUNS_REMEMBERED_MAX: Final = 4096
_LOG_NAMES: Final = (wire.LOG_PATH, f"{wire.LOG_PATH}.1")

A = TypeVar("A", bound=wire.Answer)


class Calls:
    """Handlers of every call of the contract. `make_report` gives the whole level of the node."""

    def __init__(
        self,
        node: Node,
        ledger: Ledger,
        supervisor: Supervisor,
        make_report: Callable[[], contract.AgentReport],
        networks: ClusterNetworks,
    ) -> None:
        self._node = node
        self._ledger = ledger
        self._supervisor = supervisor
        self._make_report = make_report
        self._networks = networks
        self._sequences: dict[tuple[str, str], int] = {}
        self._commits = Commits(node.backend, node.images)
        self._preloads = Preloads(node.backend, node.images)

    def register(self, server: RpcServer) -> None:
        server.on(contract.ENSURE, self._supervisor.ensure)
        server.on(contract.OBSERVE, self.observe)
        server.on(contract.EXECUTE, self.execute)
        server.on(contract.INTERRUPT, self.interrupt)
        server.on(contract.COMPLETE, self.complete)
        server.on(contract.LOGS, self.read_logs)
        server.on(contract.UPLOAD, self.upload)
        server.on(contract.DOWNLOAD, self.download)
        server.on(contract.LIST_FILES, self.list_files)
        server.on(contract.START_APP, self.start_app)
        server.on(contract.STOP_APP, self.stop_app)
        server.on(contract.SET_RELAY_KEYS, self._node.relay_keys.take)
        server.on(contract.COMMIT, self.commit)
        server.on(contract.PULL_IMAGE, self._preloads.pull)
        server.on(contract.REMOVE_IMAGE, self._preloads.remove)
        server.on(contract.ENSURE_NETWORK, self._networks.ensure)

    async def observe(self, request: contract.Observe) -> contract.AgentReport:
        is_same_life = request.instance == self._node.maker.instance
        seconds = min(request.wait_seconds, contract.OBSERVE_WAIT_SECONDS_MAX)
        if is_same_life and seconds > 0:
            await self._ledger.wait_beyond(request.after, seconds)
        return self._make_report()

    async def execute(self, request: contract.Execute) -> contract.ExecuteResult:
        ref, key = request.kernel, (request.kernel.kernel_id, request.run_id)
        flush_seconds = min(max(request.flush_seconds, 0.0), FLUSH_SECONDS_MAX)
        question = make_execute(request, flush_seconds, self._sequences.get(key))
        answer = await self._ask(ref, question, wire.ExecuteReply, flush_seconds + RELAY_SECONDS)
        self._remember(key, answer)
        return contract.ExecuteResult(
            run_id=answer.run_id,
            status=answer.status,
            exit_code=answer.exit_code,
            console=answer.console,
            options=answer.options,
        )

    async def interrupt(self, request: contract.KernelRef) -> contract.Nothing:
        await self._ask(request, wire.Interrupt(), wire.InterruptReply)
        return contract.Nothing()

    async def complete(self, request: contract.Complete) -> contract.Completions:
        question = wire.Complete(
            code=request.code,
            row=request.row,
            col=request.col,
            line=request.line,
            post=request.post,
        )
        answer = await self._ask(request.kernel, question, wire.CompleteReply)
        return contract.Completions(completions=answer.completions)

    async def upload(self, request: contract.UploadFile) -> contract.Nothing:
        question = wire.Upload(
            path=request.path, offset=request.offset, data=request.data, last=request.last
        )
        await self._ask(request.kernel, question, wire.UploadReply)
        return contract.Nothing()

    async def download(self, request: contract.DownloadFile) -> contract.FileChunk:
        question = wire.Download(path=request.path, offset=request.offset)
        answer = await self._ask(request.kernel, question, wire.DownloadReply)
        return contract.FileChunk(
            offset=request.offset,
            data=answer.data,
            last=answer.last,
        )

    async def list_files(self, request: contract.ListFiles) -> contract.FileList:
        answer = await self._ask(
            request.kernel, wire.ListFiles(path=request.path), wire.ListFilesReply
        )
        files = [
            msgspec.convert(msgspec.to_builtins(one), contract.FileEntry) for one in answer.entries
        ]
        return contract.FileList(abspath=answer.abspath, files=files, errors=answer.errors)

    async def start_app(self, request: contract.StartApp) -> contract.AppStarted:
        question = wire.StartApp(
            name=request.app,
            port=request.port,
            arguments=request.arguments,
            envs=request.envs,
        )
        answer = await self._ask(
            request.kernel, question, wire.StartAppReply, contract.APP_START_SECONDS
        )
        if not is_sound(answer.protocol, answer.ports):
            raise AgentFailure(f"the runner says nonsense of the app {request.app}")
        return contract.AppStarted(protocol=answer.protocol, ports=answer.ports)

    async def stop_app(self, request: contract.StopApp) -> contract.Nothing:
        await self._ask(request.kernel, wire.StopApp(name=request.app), wire.StopAppReply)
        return contract.Nothing()

    async def commit(self, request: contract.CommitKernel) -> contract.Committed:
        return await self._commits.commit(request, lambda: self._container_of(request.kernel))

    async def read_logs(self, request: contract.ReadLogs) -> contract.Logs:
        """The console log, live or kept; empty when the kernel printed nothing."""
        ref = request.kernel
        _check_kernel_id(ref.kernel_id)
        bytes_max = min(max(request.bytes_max, 0), LOG_BYTES_MAX)
        found = await self._node.threads.run(self._read_logs, ref, bytes_max)
        if found is None:
            self._require_listed()
            raise KernelNotFound(f"this node has no logs of {ref.kernel_id}.{ref.generation}")
        return contract.Logs(data=found[0], truncated=found[1])

    def _read_logs(self, ref: contract.KernelRef, bytes_max: int) -> tuple[bytes, bool] | None:
        scratch, data, is_truncated, is_found = self._node.scratch, b"", False, False
        for name in _LOG_NAMES:
            part = read_tail(
                scratch.run_dir(ref.kernel_id, ref.generation), name, bytes_max - len(data)
            ) or read_tail(
                scratch.kept_dir(ref.kernel_id, ref.generation),
                name.rpartition("/")[2],
                bytes_max - len(data),
            )
            if part is not None:
                data, is_truncated, is_found = part[0] + data, part[1], True
        is_known = self._ledger.get(ref.kernel_id) is not None
        return (data, is_truncated) if is_found or is_known else None

    async def _ask(
        self,
        ref: contract.KernelRef,
        question: wire.Ask,
        expected: type[A],
        seconds: float = RELAY_SECONDS,
    ) -> A:
        self._require_running(ref)
        answer = await self._node.runners.ask(ref.kernel_id, ref.generation, question, seconds)
        if not isinstance(answer, expected):
            raise BadOrder(f"the runner answered with {type(answer).__name__}")
        return answer

    def _require_running(self, ref: contract.KernelRef) -> None:
        report = self._report_of(ref)
        if report.state is not contract.KernelState.RUNNING:
            raise _not_running(report)

    def _container_of(self, ref: contract.KernelRef) -> str:
        """The id of the container that runs it, with or without a runner that answers."""
        report = self._report_of(ref)
        is_known = report.state is not contract.KernelState.UNKNOWN
        if not (is_known and report.state in LIVE_STATES and report.container_id):
            raise _not_running(report)
        return report.container_id

    def _report_of(self, ref: contract.KernelRef) -> contract.KernelReport:
        _check_kernel_id(ref.kernel_id)
        report = self._ledger.get(ref.kernel_id)
        if report is None:
            self._require_listed()
            raise KernelNotFound(f"kernel {ref.kernel_id} is not on this node")
        if ref.generation < report.generation:
            raise StaleGeneration(
                f"kernel {ref.kernel_id} is at generation {report.generation} by now",
                {"seen": report.generation},
            )
        if ref.generation > report.generation:
            raise _not_running(report)
        return report

    def _require_listed(self) -> None:
        """An agent that has not seen its containers yet knows of none that is missing."""
        if not self._ledger.engine.is_reachable:
            raise _unlisted()

    def _remember(self, key: tuple[str, str], answer: wire.ExecuteReply) -> None:
        """The runner repeats what came after the last reply that arrived, should one be lost."""
        self._sequences.pop(key, None)
        if answer.status not in ("finished", "exec-timeout"):
            self._sequences[key] = answer.sequence
        while len(self._sequences) > RUNS_REMEMBERED_MAX:
            del self._sequences[next(iter(self._sequences))]


def make_execute(
    request: contract.Execute, flush_seconds: float, after: int | None
) -> wire.Execute:
    """The runner's request. Raises BadOrder."""
    document = {
        "type": "execute",
        "run_id": request.run_id,
        "mode": request.mode,
        "code": request.code,
        "options": request.options or None,
        "flush_seconds": flush_seconds,
        "after": after,
    }
    try:
        return msgspec.convert(document, wire.Execute)
    except msgspec.ValidationError as error:
        raise BadOrder(str(error)) from error


def _unlisted() -> EngineUnreachable:
    return EngineUnreachable("which containers run is not known now")


def _not_running(report: contract.KernelReport) -> Fault:
    """Of a kernel that nobody can look at now it is not said that it does not run."""
    if report.state is contract.KernelState.UNKNOWN:
        return _unlisted()
    return KernelNotRunning(f"generation {report.generation} of the kernel is {report.state.value}")


def _check_kernel_id(text: str) -> None:
    try:
        parse_kernel_id(text)
    except LabelError as error:
        raise BadOrder(str(error)) from error
