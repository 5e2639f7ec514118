"""A person's first session: create, run code, look, bring files, read, end."""

import json
from pathlib import Path

import pytest

from tests.running.rest import Api
from tests.running.sessions import await_status, list_live
from tests.running.stack import Stack


@pytest.fixture
def demo(stack: Stack) -> str:
    stack.ok("session", "create", "--name", "demo")
    return "demo"


def test_the_session_computes(stack: Stack, demo: str) -> None:
    assert stack.ok("session", "exec", demo, "-c", "print(40 + 2)").strip() == "42"


def test_state_is_kept_between_calls(stack: Stack, demo: str) -> None:
    stack.ok("session", "exec", demo, "-c", "x = 41")
    assert stack.ok("session", "exec", demo, "-c", "print(x + 1)").strip() == "42"


def test_failing_code_fails_the_command(stack: Stack, demo: str) -> None:
    done = stack.cli("session", "exec", demo, "-c", "1 / 0")
    assert done.code != 0
    assert "ZeroDivisionError" in done.both


def test_a_command_runs_beside_code(stack: Stack, demo: str) -> None:
    assert "work" in stack.ok("session", "exec", demo, "--", "sh", "-c", "pwd")


def test_logs_have_what_was_printed(stack: Stack, demo: str) -> None:
    stack.ok("session", "exec", demo, "-c", "print('from afar')")
    assert "from afar" in stack.ok("session", "logs", demo)


def test_files_go_in_and_out(stack: Stack, demo: str, tmp_path: Path) -> None:
    sent = tmp_path / "numbers.txt"
    sent.write_text("1\n2\n3\n")
    stack.ok("session", "upload", "--base", str(tmp_path), demo, str(sent))
    assert "numbers.txt" in stack.ok("session", "ls", demo)
    total = stack.ok("session", "exec", demo, "-c", "print(sum(map(int, open('numbers.txt'))))")
    assert total.strip() == "6"
    got = tmp_path / "back"
    got.mkdir()
    stack.ok("session", "download", "--dest", str(got), demo, "numbers.txt")
    assert (got / "numbers.txt").read_text() == "1\n2\n3\n"


def test_why_says_one_sentence(stack: Stack, demo: str) -> None:
    assert stack.ok("session", "why", demo).startswith("RUNNING")


def test_history_tells_each_status_in_order(stack: Stack, demo: str) -> None:
    moves = json.loads(stack.ok("session", "history", demo, "--output", "json"))
    reached = [move["to"] for move in moves]
    order = [status for status in ("PENDING", "SCHEDULED", "RUNNING") if status in reached]
    assert order == ["PENDING", "SCHEDULED", "RUNNING"]
    assert reached.index("PENDING") < reached.index("SCHEDULED") < reached.index("RUNNING")


def test_info_and_ps_show_it(stack: Stack, demo: str) -> None:
    assert "RUNNING" in stack.ok("session", "info", demo)
    assert demo in stack.ok("ps")


def test_a_name_is_taken_only_once(stack: Stack, demo: str) -> None:
    done = stack.cli("session", "create", "--name", demo)
    assert done.code == 7, done.both
    assert "--name" in done.both


def test_rename_then_restart_then_compute(stack: Stack, demo: str, tmp_path: Path) -> None:
    stack.ok("session", "exec", demo, "-c", "open('kept', 'w').write('yes')")
    stack.ok("session", "rename", demo, "trial")
    (tmp_path / "greeting").write_text("hello")
    stack.ok("dotfile", "add", ".greeting", str(tmp_path / "greeting"), "--permission", "600")
    try:
        stack.ok("session", "restart", "trial")
        code = "import os; mode = os.stat('.greeting').st_mode & 0o777\n"
        code += "print(open('kept').read(), open('.greeting').read(), oct(mode))"
        told = stack.ok("session", "exec", "trial", "-c", code)
        assert told.split() == ["yes", "hello", "0o600"]
    finally:
        stack.ok("dotfile", "delete", "--yes", ".greeting")


def test_terminate_ends_it_and_its_logs_remain(stack: Stack, api: Api, demo: str) -> None:
    session = list_live(api)[0]
    stack.ok("session", "exec", demo, "-c", "print('last words')")
    stack.ok("session", "terminate", demo)
    facts = await_status(api, session, "TERMINATED")
    assert facts["status_info"], facts
    assert "last words" in stack.ok("session", "logs", session)
    assert demo not in stack.ok("ps")


def test_run_gives_the_session_back(stack: Stack, api: Api) -> None:
    assert stack.ok("run", "-c", "print(6 * 7)").strip().splitlines()[-1] == "42"
    assert not list_live(api)
