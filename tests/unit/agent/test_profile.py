"""A profile holds every limit, and the engine is told all of it."""

import resource
from pathlib import Path

import msgspec

from backendai.agent.backends.docker.bodies import (
    create_body,
    parse_time,
    read_exit,
    read_image,
    read_listing,
    split_reference,
)
from backendai.agent.backends.process.rootfs import RootFs
from backendai.agent.backends.process.sandbox import make_arguments
from backendai.agent.labels import Identity
from backendai.agent.machine import Phase
from backendai.agent.profile import (
    OPEN_FILES_MAX,
    Folders,
    Maker,
    Profile,
    make_environ,
    make_profile,
    open_files_max,
)
from backendai.agent.resources.inventory import Share
from backendai.agent.resources.plugin import DeviceRequest, Limits, Mount
from backendai.common.contracts.agent import KernelSpec
from backendai.common.slots import ResourceSlots

KERNEL = "9a63b5a3-d180-4ac5-9a18-168d3a8b488e"
IDENTITY = Identity("i-1", KERNEL, "s1", 2)
MAKER = Maker("i-1", "instance", "0.1", 1000, 1001)
FOLDERS = Folders("/b", "/r", "/w", "/t", "/a")


def make_spec(**changes: object) -> KernelSpec:
    values: dict[str, object] = {
        "session_id": "s1",
        "session_name": "n",
        "session_type": "interactive",
        "image": "python:3",
        "slots": {},
    }
    return KernelSpec(**{**values, **changes})


def make(limits: Limits | None = None, **changes: object) -> Profile:
    limits = limits or Limits(cpuset=(1, 2), cpu_weight=2048, memory_bytes=1 << 30)
    share = Share(ResourceSlots(), {}, limits)
    return make_profile(make_spec(**changes), IDENTITY, share, FOLDERS, MAKER, ("/entry",))


def test_the_engine_is_told_every_limit() -> None:
    body = create_body(make(), "net")
    host = body["HostConfig"]
    assert body["User"] == "1000:1001"
    assert body["Entrypoint"] == ["/entry"]
    assert host["CapDrop"] == ["ALL"]
    assert host["CapAdd"] == []
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] == host["MemorySwap"] == 1 << 30
    assert host["CpusetCpus"] == "1,2"
    assert host["CpuShares"] == 2048
    assert "CpuQuota" not in host
    assert host["PidsLimit"] == 4096
    assert host["Init"]
    assert host["LogConfig"]["Config"]["max-size"]
    assert host["NetworkMode"] == "net"
    assert {"Name": "core", "Soft": 0, "Hard": 0} in host["Ulimits"]
    assert body["Env"] == ["NVIDIA_VISIBLE_DEVICES=void"]


def test_only_what_must_be_is_writable() -> None:
    mounts = {
        one["Target"]: one["ReadOnly"] for one in create_body(make(), "n")["HostConfig"]["Mounts"]
    }
    assert mounts == {
        "/opt/kernel": True,
        "/run/backendai": False,
        "/home/work": False,
        "/tmp": False,
        "/etc/passwd": True,
        "/etc/group": True,
    }


def test_a_fraction_of_a_core_is_a_quota() -> None:
    from decimal import Decimal

    host = create_body(make(Limits(cpu_quota=Decimal("0.5"))), "n")["HostConfig"]
    assert (host["CpuPeriod"], host["CpuQuota"]) == (100_000, 50_000)


def test_open_files_stay_within_the_nodes_own_limit() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert open_files_max() <= OPEN_FILES_MAX
    assert hard == resource.RLIM_INFINITY or open_files_max() <= hard


def test_our_variables_win_over_the_users() -> None:
    spec = make_spec(environ={"HOME": "/root", "A": "b", "BACKENDAI_KERNEL_ID": "x"})
    environ = make_environ(spec, IDENTITY, Limits(environ={"A": "limit", "B": "c"}))
    assert environ["HOME"] == "/home/work"
    assert environ["BACKENDAI_KERNEL_ID"] == KERNEL
    assert (environ["A"], environ["B"]) == ("b", "c")


def test_a_session_of_several_kernels_has_its_own_network() -> None:
    alone = make(cluster_network="n1", cluster_size=1)
    both = make(cluster_network="n1", cluster_size=2, cluster_hostname="sub1")
    assert alone.network.name == ""
    assert (both.network.name, both.network.aliases) == ("n1", ("sub1",))


def test_a_listing_takes_only_what_is_ours() -> None:
    labels = dict(make().labels)
    name = f"/bai.{KERNEL}.2"
    rows = [
        {"Id": "c1", "Names": ["/other/alias", name], "Labels": labels, "State": "paused"},
        {"Id": "c2", "Names": ["/web"], "Labels": labels, "State": "running"},
        {"Id": "c3", "Names": [name], "Labels": labels | {"bai.agent": "i-2"}, "State": "running"},
        {"Id": "c4", "Names": None, "Labels": None, "State": "exited"},
    ]
    listing = read_listing(rows, "i-1")
    assert [(one.container_id, one.phase) for one in listing.containers] == [("c1", Phase.RUNNING)]
    assert [one.container_id for one in listing.strays] == ["c2", "c4"]


def test_times_of_the_engine_are_read_exactly() -> None:
    assert parse_time("0001-01-01T00:00:00Z") is None
    assert parse_time("1970-01-01T00:00:01.500000000Z") == 1.5
    assert parse_time("1970-01-01T01:00:01+01:00") == 1.0


def test_a_container_that_never_ran_has_no_exit_code() -> None:
    never = "0001-01-01T00:00:00Z"
    facts = read_exit({"StartedAt": never, "FinishedAt": never, "ExitCode": 0, "Error": "no entry"})
    assert (facts.exit_code, facts.error) == (None, "no entry")


def test_a_reference_is_split_at_its_tag() -> None:
    assert split_reference("localhost:5000/a/b") == ("localhost:5000/a/b", "latest")
    assert split_reference("localhost:5000/a:1") == ("localhost:5000/a", "1")
    assert split_reference("a@sha256:0") == ("a", "sha256:0")


def test_an_image_has_its_registrys_digest_or_its_own() -> None:
    details = {
        "Id": "sha256:1",
        "Architecture": "amd64",
        "Size": 3,
        "RepoDigests": ["r/a@sha256:2"],
    }
    assert read_image("r/a:1", details).digest == "sha256:2"
    assert read_image("other:1", details).digest == "sha256:1"
    assert read_image("other:1", details).architecture == "x86_64"


ACCELERATED = Limits(
    environ={"CUDA_VISIBLE_DEVICES": "GPU-a"},
    fixed_environ={"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25"},
    device_paths=("/dev/fpga0",),
    mounts=(Mount("/pipes", "/run/nvidia-mps"),),
    device_requests=(DeviceRequest("nvidia", ("GPU-a",), ("compute", "utility")),),
)


def test_the_engine_is_told_of_devices() -> None:
    body = create_body(make(ACCELERATED), "n")
    host = body["HostConfig"]
    assert body["Env"] == []
    assert host["Devices"] == [
        {"PathOnHost": "/dev/fpga0", "PathInContainer": "/dev/fpga0", "CgroupPermissions": "rwm"}
    ]
    assert host["DeviceRequests"] == [
        {"Driver": "nvidia", "DeviceIDs": ["GPU-a"], "Capabilities": [["compute", "utility"]]}
    ]
    assert host["Mounts"][-1]["Source"] == "/pipes"
    assert create_body(make(), "n")["HostConfig"]["DeviceRequests"] == []


def test_a_sandbox_sees_its_devices_and_no_others(tmp_path: Path) -> None:
    root = RootFs("x", tmp_path)
    words = make_arguments(make(ACCELERATED), root, 3, is_root=True, shares_network=False)
    place = words.index("--dev-bind")
    assert words[place : place + 3] == ["--dev-bind", "/dev/fpga0", "/dev/fpga0"]
    assert place > words.index("--dev")
    assert "/run/nvidia-mps" in words
    others = make_arguments(make(), root, 3, is_root=True, shares_network=False)
    assert "--dev-bind" not in others


def test_a_user_may_choose_among_devices_and_not_raise_a_limit() -> None:
    asked = {"CUDA_VISIBLE_DEVICES": "", "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "100"}
    environ = make_environ(make_spec(environ=asked), IDENTITY, ACCELERATED)
    assert environ["CUDA_VISIBLE_DEVICES"] == ""
    assert environ["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] == "25"


def test_a_profile_on_disk_reads_back_with_its_devices() -> None:
    profile = make(ACCELERATED)
    assert msgspec.json.decode(msgspec.json.encode(profile), type=Profile) == profile


def test_a_profile_from_before_devices_could_be_mounted_is_read() -> None:
    document = msgspec.to_builtins(make())
    for name in ("fixed_environ", "mounts", "device_requests"):
        del document["limits"][name]
    assert msgspec.convert(document, Profile) == make()
