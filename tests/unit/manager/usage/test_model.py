"""Sums of what was held: exact, clipped, and equal however a span is cut."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from backendai.manager.usage.model import (
    MICROSECOND,
    Held,
    Span,
    held_microseconds,
    sum_by_project,
    to_millionths,
    unit_seconds,
)

DAY = datetime(2026, 1, 31, tzinfo=UTC)
NOW = DAY + timedelta(days=2)
FACTS = {"project_name": "research", "domain_name": "default"}


def held(begun: int, ended: int | None, cpu: str = "1.5", **more: Any) -> Held:
    """Seconds from the beginning of the day."""
    values: dict[str, Any] = {
        "kernel_id": str(uuid.UUID(int=1)),
        "generation": 1,
        "session_id": str(uuid.UUID(int=2)),
        "project_id": uuid.UUID(int=3),
        "user_id": uuid.UUID(int=4),
        "facts": json.dumps(FACTS),
        **more,
    }
    end = None if ended is None else DAY + timedelta(seconds=ended)
    amounts = {"cpu": to_millionths(cpu)}
    return Held(begun=DAY + timedelta(seconds=begun), ended=end, amounts=amounts, **values)


def span(since: int, until: int) -> Span:
    return Span(DAY + timedelta(seconds=since), DAY + timedelta(seconds=until))


def test_an_interval_is_clipped_at_both_ends_and_at_the_present() -> None:
    second = timedelta(seconds=1) // MICROSECOND
    assert held_microseconds(held(0, 100), span(10, 30), NOW) == 20 * second
    assert held_microseconds(held(0, 100), span(100, 130), NOW) == 0
    assert (
        held_microseconds(held(50, None), span(0, 100), DAY + timedelta(seconds=60)) == 10 * second
    )
    assert held_microseconds(held(50, None), span(0, 40), NOW) == 0


def test_sums_are_exact_to_the_millionth_of_a_unit_and_second() -> None:
    one = held(0, None, cpu="0.000001")
    [project] = sum_by_project([one], Span(DAY, DAY + MICROSECOND), NOW)
    assert unit_seconds(project.products) == {"cpu": "0.000000000001"}
    [project] = sum_by_project([held(0, 3600)], span(0, 86400), NOW)
    assert unit_seconds(project.products) == {"cpu": "5400"}


def test_generations_of_a_kernel_are_one_kernel() -> None:
    first, second = held(0, 100, cpu="1"), held(200, 250, cpu="1", generation=2)
    [project] = sum_by_project([second, first], span(0, 1000), NOW)
    [kernel] = project.kernels
    assert (kernel.last, kernel.microseconds) == (second, 150_000_000)
    assert unit_seconds(kernel.products) == {"cpu": "150"}


def test_projects_are_apart_and_those_without_use_are_left_out() -> None:
    more = {"project_name": "a-first", "domain_name": "default"}
    other = held(
        0, 10, project_id=uuid.UUID(int=9), kernel_id=uuid.UUID(int=8), facts=json.dumps(more)
    )
    idle = held(5, 5, project_id=uuid.UUID(int=7), kernel_id=uuid.UUID(int=6))
    found = sum_by_project([held(0, 20), other, idle], span(0, 100), NOW)
    assert [one.name for one in found] == ["a-first", "research"]


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 5000), st.integers(0, 8_000_000))),
    st.lists(st.integers(1, 4999), max_size=5),
)
def test_however_a_span_is_cut_its_parts_sum_up(
    stretches: list[tuple[int, int, int]], cuts: list[int]
) -> None:
    intervals = [
        held(min(a, b), max(a, b), cpu=str(cpu / 1_000_000), kernel_id=uuid.UUID(int=index))
        for index, (a, b, cpu) in enumerate(stretches)
    ]
    edges = [0, *sorted(cuts), 5000]
    parts = [span(*pair) for pair in pairwise(edges)]

    def total(part: Span) -> int:
        return sum(one.products.get("cpu", 0) for one in sum_by_project(intervals, part, NOW))

    whole = sum(
        abs(a - b) * 1_000_000 * to_millionths(str(cpu / 1_000_000)) for a, b, cpu in stretches
    )
    assert sum(map(total, parts)) == total(span(0, 5000)) == whole
