"""A node's report in Prometheus' terms."""

from collections.abc import Sequence

from backendai.agent.readings import families_of
from backendai.common.contracts.agent import (
    AgentReport,
    DeviceReport,
    KernelReport,
    KernelState,
    ResourceUse,
)


def kernel(name: str, state: KernelState, cpu: str, use: ResourceUse | None = None) -> KernelReport:
    return KernelReport(
        kernel_id=name,
        session_id=f"s-{name}",
        generation=1,
        state=state,
        slots={"cpu": cpu},
        use=use,
    )


def report(kernels: Sequence[KernelReport], devices: Sequence[DeviceReport] = ()) -> AgentReport:
    return AgentReport(
        agent_id="i-a",
        instance="1",
        version=1,
        started_at=0,
        daemon_version="1",
        architecture="x86_64",
        region="local",
        resource_group="default",
        backend="docker",
        engine_reachable=True,
        capacity={"cpu": "4"},
        kernels=list(kernels),
        images=[],
        devices=list(devices),
    )


def values(told: AgentReport, name: str) -> dict[tuple[str, ...], float]:
    (found,) = [one for one in families_of(told) if one.name == f"backendai_{name}"]
    return {tuple(sample.labels.values()): sample.value for sample in found.samples}


def test_what_is_held_is_the_sum_over_live_kernels() -> None:
    told = report(
        [
            kernel("a", KernelState.RUNNING, "0.5"),
            kernel("b", KernelState.PREPARING, "1.25"),
            kernel("c", KernelState.GONE, "2"),
        ]
    )
    assert values(told, "agent_slot_held") == {("cpu",): 1.75}
    assert values(told, "agent_slot_capacity") == {("cpu",): 4}
    states = values(told, "agent_kernels")
    assert states[(KernelState.RUNNING.value,)] == 1
    assert states[(KernelState.GONE.value,)] == 1


def test_kernels_without_a_sample_have_no_usage() -> None:
    use = ResourceUse(cpu_percent=50, memory_bytes=7)
    told = report(
        [kernel("a", KernelState.RUNNING, "1", use), kernel("b", KernelState.RUNNING, "1")]
    )
    assert values(told, "kernel_cpu_percent") == {("s-a", "a"): 50}
    assert values(told, "kernel_memory_bytes") == {("s-a", "a"): 7}


def test_a_sick_device_is_down_and_what_its_driver_does_not_tell_is_left_out() -> None:
    well = DeviceReport(
        slot="cuda.shares",
        device_id="0",
        kind="count",
        amount="1",
        held="0.5",
        utilisation_percent=3,
    )
    sick = DeviceReport(
        slot="cuda.shares", device_id="1", kind="count", amount="1", problem="XID 79"
    )
    told = report([], [well, sick])
    assert values(told, "device_up") == {("cuda.shares", "0"): 1, ("cuda.shares", "1"): 0}
    assert values(told, "device_held")[("cuda.shares", "0")] == 0.5
    assert values(told, "device_utilisation_percent") == {("cuda.shares", "0"): 3}
