"""The supervisor over an engine in memory: orders, ends, restarts of the agent, an engine away."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from backendai.agent.exits import ExitFacts
from backendai.agent.faults import BadOrder, NetworkMissing, StaleGeneration
from backendai.agent.housekeeping import Housekeeper
from backendai.agent.launch import CREATES_AT_ONCE
from backendai.agent.ledger import Ledger
from backendai.agent.node import Node
from backendai.agent.profile import NetworkWish
from backendai.agent.supervisor import GONE_REPORT_SECONDS, TOMBSTONE_SECONDS, Supervisor
from backendai.agent.swarm import ClusterNetworks
from backendai.common.clock import FakeClock
from backendai.common.contracts.agent import (
    ClusterKey,
    Desired,
    EnsureKernel,
    EnsureNetwork,
    KernelReport,
    KernelSpec,
    KernelState,
    RegistryLogin,
    SwarmReport,
)
from backendai.common.enums import Reason
from backendai.kernel.wire import SETUP_NAME, KernelSetup

from .fakes import FakeBackend, make_node

KERNEL = str(uuid.uuid4())
SPEC = KernelSpec(
    session_id="s", session_name="n", session_type="interactive", image="img", slots={"cpu": "2"}
)


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@asynccontextmanager
async def supervised(node: Node, ledger: Ledger) -> AsyncIterator[Supervisor]:
    supervisor = Supervisor(node, ledger)
    await supervisor.recover()
    running = asyncio.create_task(supervisor.run())
    try:
        yield supervisor
    finally:
        running.cancel()
        await asyncio.wait([running])


async def until(ledger: Ledger, state: KernelState, generation: int = 1) -> KernelReport:
    async with asyncio.timeout(10):
        while True:
            report = ledger.get(KERNEL)
            if report and report.state is state and report.generation == generation:
                return report
            await ledger.wait_beyond(ledger.version, 1.0)


def order(spec: KernelSpec | None = SPEC, generation: int = 1, grace: float = 0.0) -> EnsureKernel:
    desired = Desired.RUNNING if spec else Desired.GONE
    return EnsureKernel(
        kernel_id=KERNEL,
        generation=generation,
        desired=desired,
        spec=spec,
        reason="user-requested",
        grace_seconds=grace,
    )


async def test_a_kernel_lives_and_goes(tmp_path: Path, backend: FakeBackend) -> None:
    ledger = Ledger()
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        await supervisor.ensure(order())
        report = await until(ledger, KernelState.RUNNING)
        assert report.devices == {"cpu": ["0", "1"]}
        await supervisor.ensure(order(None))
        assert (await until(ledger, KernelState.GONE)).reason == "user-requested"
        assert backend.containers == {}
        assert backend.calls == ["create", "start", "remove"]


SPREAD = msgspec.structs.replace(
    SPEC, cluster_size=2, cluster_network="bai-x", cluster_is_spread=True
)


async def test_a_kernel_waits_for_the_network_that_another_node_makes(
    tmp_path: Path, backend: FakeBackend
) -> None:
    ledger = Ledger()
    backend.refusals = [NetworkMissing("no network bai-x")]
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        await supervisor.ensure(order(SPREAD))
        await until(ledger, KernelState.RUNNING)
    assert backend.calls == ["create", *("attach bai-x", "start") * 2]
    [(profile, _)] = backend.containers.values()
    assert profile.network == NetworkWish("bai-x", ("main1",), is_spread=True)
    # Its own name is not there: it would lead to any of its networks.
    [hosts] = [mount for mount in profile.mounts if mount.target == "/etc/hosts"]
    assert "main1" not in await asyncio.to_thread(Path(hosts.source).read_text)
    assert hosts.is_read_only


async def test_a_network_that_nobody_makes_is_told_and_nothing_is_left(
    tmp_path: Path, backend: FakeBackend
) -> None:
    ledger, clock = Ledger(), FakeClock()
    backend.refusals = [NetworkMissing("no network bai-x")] * 1000
    async with supervised(make_node(tmp_path, backend, ledger, clock), ledger) as supervisor:
        await supervisor.ensure(order(SPREAD))
        while (report := ledger.get(KERNEL)) and report.state is not KernelState.FAILED:
            await clock.advance(5.0)
    assert report is not None
    assert (report.reason, report.detail) == (Reason.FAILED_TO_START, "no network bai-x")
    assert backend.containers == {}


async def test_a_kernel_that_is_alone_waits_for_no_network(
    tmp_path: Path, backend: FakeBackend
) -> None:
    ledger = Ledger()
    backend.refusals = [NetworkMissing("gone")]
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        await supervisor.ensure(order())
        await until(ledger, KernelState.FAILED)
    assert backend.calls == ["create", "start", "remove"]


async def test_kernels_that_wait_for_a_network_hold_up_no_other(
    tmp_path: Path, backend: FakeBackend
) -> None:
    ledger, backend.spread_gate = Ledger(), asyncio.Event()
    slots = {"cpu": "0.25"}
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        for _ in range(CREATES_AT_ONCE):
            spread = order(msgspec.structs.replace(SPREAD, slots=slots))
            await supervisor.ensure(msgspec.structs.replace(spread, kernel_id=str(uuid.uuid4())))
        async with asyncio.timeout(10):
            while backend.calls.count("start") < CREATES_AT_ONCE:  # noqa: ASYNC110
                await asyncio.sleep(0)
        await supervisor.ensure(order(msgspec.structs.replace(SPEC, slots=slots)))
        try:
            await until(ledger, KernelState.RUNNING)
        finally:
            backend.spread_gate.set()


@pytest.mark.parametrize(("is_shared", "seed"), [(False, "ab" * 32), (True, "")])
async def test_kernels_on_the_network_of_the_host_let_nobody_in(
    tmp_path: Path, backend: FakeBackend, is_shared: bool, seed: str
) -> None:
    ledger, backend.shares_host_network = Ledger(), is_shared
    node = make_node(tmp_path, backend, ledger)
    spec = msgspec.structs.replace(SPREAD, cluster_key=ClusterKey("ab" * 32))
    async with supervised(node, ledger) as supervisor:
        await supervisor.ensure(order(spec))
        await until(ledger, KernelState.RUNNING)
    written = await asyncio.to_thread((node.scratch.run_dir(KERNEL, 1) / SETUP_NAME).read_bytes)
    assert msgspec.json.decode(written, type=KernelSetup).cluster_key == seed


async def test_what_is_done_to_networks_is_reported_at_once(backend: FakeBackend) -> None:
    ledger = Ledger()
    networks = ClusterNetworks(backend, ledger)
    backend.swarm = SwarmReport(node_id="n", swarm_id="s", managers=["n"])
    await networks.ensure(EnsureNetwork(name="bai-x", is_wanted=True))
    assert ledger.swarm == msgspec.structs.replace(backend.swarm, networks=["bai-x"])
    version = ledger.version
    await networks.step()
    assert ledger.version == version
    await networks.ensure(EnsureNetwork(name="bai-x", is_wanted=False))
    assert ledger.swarm.networks == []
    assert backend.calls == ["ensure bai-x", "remove bai-x"]


@pytest.mark.parametrize(
    ("are_listening", "ending"), [(True, ["remove"]), (False, ["terminate", "remove"])]
)
async def test_only_a_runner_that_cannot_be_asked_gets_a_signal(
    tmp_path: Path,
    backend: FakeBackend,
    monkeypatch: pytest.MonkeyPatch,
    are_listening: bool,
    ending: list[str],
) -> None:
    ledger = Ledger()
    node = make_node(tmp_path, backend, ledger)
    monkeypatch.setattr(node.runners, "are_listening", are_listening)
    async with supervised(node, ledger) as supervisor:
        await supervisor.ensure(order())
        await until(ledger, KernelState.RUNNING)
        await supervisor.ensure(order(None, grace=5.0))
        await until(ledger, KernelState.GONE)
    assert backend.calls == ["create", "start", *ending]


async def test_a_repeated_order_makes_nothing_twice(tmp_path: Path, backend: FakeBackend) -> None:
    ledger = Ledger()
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        for _ in range(5):
            await supervisor.ensure(order())
        await until(ledger, KernelState.RUNNING)
        for _ in range(5):
            await supervisor.ensure(order())
            await supervisor.step()
        assert backend.calls == ["create", "start"]


async def test_what_is_long_gone_is_still_gone(tmp_path: Path, backend: FakeBackend) -> None:
    ledger, clock = Ledger(), FakeClock()
    node = make_node(tmp_path, backend, ledger, clock)
    async with supervised(node, ledger) as supervisor:
        await supervisor.ensure(order(None))
        await until(ledger, KernelState.GONE)
        clock.shift(GONE_REPORT_SECONDS + 1)
        await supervisor.step()
        assert ledger.kernels() == []
        assert (await supervisor.ensure(order())).state is KernelState.GONE
        clock.shift(TOMBSTONE_SECONDS + 1)
        await supervisor.step()
        assert await node.store.load() == []


async def test_an_end_is_reported_and_not_repaired(tmp_path: Path, backend: FakeBackend) -> None:
    ledger = Ledger()
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        await supervisor.ensure(order())
        name = (await until(ledger, KernelState.RUNNING)).container_id
        backend.end(name, ExitFacts(137, out_of_memory=True, started_at=1e10))
        report = await until(ledger, KernelState.EXITED)
        assert (report.reason, report.exit_code) == (Reason.OUT_OF_MEMORY, 137)
        await supervisor.ensure(order())
        await supervisor.step()
        assert backend.calls == ["create", "start"]


async def test_a_new_generation_takes_the_place(tmp_path: Path, backend: FakeBackend) -> None:
    ledger = Ledger()
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        await supervisor.ensure(order())
        await until(ledger, KernelState.RUNNING)
        await supervisor.ensure(order(generation=2))
        await until(ledger, KernelState.RUNNING, 2)
        assert [name.rpartition(".")[2] for name in backend.containers] == ["2"]
        with pytest.raises(StaleGeneration):
            await supervisor.ensure(order(None, generation=1))


async def test_an_engine_away_changes_no_report(tmp_path: Path, backend: FakeBackend) -> None:
    ledger = Ledger()
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        await supervisor.ensure(order())
        await until(ledger, KernelState.RUNNING)
        backend.is_away = True
        await supervisor.step()
        assert not ledger.engine.is_reachable
        await supervisor.ensure(order(None))
        await supervisor.step()
        assert (await until(ledger, KernelState.STOPPING)).generation == 1
        backend.is_away = False
        await supervisor.step()
        await until(ledger, KernelState.GONE)


async def test_a_new_life_adopts_and_forgets_nothing(tmp_path: Path, backend: FakeBackend) -> None:
    first, second = Ledger(), Ledger()
    node = make_node(tmp_path, backend, first)
    async with supervised(node, first) as supervisor:
        await supervisor.ensure(order())
        before = await until(first, KernelState.RUNNING)
    again = make_node(tmp_path, backend, second)
    async with supervised(again, second):
        after = await until(second, KernelState.RUNNING)
    assert after.container_id == before.container_id
    assert after.slots == before.slots
    assert after.devices == before.devices
    assert backend.calls == ["create", "start"]


async def test_devices_of_living_kernels_are_not_given_again(
    tmp_path: Path, backend: FakeBackend
) -> None:
    ledger = Ledger()
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        await supervisor.ensure(order())
        await until(ledger, KernelState.RUNNING)
    second = Ledger()
    other = str(uuid.uuid4())
    async with supervised(make_node(tmp_path, backend, second), second) as supervisor:
        await until(second, KernelState.RUNNING)
        given = EnsureKernel(kernel_id=other, generation=1, desired=Desired.RUNNING, spec=SPEC)
        await supervisor.ensure(given)
        async with asyncio.timeout(10):
            while (report := second.get(other)) is None or report.state != "running":
                await second.wait_beyond(second.version, 1.0)
    assert report.devices == {"cpu": ["2", "3"]}


async def test_kernels_started_together_share_no_core(tmp_path: Path, backend: FakeBackend) -> None:
    ledger = Ledger()
    spec = msgspec.structs.replace(SPEC, slots={"cpu": "1"})
    kernels = [str(uuid.uuid4()) for _ in range(4)]
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        for kernel in kernels:
            await supervisor.ensure(msgspec.structs.replace(order(spec), kernel_id=kernel))
            await asyncio.sleep(0)
        async with asyncio.timeout(10):
            while any(one.state != "running" for one in ledger.kernels()):
                await ledger.wait_beyond(ledger.version, 1.0)
    given = [core for one in ledger.kernels() for core in one.devices["cpu"]]
    assert sorted(given) == ["0", "1", "2", "3"]


async def test_one_pull_serves_all_who_wait(tmp_path: Path, backend: FakeBackend) -> None:
    ledger, node = Ledger(), None
    backend.pull_gate = asyncio.Event()
    node = make_node(tmp_path, backend, ledger)
    spec = KernelSpec(
        session_id="s", session_name="n", session_type="interactive", image="new", slots={}
    )
    async with asyncio.timeout(10):
        waiting = [
            asyncio.create_task(node.images.fetch(spec, None, lambda _: None)) for _ in range(5)
        ]
        while not backend.pulls:  # noqa: ASYNC110 - it takes no time, only turns
            await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        backend.pull_gate.set()
        assert {(await task).name for task in waiting[1:]} == {"new"}
    assert backend.pulls == ["new"]


LOGIN = RegistryLogin(hostname="cr.example.com", username="robot", password="swordfish")
PRIVATE = msgspec.structs.replace(SPEC, image="cr.example.com/new:1")


async def test_a_login_is_used_and_written_nowhere(tmp_path: Path, backend: FakeBackend) -> None:
    ledger = Ledger()
    node = make_node(tmp_path, backend, ledger)
    given = msgspec.structs.replace(order(PRIVATE), login=LOGIN)
    async with supervised(node, ledger) as supervisor:
        await supervisor.ensure(given)
        report = await until(ledger, KernelState.RUNNING)
    assert backend.logins == [LOGIN]
    written = [msgspec.json.encode(one).decode() for one in (*await node.store.load(), report)]
    written += [repr(given), repr(backend.containers)]
    assert not [text for text in written if "swordfish" in text]


async def test_only_the_registry_of_an_image_gets_its_login(
    tmp_path: Path, backend: FakeBackend
) -> None:
    images = make_node(tmp_path, backend, Ledger()).images
    for name in ("cr.example.com.evil.com/x:1", "cr.example.com:5000/x:1", "other/x:1"):
        await images.pull(name, LOGIN, lambda _: None)
    assert backend.logins == [None, None, None]


async def test_a_new_life_asks_for_the_login_that_it_has_lost(
    tmp_path: Path, backend: FakeBackend
) -> None:
    first, second = Ledger(), Ledger()
    node = make_node(tmp_path, backend, first)
    backend.pull_gate = asyncio.Event()
    given = msgspec.structs.replace(order(PRIVATE), login=LOGIN)
    async with supervised(node, first) as supervisor:
        await supervisor.ensure(given)
        await until(first, KernelState.PULLING)
    again = replace(make_node(tmp_path, backend, second), store=node.store)
    async with supervised(again, second) as supervisor:
        await supervisor.step()
        report = await until(second, KernelState.UNKNOWN)
        assert report.asks_again
        assert len(backend.pulls) == 1
        mended = msgspec.structs.replace(LOGIN, password="other")
        await supervisor.ensure(msgspec.structs.replace(given, login=mended))
        backend.pull_gate.set()
        assert not (await until(second, KernelState.RUNNING)).asks_again
    assert backend.logins == [LOGIN, mended]


async def test_a_pull_that_nobody_waits_for_ends(tmp_path: Path, backend: FakeBackend) -> None:
    backend.pull_gate = asyncio.Event()
    ledger = Ledger()
    async with supervised(make_node(tmp_path, backend, ledger), ledger) as supervisor:
        spec = KernelSpec(
            session_id="s", session_name="n", session_type="interactive", image="new", slots={}
        )
        await supervisor.ensure(order(spec))
        await until(ledger, KernelState.PULLING)
        await supervisor.ensure(order(None))
        await until(ledger, KernelState.GONE)
    assert backend.calls == []


@pytest.mark.parametrize(
    "bad",
    [
        EnsureKernel(kernel_id="x", generation=1, desired=Desired.GONE),
        EnsureKernel(kernel_id=KERNEL, generation=0, desired=Desired.GONE),
        EnsureKernel(kernel_id=KERNEL, generation=1, desired=Desired.RUNNING),
        EnsureKernel(kernel_id=KERNEL, generation=1, desired=Desired.GONE, grace_seconds=1e9),
    ],
)
async def test_a_bad_order_leaves_no_trace(
    tmp_path: Path, backend: FakeBackend, bad: EnsureKernel
) -> None:
    ledger = Ledger()
    node = make_node(tmp_path, backend, ledger)
    async with supervised(node, ledger) as supervisor:
        with pytest.raises(BadOrder):
            await supervisor.ensure(bad)
    assert await node.store.load() == []
    assert ledger.kernels() == []


async def test_networks_are_swept_when_kernels_are_known_and_theirs_stay(
    tmp_path: Path, backend: FakeBackend
) -> None:
    ledger = Ledger()
    node = make_node(tmp_path, backend, ledger)
    supervisor = Supervisor(node, ledger)
    keeper = Housekeeper(node, ledger, supervisor.networks_in_use)
    await keeper.sweep()
    assert backend.kept_networks is None
    await supervisor.ensure(order(msgspec.structs.replace(SPEC, cluster_network="ours")))
    await supervisor.step()
    await keeper.sweep()
    assert backend.kept_networks == {"", "ours"}
    await supervisor.ensure(order(None))
    await keeper.sweep()
    assert backend.kept_networks == {""}
