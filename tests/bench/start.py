"""From a request to a running kernel and back, beside the docker SDK making the same container."""

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Final

import docker

from backendai.kernel.wire import SOCKET_NAME
from tests.bench.harness import Row, interleave, show
from tests.bench.raw import RUN_TARGET, Model, RawKernel, copy_model, remove_raw, start_raw
from tests.running.rest import Api
from tests.running.sessions import ask_graph, await_status, end, resources, start
from tests.running.stack import Stack

NEEDS_STACK: Final = True
ROUNDS: Final = 11
CROWD: Final = 20
CROWD_ROUNDS: Final = 3
AT_ONCE_BEST: Final = 8


def measure(stack: Stack) -> list[Row]:
    with stack.engine() as client:
        api = stack.api()
        return [*_measure_one(api, client), *_measure_crowd(stack, client)]


def _measure_one(api: Api, client: docker.DockerClient) -> list[Row]:
    model_session = start(api, "bench-model", config=resources())
    container = _container_of(client, model_session)
    with copy_model(client, container) as model:
        end(api, model_session)
        sides = _Sides(api, client, model)
        rounds = interleave(sides.start_ours, sides.start_peer, ROUNDS)
        added = statistics.median(sides.added) / rounds.peer_median
        ends = [a / b for a, b in zip(sides.ends_ours, sides.ends_peer, strict=True)]
    return [
        rounds.row("G1a", "create a session until RUNNING", 1.15),
        Row("G1b", "time added by the platform", added, 0.15, "x", show(sides.added), "of G1a's"),
        Row(
            "G1d",
            "terminate until TERMINATED",
            statistics.median(ends),
            1.2,
            "x",
            show(sides.ends_ours),
            show(sides.ends_peer),
        ),
    ]


class _Sides:
    """Both samplers, and what else each start shows."""

    def __init__(self, api: Api, client: docker.DockerClient, model: Model) -> None:
        self._api = api
        self._client = client
        self._model = model
        self.added: list[float] = []
        self.ends_ours: list[float] = []
        self.ends_peer: list[float] = []

    def start_ours(self) -> float:
        asked_at, clock = time.time(), time.perf_counter()
        session = start(self._api, "bench-one", config=resources())
        seconds = time.perf_counter() - clock
        self.added.append(seconds - _engine_seconds(self._client, session, asked_at))
        asked_at = time.time()
        self._api.ask("DELETE", f"/session/{session}")
        await_status(self._api, session, "TERMINATED")
        self.ends_ours.append(_ended_at(self._api, session) - asked_at)
        return seconds

    def start_peer(self) -> float:
        clock = time.perf_counter()
        kernel = start_raw(self._client, self._model)
        seconds = time.perf_counter() - clock
        clock = time.perf_counter()
        remove_raw(self._client, kernel)
        self.ends_peer.append(time.perf_counter() - clock)
        return seconds


def _ended_at(api: Api, session: str) -> float:
    """When it became TERMINATED, as stored: looking for it would add the pause between looks."""
    query = "query($id: UUID!) { compute_session(id: $id) { terminated_at } }"
    found = ask_graph(api, query, {"id": session})["compute_session"]
    return datetime.fromisoformat(found["terminated_at"]).timestamp()


def _engine_seconds(client: docker.DockerClient, session: str, asked_at: float) -> float:
    """From the engine's create call until the runner listened: what no platform can take away."""
    found = client.api.inspect_container(_container_of(client, session))
    created_at = datetime.fromisoformat(found["Created"]).timestamp()
    run_dir = Path(next(m["Source"] for m in found["Mounts"] if m["Destination"] == RUN_TARGET))
    listened_at = (run_dir / SOCKET_NAME).stat().st_ctime
    assert asked_at <= created_at <= listened_at, (asked_at, created_at, listened_at)
    return listened_at - created_at


def _container_of(client: docker.DockerClient, session: str) -> str:
    found = client.api.containers(filters={"label": f"bai.session={session}"})
    assert len(found) == 1, found
    return str(found[0]["Id"])


def _measure_crowd(stack: Stack, client: docker.DockerClient) -> list[Row]:
    """All at once; each asks for so little that all fit."""
    api = stack.api()
    config = resources(cpu=_share_of_cores(stack), mem="64m")
    model_session = start(api, "bench-model", kind="busybox", config=config)
    container = _container_of(client, model_session)
    with copy_model(client, container) as model, ThreadPoolExecutor(CROWD) as pool:
        end(api, model_session)
        ours, best = [], []
        for _ in range(CROWD_ROUNDS):
            ours.append(_start_many(stack, pool, config))
            best.append(min(_start_many_raw(client, model, n) for n in (AT_ONCE_BEST, CROWD)))
    ratio = statistics.median(a / b for a, b in zip(ours, best, strict=True))
    peer = f"{show(best)}, best of {AT_ONCE_BEST} and {CROWD} threads"
    what = f"{CROWD} sessions at once until all run"
    rate = f"{show(ours)} = {CROWD / statistics.median(ours):.1f}/s"
    return [Row("G1c", what, ratio, 1.10, "x", rate, peer)]


def _start_many(stack: Stack, pool: ThreadPoolExecutor, config: dict[str, object]) -> float:
    apis = [stack.api() for _ in range(CROWD)]
    clock = time.perf_counter()
    work = [
        pool.submit(start, api, f"bench-{number:02}", kind="busybox", config=config)
        for number, api in enumerate(apis)
    ]
    sessions = [future.result() for future in work]
    seconds = time.perf_counter() - clock
    for future in [pool.submit(end, *pair) for pair in zip(apis, sessions, strict=True)]:
        future.result()
    return seconds


def _start_many_raw(client: docker.DockerClient, model: Model, threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        clock = time.perf_counter()
        kernels = list(pool.map(lambda _: start_raw(client, model), range(CROWD)))
        seconds = time.perf_counter() - clock
        remove: Callable[[RawKernel], None] = lambda kernel: remove_raw(client, kernel)  # noqa: E731
        list(pool.map(remove, kernels))
    return seconds


def _share_of_cores(stack: Stack) -> str:
    return f"{stack.cores / CROWD:.3f}"
