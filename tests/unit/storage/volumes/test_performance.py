from backendai.storage.volumes.performance import parse_block_stat, parse_mountstats
from backendai.storage.volumes.volume import Performance

BLOCK = "  100  1  200  30  40  2  80  50  0  60  80  0 0 0 0 0 0\n"
MOUNTSTATS = """\
device /dev/vda mounted on / with fstype ext4
device server:/export mounted on /mnt/other with fstype nfs4 statvers=1.1
\tREAD: 9 9 0 9 9 9 9 9 0
\tWRITE: 9 9 0 9 9 9 9 9 0
device server:/export mounted on /mnt/here with fstype nfs4 statvers=1.1
\topts:\trw,vers=4.2
\tper-op statistics
\t        NULL: 1 1 0 44 24 0 0 0 0
\t        READ: 10 10 0 1500 65536 1 70 80 0
\t       WRITE: 20 20 0 131072 2600 2 90 100 0
"""


def test_a_disk_counts_requests_sectors_and_milliseconds() -> None:
    assert parse_block_stat(BLOCK) == Performance(100, 40, 200 * 512, 80 * 512, 30_000, 50_000)


def test_an_nfs_mount_counts_its_calls() -> None:
    found = parse_mountstats(MOUNTSTATS, "/mnt/here")
    assert found == Performance(10, 20, 65536, 131072, 80_000, 100_000)


def test_what_is_neither_counts_nothing() -> None:
    assert parse_mountstats(MOUNTSTATS, "/") == Performance(0, 0, 0, 0, 0, 0)
