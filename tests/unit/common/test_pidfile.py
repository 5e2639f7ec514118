"""A pid file names the process that runs, and only one process has it at a time."""

import os
from pathlib import Path

import pytest

from backendai.common.faults import ServerMisconfigured
from backendai.common.pidfile import hold_pid_file


def test_it_is_there_while_held_and_gone_after(tmp_path: Path) -> None:
    path = tmp_path / "one.pid"
    with hold_pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


def test_it_is_gone_after_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "one.pid"
    with pytest.raises(ZeroDivisionError), hold_pid_file(path):
        raise ZeroDivisionError
    assert not path.exists()


def test_a_second_holder_is_told_who_has_it(tmp_path: Path) -> None:
    path = tmp_path / "one.pid"
    with hold_pid_file(path):
        with pytest.raises(ServerMisconfigured, match=f"process {os.getpid()} runs already"):
            hold_pid_file(path).__enter__()
        assert path.read_text() == f"{os.getpid()}\n"


def test_what_a_killed_daemon_left_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "one.pid"
    path.write_text("4194303999 and more\n")
    with hold_pid_file(path):
        assert path.read_text() == f"{os.getpid()}\n"


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServerMisconfigured, match="No such file"):
        hold_pid_file(tmp_path / "none" / "one.pid").__enter__()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep")
    (tmp_path / "one.pid").symlink_to(tmp_path / "precious")
    with pytest.raises(ServerMisconfigured):
        hold_pid_file(tmp_path / "one.pid").__enter__()
    assert (tmp_path / "precious").read_text() == "keep"


def test_without_a_path_nothing_is_written() -> None:
    with hold_pid_file(None):
        pass
