"""How well a queue keeps two slots busy: 50 batch jobs of two seconds against 50 seconds.

And against two threads that run the same commands with the docker SDK, one after another: what the
engine takes for itself no queue can save.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import docker

from tests.bench.harness import Row, show_seconds
from tests.running.rest import Api
from tests.running.sessions import IMAGES, await_status, batch, find, resources
from tests.running.stack import Stack

NEEDS_STACK: Final = True
JOBS: Final = 50
SLOTS: Final = 2
JOB_SECONDS: Final = 2
RATIO_MAX: Final = 1.3


def measure(stack: Stack) -> list[Row]:
    api = stack.api()
    config = resources(cpu=_half_of_all_cores(stack))
    started = time.perf_counter()
    jobs = [
        batch(api, f"bench-{number:02}", f"sleep {JOB_SECONDS}", config=config)
        for number in range(JOBS)
    ]
    enqueued = time.perf_counter() - started
    _await_end(api, jobs)
    seconds = time.perf_counter() - started
    results = [find(api, job)["result"] for job in jobs]
    assert results.count("SUCCESS") == JOBS, results
    ideal = JOBS * JOB_SECONDS / SLOTS
    ours = f"{show_seconds(seconds)} (enqueued in {show_seconds(enqueued)})"
    what = f"{JOBS} batch jobs of {JOB_SECONDS} s on {SLOTS} slots"
    raw = _run_raw(stack)
    peer = f"{show_seconds(raw)}, docker SDK, {SLOTS} threads"
    return [
        Row("queue", what, seconds / ideal, RATIO_MAX, "x", ours, show_seconds(ideal)),
        Row("queue", "the same jobs beside the docker SDK", seconds / raw, None, "x", ours, peer),
    ]


def _run_raw(stack: Stack) -> float:
    """Seconds until the engine has made, run and removed a container for each job."""
    command = ["sleep", str(JOB_SECONDS)]
    with stack.engine() as client, ThreadPoolExecutor(SLOTS) as threads:
        started = time.perf_counter()
        codes = list(threads.map(lambda _: _run_one(client, command), range(JOBS)))
        seconds = time.perf_counter() - started
    assert codes == [0] * JOBS, codes
    return seconds


def _run_one(client: docker.DockerClient, command: list[str]) -> int:
    container: Any = client.containers.create(IMAGES["python"], entrypoint=command, init=True)
    container.start()
    code = container.wait()["StatusCode"]
    container.remove(v=True, force=True)
    return int(code)


def _half_of_all_cores(stack: Stack) -> str:
    """How many cores a job asks for, so that exactly two fit."""
    cores = int(stack.cores)
    assert cores >= SLOTS, f"two jobs at once need two cores, the agent gives {cores}"
    return str(cores // SLOTS)


def _await_end(api: Api, jobs: list[str]) -> None:
    """Looking at the last job first costs the manager one request a poll."""
    for job in reversed(jobs):
        await_status(api, job, "TERMINATED", seconds=600)
