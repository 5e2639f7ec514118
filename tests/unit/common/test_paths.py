import pytest
from hypothesis import given
from hypothesis import strategies as st

from backendai.common.faults import BadRequest
from backendai.common.paths import RelPath, parse_relpath


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("", ()),
        (".", ()),
        ("a", ("a",)),
        ("a/b/c", ("a", "b", "c")),
        ("./a//b/./c/", ("a", "b", "c")),
        ("...", ("...",)),
        ("a\\b", ("a\\b",)),
        ("%2e%2e/x", ("%2e%2e", "x")),
        ("한글/ü", ("한글", "ü")),
    ],
)
def test_names_are_taken_as_they_are(text: str, names: tuple[str, ...]) -> None:
    assert parse_relpath(text) == RelPath(names)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/etc/passwd", "absolute"),
        ("//etc", "absolute"),
        ("..", "upwards"),
        ("a/../../b", "upwards"),
        ("a/b/..", "upwards"),
        ("a\0b", "NUL"),
        ("x" * 256, "255 bytes"),
        ("a/" * 3000, "4095"),
        ("\ud800", "no valid text"),
    ],
)
def test_what_is_refused_is_told_why(text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse_relpath(text)


@given(st.text(max_size=40))
def test_no_text_leads_upwards(text: str) -> None:
    try:
        found = parse_relpath(text)
    except BadRequest:
        return
    assert not {"..", ".", ""} & set(found.names)
    assert all("/" not in name and "\0" not in name for name in found.names)
    assert parse_relpath(str(found)) == found


def test_a_path_has_a_parent_and_a_name() -> None:
    path = parse_relpath("a/b") / "c"
    assert (str(path), str(path.parent), path.name) == ("a/b/c", "a/b", "c")
    top = parse_relpath(".")
    assert (top.is_top, top.name, str(top), top.parent) == (True, "", ".", top)
