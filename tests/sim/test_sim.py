"""Many worlds: each seed is a site with users and misfortunes, and no invariant may break.

`BAI_SIM_SEEDS` says how many (default 1000), `BAI_SIM_FIRST_SEED` where to begin, and
`BAI_SIM_PROCESSES` how many processes share them (default: one for each core).
"""

import logging
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.sim.troubles import Incident, shrink
from tests.sim.world import Outcome, simulate

SEEDS = int(os.environ.get("BAI_SIM_SEEDS", "1000"))
FIRST_SEED = int(os.environ.get("BAI_SIM_FIRST_SEED", "0"))
PROCESSES = int(os.environ.get("BAI_SIM_PROCESSES", str(os.cpu_count() or 1)))
CHUNK = 10
# Beside the tests that wait for real processes, these have little of the machine.
pytestmark = pytest.mark.timeout(3600)


def test_the_same_seed_gives_the_same_trace() -> None:
    first, second, other = simulate(7), simulate(7), simulate(8)
    assert first.trace == second.trace
    assert first.trace != other.trace


def test_no_seed_breaks_an_invariant() -> None:
    failed = [outcome for outcome in run_seeds(FIRST_SEED, SEEDS) if outcome.violation]
    assert not failed, "\n".join([f"{len(failed)} of {SEEDS} seeds", *map(tell, failed[:3])])


def run_seeds(first: int, count: int) -> list[Outcome]:
    """The outcomes of `count` seeds, shared among processes."""
    seeds = range(first, first + count)
    if PROCESSES <= 1 or count <= CHUNK:
        return [_simulate_quietly(seed) for seed in seeds]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
        return list(pool.map(_simulate_quietly, seeds, chunksize=CHUNK))


def _simulate_quietly(seed: int) -> Outcome:
    logging.disable(logging.CRITICAL)
    try:
        return simulate(seed)
    finally:
        logging.disable(logging.NOTSET)


def tell(outcome: Outcome) -> str:
    """The seed, what it broke, and the fewest incidents with which it still breaks something."""

    def fails(incidents: Sequence[Incident]) -> bool:
        return bool(simulate(outcome.seed, incidents).violation)

    fewest = shrink(outcome.incidents, fails)
    lines = [f"seed {outcome.seed}: {outcome.violation}", *(f"  {one}" for one in fewest)]
    return "\n".join(lines)
