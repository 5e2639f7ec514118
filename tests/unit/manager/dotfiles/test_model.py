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
)


@pytest.mark.parametrize("path", [".bashrc", ".config/app.toml", "a b/ä", "..a", "a..", "..."])
def test_paths_below_the_home_are_sound(path: str) -> None:
    assert check_path(path) == path


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
