"""Whoever writes in a folder swaps a directory and a link while the proxy opens: none gets out.

BAI_TEST_RACES is how often it is tried.
"""

import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from backendai.common.beneath import make_directories, opened_regular
from backendai.common.paths import parse_relpath
from backendai.storage.files import list_items
from backendai.storage.syscalls import exchange

TRIES: Final = int(os.environ.get("BAI_TEST_RACES", "20000"))


@pytest.fixture
def top(tmp_path: Path) -> Iterator[int]:
    """A folder in which `here` is a directory or a link out, by turns."""
    for place, content in (("folder/here", "inside"), ("outside", "outside")):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "file").write_text(content)
    (tmp_path / "folder" / "link").symlink_to("../outside")
    fd = os.open(tmp_path / "folder", os.O_RDONLY | os.O_DIRECTORY)
    yield fd
    os.close(fd)


@pytest.fixture
def swapping(top: int) -> Iterator[None]:
    end = threading.Event()

    def swap() -> None:
        while not end.is_set():
            exchange(top, "here", "link")

    thread = threading.Thread(target=swap)
    thread.start()
    yield
    end.set()
    thread.join()


def read(top: int) -> str:
    with opened_regular(top, parse_relpath("here/file")) as fd:
        return os.read(fd, 100).decode()


def write(top: int) -> str:
    make_directories(top, parse_relpath("here/made"))
    return "inside"


def listed(top: int) -> str:
    list_items(top, parse_relpath("here/made"))
    return "inside"


@pytest.mark.timeout(300 + TRIES // 1000)
@pytest.mark.usefixtures("swapping")
def test_no_open_leads_out(top: int, tmp_path: Path) -> None:
    works: tuple[Callable[[int], str], ...] = (read, write, listed)
    inside = refused = 0
    for number in range(TRIES):
        try:
            assert works[number % len(works)](top) == "inside"
            inside += 1
        except OSError:
            refused += 1
    assert os.listdir(tmp_path / "outside") == ["file"]
    # It was a race indeed: both happened.
    assert inside
    assert refused
