"""Files that are laid into the home of a kernel."""

import os
import stat
from pathlib import Path

import pytest

from backendai.kernel.runner.home import lay_files
from backendai.kernel.wire import HomeFile


def test_files_get_their_permission_whatever_the_umask(tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        files = [HomeFile(".netrc", "600", "é"), HomeFile(".config/app/run", "755", "")]
        assert lay_files(tmp_path, files) == []
    finally:
        os.umask(old)
    assert (tmp_path / ".netrc").read_text("utf-8") == "é"
    modes = [stat.S_IMODE((tmp_path / file.path).stat().st_mode) for file in files]
    assert modes == [0o600, 0o755]
    assert sorted(path.name for path in tmp_path.iterdir()) == [".config", ".netrc"]


def test_a_second_start_writes_them_anew(tmp_path: Path) -> None:
    file = HomeFile("a/b", "400", "new")
    for _ in range(2):
        assert lay_files(tmp_path, [file]) == []
        (tmp_path / "a/b").chmod(0o644)
        (tmp_path / "a/b").write_text("of the user")
    assert lay_files(tmp_path, [file]) == []
    assert (tmp_path / "a/b").read_text() == "new"


def test_no_link_is_followed(tmp_path: Path) -> None:
    home, outside = tmp_path / "home", tmp_path / "outside"
    for folder in (home, outside):
        folder.mkdir()
    (outside / "passwd").write_text("theirs")
    (home / "folder").symlink_to(outside)
    (home / "passwd").symlink_to(outside / "passwd")
    files = [HomeFile("folder/new", "644", "x"), HomeFile("passwd", "644", "ours")]
    [problem] = lay_files(home, files)
    assert problem.startswith("the dotfile folder/new cannot be written")
    assert [path.name for path in outside.iterdir()] == ["passwd"]
    assert (outside / "passwd").read_text() == "theirs"
    assert (home / "passwd").read_text() == "ours"
    assert not (home / "passwd").is_symlink()


@pytest.mark.parametrize("path", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "./x"])
def test_no_path_leads_outside(tmp_path: Path, path: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    [problem] = lay_files(home, [HomeFile(path, "644", "x")])
    assert "no path below the home" in problem
    assert not [*home.iterdir()]
    assert [*tmp_path.iterdir()] == [home]


def test_what_is_in_the_way_keeps_no_other_file_back(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    paths = ["folder", "file/below", "last"]
    problems = lay_files(tmp_path, [HomeFile(path, "644", "secret") for path in paths])
    assert [problem.split()[2] for problem in problems] == ["folder", "file/below"]
    assert not any("secret" in problem for problem in problems)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder", "last"]
    assert [*(tmp_path / "folder").iterdir()] == []
