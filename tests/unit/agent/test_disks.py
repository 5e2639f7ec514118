"""How full the disks of a node are: each file system once, and never a failure."""

from pathlib import Path

from backendai.agent.disks import read_disks


def test_a_file_system_is_told_once_and_what_is_not_there_is_left_out(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    found = read_disks([tmp_path / "missing", inside, tmp_path])
    assert [disk.path for disk in found] == [str(inside)]
    assert 0 <= found[0].free_bytes <= found[0].total_bytes


def test_other_file_systems_are_told_beside_it(tmp_path: Path) -> None:
    found = {disk.path for disk in read_disks([tmp_path, Path("/proc")])}
    assert found == {str(tmp_path), "/proc"}
