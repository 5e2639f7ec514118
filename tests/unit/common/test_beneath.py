import errno
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from backendai.common.beneath import (
    make_directories,
    open_beneath,
    opened,
    opened_directory,
    opened_regular,
)
from backendai.common.paths import RelPath, parse_relpath


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with one file, beside a secret that is not in it."""
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "file").write_text("inside")
    (tmp_path / "secret").write_text("outside")
    return folder


@pytest.fixture
def top(place: Path) -> Iterator[int]:
    fd = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


def read(top: int, path: str) -> str:
    with opened_regular(top, parse_relpath(path)) as fd:
        return os.read(fd, 100).decode()


def code_of(top: int, path: str) -> int | None:
    with pytest.raises(OSError) as caught:
        read(top, path)
    return caught.value.errno


def test_what_lies_inside_is_opened(place: Path, top: int) -> None:
    (place / "link").symlink_to("a/file")
    (place / "a" / "up").symlink_to("../a/file")
    assert read(top, "a/file") == "inside"
    assert read(top, "link") == "inside"
    assert read(top, "a/up") == "inside"


@pytest.mark.parametrize("target", ["../secret", "/etc/passwd", "a/../../secret"])
def test_links_that_lead_out_are_refused(place: Path, top: int, target: str) -> None:
    (place / "link").symlink_to(target)
    assert code_of(top, "link") == errno.EXDEV


def test_names_that_lead_out_are_refused_by_the_kernel_too(top: int) -> None:
    with pytest.raises(OSError) as caught:
        open_beneath(top, RelPath(("..", "secret")), os.O_RDONLY)
    assert caught.value.errno == errno.EXDEV


def test_a_directory_that_is_a_link_out_is_no_way_out(place: Path, top: int) -> None:
    (place / "out").symlink_to("..")
    assert code_of(top, "out/secret") == errno.EXDEV
    with pytest.raises(OSError):
        make_directories(top, parse_relpath("out/new"))
    assert not (place.parent / "new").exists()


def test_magic_links_are_refused(place: Path, top: int) -> None:
    with pytest.raises(OSError) as caught, opened(top, parse_relpath("fd"), os.O_RDONLY):
        pass
    assert caught.value.errno == errno.ENOENT
    proc = os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(OSError) as caught:
            open_beneath(proc, RelPath(("root", "etc")), os.O_RDONLY)
    finally:
        os.close(proc)
    assert caught.value.errno in (errno.ELOOP, errno.EXDEV)


def test_what_is_no_regular_file_is_refused_at_once(place: Path, top: int) -> None:
    os.mkfifo(place / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place / "socket"))
        assert code_of(top, "pipe") == errno.EINVAL
        assert code_of(top, "socket") == errno.ENXIO
        assert code_of(top, "a") == errno.EISDIR


def test_directories_are_made_and_kept(place: Path, top: int) -> None:
    make_directories(top, parse_relpath("a/b/c"))
    make_directories(top, parse_relpath("a/b/c"))
    with opened_directory(top, parse_relpath("a/b")) as fd:
        assert os.listdir(fd) == ["c"]


def test_descriptors_are_closed(place: Path, top: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(10):
        assert read(top, "a/file") == "inside"
        assert code_of(top, "missing") == errno.ENOENT
    assert len(os.listdir("/proc/self/fd")) == before
