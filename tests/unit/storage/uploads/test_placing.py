"""Moving a part to where it belongs, also where a rename does not reach."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backendai.storage.uploads.placing import move_in


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Path]:
    """A directory on another file system."""
    with TemporaryDirectory(dir="/dev/shm") as found:
        if os.stat(found).st_dev == tmp_path.stat().st_dev:
            pytest.skip("there is one file system only")
        yield Path(found)


def test_a_part_is_copied_where_a_rename_does_not_reach(tmp_path: Path, elsewhere: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "part").write_bytes(data)
    (tmp_path / "part").chmod(0o640)
    (elsewhere / "file").write_bytes(b"old")
    aside, parent = (os.open(path, os.O_RDONLY) for path in (tmp_path, elsewhere))
    try:
        move_in(aside, "part", parent, "file")
    finally:
        os.close(aside)
        os.close(parent)
    assert os.listdir(elsewhere) == ["file"]
    assert (elsewhere / "file").read_bytes() == data
    assert (elsewhere / "file").stat().st_mode & 0o777 == 0o640
    assert not os.listdir(tmp_path)


def test_a_directory_in_its_place_stays(tmp_path: Path, elsewhere: Path) -> None:
    (tmp_path / "part").write_bytes(b"x")
    (elsewhere / "file").mkdir()
    aside, parent = (os.open(path, os.O_RDONLY) for path in (tmp_path, elsewhere))
    try:
        with pytest.raises(IsADirectoryError):
            move_in(aside, "part", parent, "file")
    finally:
        os.close(aside)
        os.close(parent)
    assert os.listdir(elsewhere) == ["file"]
    assert os.listdir(tmp_path) == ["part"]
