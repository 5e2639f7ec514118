"""Starts one kernel: image, share of the node, directories, container, runner.

Each call to the engine may be repeated: what a lost reply left behind is found by its name. None is
abandoned half-way, because what it makes must be known before anybody says that nothing is there.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

import msgspec
from msgspec.structs import replace

from backendai.common.contracts.agent import ImageReport, KernelSpec, KernelState
from backendai.common.enums import SessionType
from backendai.common.failpoints import failpoint
from backendai.common.slots import ResourceSlots, SlotError
from backendai.kernel.wire import HelloReply, HomeFile, KernelSetup

from .exits import ExitFacts
from .faults import BadOrder, NetworkMissing, RunnerFailed
from .hints import Exits
from .labels import Identity
from .machine import Desire
from .node import RUNNER_COMMAND, Node
from .ports import declare, list_service_ports, read_offered
from .profile import Folders, Maker, Profile, make_environ, make_profile
from .resources.inventory import Share
from .threads import finish
from .volumes import HeldFolder

CREATES_AT_ONCE: Final = 6
READY_SECONDS_MAX: Final = 60.0
# How long a node that manages the swarm may take to make the network of a session.
NETWORK_SECONDS_MAX: Final = 60.0
NETWORK_LOOK_SECONDS: Final = 0.3
RUNTIME_TYPE_LABEL: Final = "ai.backend.runtime-type"
RUNTIME_PATH_LABEL: Final = "ai.backend.runtime-path"

T = TypeVar("T")


class EndedEarly(Exception):
    """The container ended before its runner answered."""

    def __init__(self, container_id: str) -> None:
        super().__init__(container_id)
        self.container_id = container_id


class Launcher:
    """Makes containers, a few at a time: an engine gets slower, not faster, beyond that."""

    def __init__(
        self, node: Node, exits: Exits, note_launched: Callable[[Desire], Coroutine[Any, Any, None]]
    ) -> None:
        self._node = node
        self._exits = exits
        self._note_launched = note_launched
        self._slots = asyncio.Semaphore(CREATES_AT_ONCE)
        # The engine waits for the swarm while it starts these; who needs none does not wait for it.
        self._spread_slots = asyncio.Semaphore(CREATES_AT_ONCE)

    async def launch(self, desire: Desire) -> str:
        """The id of the started container, whose runner answers.

        Raises the fault that stood in the way, or EndedEarly.
        """
        spec = _spec_of(desire)
        image = await self._find_image(desire, spec)
        async with self._node.volumes.held(spec.mounts) as folders:
            async with self._slots:
                self._note(desire, KernelState.PREPARING)
                profile = await self._prepare(desire, spec, image, folders)
                container_id = await self._create(desire, profile)
            await self._begin(desire, container_id)
            return await self._follow(desire, container_id)

    async def start(self, desire: Desire, container_id: str) -> str:
        """Start a container that was made, and wait for its runner; its id."""
        async with self._slots:
            # The node may have been restarted since it was made.
            await self._node.threads.run(self._node.scratch.make_work, desire.kernel_id)
        await self._begin(desire, container_id)
        return await self._follow(desire, container_id)

    async def _begin(self, desire: Desire, container_id: str) -> None:
        """A network over several nodes is made meanwhile, by a node that manages the swarm."""
        self._note(desire, KernelState.PREPARING, container_id=container_id)
        spec, clock = _spec_of(desire), self._node.clock
        wait_until = clock.monotonic() + (NETWORK_SECONDS_MAX if spec.cluster_is_spread else 0)
        slots = self._spread_slots if spec.cluster_is_spread else self._slots
        while True:
            try:
                async with slots:
                    await self._begin_once(spec, container_id)
                return
            except NetworkMissing:
                if clock.monotonic() >= wait_until:
                    raise
            await clock.sleep(NETWORK_LOOK_SECONDS)

    async def _begin_once(self, spec: KernelSpec, container_id: str) -> None:
        backend = self._node.backend
        if spec.cluster_is_spread:
            await _whole(backend.attach(container_id, spec.cluster_network), "engine.attach")
        await _whole(backend.start(container_id), "engine.start")

    async def _follow(self, desire: Desire, container_id: str) -> str:
        # Put on record while the runner comes up: who is told of a running kernel must be able to
        # rely on its never being made a second time.
        recording = asyncio.create_task(self._note_launched(desire), name="desire.launched")
        try:
            return await self.wait_ready(desire, container_id)
        finally:
            await finish(recording)

    async def wait_ready(self, desire: Desire, container_id: str) -> str:
        """The container's id, when its runner answers. Raises EndedEarly or RunnerSilent."""
        greeting = asyncio.create_task(
            self._node.runners.wait_ready(desire.kernel_id, desire.generation, READY_SECONDS_MAX),
            name="runner.ready",
        )
        ended = asyncio.create_task(self._exits.wait(container_id), name="container.ended")
        try:
            await asyncio.wait((greeting, ended), return_when=asyncio.FIRST_COMPLETED)
            if not greeting.done():
                raise EndedEarly(container_id)
            self._note_apps(desire, greeting.result())
            return container_id
        finally:
            greeting.cancel()
            ended.cancel()
            await asyncio.wait((greeting, ended))

    def _note_apps(self, desire: Desire, greeting: HelloReply) -> None:
        """A runner that knows of no apps leaves those that the image names."""
        offered = read_offered(greeting.apps)
        if offered:
            self._note(desire, KernelState.PREPARING, service_ports=offered)

    async def _find_image(self, desire: Desire, spec: KernelSpec) -> ImageReport:
        found = await self._node.images.find(spec)
        if found is not None:
            return found
        self._note(desire, KernelState.PULLING)
        return await self._node.images.fetch(
            spec, desire.login, lambda text: self._note(desire, KernelState.PULLING, progress=text)
        )

    async def _prepare(
        self,
        desire: Desire,
        spec: KernelSpec,
        image: ImageReport,
        held: Sequence[HeldFolder],
    ) -> Profile:
        node, key = self._node, (desire.kernel_id, desire.generation)
        share = self._take_share(desire, spec)
        identity = Identity(
            agent_id=node.maker.agent_id,
            kernel_id=desire.kernel_id,
            session_id=spec.session_id,
            generation=desire.generation,
            session_type=spec.session_type,
            slots=dict(spec.slots),
            devices=dict(share.devices),
            image=spec.image,
            network=spec.cluster_network if spec.cluster_size > 1 else "",
            service_ports=tuple(list_service_ports(image.labels, spec.preopen_ports)),
        )
        self._note(
            desire,
            KernelState.PREPARING,
            devices=dict(share.devices),
            service_ports=list(identity.service_ports),
        )
        environ = make_environ(spec, identity, share.limits)
        setup = replace(
            make_setup(desire, spec, image, environ, node.maker),
            cluster_key=seed_for(spec, shares_host_network=node.backend.shares_host_network),
            folders=[one.expected for one in held],
            apps=declare(identity.service_ports),
        )
        await self._lay_out(desire, setup)
        accounts = await node.accounts.prepare(spec.image, image.digest, node.threads)
        folders = Folders(
            bundle=node.bundle,
            run=str(node.scratch.run_dir(*key)),
            work=str(node.scratch.work_dir(desire.kernel_id)),
            tmp=str(node.scratch.tmp_dir(*key)),
            accounts=accounts,
            hosts=await self._write_hosts(desire, spec),
            mounts=tuple(one.as_mount for one in held),
        )
        return make_profile(spec, identity, share, folders, node.maker, RUNNER_COMMAND)

    async def _lay_out(self, desire: Desire, setup: KernelSetup) -> None:
        scratch, run = self._node.scratch, self._node.threads.run
        targets = [one.target for one in setup.folders]
        await failpoint("agent.scratch.before_prepare")
        await run(scratch.prepare, desire.kernel_id, desire.generation, msgspec.json.encode(setup))
        await run(scratch.make_mount_points, desire.kernel_id, targets)
        await failpoint("agent.scratch.after_prepare")

    async def _write_hosts(self, desire: Desire, spec: KernelSpec) -> str:
        if not spec.cluster_is_spread:
            return ""
        write = self._node.scratch.write_hosts
        return str(await self._node.threads.run(write, desire.kernel_id, desire.generation))

    def _take_share(self, desire: Desire, spec: KernelSpec) -> Share:
        """No await from looking at what is free to holding it, so no other kernel comes between."""
        notes = self._node.notes
        try:
            slots = ResourceSlots.parse(spec.slots)
        except SlotError as error:
            raise BadOrder(str(error)) from error
        sick = self._node.conditions.sick
        share = self._node.inventory.share(slots, notes.devices_in_use(), sick)
        notes.held[desire.kernel_id, desire.generation] = share.devices
        return share

    async def _create(self, desire: Desire, profile: Profile) -> str:
        backend = self._node.backend
        await backend.ensure_network(profile.network.name)
        container_id = await _whole(backend.create(profile), "engine.create")
        self._note(desire, KernelState.PREPARING, container_id=container_id)
        return container_id

    def _note(self, desire: Desire, state: KernelState, **changes: object) -> None:
        self._node.reporter.note(desire.kernel_id, desire.generation, state=state, **changes)


def make_setup(
    desire: Desire, spec: KernelSpec, image: ImageReport, environ: dict[str, str], maker: Maker
) -> KernelSetup:
    """The runner's `kernel.json`. PURE."""
    is_batch = spec.session_type == SessionType.BATCH
    return KernelSetup(
        kernel_id=desire.kernel_id,
        generation=desire.generation,
        session_type="batch" if is_batch else "interactive",
        startup_command=spec.startup_command or None,
        bootstrap_script=spec.bootstrap_script or None,
        environ=environ,
        runtime_path=spec.runtime_path or _runtime_of(image),
        uid=maker.uid,
        gid=maker.gid,
        grace_seconds=desire.grace_seconds,
        files=[HomeFile(file.path, file.permission, file.data) for file in spec.files],
    )


def seed_for(spec: KernelSpec, *, shares_host_network: bool) -> str:
    """By which a kernel lets its siblings in; empty where everybody could reach its SSH server.
    PURE."""
    return "" if spec.cluster_key is None or shares_host_network else spec.cluster_key.seed


def _runtime_of(image: ImageReport) -> str:
    """The interpreter that the image names; one of an application is none for query mode."""
    is_python = image.labels.get(RUNTIME_TYPE_LABEL) == "python"
    return image.labels.get(RUNTIME_PATH_LABEL, "") if is_python else ""


def early_fault(facts: ExitFacts, output: str) -> RunnerFailed:
    """Why a container that ended before its runner answered is a failure. PURE."""
    code = "unknown" if facts.exit_code is None else str(facts.exit_code)
    words = facts.error or f"the container ended at once with exit code {code}"
    return RunnerFailed(f"{words}: {output}" if output and not facts.error else words)


def _spec_of(desire: Desire) -> KernelSpec:
    if desire.spec is None:
        raise BadOrder("an order to run a kernel needs its specification")
    return desire.spec


async def _whole(step: Coroutine[Any, Any, T], name: str) -> T:
    return await finish(asyncio.create_task(step, name=name))
