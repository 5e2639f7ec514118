"""`./bai up`, again and again: it shows a result, repairs what is down, keeps secrets to itself."""

import json
import os
import re
import signal
import stat
import time

import psutil
import pytest

from tests.running.rest import Api
from tests.running.sessions import execute, start
from tests.running.stack import FirstUp, Stack
from tests.running.waiting import until

AGAIN_SECONDS_MAX = 10.0


def test_first_up_shows_a_result_that_a_container_computed(
    started: tuple[Stack, FirstUp | None],
) -> None:
    stack, first = started
    if first is None:
        pytest.skip("the stack was started by somebody else")
    assert "env-user.sh" in first.done.both
    assert "env-admin.sh" in first.done.both
    address = stack.credentials()["BACKEND_ENDPOINT"]
    assert address in first.done.both


def test_up_again_changes_nothing_and_is_quick(stack: Stack) -> None:
    before = {row["name"]: row["pid"] for row in stack.status()["daemons"]}
    began = time.monotonic()
    done = stack.bai("up", "--no-install")
    seconds = time.monotonic() - began
    assert done.code == 0, done.both
    assert {row["name"]: row["pid"] for row in stack.status()["daemons"]} == before
    assert seconds <= AGAIN_SECONDS_MAX


@pytest.mark.parametrize("name", ["manager", "valkey"])
def test_up_again_repairs_only_what_is_down(stack: Stack, name: str) -> None:
    before = {row["name"]: row["pid"] for row in stack.status()["daemons"]}
    os.kill(before[name], signal.SIGKILL)
    done = stack.bai("up", "--no-install")
    assert done.code == 0, done.both
    after = {row["name"]: row["pid"] for row in stack.status()["daemons"]}
    assert {n for n in before if before[n] != after[n]} == {name}


def test_up_again_keeps_sessions_and_credentials(stack: Stack, api: Api) -> None:
    session = start(api, "kept-by-up")
    execute(api, session, "x = 41")
    before = stack.credentials()
    assert stack.bai("up", "--no-install").code == 0
    assert stack.credentials() == before
    assert execute(api, session, "print(x + 1)") == "42\n"


def test_status_tells_each_daemon_and_store_for_programs(stack: Stack) -> None:
    status = json.loads(stack.bai("status", "--json").out)
    assert status["healthy"] is True
    names = {row["name"] for row in status["daemons"]}
    assert {"postgres", "valkey", "etcd", "manager", "agent", "storage"} <= names
    for row in status["daemons"]:
        assert set(row) >= {"name", "pid", "healthy", "address"}
        assert row["healthy"] is True, row
        assert psutil.pid_exists(row["pid"]), row


def test_status_of_a_sick_stack_says_so_with_its_exit_code(stack: Stack) -> None:
    assert stack.bai("status").code == 0
    pid = stack.daemon("manager")["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        until(lambda: not stack.daemon("manager")["healthy"], "status tells of the manager")
        done = stack.bai("status")
        assert done.code != 0
        assert "manager" in done.both
    finally:
        os.kill(pid, signal.SIGCONT)
    until(stack.is_green, "green again")


def test_credentials_and_secrets_are_for_their_owner_alone(stack: Stack) -> None:
    for name in ("env-admin.sh", "env-user.sh"):
        assert stat.S_IMODE((stack.home / name).stat().st_mode) == 0o600
    for path in (stack.home / "secrets").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("who", ["admin", "user"])
def test_credentials_are_those_that_the_official_client_reads(stack: Stack, who: str) -> None:
    found = stack.credentials(who)
    needed = {"BACKEND_ENDPOINT", "BACKEND_ENDPOINT_TYPE", "BACKEND_ACCESS_KEY"}
    assert needed | {"BACKEND_SECRET_KEY", "BAI_LOGIN", "BAI_PASSWORD"} <= set(found)
    assert found["BACKEND_ENDPOINT_TYPE"] == "api"


def test_no_secret_is_in_a_log_or_in_the_arguments_of_a_process(stack: Stack) -> None:
    secrets = {
        stack.credentials(who)[name]
        for who in ("admin", "user")
        for name in ("BACKEND_SECRET_KEY", "BAI_PASSWORD")
    }
    secrets |= {path.read_text().strip() for path in (stack.home / "secrets").glob("*[!.pub]")}
    pattern = re.compile("|".join(re.escape(text) for text in secrets if len(text) >= 12))
    for log in (stack.home / "log").glob("*.log"):
        assert not pattern.search(log.read_text(errors="replace")), log.name
    for process in psutil.process_iter(["cmdline"]):
        assert not pattern.search(" ".join(process.info["cmdline"] or ()))


def test_logs_of_a_daemon_can_be_read(stack: Stack) -> None:
    done = stack.bai("logs", "manager")
    assert done.code == 0, done.both
    assert done.out.strip()


def test_doctor_is_content_with_a_machine_that_runs_it(stack: Stack) -> None:
    done = stack.bai("doctor", "--no-install")
    assert done.code == 0, done.both
