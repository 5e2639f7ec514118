"""Usage from the files of cgroups 1 and 2, as kernels of both kinds write them."""

from pathlib import Path

from backendai.agent.stats import find_cgroups, read_network, read_node, read_sample, size_of

NET = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets
    lo:    999       1    0    0    0     0          0         0      999       1    0 0 0 0 0 0
  eth0:   1000       9    0    0    0     0          0         0      500       7    0 0 0 0 0 0
"""


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def make_process(proc: Path, cgroup: str) -> None:
    write(proc / "7", cgroup=cgroup)
    write(proc / "7" / "net", dev=NET)


def test_a_sample_of_version_1(tmp_path: Path) -> None:
    proc, root = tmp_path / "proc", tmp_path / "cgroup"
    lines = "9:memory:/d/x\n8:cpuacct:/d/x\n7:pids:/d/x\n6:blkio:/d/x\n5:cpu,cpuset:/d/x\n0::/\n"
    make_process(proc, lines)
    write(
        root / "memory/d/x", memory__usage_in_bytes="500", memory__stat="total_inactive_file 100\n"
    )
    write(root / "cpuacct/d/x", cpuacct__usage="123000000")
    write(root / "pids/d/x", pids__current="5")
    service = "8:0 Read 10\n8:0 Write 20\n8:16 Read 1\n8:0 Total 30\nTotal 30\n"
    write(root / "blkio/d/x", blkio__throttle__io_service_bytes=service)
    sample = read_sample(find_cgroups(7, proc, root), 7, proc)
    assert sample.cpu_nanoseconds == 123_000_000
    assert sample.memory_bytes == 400
    assert (sample.io_read_bytes, sample.io_write_bytes) == (11, 20)
    assert (sample.network_received_bytes, sample.network_sent_bytes) == (1000, 500)
    assert sample.processes == 5


def test_a_sample_of_version_2(tmp_path: Path) -> None:
    proc, root = tmp_path / "proc", tmp_path / "cgroup"
    make_process(proc, "0::/docker/x\n")
    write(
        root / "docker/x",
        memory__current="500",
        memory__stat="anon 1\ninactive_file 100\n",
        cpu__stat="usage_usec 123000\nuser_usec 1\n",
        io__stat="8:0 rbytes=10 wbytes=20 rios=1\n8:16 rbytes=1 wbytes=0\n",
        pids__current="5",
    )
    sample = read_sample(find_cgroups(7, proc, root), 7, proc)
    assert sample.cpu_nanoseconds == 123_000_000
    assert sample.memory_bytes == 400
    assert (sample.io_read_bytes, sample.io_write_bytes) == (11, 20)
    assert sample.processes == 5


def test_a_process_that_is_gone_uses_nothing(tmp_path: Path) -> None:
    assert find_cgroups(7, tmp_path) == {}
    assert read_sample({}, 7, tmp_path).memory_bytes == 0
    assert read_network([]) == (0, 0)


def test_the_node_tells_its_load(tmp_path: Path) -> None:
    write(
        tmp_path,
        stat="cpu 10 0 20 60 10 0 0 0 0 0\n",
        meminfo="MemTotal: 100 kB\nMemAvailable: 40 kB\n",
    )
    assert read_node(tmp_path) == ((30, 100), 60 * 1024)


def test_sizes_follow_no_links(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b", file="x" * 100_000)
    before = size_of(tmp_path)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert 100_000 <= before <= size_of(tmp_path) < 300_000
    assert size_of(tmp_path / "missing") == 0
