"""The official client through the webserver, as somebody who logged in there with a password.

A part of the commands; `BAI_TEST_ENDPOINT_TYPE=session` has all the others go this way too.
"""

import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conformance.doors import log_in, prepare
from tests.conformance.official import Official
from tests.running.fixtures import find_port
from tests.running.rest import Api
from tests.running.sessions import IMAGES, resources, start
from tests.running.stack import Stack
from tests.running.waiting import until

SMALL = ("-r", "cpu=1", "-r", "mem=128m")


@pytest.fixture
def address(stack: Stack) -> str:
    return str(stack.daemon("webserver")["address"])


@pytest.fixture
def person(stack: Stack) -> tuple[str, str]:
    """Email and password of the first user."""
    found = stack.credentials()
    return found["BAI_LOGIN"], found["BAI_PASSWORD"]


def test_a_wrong_password_is_told(
    official: Official, address: str, person: tuple[str, str]
) -> None:
    stranger = prepare(official, address, person[0])
    done = stranger("login", typed=f"{person[0]}\nwrong\n")
    assert done.code == 1
    assert "User credential mismatch." in done.both
    done = stranger("ps")
    assert done.code == 1
    assert "Unauthorized access" in done.both


def test_a_person_logs_in_works_and_logs_out(
    official: Official, address: str, person: tuple[str, str], api: Api, tmp_path: Path
) -> None:
    user, password = person
    fresh = prepare(official, address, user)
    assert "Login succeeded" in fresh.ok("login", typed=f"{user}\n{password}\n")
    fresh.ok("session", "create", *SMALL, "-t", "through-web", IMAGES["python"])
    assert "through-web" in fresh.ok("ps")
    assert "42" in fresh.ok("run", "-t", "through-web", "-c", "print(6 * 7)", IMAGES["python"])
    (fresh.folder / "note.txt").write_text("hello\n" * 50_000)
    fresh.ok("session", "upload", "through-web", "note.txt")
    assert "note.txt" in fresh.ok("session", "ls", "through-web")
    fresh.ok("session", "download", "through-web", "note.txt", "--dest", str(tmp_path))
    assert (tmp_path / "note.txt").read_text() == "hello\n" * 50_000
    fresh.ok("apps", "through-web")
    fresh.ok("session", "destroy", "through-web")
    assert "local:volume1" in fresh.ok("vfolder", "list-hosts")
    fresh.ok("vfolder", "create", "through-web", "local:volume1")
    fresh.ok("vfolder", "upload", "through-web", "note.txt")
    assert "note.txt" in fresh.ok("vfolder", "ls", "through-web")
    fresh.ok("vfolder", "delete", "through-web")
    for folder in api.ask("GET", "/folders").json():
        if folder["name"] == "through-web":
            api.ask("POST", "/folders/purge", {"id": folder["id"]})
    assert "Logout done" in fresh.ok("logout")
    assert "Unauthorized access" in fresh("ps").both


def test_apps_and_a_shell_are_reached(
    official: Official, address: str, person: tuple[str, str], api: Api
) -> None:
    session, port = "apps-through-web", find_port()
    start(api, session, kind="busybox", config=resources(cpu="0.1"))
    fresh = log_in(official, address, *person)
    with fresh.following("app", session, "files", "-b", f"127.0.0.1:{port}") as lines:
        until(lambda: any(str(port) in line for line in lines), "the tunnel listens")
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).read()
    assert b"<title>Files</title>" in page
    (Path(fresh.environ["HOME"]) / ".ssh").mkdir(mode=0o700)
    shown = fresh("ssh", session, "-p", str(find_port()), "--", "id", "-un")
    assert (shown.code, shown.out.split()) == (0, ["work"]), shown.both


def test_administrators_administrate(official: Official, address: str, stack: Stack) -> None:
    found = stack.credentials("admin")
    admin = log_in(official, address, found["BAI_LOGIN"], found["BAI_PASSWORD"])
    assert found["BAI_LOGIN"] in admin.ok("admin", "user", "list")
    assert "default" in admin.ok("admin", "domain", "list")
    assert "running" in admin.ok("admin", "manager", "status")


def test_a_password_is_changed(official: Official, address: str, person: tuple[str, str]) -> None:
    user, password = person
    fresh = log_in(official, address, user, password)
    other_home = Path(official.environ["HOME"]) / "elsewhere"
    other_home.mkdir()
    elsewhere = replace(official, environ=official.environ | {"HOME": str(other_home)})
    elsewhere = log_in(elsewhere, address, user, password)
    changed = "another pass-word 1"
    try:
        assert "Password updated" in fresh.ok("update-password", password, changed, changed)
        assert "Unauthorized access" in elsewhere("ps").both
        assert "local:volume1" in fresh.ok("vfolder", "list-hosts")
    finally:
        fresh.ok("update-password", changed, password, password)
