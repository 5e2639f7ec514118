"""Which paths are inside, and archives that can be read from anywhere."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.kernel.runner import archive
from backendai.kernel.runner.archive import Archive
from backendai.kernel.runner.files import resolve_inside, resolve_link_inside
from backendai.kernel.runner.runs import Refusal


@pytest.mark.parametrize("path", ["a", "a/b", "./a", "a/../b", "new/deep/file"])
def test_paths_below_are_inside(tmp_path: Path, path: str) -> None:
    assert resolve_inside(tmp_path, path) == Path(os.path.normpath(tmp_path / path))


def test_the_folder_itself_is_inside(tmp_path: Path) -> None:
    assert resolve_inside(tmp_path, ".") == tmp_path
    assert resolve_inside(tmp_path, str(tmp_path)) == tmp_path


@pytest.mark.parametrize("path", ["..", "../x", "/", "/etc", "a/../../x", "", "a\0b"])
def test_paths_elsewhere_are_refused(tmp_path: Path, path: str) -> None:
    with pytest.raises(Refusal) as caught:
        resolve_inside(tmp_path, path)
    assert caught.value.code == "bad-path"


def test_a_sibling_with_the_same_beginning_is_outside(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    with pytest.raises(Refusal):
        resolve_inside(tmp_path / "work", "../work2/x")


def test_links_are_followed_inside_and_never_outside(tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "real").mkdir(parents=True)
    (work / "in").symlink_to("real")
    (work / "out").symlink_to("..")
    assert resolve_inside(work, "in/x") == work / "real" / "x"
    assert resolve_link_inside(work, "in") == work / "real"
    assert resolve_inside(work, "out") == work / "out"
    for path in ("out/x", "in/../out/x"):
        with pytest.raises(Refusal):
            resolve_inside(work, path)
    with pytest.raises(Refusal):
        resolve_link_inside(work, "out")


@given(st.text(alphabet="ab./", max_size=20))
def test_no_path_resolves_outside(path: str) -> None:
    try:
        place = resolve_inside(Path("/nowhere/work"), path)
    except Refusal:
        return
    assert place == Path("/nowhere/work") or place.is_relative_to("/nowhere/work")


def make_tree(root: Path) -> Path:
    (root / "t" / "sub").mkdir(parents=True)
    (root / "t" / "one").write_bytes(b"1" * 700)
    (root / "t" / "sub" / "two").write_bytes(b"2" * 512)
    (root / "t" / "none").write_bytes(b"")
    os.mkfifo(root / "t" / "fifo")
    return root / "t"


def read_all(tree: Archive, step: int, monkeypatch: pytest.MonkeyPatch) -> bytes:
    monkeypatch.setattr(archive, "CHUNK_BYTES", step)
    data = b""
    while len(data) < tree.total_bytes:
        piece = tree.read(len(data))
        assert 0 < len(piece) <= step
        data += piece
    return data


def test_the_archive_is_the_same_whatever_the_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Archive(make_tree(tmp_path), "t")
    whole = read_all(tree, 1 << 20, monkeypatch)
    for step in (1000, 512, 333):
        assert read_all(tree, step, monkeypatch) == whole
    with tarfile.open(fileobj=io.BytesIO(whole)) as opened:
        sizes = {member.name: member.size for member in opened}
    assert sizes == {"t": 0, "t/sub": 0, "t/none": 0, "t/one": 700, "t/sub/two": 512}


def test_files_that_change_meanwhile_do_not_break_the_archive(tmp_path: Path) -> None:
    root = make_tree(tmp_path)
    tree = Archive(root, "t")
    (root / "one").write_bytes(b"short")
    (root / "sub" / "two").unlink()
    data = tree.read(0)
    assert len(data) == tree.total_bytes
    with tarfile.open(fileobj=io.BytesIO(data)) as opened:
        one, two = opened.extractfile("t/one"), opened.extractfile("t/sub/two")
        assert one is not None
        assert one.read() == b"short" + bytes(695)
        assert two is not None
        assert two.read() == bytes(512)


def test_too_many_members_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MEMBERS_MAX", 3)
    with pytest.raises(Refusal) as caught:
        Archive(make_tree(tmp_path), "t")
    assert caught.value.code == "too-large"
