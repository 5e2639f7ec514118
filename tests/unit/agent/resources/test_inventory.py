"""Shares of a node: exclusive cores and devices, quotas for the rest, and limits that fit."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.agent.faults import NotEnoughDevices
from backendai.agent.resources.cpu import CpuPlugin
from backendai.agent.resources.detect import Machine, Reserved, read_numa_nodes, take_inventory
from backendai.agent.resources.devices import DevicePlugin
from backendai.agent.resources.files import DeviceFiles
from backendai.agent.resources.inventory import Inventory
from backendai.agent.resources.memory import MEMORY_BYTES_MIN, MemoryPlugin
from backendai.agent.resources.plugin import FREE, Plugin
from backendai.common.faults import ServerMisconfigured
from backendai.common.slots import ResourceSlots, SlotName

FPGA = DevicePlugin.of(
    DeviceFiles(SlotName("fpga.device"), (Path("/dev/fpga0"), Path("/dev/fpga1")))
)
NODE = Inventory((FPGA, CpuPlugin((0, 1, 2, 3), Decimal(4)), MemoryPlugin(8 * 2**30)))
PLUGINS: list[Plugin] = list(NODE.plugins)


def slots(**amounts: str) -> ResourceSlots:
    return ResourceSlots.parse({name.replace("_", "."): value for name, value in amounts.items()})


def test_whole_cores_are_pinned_alone() -> None:
    first = NODE.share(slots(cpu="2", mem="1g"), [])
    second = NODE.share(slots(cpu="2", mem="1g"), [first.devices])
    assert first.limits.cpuset == (0, 1)
    assert second.limits.cpuset == (2, 3)
    assert first.limits.cpu_quota is None
    assert first.limits.memory_bytes == 2**30


def test_a_fraction_gets_a_quota_of_all_cores() -> None:
    share = NODE.share(slots(cpu="0.5", mem="1g"), [])
    assert share.limits.cpuset is None
    assert share.limits.cpu_quota == Decimal("0.5")
    assert share.limits.cpu_weight == 512


def test_without_free_cores_a_quota_takes_the_place_of_pins() -> None:
    full = {"cpu": ["0", "1", "2"]}
    share = NODE.share(slots(cpu="2"), [full])
    assert share.devices == {}
    assert share.limits.cpu_quota == 2


def test_devices_are_exclusive() -> None:
    held = [{"fpga.device": ["fpga0"]}]
    share = NODE.share(slots(fpga_device="1"), held)
    assert share.devices == {"fpga.device": ["fpga1"]}
    assert share.limits.device_paths == ("/dev/fpga1",)
    with pytest.raises(NotEnoughDevices, match=r"2 of fpga\.device asked, 1 free"):
        NODE.share(slots(fpga_device="2"), held)


def test_a_kernel_that_asks_for_no_device_sees_none() -> None:
    assert NODE.share(slots(cpu="1"), []).limits.device_paths == ()


def test_a_share_is_made_again_of_its_labels() -> None:
    first = NODE.share(slots(cpu="2", fpga_device="1", mem="1g"), [])
    assert NODE.share_again(first.slots, dict(first.devices)) == first


def test_memory_is_never_less_than_the_runner_needs() -> None:
    assert NODE.share(slots(mem="1m"), []).limits.memory_bytes == MEMORY_BYTES_MIN


@given(st.lists(st.sampled_from(["1", "2", "3", "0.5", "1.5"]), max_size=8))
def test_no_core_is_pinned_twice(asks: list[str]) -> None:
    held: list[dict[str, list[str]]] = []
    for ask in asks:
        held.append(dict(NODE.share(slots(cpu=ask), held).devices))
    pinned = [core for devices in held for core in devices.get("cpu", [])]
    assert len(pinned) == len(set(pinned))


@pytest.mark.parametrize("plugin", PLUGINS, ids=lambda one: one.name)
def test_a_plugin_ignores_slots_that_are_not_its_own(plugin: Plugin) -> None:
    assert plugin.assign(slots(other_device="1"), FREE) == {}
    assert all(amount > 0 for amount in plugin.capacity().values())


def test_reserved_amounts_are_not_given_to_kernels() -> None:
    machine = Machine((0, 1, 2, 3), None, 4 * 2**30)
    node = take_inventory(machine, Reserved.of(1, 2**30))
    assert node.capacity() == ResourceSlots.of(cpu="3", mem="3g")
    assert node.share(slots(cpu="3"), []).limits.cpuset == (1, 2, 3)


def test_configured_devices_are_counted_and_must_be_there() -> None:
    machine = Machine((0,), None, 2**30)
    devices = {"zero.device": [Path("/dev/zero"), Path("/dev/full")]}
    node = take_inventory(machine, Reserved.of(0, 0), devices)
    assert node.capacity()[SlotName("zero.device")] == 2
    share = node.share(slots(zero_device="1"), [{"zero.device": ["zero"]}])
    assert share.limits.device_paths == ("/dev/full",)
    with pytest.raises(ServerMisconfigured, match="not there"):
        take_inventory(machine, Reserved.of(0, 0), {"x.device": [Path("/dev/no-such")]})
    with pytest.raises(ServerMisconfigured, match="slot name"):
        take_inventory(machine, Reserved.of(0, 0), {"X!": []})


def test_a_quota_of_the_node_itself_bounds_its_capacity() -> None:
    machine = Machine(tuple(range(64)), Decimal("2.5"), 2**30)
    assert take_inventory(machine, Reserved.of(0.5, 0)).capacity()[SlotName("cpu")] == 2


def test_a_node_with_nothing_left_refuses_to_start() -> None:
    with pytest.raises(ServerMisconfigured, match="nothing is left"):
        take_inventory(Machine((0,), None, 2**30), Reserved.of(1, 0))


def test_the_numa_nodes_of_cores_are_those_of_the_kernel(tmp_path: Path) -> None:
    for node, cores in (("node0", "0-1,8"), ("node1", "2-3"), ("node2", "")):
        (tmp_path / node).mkdir()
        (tmp_path / node / "cpulist").write_text(f"{cores}\n")
    assert read_numa_nodes(tmp_path) == {0: 0, 1: 0, 8: 0, 2: 1, 3: 1}
    assert read_numa_nodes(tmp_path / "nowhere") == {}
