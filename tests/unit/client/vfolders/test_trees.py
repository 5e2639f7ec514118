"""Trees of this machine and names of listings."""

import os
from pathlib import Path

import pytest

from backendai.client.faults import LocalFileFailed, UnexpectedAnswer
from backendai.client.results import FileEntry
from backendai.client.vfolders.trees import (
    TOP,
    Entry,
    Kind,
    clean,
    join,
    look_at,
    read_entry,
    read_local,
)


async def test_a_tree_has_what_is_there_and_never_what_links_lead_to(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "f").write_bytes(b"123")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / ".backendai-0123.part").write_bytes(b"of a download")
    os.mkfifo(tmp_path / "pipe")
    tree = await read_local(tmp_path)
    kinds = {path: entry.kind for path, entry in tree.items()}
    assert kinds == {
        "a": Kind.DIRECTORY,
        "a/b": Kind.DIRECTORY,
        "a/b/f": Kind.FILE,
        "link": Kind.OTHER,
        "pipe": Kind.OTHER,
    }
    assert tree["a/b/f"].size == 3
    assert await read_local(tmp_path / "nowhere") == {}


async def test_a_name_that_is_no_text_is_named(tmp_path: Path) -> None:
    os.mkfifo(bytes(tmp_path) + b"/\xff")
    with pytest.raises(LocalFileFailed, match="no name in UTF-8"):
        await read_local(tmp_path)


def test_what_is_named_itself_is_found_behind_links(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"1")
    (tmp_path / "link").symlink_to("f")
    found = look_at(tmp_path / "link")
    assert found is not None
    assert found.kind is Kind.FILE
    assert look_at(tmp_path / "nothing") is None


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "/etc/passwd", "a\0b"])
def test_a_listing_leads_nowhere_else(name: str) -> None:
    with pytest.raises(UnexpectedAnswer, match="no name of a file"):
        read_entry(FileEntry(filename=name, mode="-rw-r--r--"))


@pytest.mark.parametrize(
    ("mode", "kind"),
    [("drwxr-xr-x", Kind.DIRECTORY), ("-rw-r--r--", Kind.FILE), ("lrwxrwxrwx", Kind.OTHER)],
)
def test_kinds_of_a_listing(mode: str, kind: Kind) -> None:
    assert read_entry(FileEntry("a", 5, mode, 7.5)) == Entry(kind, 5, 7.5)


def test_paths_are_written_in_one_way() -> None:
    assert [clean(text) for text in ("", ".", "/", "./a//b/", "a/.")] == [TOP, TOP, TOP, "a/b", "a"]
    assert [join(TOP, "a"), join("a", "b"), join("a", TOP), join(TOP, TOP)] == [
        "a",
        "a/b",
        "a",
        TOP,
    ]
