"""How soon all is well after kill -9 of a daemon or a store: until a session that lives answers a
print and `status` is green, as a person sees it. That nothing is lost, the kill matrix tests.
"""

import os
import signal
import statistics
import time
from typing import Final

from tests.bench.harness import Row, show_seconds
from tests.running.sessions import end, execute, resources, start
from tests.running.stack import Stack
from tests.running.waiting import until

NEEDS_STACK: Final = True
DAEMONS: Final = ("manager", "agent", "postgres", "valkey", "etcd", "dockerd", "containerd")
ROUNDS: Final = 3
SECONDS_MAX: Final = 10.0


def measure(stack: Stack) -> list[Row]:
    api = stack.api()
    ours = {row["name"] for row in stack.status()["daemons"] if row["pid"]}
    session = start(api, "bench-living", kind="busybox", config=resources(cpu="0.2", mem="64m"))

    def answers() -> bool:
        return execute(api, session, "print(1)") == "1\n"

    def recover(name: str) -> float:
        killed = int(stack.daemon(name)["pid"])
        started = time.perf_counter()
        os.kill(killed, signal.SIGKILL)
        until(lambda: stack.daemon(name)["pid"] != killed, f"another {name}")
        until(answers, f"the session answers after the death of {name}")
        until(stack.is_green, f"green after the death of {name}")
        return time.perf_counter() - started

    rows = [_row(name, [recover(name) for _ in range(ROUNDS)]) for name in DAEMONS if name in ours]
    end(api, session)
    return rows


def _row(name: str, samples: list[float]) -> Row:
    spread = f"{show_seconds(min(samples))} to {show_seconds(max(samples))}"
    what = f"green after kill -9 of {name}"
    return Row("recovery", what, statistics.median(samples), SECONDS_MAX, "s", spread)
