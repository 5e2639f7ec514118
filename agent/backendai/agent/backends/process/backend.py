"""Kernels as bubblewrap sandboxes. They outlive the agent; records on disk are their labels."""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from backendai.agent import labels
from backendai.agent.backends.backend import Accounts, Change, Listing, Progress, Stray, Whereabouts
from backendai.agent.exits import ExitFacts
from backendai.agent.faults import (
    CommitNotOffered,
    ContainerMissing,
    EngineRefused,
    EngineUnreachable,
    ImageMissing,
)
from backendai.agent.labels import LabelError, read_labels
from backendai.agent.machine import Container, Phase
from backendai.agent.profile import RUN_TARGET, Profile
from backendai.agent.threads import Threads
from backendai.common.clock import Clock
from backendai.common.contracts.agent import ImageReport, RegistryLogin, SwarmReport
from backendai.common.failpoints import failpoint

from . import rootfs
from .cgroups import Cgroups
from .records import OUTPUT, STARTED, STATUS, Records
from .sandbox import LAUNCH_SCRIPT, make_arguments

THREADS: Final = 4
CHANGES_MAX: Final = 1000
POLL_SECONDS: Final = 0.01
START_SECONDS_MAX: Final = 20.0
REMOVE_SECONDS_MAX: Final = 20.0
EXIT_CODE_SECONDS_MAX: Final = 0.5


class ProcessBackend:
    """The sandboxes whose records are below `records_dir`."""

    name = "process"

    def __init__(
        self,
        records_dir: Path,
        image_dir: Path,
        agent_id: str,
        clock: Clock,
        *,
        shares_host_network: bool = False,
    ) -> None:
        self._records = Records(records_dir)
        self._image_dir = image_dir
        self._agent_id = agent_id
        self._clock = clock
        self.shares_host_network = shares_host_network
        self._threads = Threads("sandbox", THREADS)
        self._cgroups = Cgroups()
        self._changes: asyncio.Queue[Change] = asyncio.Queue(CHANGES_MAX)
        self._watched: dict[str, int] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    async def list_containers(self) -> Listing:
        if shutil.which("bwrap") is None:
            raise EngineUnreachable("bwrap is not installed: apt-get install bubblewrap")
        listing = await self._threads.run(self._list)
        for one in listing.containers:
            if one.phase is Phase.RUNNING:
                self._watch_end(one.container_id)
        return listing

    def _list(self) -> Listing:
        containers, identities, strays = [], {}, []
        for name in self._records.list_names():
            profile = self._records.read(name)
            try:
                identity = read_labels(name, profile.labels if profile is not None else {})
            except LabelError as error:
                strays.append(Stray(name, str(error)))
                continue
            if identity.agent_id == self._agent_id:
                phase = self._records.phase(name)
                one = Container(identity.kernel_id, identity.generation, name, phase)
                containers.append(one)
                identities[name] = identity
        return Listing(tuple(containers), identities, tuple(strays))

    async def watch(self) -> AsyncIterator[Change]:
        while True:
            yield await self._changes.get()

    async def create(self, profile: Profile) -> str:
        await failpoint("agent.process.before_create")
        if await self._threads.run(rootfs.find_image, self._image_dir, profile.image) is None:
            raise ImageMissing(f"{profile.image}: there is no such folder in the image directory")
        if not await self._threads.run(self._records.create, profile):
            known = await self._threads.run(self._records.read, profile.name)
            wanted = profile.labels[labels.SPEC_HASH]
            if known is None or known.labels.get(labels.SPEC_HASH) != wanted:
                raise EngineRefused(f"the name {profile.name} is taken", {"status": 409})
        await failpoint("agent.process.after_create")
        return profile.name

    async def start(self, container_id: str) -> None:
        await failpoint("agent.process.before_start")
        await self._threads.run(self._start, container_id)
        deadline = self._clock.monotonic() + START_SECONDS_MAX
        while not await self._threads.run(self._has_begun, container_id):
            if self._clock.monotonic() > deadline:
                raise EngineRefused(f"bwrap did not start {container_id}")
            await self._clock.sleep(POLL_SECONDS)
        self._watch_end(container_id)
        await failpoint("agent.process.after_start")

    async def terminate(self, container_id: str) -> None:
        await failpoint("agent.process.before_terminate")
        await self._threads.run(self._signal_runner, container_id)
        await failpoint("agent.process.after_terminate")

    async def remove(self, container_id: str) -> None:
        await failpoint("agent.process.before_remove")
        deadline = self._clock.monotonic() + REMOVE_SECONDS_MAX
        while await self._threads.run(self._kill, container_id):
            if self._clock.monotonic() > deadline:
                raise EngineRefused(f"the sandbox {container_id} does not end")
            await self._clock.sleep(POLL_SECONDS)
        self._reap(container_id)
        while not await self._threads.run(self._cgroups.remove, container_id):
            if self._clock.monotonic() > deadline:
                raise EngineRefused(f"the cgroups of {container_id} stay busy")
            await self._clock.sleep(POLL_SECONDS)
        await self._threads.run(self._records.remove, container_id)
        await failpoint("agent.process.after_remove")

    async def exit_facts(self, container_id: str) -> ExitFacts:
        """bwrap writes the exit code a moment after the end; one that was killed never does."""
        deadline = self._clock.monotonic() + EXIT_CODE_SECONDS_MAX
        facts = await self._threads.run(self._exit_facts, container_id)
        while facts.exit_code is None and self._clock.monotonic() < deadline:
            await self._clock.sleep(POLL_SECONDS)
            facts = await self._threads.run(self._exit_facts, container_id)
        return facts

    async def read_output(self, container_id: str) -> str:
        return await self._threads.run(self._records.output, container_id)

    async def locate(self, container_id: str) -> Whereabouts:
        pid = await self._threads.run(self._runner_pid, container_id)
        if pid is None:
            raise ContainerMissing(f"sandbox {container_id} does not run")
        return Whereabouts(pid, self._records.changed_at(container_id, STARTED) or 0.0)

    async def image_root(self) -> Path:
        return self._image_dir

    async def list_images(self) -> list[ImageReport]:
        found = await self._threads.run(rootfs.list_images, self._image_dir)
        return [one.report() for one in found]

    async def find_image(self, name: str) -> ImageReport | None:
        found = await self._threads.run(rootfs.find_image, self._image_dir, name)
        return found.report() if found is not None else None

    async def pull_image(self, name: str, login: RegistryLogin | None, progress: Progress) -> None:
        raise ImageMissing(
            f"{name}: the process backend cannot pull; unpack it into the image directory"
        )

    async def remove_image(self, name: str) -> None:
        raise EngineRefused(f"{name}: remove it from the image directory of the node by hand")

    async def commit(
        self, container_id: str, image: str, labels: Mapping[str, str], bytes_max: int
    ) -> None:
        raise CommitNotOffered("sandboxes write into a folder of their own, not over an image")

    async def read_accounts(self, image: str) -> Accounts:
        found = await self._threads.run(rootfs.find_image, self._image_dir, image)
        return found.accounts() if found is not None else Accounts("", "")

    async def ensure_network(self, name: str) -> None:
        """Each sandbox has its own network namespace with `lo` only, or the host's."""

    async def attach(self, container_id: str, network: str) -> None:
        """No sandbox is in two networks."""

    async def read_swarm(self) -> SwarmReport:
        return SwarmReport()

    async def ensure_cluster_network(self, name: str) -> None:
        raise EngineRefused("sandboxes of this node have no networks")

    async def remove_cluster_network(self, name: str) -> None:
        """There is none to remove."""

    async def sweep(self, in_use: Callable[[], Collection[str]]) -> None:
        """There is nothing that a sandbox leaves."""

    async def remove_network(self, name: str) -> None:
        """There is none to remove."""

    async def close(self) -> None:
        for descriptor in self._watched.values():
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        self._watched.clear()
        self._threads.close()

    def _start(self, name: str) -> None:
        profile = self._records.read(name)
        if profile is None:
            raise ContainerMissing(f"there is no sandbox {name}")
        root = rootfs.find_image(self._image_dir, profile.image)
        if root is None:
            raise ImageMissing(f"{profile.image}: it has been removed from the image directory")
        lock = self._records.begin(name)
        if lock is None:
            return
        try:
            self._spawn(name, profile, root, lock)
        except OSError as error:
            raise EngineRefused(f"the sandbox cannot be started: {error}") from error
        finally:
            os.close(lock)

    def _spawn(self, name: str, profile: Profile, root: rootfs.RootFs, lock: int) -> None:
        folder = self._records.folder(name)
        doors = self._cgroups.make(name, profile.limits, profile.pids_max)
        with (folder / STATUS).open("wb") as status, (folder / OUTPUT).open("wb") as output:
            arguments = make_arguments(
                profile,
                root,
                status.fileno(),
                is_root=os.geteuid() == 0,
                shares_network=self.shares_host_network,
            )
            command = [*map(str, (len(doors), *doors, profile.open_files_max)), *arguments]
            # The lock stays open in the sandbox: as long as something of it lives, it is held.
            self._children[name] = subprocess.Popen(
                ["/bin/sh", "-c", LAUNCH_SCRIPT, "sandbox", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(status.fileno(), lock),
                start_new_session=True,
                env={"PATH": rootfs.DEFAULT_PATH},
            )

    def _has_begun(self, name: str) -> bool:
        """Whether its first program runs, or is over."""
        return self._runner_pid(name) is not None or not self._records.is_alive(name)

    def _exit_facts(self, name: str) -> ExitFacts:
        status = self._records.status(name)
        is_known = status.pid is not None
        return ExitFacts(
            exit_code=status.exit_code,
            out_of_memory=self._cgroups.has_killed(name) and status.exit_code != 0,
            started_at=self._records.changed_at(name, STARTED),
            ended_at=self._records.changed_at(name, STATUS),
            error="" if is_known else self._records.output(name) or "bwrap did not start",
        )

    def _kill(self, name: str) -> bool:
        """Kill what lives of a sandbox: its first process takes all others with it."""
        if not self._records.is_alive(name):
            return False
        pid = self._sandbox_pid(name)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return True

    def _signal_runner(self, name: str) -> None:
        pid = self._runner_pid(name)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def _sandbox_pid(self, name: str) -> int | None:
        """The first process, if the pid on record is still that one: pids are used again."""
        pid = self._records.status(name).pid
        if pid is None:
            return None
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            return None
        run_dir = self._run_dir(name).encode()
        return pid if run_dir in words.split(b"\0") else None

    def _run_dir(self, name: str) -> str:
        """It is in the sandbox's command line, and in that of no other."""
        profile = self._records.read(name)
        mounts = profile.mounts if profile is not None else ()
        return next((one.source for one in mounts if one.target == RUN_TARGET), "")

    def _runner_pid(self, name: str) -> int | None:
        pid = self._sandbox_pid(name)
        if pid is None or not self._records.is_alive(name):
            return None
        with suppress(OSError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return int(children[0]) if children else None
        return None

    def _watch_end(self, name: str) -> None:
        """Tell of the end of a sandbox as soon as its first process ends."""
        if name in self._watched:
            return
        pid = self._sandbox_pid(name)
        if pid is None:
            return
        with suppress(OSError):
            descriptor = os.pidfd_open(pid)
            self._watched[name] = descriptor
            asyncio.get_running_loop().add_reader(descriptor, self._note_end, name)

    def _note_end(self, name: str) -> None:
        descriptor = self._watched.pop(name, None)
        if descriptor is not None:
            asyncio.get_running_loop().remove_reader(descriptor)
            os.close(descriptor)
        # Changes are hints: whoever is that far behind lists the level anyway.
        with suppress(asyncio.QueueFull):
            self._changes.put_nowait(Change(name, has_ended=True))

    def _reap(self, name: str) -> None:
        child = self._children.pop(name, None)
        if child is not None:
            with suppress(subprocess.TimeoutExpired):
                child.wait(1.0)
