"""Bench: how fast it is beside the raw thing, measured on this machine.

    python -m tests.bench                   # all, against the stack of `./bai up`
    python -m tests.bench execute queue     # some
    python -m tests.bench --json > now.json

A bench is a module of this folder with `NEEDS_STACK` and `measure(stack) -> list[Row]` (without
the argument when it needs none). Figures are never asserted: a shared machine would make such a
test fail for no reason. Ratios of interleaved rounds can be compared between machines, wall times
can not. A figure that was taken at a load average above 6 is inconclusive: take it again.

| bench    | goals    | ours                              | peer                           |
|----------|----------|-----------------------------------|--------------------------------|
| start    | G1a to d | create a session until RUNNING    | docker SDK, the same container |
| execute  | G8a, G8c | `print(1)` through API and runner | ipykernel on this machine      |
| queue    |          | 50 batch jobs on two slots        | the time of their sleeps alone |
| memory   | G2e      | resident memory of each daemon    |                                |
| commands |          | `backendai --help` and `ps`       | `python -c pass`               |
| rpc      | G6a      | a call with CURVE                 | pyzmq ROUTER and DEALER        |
| plan     | G7a      | 10,000 asks on 1,000 nodes        | a column-wise scan with numpy  |
| gate     | G5a, b   | an open GET, an authenticated one | aiohttp, hand-written handlers |
|          | G5e      | either with the access log        | the same without               |
| graph    | G5c, G5d | a page of 100 sessions, 20 fields | the SELECT; bare graphql-core  |
| lists    |          | any page of 100,000 sessions      | the SELECT                     |
| usage    |          | a bill of 100,000 kernels         | 50 ms that the loop is held    |
| storage  | G4a to e | uploads, downloads, trees, lists  | nginx, cp -r, dd, scandir      |
| web      | G3f      | an API call through the webserver | nginx before the same manager  |
| notebooks| G2a to c | create until the first result   | JupyterHub, DockerSpawner      |
| relay    | G3e      | raw TCP through an agent's relay  | nginx stream                   |
| proxy    | G3a to e | requests and bytes to an app      | nginx, configurable-http-proxy |
| recovery |          | green after kill -9 of a daemon   | ten seconds                    |
"""

import argparse
import importlib
import sys
import traceback
from typing import Final

from tests.bench.harness import Row, print_json, print_table
from tests.running.stack import find_stack

NAMES: Final = (
    "start",
    "execute",
    "queue",
    "memory",
    "commands",
    "rpc",
    "plan",
    "gate",
    "graph",
    "lists",
    "usage",
    "storage",
    "relay",
    "web",
    "notebooks",
    "proxy",
    "recovery",
)


def measure(name: str) -> list[Row]:
    bench = importlib.import_module(f"tests.bench.{name}")
    if bench.NEEDS_STACK:
        rows: list[Row] = bench.measure(find_stack())
    else:
        rows = bench.measure()
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--json", action="store_true", help="print figures for programs")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(NAMES):
        parser.error(f"no bench is called {', '.join(sorted(unknown))}: choose of {NAMES}")
    rows: list[Row] = []
    failed = []
    for name in asked.names or NAMES:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            rows += measure(name)
        except Exception:  # one broken bench must not cost the figures of the others
            traceback.print_exc()
            failed.append(name)
    (print_json if asked.json else print_table)(rows)
    if failed:
        print(f"could not be measured: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
