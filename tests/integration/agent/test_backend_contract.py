"""What every backend must do, tried on each of them."""

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from backendai.agent.backends.backend import Backend, Listing
from backendai.agent.backends.docker.backend import DockerBackend
from backendai.agent.backends.docker.bridges import Bridges
from backendai.agent.backends.process.backend import ProcessBackend
from backendai.agent.faults import ContainerMissing, EngineRefused, ImageMissing
from backendai.agent.labels import Identity, container_name, write_labels
from backendai.agent.machine import Phase
from backendai.agent.profile import Mount, NetworkWish, Profile
from backendai.agent.resources.plugin import Limits
from backendai.common.clock import SystemClock
from backendai.common.contracts.agent import KernelSpec

MIB = 2**20
MakeProfile = Callable[..., Profile]


@pytest.fixture
def agent_id() -> str:
    return f"i-{uuid.uuid4().hex[:8]}"


@pytest.fixture
async def backend(
    mode: str,
    agent_id: str,
    engine_host: str,
    tmp_path: Path,
    image_dir: Path,
) -> AsyncIterator[Backend]:
    made: Backend
    if mode == "docker":
        made = DockerBackend(engine_host, agent_id, Bridges(agent_id), SystemClock())
    else:
        made = ProcessBackend(tmp_path / "records", image_dir, agent_id, SystemClock())
    await made.ensure_network("")
    yield made
    for one in (await made.list_containers()).containers:
        await made.remove(one.container_id)
    await made.sweep(frozenset)
    await made.close()


@pytest.fixture
def make_profile(agent_id: str, image: str, tmp_path: Path) -> MakeProfile:
    """`make_profile(script)`: a sandbox or container that runs a shell script."""

    def make(
        script: str,
        kernel_id: str = "",
        generation: int = 1,
        image_name: str = image,
        memory_bytes: int = 64 * MIB,
    ) -> Profile:
        kernel_id = kernel_id or str(uuid.uuid4())
        run = tmp_path / kernel_id / f"run.{generation}"
        work = tmp_path / kernel_id / "work"
        for folder in (run, work):
            folder.mkdir(parents=True, exist_ok=True)
            # In a sandbox it is the runner that becomes the kernel's user, not this script.
            folder.chmod(0o777)
        identity = Identity(agent_id, kernel_id, "s", generation, slots={"cpu": "1"})
        spec = KernelSpec(
            session_id="s",
            session_name=script,
            session_type="interactive",
            image=image_name,
            slots={"cpu": "1"},
        )
        return Profile(
            name=container_name(kernel_id, generation),
            image=image_name,
            hostname="main1",
            command=("/bin/sh", "-c", script),
            labels=write_labels(identity, spec, "instance", "0"),
            uid=1000,
            gid=1000,
            mounts=(Mount(str(run), "/run/backendai"), Mount(str(work), "/home/work")),
            limits=Limits(memory_bytes=memory_bytes),
            shared_memory_bytes=MIB,
            network=NetworkWish(),
            pids_max=64,
            open_files_max=1024,
        )

    return make


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


async def phase_of(backend: Backend, container_id: str) -> Phase | None:
    found = (await backend.list_containers()).containers
    return next((one.phase for one in found if one.container_id == container_id), None)


async def until_phase(backend: Backend, container_id: str, phase: Phase | None) -> Listing:
    async def is_so() -> bool:
        return await phase_of(backend, container_id) is phase

    await until(is_so)
    return await backend.list_containers()


async def until(is_so: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Return when `is_so`; a look every 20 ms."""
    async with asyncio.timeout(seconds):
        while not await is_so():  # noqa: ASYNC110 - the engine has no event for it
            await asyncio.sleep(0.02)


async def test_a_container_is_created_started_ended_and_removed(
    backend: Backend, make_profile: MakeProfile
) -> None:
    profile = make_profile("sleep 100")
    container_id = await backend.create(profile)
    assert await phase_of(backend, container_id) is Phase.CREATED
    await backend.start(container_id)
    listing = await until_phase(backend, container_id, Phase.RUNNING)
    assert listing.identities[container_id].slots == {"cpu": "1"}
    where = await backend.locate(container_id)
    assert is_alive(where.pid)
    await backend.remove(container_id)
    assert await phase_of(backend, container_id) is None
    assert not is_alive(where.pid)


async def test_creating_again_gives_the_same_container(
    backend: Backend, make_profile: MakeProfile
) -> None:
    profile = make_profile("sleep 100")
    assert await backend.create(profile) == await backend.create(profile)
    assert len((await backend.list_containers()).containers) == 1


async def test_a_name_taken_by_another_specification_is_refused(
    backend: Backend, make_profile: MakeProfile
) -> None:
    kernel_id = str(uuid.uuid4())
    await backend.create(make_profile("sleep 100", kernel_id))
    with pytest.raises(EngineRefused):
        await backend.create(make_profile("sleep 200", kernel_id))


async def test_starting_again_changes_nothing(backend: Backend, make_profile: MakeProfile) -> None:
    container_id = await backend.create(make_profile("sleep 100"))
    await backend.start(container_id)
    pid = (await backend.locate(container_id)).pid
    await backend.start(container_id)
    assert (await backend.locate(container_id)).pid == pid


async def test_removing_what_is_not_there_is_no_fault(
    backend: Backend, make_profile: MakeProfile
) -> None:
    await backend.remove(make_profile("true").name)
    container_id = await backend.create(make_profile("true"))
    await backend.remove(container_id)
    await backend.remove(container_id)


@pytest.mark.parametrize("code", [0, 3, 127])
async def test_an_exit_code_is_told(backend: Backend, make_profile: MakeProfile, code: int) -> None:
    container_id = await backend.create(make_profile(f"exit {code}"))
    await backend.start(container_id)
    await until_phase(backend, container_id, Phase.EXITED)
    facts = await backend.exit_facts(container_id)
    assert facts.exit_code == code
    assert not facts.out_of_memory
    assert facts.started_at is not None
    assert facts.ended_at is not None


async def test_what_it_printed_can_be_read(backend: Backend, make_profile: MakeProfile) -> None:
    container_id = await backend.create(make_profile("echo first; echo last >&2; exit 1"))
    await backend.start(container_id)
    await until_phase(backend, container_id, Phase.EXITED)
    assert "last" in await backend.read_output(container_id)


async def test_an_end_is_told_at_once(backend: Backend, make_profile: MakeProfile) -> None:
    container_id = await backend.create(make_profile("sleep 100"))
    changes = backend.watch()

    async def first_end() -> str:
        async for change in changes:
            if change.has_ended:
                return change.container_id
        raise AssertionError("the changes ended")

    watching = asyncio.create_task(first_end())
    await asyncio.sleep(0)
    await backend.start(container_id)
    pid = (await backend.locate(container_id)).pid
    started = asyncio.get_running_loop().time()
    os.kill(pid, signal.SIGKILL)
    assert await asyncio.wait_for(watching, 10) == container_id
    assert asyncio.get_running_loop().time() - started < 5
    facts = await backend.exit_facts(container_id)
    assert facts.exit_code in (137, None)


async def test_terminate_is_a_signal_that_may_be_heeded(
    backend: Backend, make_profile: MakeProfile
) -> None:
    script = "trap 'exit 9' TERM; echo ready > /run/backendai/ready; while :; do sleep 0.05; done"
    profile = make_profile(script)
    container_id = await backend.create(profile)
    await backend.start(container_id)
    ready = Path(profile.mounts[0].source) / "ready"

    async def is_ready() -> bool:
        return ready.exists()

    await until(is_ready)
    await backend.terminate(container_id)
    await until_phase(backend, container_id, Phase.EXITED)
    assert (await backend.exit_facts(container_id)).exit_code == 9
    await backend.terminate(container_id)


async def test_running_out_of_memory_is_told_apart(
    backend: Backend, make_profile: MakeProfile
) -> None:
    # In dd's one process, so that nothing else is left to end by itself.
    script = "exec dd if=/dev/zero of=/dev/null bs=256M count=1"
    container_id = await backend.create(make_profile(script))
    await backend.start(container_id)
    await until_phase(backend, container_id, Phase.EXITED)
    assert (await backend.exit_facts(container_id)).out_of_memory


async def test_an_image_that_is_not_there_is_named(
    backend: Backend, make_profile: MakeProfile
) -> None:
    assert await backend.find_image("no/such:image") is None
    with pytest.raises((ImageMissing, ContainerMissing, EngineRefused), match="no/such"):
        await backend.create(make_profile("true", image_name="no/such:image"))


async def test_images_are_listed_as_they_are_found(backend: Backend, image: str) -> None:
    found = await backend.find_image(image)
    assert found is not None
    assert found.digest.startswith("sha256:")
    assert found in await backend.list_images()
    assert (await backend.image_root()).is_dir(), "whose disk is watched"


async def test_the_containers_of_another_agent_are_not_listed(
    mode: str,
    backend: Backend,
    make_profile: MakeProfile,
    engine_host: str,
    tmp_path: Path,
    image_dir: Path,
) -> None:
    await backend.create(make_profile("true"))
    other: Backend
    if mode == "docker":
        other = DockerBackend(engine_host, "i-other", Bridges("i-other"), SystemClock())
    else:
        other = ProcessBackend(tmp_path / "records", image_dir, "i-other", SystemClock())
    assert (await other.list_containers()).containers == ()
    await other.close()


async def test_a_new_backend_finds_what_an_old_one_started(
    mode: str,
    backend: Backend,
    make_profile: MakeProfile,
    agent_id: str,
    engine_host: str,
    tmp_path: Path,
    image_dir: Path,
) -> None:
    container_id = await backend.create(make_profile("sleep 100"))
    await backend.start(container_id)
    again: Backend
    if mode == "docker":
        again = DockerBackend(engine_host, agent_id, Bridges(agent_id), SystemClock())
    else:
        again = ProcessBackend(tmp_path / "records", image_dir, agent_id, SystemClock())
    assert await phase_of(again, container_id) is Phase.RUNNING
    assert (await again.locate(container_id)).pid == (await backend.locate(container_id)).pid
    await again.remove(container_id)
    assert await phase_of(backend, container_id) is None
    await again.close()
