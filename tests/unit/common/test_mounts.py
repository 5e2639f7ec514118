import pytest

from backendai.common.faults import BadRequest
from backendai.common.mounts import (
    below_home,
    find_clashes,
    is_kept_name,
    parse_directory,
    parse_target,
)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("data", "/home/work/data"),
        ("./a//b/", "/home/work/a/b"),
        (".config", "/home/work/.config"),
        ("/home/work/data", "/home/work/data"),
        ("//data/x", "/data/x"),
        ("/opt/tools", "/opt/tools"),
        ("/mnt/x", "/mnt/x"),
    ],
)
def test_a_relative_target_lies_in_the_home(text: str, target: str) -> None:
    assert parse_target(text) == target


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no folder"),
        ("/", "names no folder"),
        (".", "names no folder"),
        ("/home/work", "not below it"),
        ("/home/", "not below it"),
        ("/mnt", "not below it"),
        ("/etc", "kept for the system"),
        ("/etc/passwd.d", "kept for the system"),
        ("/opt/kernel", "kept for the system"),
        ("/opt/kernel/x", "kept for the system"),
        ("/run/backendai", "kept for the system"),
        ("/tmp/x", "kept for the system"),
        ("/proc/self", "kept for the system"),
        (".ssh/x", "kept for the system"),
        ("/home/work/.bashrc", "kept for the system"),
        ("a/../../etc", "leads upwards"),
        ("/home/work/../../etc", "leads upwards"),
        ("a\0b", "cannot be printed"),
        ("a\nb", "cannot be printed"),
        ("a" * 1025, "longer than"),
        ("a" * 300, "more than 255 bytes"),
    ],
)
def test_a_target_of_the_system_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse_target(text)


@pytest.mark.parametrize(
    ("text", "path"),
    [("/mnt/x", "/mnt/x"), ("//mnt/./x//", "/mnt/x"), ("/data", "/data"), ("/tmp/x", "/tmp/x")],
)
def test_a_directory_of_nodes_is_written_in_one_way(text: str, path: str) -> None:
    assert parse_directory(text) == path


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not absolute"),
        ("mnt/x", "not absolute"),
        ("/", "the whole node"),
        ("/./", "the whole node"),
        ("/etc", "kept for the system"),
        ("//proc/1/root", "kept for the system"),
        ("/var/lib/docker", "kept for the system"),
        ("/root/.ssh", "kept for the system"),
        ("/mnt/../etc", "leads upwards"),
        ("/mnt/\0", "cannot be printed"),
        ("/" + "a/" * 600, "longer than"),
    ],
)
def test_a_directory_of_the_system_is_refused(text: str, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        parse_directory(text)


def test_targets_in_one_another_clash() -> None:
    targets = ["/home/work/a", "/home/work/ab", "/home/work/a/b", "/data", "/data"]
    assert list(find_clashes(targets)) == [(0, 2), (3, 4)]


def test_what_lies_in_the_home_is_told() -> None:
    assert str(below_home("/home/work/a/b")) == "a/b"
    assert below_home("/home/worker/a") is None


@pytest.mark.parametrize("name", [".ssh", ".zshrc", ".bash_profile"])
def test_names_that_programs_read_in_a_home_are_kept(name: str) -> None:
    assert is_kept_name(name)
    assert not is_kept_name(f"{name}.old")
