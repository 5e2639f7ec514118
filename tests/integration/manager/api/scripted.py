"""An agent that speaks the real contract over real RPC and does as it is told."""

import asyncio
import io
import tarfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from backendai.common.contracts import agent as c
from backendai.common.etcd import EtcdStore
from backendai.common.faults import FileNotFound
from backendai.common.rpc.server import RpcServer

IMAGES = ("python:3.11", "cr.example.com/stable/shell:1.0")


@dataclass
class ScriptedAgent:
    """A node of `capacity`. Kernels start at once unless `holds` says that they shall not.

    `execute` answers EXECUTE, `commit` COMMIT, `pull` PULL_IMAGE, `remove` REMOVE_IMAGE,
    `start_app` START_APP; what was asked is kept in `asked`. Its kernels have `apps`.
    """

    agent_id: str
    capacity: dict[str, str] = field(default_factory=lambda: {"cpu": "8", "mem": "17179869184"})
    resource_group: str = "default"
    holds: bool = False
    use: c.ResourceUse | None = None
    load: tuple[float, int] = (0.0, 0)
    execute: Callable[[c.Execute], Awaitable[c.ExecuteResult]] | None = None
    commit: Callable[[c.CommitKernel], Awaitable[c.Committed]] | None = None
    pull: Callable[[c.PullImage], Awaitable[c.Pulled]] | None = None
    remove: Callable[[c.RemoveImage], Awaitable[c.Nothing]] | None = None
    start_app: Callable[[c.StartApp], Awaitable[c.AppStarted]] | None = None
    apps: tuple[c.ServicePort, ...] = (
        c.ServicePort(name="jupyter", protocol="http", ports=[8080]),
    )
    relay_addr: str = ""
    committed: dict[str, c.ImageReport] = field(default_factory=dict)
    log_text: bytes = b"hello from the log\n"
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    kernels: dict[str, c.KernelReport] = field(default_factory=dict)
    version: int = 1
    _server: RpcServer | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _uploads: dict[str, bytearray] = field(default_factory=dict)

    async def start(self, etcd: EtcdStore) -> None:
        self._server = RpcServer("tcp://127.0.0.1:*", None, [], c.CONTRACT)
        for call, handler in (
            (c.ENSURE, self._ensure),
            (c.OBSERVE, self._observe),
            (c.EXECUTE, self._execute),
            (c.INTERRUPT, self._interrupt),
            (c.COMPLETE, self._complete),
            (c.LOGS, self._logs),
            (c.UPLOAD, self._upload),
            (c.DOWNLOAD, self._download),
            (c.LIST_FILES, self._list),
            (c.COMMIT, self._commit),
            (c.PULL_IMAGE, self._pull_image),
            (c.REMOVE_IMAGE, self._remove_image),
            (c.SET_RELAY_KEYS, self._set_relay_keys),
            (c.START_APP, self._start_app),
            (c.STOP_APP, self._stop_app),
            (c.ENSURE_NETWORK, self._ensure_network),
        ):
            self._server.on(call, handler)
        await self._server.start()
        notice = {"addr": self._server.address, "public_key": ""}
        await etcd.put(f"nodes/agents/{self.agent_id}", msgspec.json.encode(notice).decode())

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.close()
            self._server = None

    def change(self, kernel_id: str, **fields: Any) -> None:
        """Let one kernel be in another state, and tell who observes."""
        self.kernels[kernel_id] = msgspec.structs.replace(self.kernels[kernel_id], **fields)
        self._tell()

    def release(self) -> None:
        """Let everything start that was held."""
        self.holds = False
        for report in list(self.kernels.values()):
            if report.state is c.KernelState.PREPARING:
                self.change(report.kernel_id, state=c.KernelState.RUNNING, started_at=time.time())

    def asked_of(self, name: str) -> list[Any]:
        return [request for call, request in self.asked if call == name]

    def change_version(self) -> None:
        """Tell who observes of what was changed here."""
        self._tell()

    def _tell(self) -> None:
        self.version += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def _ensure(self, request: c.EnsureKernel) -> c.KernelReport:
        self.asked.append(("ensure", request))
        known = self.kernels.get(request.kernel_id)
        if request.desired is c.Desired.GONE:
            state = c.KernelState.GONE
        else:
            state = c.KernelState.PREPARING if self.holds else c.KernelState.RUNNING
        if (
            known is not None
            and known.generation == request.generation
            and (
                known.state is state
                or (
                    known.state is c.KernelState.RUNNING is not state
                    and request.desired is c.Desired.RUNNING
                )
            )
        ):
            return known
        spec = request.spec
        report = c.KernelReport(
            kernel_id=request.kernel_id,
            session_id=spec.session_id if spec else (known.session_id if known else ""),
            generation=request.generation,
            state=state,
            container_id=f"container-{request.kernel_id[:8]}-{request.generation}",
            reason=request.reason,
            slots=spec.slots if spec else {},
            started_at=time.time(),
            service_ports=list(self.apps),
            use=self.use,
        )
        self.kernels[request.kernel_id] = report
        self._tell()
        return report

    async def _ensure_network(self, request: c.EnsureNetwork) -> c.Nothing:
        self.asked.append(("ensure_network", request))
        return c.Nothing()

    async def _observe(self, request: c.Observe) -> c.AgentReport:
        changed = self._changed
        if request.after == self.version and request.instance == self._instance:
            try:
                async with asyncio.timeout(request.wait_seconds):
                    await changed.wait()
            except TimeoutError:
                pass
        return c.AgentReport(
            agent_id=self.agent_id,
            instance=self._instance,
            version=self.version,
            started_at=0.0,
            daemon_version="0",
            architecture="x86_64",
            region="here",
            resource_group=self.resource_group,
            backend="scripted",
            engine_reachable=True,
            capacity=self.capacity,
            cpu_percent=self.load[0],
            memory_used_bytes=self.load[1],
            kernels=list(self.kernels.values()),
            images=[
                c.ImageReport(name=name, digest="sha256:0", architecture="x86_64", size_bytes=1)
                for name in IMAGES
            ]
            + list(self.committed.values()),
            relay_addr=self.relay_addr,
        )

    @property
    def _instance(self) -> str:
        return f"{self.agent_id}-{id(self)}"

    async def _execute(self, request: c.Execute) -> c.ExecuteResult:
        self.asked.append(("execute", request))
        if self.execute is not None:
            return await self.execute(request)
        return c.ExecuteResult(
            run_id=request.run_id, status="finished", exit_code=0, console=[("stdout", "42\n")]
        )

    async def _commit(self, request: c.CommitKernel) -> c.Committed:
        self.asked.append(("commit", request))
        return await (self.commit or self.make_image)(request)

    async def make_image(self, request: c.CommitKernel) -> c.Committed:
        """What a COMMIT asks for, at once."""
        image = c.ImageReport(
            name=request.image,
            digest=f"sha256:{request.labels[c.COMMIT_LABEL]}",
            architecture="x86_64",
            size_bytes=12_300_000,
            labels=request.labels,
        )
        self.committed[request.image] = image
        self._tell()
        return c.Committed(image=image)

    async def _pull_image(self, request: c.PullImage) -> c.Pulled:
        self.asked.append(("pull_image", request))
        return await (self.pull or self.have_image)(request)

    async def have_image(self, request: c.PullImage) -> c.Pulled:
        """What a PULL_IMAGE asks for, at once."""
        image = c.ImageReport(
            name=request.image, digest=request.digest, architecture="x86_64", size_bytes=1
        )
        self.committed[request.image] = image
        self._tell()
        return c.Pulled(image=image)

    async def _remove_image(self, request: c.RemoveImage) -> c.Nothing:
        self.asked.append(("remove_image", request))
        return await (self.remove or self.drop_image)(request)

    async def drop_image(self, request: c.RemoveImage) -> c.Nothing:
        """What a REMOVE_IMAGE asks for, at once."""
        self.committed.pop(request.image, None)
        self._tell()
        return c.Nothing()

    async def _set_relay_keys(self, request: c.RelayKeys) -> c.Nothing:
        self.asked.append(("set_relay_keys", request))
        return c.Nothing()

    async def _start_app(self, request: c.StartApp) -> c.AppStarted:
        self.asked.append(("start_app", request))
        if self.start_app is not None:
            return await self.start_app(request)
        ports = next(app.ports for app in self.apps if app.name == request.app)
        return c.AppStarted(protocol="http", ports=ports)

    async def _stop_app(self, request: c.StopApp) -> c.Nothing:
        self.asked.append(("stop_app", request))
        return c.Nothing()

    async def _interrupt(self, request: c.KernelRef) -> c.Nothing:
        self.asked.append(("interrupt", request))
        return c.Nothing()

    async def _complete(self, request: c.Complete) -> c.Completions:
        self.asked.append(("complete", request))
        return c.Completions(completions=["print"])

    async def _logs(self, request: c.ReadLogs) -> c.Logs:
        self.asked.append(("logs", request))
        return c.Logs(data=self.log_text)

    async def _upload(self, request: c.UploadFile) -> c.Nothing:
        part = self._uploads.setdefault(request.path, bytearray())
        assert len(part) == request.offset
        part += request.data
        if request.last:
            self.files[request.path] = bytes(self._uploads.pop(request.path))
        return c.Nothing()

    async def _download(self, request: c.DownloadFile) -> c.FileChunk:
        if request.path not in self.files:
            raise FileNotFound(request.path)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            member = tarfile.TarInfo(request.path)
            member.size = len(self.files[request.path])
            tar.addfile(member, io.BytesIO(self.files[request.path]))
        chunk = archive.getvalue()[request.offset : request.offset + 1024 * 1024]
        return c.FileChunk(
            offset=request.offset,
            data=chunk,
            last=request.offset + len(chunk) >= len(archive.getvalue()),
        )

    async def _list(self, request: c.ListFiles) -> c.FileList:
        entries = [
            c.FileEntry(
                filename=name, size=len(data), mode="-rw-r--r--", mtime=1.0, ctime=1.0, atime=1.0
            )
            for name, data in self.files.items()
        ]
        return c.FileList(abspath=f"/home/work/{request.path}", files=entries)
