"""Curves: every window's mean is what summing by hand gives, and nothing is counted twice."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from backendai.manager.usage.model import Held, to_millionths
from backendai.manager.usage.series import WINDOW, WINDOWS, Point, draw, span_of_month

NOW = datetime(2026, 1, 31, 12, 7, tzinfo=UTC)
SPAN = span_of_month(NOW)
GIB = 1 << 30


def held(begun: float, ended: float | None, session: int = 1, **more: Any) -> Held:
    """Minutes from the beginning of the span."""
    end = None if ended is None else SPAN.since + timedelta(minutes=ended)
    use = more.pop("last_use", {})
    amounts = more.pop("amounts", {"cpu": "2", "mem": str(GIB), "cuda.device": "1"})
    return Held(
        kernel_id=uuid.uuid4(),
        generation=1,
        begun=SPAN.since + timedelta(minutes=begun),
        ended=end,
        amounts={slot: to_millionths(amount) for slot, amount in amounts.items()},
        session_id=uuid.UUID(int=session),
        project_id=uuid.UUID(int=1),
        user_id=uuid.UUID(int=1),
        facts=json.dumps({"last_use": use}),
    )


def column(points: list[Point], name: str) -> list[int | float]:
    return [point.values[name] for point in points]


def test_the_span_is_thirty_days_of_whole_quarters() -> None:
    assert SPAN.until == NOW.replace(minute=0)
    points = draw([], SPAN)
    assert len(points) == WINDOWS == 2880
    assert (points[0].at, points[-1].at) == (SPAN.since, SPAN.until - WINDOW)
    assert all(not any(point.values.values()) for point in points)


def test_a_level_is_the_mean_of_its_window() -> None:
    points = draw([held(7.5, 35)], SPAN)
    assert column(points, "cpu_allocated")[:4] == [1, 2, 0.666666, 0]
    assert column(points, "mem_allocated")[:2] == [GIB / 2, GIB]
    assert column(points, "gpu_allocated")[:2] == [0.5, 1]
    assert column(points, "num_sessions")[:4] == [1, 1, 1, 0]


def test_what_began_before_or_still_lasts_is_cut_at_the_span() -> None:
    points = draw([held(-100, None)], SPAN)
    assert set(column(points, "cpu_allocated")) == {2}
    assert set(column(points, "num_sessions")) == {1}


def test_a_session_of_many_kernels_is_one_session() -> None:
    points = draw([held(0, 20), held(0, 40), held(29, 31), held(0, 10, session=2)], SPAN)
    assert column(points, "num_sessions")[:4] == [2, 1, 1, 0]


def test_sessions_one_after_the_other_are_two_of_their_common_window() -> None:
    points = draw([held(0, 5), held(5, 10, session=2)], SPAN)
    assert column(points, "num_sessions")[:2] == [2, 0]
    assert column(points, "cpu_allocated")[0] == 1.333333


def test_sums_are_spread_over_the_time_of_the_kernel() -> None:
    use = {"io_read_bytes": 900, "io_write_bytes": 90, "scratch_bytes": 4096}
    points = draw([held(0, 45, last_use=use)], SPAN)
    assert column(points, "io_read_bytes")[:4] == [300, 300, 300, 0]
    assert column(points, "io_write_bytes")[:4] == [30, 30, 30, 0]
    assert column(points, "disk_used")[:4] == [4096, 4096, 4096, 0]
    before = draw([held(-45, 45, last_use=use)], SPAN)
    assert column(before, "io_read_bytes")[:4] == [150, 150, 150, 0]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 3000)), max_size=8))
def test_each_window_is_the_sum_by_hand(stretches: list[tuple[int, int]]) -> None:
    intervals = [held(min(pair), max(pair), amounts={"cpu": "1"}) for pair in stretches]
    levels = column(draw(intervals, SPAN), "cpu_allocated")
    for window in range(0, 3000 // 15 + 1):
        minutes = sum(
            max(min(max(pair), window * 15 + 15) - max(min(pair), window * 15), 0)
            for pair in stretches
        )
        assert levels[window] == (minutes * 1_000_000 // 15) / 1_000_000
