"""The ways of the official client into apps: tunnels, ssh and scp, and tokens of the app proxy."""

import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.official import Official
from tests.running.fixtures import find_port
from tests.running.rest import Api
from tests.running.sessions import end_all, resources, start
from tests.running.stack import Stack
from tests.running.waiting import until

SESSION = "apps-conform"


@pytest.fixture
def session(api: Api) -> Iterator[str]:
    start(api, SESSION, kind="busybox", config=resources(cpu="0.1"))
    yield SESSION
    end_all(api)


@pytest.fixture
def keys(official: Official) -> Path:
    """Where this client keeps the session's key; ssh makes that folder for people."""
    folder = Path(official.environ["HOME"]) / ".ssh"
    folder.mkdir(mode=0o700)
    return folder


def test_a_local_port_leads_to_an_app(official: Official, session: str) -> None:
    port = find_port()
    with official.following("app", session, "files", "-b", f"127.0.0.1:{port}") as lines:
        until(lambda: any(str(port) in line for line in lines), "the tunnel listens")
        page = urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=30).read()
    assert b"<title>Files</title>" in page


def test_ssh_runs_commands_in_a_session(official: Official, session: str, keys: Path) -> None:
    for command in (("ssh",), ("session", "ssh")):
        shown = official(*command, session, "-p", str(find_port()), "--", "id", "-un")
        assert (shown.code, shown.out.split()) == (0, ["work"]), shown.both
    assert not [path for path in keys.iterdir() if path.name.startswith("id_")]


def test_scp_copies_both_ways(official: Official, session: str, keys: Path) -> None:
    (official.folder / "there.txt").write_text("there and back\n")
    away = ("scp", session, "-p", str(find_port()), "there.txt", "work@localhost:kept.txt")
    back = ("session", *away[:2], "-p", str(find_port()), "work@localhost:kept.txt", "back.txt")
    for words in (away, back):
        done = official(*words)
        assert done.code == 0, done.both
    assert (official.folder / "back.txt").read_text() == "there and back\n"


def test_start_service_gives_a_token_of_the_app_proxy(
    official: Official, session: str, stack: Stack
) -> None:
    call = f"session.ComputeSession({session!r}).start_service"
    found = official.sdk(
        start_service=f"{call}('files')",
        unknown=f"{call}('nothing')",
        other_port=f"{call}('files', port=1, login_session_token='t')",
    )
    assert found["start service"]["token"].count(".") == 2
    proxy = next(one for one in stack.status()["daemons"] if one["name"] == "wsproxy")
    assert found["start service"]["wsproxy_addr"] == proxy["address"]
    assert "404" in found["unknown"]["failed"]
    assert "400" in found["other port"]["failed"]
