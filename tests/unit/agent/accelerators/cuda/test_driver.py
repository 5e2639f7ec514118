"""GPUs by NVML: what they offer, how they are, and what a container gets of them."""

import logging
from decimal import Decimal
from pathlib import Path

import pynvml
import pytest

from backendai.agent.accelerators.cuda import nvml as numbers
from backendai.agent.accelerators.cuda.driver import CudaDriver, Places, open_cuda, read_numa_node
from backendai.agent.accelerators.cuda.health import FATAL_XIDS
from backendai.agent.accelerators.cuda.nvml import begin, open_nvml
from backendai.agent.faults import NotEnoughDevices
from backendai.agent.resources.devices import BadDevices, DevicePlugin
from backendai.agent.resources.inventory import Inventory
from backendai.agent.resources.plugin import Context, DeviceRequest, Mount, NothingHere
from backendai.agent.settings import CudaSection
from backendai.common.slots import ResourceSlots, SlotName

from .fake_nvml import GIB, FakeGpu, FakeInstance, FakeNvml

DEVICE, SHARES = SlotName("cuda.device"), SlotName("cuda.shares")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Two GPUs as the kernel and the driver show them."""
    for name, node in (("0000:3b:00.0", "0"), ("0000:af:00.0", "1")):
        (tmp_path / "pci" / name).mkdir(parents=True)
        (tmp_path / "pci" / name / "numa_node").write_text(f"{node}\n")
    (tmp_path / "dev").mkdir()
    for name in ("nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / name).touch()
    (tmp_path / "minors").write_text(
        "config 1\nmonitor 2\ngpu0/gi7/access 66\ngpu0/gi7/ci0/access 67\n"
        "gpu0/gi9/access 84\ngpu0/gi9/ci0/access 85\n"
    )
    return Places(tmp_path / "pci", tmp_path / "minors", tmp_path / "dev")


def two() -> FakeNvml:
    return FakeNvml(
        FakeGpu("GPU-a", 0, used_bytes=GIB, busy_percent=30),
        FakeGpu("GPU-b", 1, bus_id=b"00000000:AF:00.0"),
    )


def make(nvml: FakeNvml, places: Places, mode: str = "process", **settings: object) -> Inventory:
    driver = CudaDriver(nvml, CudaSection(**settings), mode, places)
    return Inventory((DevicePlugin.of(driver),))


def ask(**amounts: str) -> ResourceSlots:
    return ResourceSlots.parse({name.replace("_", "."): value for name, value in amounts.items()})


def test_the_fake_offers_what_the_real_module_has() -> None:
    for name in dir(FakeNvml):
        if name.startswith("nvml"):
            assert callable(getattr(pynvml, name)), name
    real = {
        "NOT_SUPPORTED": pynvml.NVML_ERROR_NOT_SUPPORTED,
        "NO_PERMISSION": pynvml.NVML_ERROR_NO_PERMISSION,
        "NOT_FOUND": pynvml.NVML_ERROR_NOT_FOUND,
        "DRIVER_NOT_LOADED": pynvml.NVML_ERROR_DRIVER_NOT_LOADED,
        "LIBRARY_NOT_FOUND": pynvml.NVML_ERROR_LIBRARY_NOT_FOUND,
        "FUNCTION_NOT_FOUND": pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        "GPU_IS_LOST": pynvml.NVML_ERROR_GPU_IS_LOST,
        "RESET_REQUIRED": pynvml.NVML_ERROR_RESET_REQUIRED,
        "MIG_ENABLED": pynvml.NVML_DEVICE_MIG_ENABLE,
        "TEMPERATURE_GPU": pynvml.NVML_TEMPERATURE_GPU,
        "UNCORRECTED": pynvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED,
        "SINCE_RESET": pynvml.NVML_VOLATILE_ECC,
        "XID_EVENTS": pynvml.nvmlEventTypeXidCriticalError,
    }
    assert {name: getattr(numbers, name) for name in real} == real


def test_whole_gpus_are_counted_and_pinned_by_uuid(places: Places) -> None:
    node = make(two(), places)
    first, second = node.plugins[0].devices
    assert (first.device_id, first.numa_node, first.memory_bytes) == ("GPU-a", 0, 80 * GIB)
    assert (second.numa_node, second.model) == (1, "NVIDIA H100 80GB HBM3")
    assert node.versions == {"cuda": "570.86.15"}
    assert node.capacity() == ask(cuda_device="2")
    share = node.share(ask(cuda_device="1"), [{"cuda.device": ["GPU-a"]}])
    assert share.devices == {"cuda.device": ["GPU-b"]}
    limits = share.limits
    names = ("nvidia1", "nvidiactl", "nvidia-uvm")
    assert limits.device_paths == tuple(str(places.dev / name) for name in names)
    assert limits.environ == {"CUDA_VISIBLE_DEVICES": "GPU-b"}
    assert limits.fixed_environ == {"NVIDIA_VISIBLE_DEVICES": "GPU-b"}
    assert limits.device_requests == ()


def test_an_engine_with_nvidias_runtime_is_asked_for_the_devices(places: Places) -> None:
    limits = make(two(), places, "docker").share(ask(cuda_device="2"), []).limits
    wanted = DeviceRequest("nvidia", ("GPU-a", "GPU-b"), ("compute", "utility"))
    assert limits.device_requests == (wanted,)
    assert limits.device_paths == ()


def test_fractions_are_exact_and_limits_are_asked_of_mps(places: Places) -> None:
    node = make(two(), places, slot="shares", mps_pipe_directory=Path("/pipes"))
    assert node.capacity() == ask(cuda_shares="2")
    share = node.share(ask(cuda_shares="1.25"), [])
    assert share.devices == {"cuda.shares": ["GPU-a=1", "GPU-b=0.25"]}
    assert share.limits.fixed_environ == {
        "NVIDIA_VISIBLE_DEVICES": "GPU-a,GPU-b",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25",
        "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": f"0={80 * 1024}M,1={20 * 1024}M",
        "CUDA_MPS_PIPE_DIRECTORY": "/run/nvidia-mps",
    }
    assert share.limits.mounts == (Mount("/pipes", "/run/nvidia-mps"),)
    held = [share.devices, node.share(ask(cuda_shares="0.75"), [share.devices]).devices]
    with pytest.raises(NotEnoughDevices):
        node.share(ask(cuda_shares="0.01"), held)


def test_a_quantum_that_does_not_divide_a_gpu_is_refused(places: Places) -> None:
    with pytest.raises(BadDevices, match="1 is no multiple"):
        make(two(), places, slot="shares", share_quantum=0.3)
    assert make(two(), places, slot="shares", share_quantum=1.0).capacity()[SHARES] == 2


def test_a_whole_gpu_needs_no_mps(places: Places) -> None:
    node = make(two(), places, slot="shares", mps_pipe_directory=Path("/pipes"))
    limits = node.share(ask(cuda_shares="2"), []).limits
    assert set(limits.fixed_environ) == {"NVIDIA_VISIBLE_DEVICES"}
    assert limits.mounts == ()


@pytest.mark.parametrize("slot", ["device", "shares"])
def test_instances_take_the_place_of_a_gpu_that_is_cut(places: Places, slot: str) -> None:
    cut = FakeGpu(
        "GPU-a",
        0,
        is_mig=True,
        instances=[
            FakeInstance("MIG-1", "1g.10gb", 7, used_bytes=GIB),
            FakeInstance("MIG-2", "1g.10gb+me", 9),
        ],
    )
    node = make(FakeNvml(cut, FakeGpu("GPU-b", 1)), places, slot=slot)
    small, other = SlotName("cuda.mig-1g.10gb"), SlotName("cuda.mig-1g.10gb-me")
    assert node.capacity() == ResourceSlots(
        {small: Decimal(1), other: Decimal(1), SlotName(f"cuda.{slot}"): Decimal(1)}
    )
    share = node.share(ResourceSlots({small: Decimal(1)}), [])
    assert share.devices == {small: ["MIG-1"]}
    assert share.limits.environ == {"CUDA_VISIBLE_DEVICES": "MIG-1"}
    assert share.limits.device_paths[0] == str(places.dev / "nvidia0")
    assert share.limits.device_paths[-2:] == (
        "/dev/nvidia-caps/nvidia-cap66",
        "/dev/nvidia-caps/nvidia-cap67",
    )
    reading = node.accelerators[0].measure()[(small, "MIG-1")]
    assert (reading.problem, reading.utilisation_percent) == ("", None)
    assert reading.memory_used_bytes == GIB


def test_gpus_tell_how_busy_they_are(places: Places) -> None:
    reading = make(two(), places).accelerators[0].measure()[(DEVICE, "GPU-a")]
    assert reading.utilisation_percent == 30
    assert reading.memory_used_bytes == GIB
    assert (reading.temperature_celsius, reading.power_watts) == (45, 123.4)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"errors": {"*": pynvml.NVML_ERROR_GPU_IS_LOST}}, "lost"),
        ({"errors": {"*": pynvml.NVML_ERROR_RESET_REQUIRED}}, "must be reset"),
        ({"errors": {"nvmlDeviceGetMemoryInfo": pynvml.NVML_ERROR_UNKNOWN}}, "Unknown Error"),
        ({"uuid": "GPU-other"}, "does not list it"),
        ({"ecc_errors": 3}, "3 memory errors"),
        ({"rows": (0, 1, 1, 0)}, "waits to be replaced"),
        ({"rows": (0, 1, 0, 1)}, "could not be replaced"),
    ],
)
def test_a_sick_gpu_is_sick_alone(places: Places, change: dict[str, object], words: str) -> None:
    nvml = two()
    plugin = make(nvml, places).accelerators[0]
    for name, value in change.items():
        setattr(nvml.gpus[0], name, value)
    readings = plugin.measure()
    assert words in readings[(DEVICE, "GPU-a")].problem
    assert readings[(DEVICE, "GPU-b")].problem == ""


def test_instances_are_sick_with_their_gpu(places: Places) -> None:
    gpu = FakeGpu("GPU-a", 0, is_mig=True, instances=[FakeInstance("MIG-1", "1g.10gb", 7)])
    plugin = make(FakeNvml(gpu), places).accelerators[0]
    gpu.ecc_errors = 1
    assert "memory" in plugin.measure()[("cuda.mig-1g.10gb", "MIG-1")].problem


def test_an_old_gpu_that_cannot_tell_is_well(places: Places) -> None:
    nvml = two()
    untold = [name for name in dir(nvml) if "Ecc" in name or "Rows" in name or "Retired" in name]
    untold += ["nvmlDeviceGetUtilizationRates", "nvmlDeviceGetPowerUsage", "nvmlDeviceGetMigMode"]
    untold += ["nvmlDeviceGetTemperature", "nvmlDeviceRegisterEvents"]
    nvml.gpus[0].errors = dict.fromkeys(untold, pynvml.NVML_ERROR_NOT_SUPPORTED)
    reading = make(nvml, places).accelerators[0].measure()[(DEVICE, "GPU-a")]
    assert reading.problem == ""
    assert reading.utilisation_percent is reading.power_watts is None
    assert reading.memory_used_bytes == GIB


def test_a_fatal_xid_stays_and_that_of_a_program_is_nothing(places: Places) -> None:
    nvml = two()
    plugin = make(nvml, places).accelerators[0]
    assert nvml.registered == ["GPU-a", "GPU-b"]
    nvml.events += [(nvml.gpus[0], 31), (nvml.gpus[1], 79), (nvml.gpus[0], 13)]
    for _ in range(2):
        readings = plugin.measure()
        assert readings[(DEVICE, "GPU-a")].problem == ""
        assert readings[(DEVICE, "GPU-b")].problem == f"XID 79: {FATAL_XIDS[79]}"
        nvml.gpus[1].errors = {"*": pynvml.NVML_ERROR_GPU_IS_LOST}


def test_an_event_of_a_gpu_that_is_gone_hides_no_other(places: Places) -> None:
    nvml = two()
    plugin = make(nvml, places).accelerators[0]
    nvml.gpus[0].errors = {"*": pynvml.NVML_ERROR_GPU_IS_LOST}
    nvml.events += [(nvml.gpus[0], 79), (nvml.gpus[1], 48)]
    readings = plugin.measure()
    assert "lost" in readings[(DEVICE, "GPU-a")].problem
    assert "XID 48" in readings[(DEVICE, "GPU-b")].problem


def test_a_gpu_that_is_lost_from_the_start_takes_no_other_away(
    places: Places, caplog: pytest.LogCaptureFixture
) -> None:
    nvml = two()
    nvml.gpus[0].errors = {"*": pynvml.NVML_ERROR_GPU_IS_LOST}
    with caplog.at_level(logging.WARNING):
        assert make(nvml, places).capacity() == ask(cuda_device="1")
    assert [one.getMessage() for one in caplog.records] == ["device.unreadable"]


def test_a_driver_that_breaks_later_spoils_no_report(places: Places) -> None:
    nvml = two()
    node = make(nvml, places)

    def fail() -> str:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_UNKNOWN)

    vars(nvml)["nvmlSystemGetDriverVersion"] = fail
    assert node.versions == {"cuda": "570.86.15"}


@pytest.mark.parametrize(
    "code", [pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED]
)
def test_a_node_without_the_driver_has_nothing_wrong(code: int) -> None:
    with pytest.raises(NothingHere, match="NVML"):
        begin(FakeNvml(init_error=code))


def test_a_driver_that_does_not_fit_its_library_is_an_error() -> None:
    with pytest.raises(pynvml.NVMLError):
        begin(FakeNvml(init_error=pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH))


def test_without_gpus_or_settings_nothing_is_offered(places: Places) -> None:
    with pytest.raises(NothingHere, match="no GPU"):
        make(FakeNvml(), places)
    with pytest.raises(TypeError):
        open_cuda(Context("docker", {}))


def test_without_the_module_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pynvml", None)
    with pytest.raises(NothingHere, match=r"backendai-agent\[cuda\]"):
        open_nvml()


def test_a_numa_node_that_is_not_known_is_none(tmp_path: Path) -> None:
    (tmp_path / "0000:3b:00.0").mkdir()
    (tmp_path / "0000:3b:00.0" / "numa_node").write_text("-1\n")
    assert read_numa_node(tmp_path, "00000000:3B:00.0") is None
    assert read_numa_node(tmp_path, "00000000:AA:00.0") is None
