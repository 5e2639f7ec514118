"""How busy a session was, from samples that come, are late, or do not come."""

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.contracts.agent import (
    AgentReport,
    DeviceReport,
    KernelReport,
    KernelState,
    ResourceUse,
)
from backendai.manager.idle.model import Sample, Utilization
from backendai.manager.idle.utilization import (
    CPU_UTIL,
    KNOWN_SHARE_MIN,
    PARTS,
    Container,
    add_sample,
    average,
    busy_accelerators,
    families_of,
    is_due,
    sample_of,
    width_of,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = 3600.0
SLOTS = {"cpu": "2", "mem": "1000"}


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def sampled(
    levels: list[float | None], window: float = HOUR, *, cores: float = 2
) -> tuple[Utilization, datetime]:
    """A utilization with a sample each minute, None where none came; CPU use is the level, too."""
    utilization, spent, at = Utilization(), 0.0, START
    for number, level in enumerate(levels):
        at = after(60.0 * number)
        if level is None:
            continue
        spent += level * 10 * 60 * cores
        utilization = add_sample(utilization, Sample(at, spent, cores, {"mem": level}), window)
    return utilization, at + timedelta(seconds=60)


def make_use(at: datetime = START, **more: Any) -> dict[str, Any]:
    use = {"cpu_used_milliseconds": 10.0, "memory_bytes": 250}
    return {"sampled_at": at.timestamp(), **use, **more}


def test_a_window_that_is_known_has_an_average() -> None:
    utilization, now = sampled([10.0] * 30 + [50.0] * 40)
    assert average(utilization, "mem", now, HOUR) == pytest.approx(10 / 3 + 50 * 2 / 3)
    assert average(utilization, CPU_UTIL, now, HOUR) == pytest.approx(10 / 3 + 50 * 2 / 3)


def test_nothing_is_said_without_samples() -> None:
    assert average(Utilization(), "mem", START, HOUR) is None
    utilization, now = sampled([10.0] * 70)
    assert average(utilization, "cuda_util", now, HOUR) is None


@pytest.mark.parametrize("missing", range(0, 60, 9))
def test_a_gap_in_the_window_says_nothing(missing: int) -> None:
    levels: list[float | None] = [0.0] * 61
    levels[missing : missing + 10] = [None] * 10
    utilization, now = sampled(levels)
    assert average(utilization, "mem", now, HOUR) is None


def test_what_was_known_long_ago_says_nothing_of_now() -> None:
    utilization, now = sampled([0.0] * 90)
    assert average(utilization, "mem", now, HOUR) == 0
    assert average(utilization, "mem", now + timedelta(minutes=10), HOUR) is None


def test_another_window_begins_anew() -> None:
    utilization, now = sampled([0.0] * 90)
    assert average(utilization, "mem", now, 4 * HOUR) is None
    later = add_sample(utilization, Sample(now, 1e9, 2, {"mem": 1.0}), 4 * HOUR)
    assert len(later.buckets) == 1
    assert CPU_UTIL not in later.buckets[0].sums


def test_a_burst_between_two_samples_counts() -> None:
    utilization = add_sample(Utilization(), Sample(START, 0.0, 1, {}), HOUR)
    utilization = add_sample(utilization, Sample(after(60), 30_000.0, 1, {}), HOUR)
    assert utilization.buckets[-1].sums[CPU_UTIL] == (1, 50.0)


def test_a_container_that_counts_anew_gives_no_negative_use() -> None:
    utilization = add_sample(Utilization(), Sample(START, 1000.0, 1, {}), HOUR)
    assert add_sample(utilization, Sample(after(60), 10.0, 1, {}), HOUR).buckets == ()


@given(
    st.lists(st.none() | st.floats(0, 100), max_size=150), st.sampled_from([600.0, HOUR, 8 * HOUR])
)
def test_an_average_lies_between_its_samples_and_memory_is_bounded(
    levels: list[float | None], window: float
) -> None:
    utilization, now = sampled(levels, window)
    assert len(utilization.buckets) <= PARTS + 1
    found = average(utilization, "mem", now, window)
    known = [level for level in levels if level is not None]
    if found is not None:
        assert min(known) - 1e-6 <= found <= max(known) + 1e-6
        assert len(known) >= KNOWN_SHARE_MIN * math.floor(window / width_of(window))


@given(st.lists(st.none() | st.floats(0, 100), max_size=20))
def test_a_usage_is_kept_as_json(levels: list[float | None]) -> None:
    utilization, _ = sampled(levels)
    assert (
        msgspec.convert(msgspec.json.decode(msgspec.json.encode(utilization)), Utilization)
        == utilization
    )


def test_samples_are_a_while_apart() -> None:
    utilization = add_sample(Utilization(), Sample(START, 0.0, 1, {}), HOUR)
    assert not is_due(utilization, Sample(after(29), 0.0, 1, {}))
    assert is_due(utilization, Sample(after(30), 0.0, 1, {}))


def test_a_sample_is_of_all_containers() -> None:
    both = [Container(SLOTS, make_use()), Container(SLOTS, make_use(after(5), memory_bytes=750))]
    assert sample_of(both, after(10)) == Sample(START, 20.0, 4.0, {"mem": 50.0})


@pytest.mark.parametrize(
    "use",
    [
        {},
        {"progress": "pulling"},
        {"cpu_used_milliseconds": 1.0},
        make_use(after(-61)),
        make_use(after(61)),
        make_use(cpu_used_milliseconds=0.0),
    ],
    ids=["none", "progress", "no time", "old", "ahead", "not read"],
)
def test_one_container_of_which_nothing_is_known_makes_all_unknown(use: dict[str, Any]) -> None:
    assert sample_of([Container(SLOTS, make_use()), Container(SLOTS, use)], START) is None
    assert sample_of([], START) is None


def test_memory_that_could_not_be_read_is_left_out() -> None:
    both = [Container(SLOTS, make_use()), Container(SLOTS, make_use(memory_bytes=0))]
    sample = sample_of(both, START)
    assert sample is not None
    assert sample.levels == {}


def make_report(**devices: float | None) -> tuple[AgentReport, KernelReport]:
    kernel = KernelReport(
        kernel_id="k",
        session_id="s",
        generation=1,
        state=KernelState.RUNNING,
        devices={"cuda.device": list(devices)},
        use=ResourceUse(),
    )
    told = [
        DeviceReport(
            slot="cuda.device",
            device_id=name,
            kind="count",
            amount="1",
            memory_bytes=1000,
            memory_used_bytes=100,
            utilisation_percent=busy,
        )
        for name, busy in devices.items()
    ]
    report = AgentReport(
        agent_id="a",
        instance="i",
        version=1,
        started_at=0.0,
        daemon_version="0",
        architecture="x86_64",
        region="",
        resource_group="default",
        backend="docker",
        engine_reachable=True,
        capacity={},
        kernels=[kernel],
        images=[],
        devices=told,
    )
    return report, kernel


def test_accelerators_are_measured_where_their_driver_tells() -> None:
    report, kernel = make_report(a=20.0, b=60.0)
    told = busy_accelerators(report, kernel)
    assert told == {"accelerators": {"cuda_util": 40.0, "cuda_mem": 10.0}}
    slots = {**SLOTS, "cuda.device": "2"}
    sample = sample_of([Container(slots, {**make_use(), **told})], START)
    assert sample is not None
    assert sample.levels == {"mem": 25.0, "cuda_util": 40.0, "cuda_mem": 10.0}


def test_a_device_that_tells_nothing_leaves_its_kind_out() -> None:
    report, kernel = make_report(a=20.0, b=None)
    assert busy_accelerators(report, kernel)["accelerators"] == {"cuda_mem": 10.0}
    sick = [msgspec.structs.replace(one, problem="hot") for one in report.devices]
    for devices in ([], sick):
        nothing = msgspec.structs.replace(report, devices=devices)
        assert busy_accelerators(nothing, kernel) == {}
    slots = {"cpu": "1", "cuda.shares": "0.5", "rocm.device": "0"}
    assert families_of([Container(slots, {})]) == {"cuda"}
    sample = sample_of([Container(slots, make_use())], START)
    assert sample is not None
    assert sample.levels == {}
