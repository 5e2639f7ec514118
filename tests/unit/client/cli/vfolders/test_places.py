"""Which side of a copy is a folder's."""

import click
import pytest

from backendai.client.cli.vfolders.places import Place, Way, read_place, read_way


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("data:a/b", Place("data", "a/b")),
        ("data:", Place("data", ".")),
        ("data:a:b", Place("data", "a:b")),
        ("./data:a", Place(None, "./data:a")),
        ("/tmp/x", Place(None, "/tmp/x")),
        ("x", Place(None, "x")),
    ],
)
def test_a_colon_before_any_slash_names_a_folder(text: str, place: Place) -> None:
    assert read_place(text) == place


def test_ways_go_up_or_down() -> None:
    assert read_way(["a", "b", "data:x/"]) == Way("data", True, ("a", "b"), Place("data", "x/"))
    assert read_way(["data:a", "."]) == Way("data", False, ("a",), Place(None, "."))


@pytest.mark.parametrize(
    "words",
    [["a"], ["a", "b"], ["a:x", "b:y"], ["a:x", "b:y", "."], ["a:x", "b", "."], [":x", "."]],
)
def test_exactly_one_side_is_a_folder(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        read_way(words)


@pytest.mark.parametrize(("path", "is_directory"), [(".", True), ("a/", True), ("a", False)])
def test_what_is_written_as_a_directory(path: str, is_directory: bool) -> None:
    assert Place("data", path).is_directory is is_directory
