"""Log files: last lines, new lines, a file that was cut meanwhile."""

from pathlib import Path

import pytest

from backendai.halfstack.faults import SetupFault
from backendai.halfstack.logs import find_logs, follow_logs, read_tail
from backendai.halfstack.places import Layout
from backendai.halfstack.supervisor import rotate


def test_an_unknown_name_tells_the_known(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.log.mkdir()
    layout.log_file("etcd").touch()
    with pytest.raises(SetupFault) as caught:
        find_logs(layout, ["etc"])
    assert "etcd" in caught.value.fix


def test_no_logs_at_all_tell_what_to_do(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.make()
    with pytest.raises(SetupFault, match="nothing has run here"):
        find_logs(layout, [])


def test_the_last_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("".join(f"{n}\n" for n in range(100)))
    assert read_tail(path, 2) == ["98", "99"]
    assert read_tail(path, 0) == []


def test_new_lines_are_followed_also_after_a_cut(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("old\n")
    texts = iter(["old\nnew\nhal", "old\nnew\nhalf\n", "cut\n"])
    lines = follow_logs({"a": path}, lambda _: path.write_text(next(texts)))
    assert [next(lines) for _ in range(3)] == ["new", "half", "cut"]


def test_a_large_log_is_rotated(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_bytes(b"x" * (11 * 1024 * 1024))
    rotate(path)
    assert path.stat().st_size == 0
    assert (tmp_path / "a.log.1").stat().st_size == 11 * 1024 * 1024


def test_a_small_log_is_not(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.write_text("x")
    rotate(path)
    assert path.read_text() == "x"
