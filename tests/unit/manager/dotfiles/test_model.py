"""Where dotfiles may lie, and how many of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.faults import DotfileRefused
from backendai.manager.dotfiles.model import (
    BYTES_MAX,
    FILES_MAX,
    RESERVED,
    Dotfile,
    check_path,
    check_room,
    choose_files,
)


@pytest.mark.parametrize("path", [".bashrc", ".config/app.toml", "a b/ä", "..a", "a..", "..."])
def test_paths_below_the_home_are_sound(path: str) -> None:
    assert check_path(path) == path


def test_a_path_may_begin_with_the_home() -> None:
    assert check_path("/home/work/.config/app.toml") == ".config/app.toml"


@pytest.mark.parametrize(
    "path", ["/home/work", "/home/work/", "/home/work//a", "/home/work/../a", "/home/other/a"]
)
def test_absolute_paths_elsewhere_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="write a path below the home"):
        check_path(path)


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a\tb", "x" * 257, *RESERVED]
)
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"home|platform"):
        check_path(path)


@given(st.text(max_size=20))
def test_no_sound_path_leaves_the_home(path: str) -> None:
    try:
        words = check_path(path).split("/")
    except ValueError:
        return
    assert not {"", ".", ".."} & set(words)


def test_room_is_counted_in_files_and_in_bytes_of_utf8() -> None:
    small = [Dotfile(f"{number}", "644", "") for number in range(FILES_MAX - 1)]
    check_room(small, Dotfile("last", "644", ""))
    with pytest.raises(DotfileRefused, match="At most"):
        check_room([*small, Dotfile("full", "644", "")], Dotfile("more", "644", ""))
    check_room([], Dotfile("x", "644", "é" * ((BYTES_MAX - 1) // 2)))
    with pytest.raises(DotfileRefused, match="larger") as refused:
        check_room([Dotfile("y", "644", "")], Dotfile("x", "644", "é" * (BYTES_MAX // 2)))
    assert refused.value.facts == {"bytes": BYTES_MAX + 2}


def test_nothing_is_a_file_and_a_folder() -> None:
    for known, path in (("a", "a/b"), ("a/b/c", "a/b")):
        with pytest.raises(DotfileRefused, match="a file and a folder"):
            check_room([Dotfile(known, "644", "")], Dotfile(path, "644", ""))
    check_room([Dotfile("a/b", "644", "")], Dotfile("a/bc", "644", ""))


def test_the_first_of_two_for_one_place_gets_it() -> None:
    paths = ["a", "b/c", "d", "a", "a/x", "b", "b/c/d", "b/e", "dd"]
    files = [Dotfile(path, "644", str(rank)) for rank, path in enumerate(paths)]
    assert [int(file.data) for file in choose_files(files)] == [0, 1, 2, 7, 8]


@given(st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)))
def test_what_is_chosen_fits_into_one_home(paths: list[str]) -> None:
    chosen = [file.path for file in choose_files(Dotfile(path, "644", "") for path in paths)]
    assert len({*chosen}) == len(chosen)
    assert not any(one.startswith(f"{other}/") for one in chosen for other in chosen)


def test_what_is_in_a_dotfile_is_not_shown() -> None:
    assert "secret" not in repr(Dotfile(".netrc", "600", "secret"))
