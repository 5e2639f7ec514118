"""Whatever is wrong, a person reads one clear message with the fix, and nothing half made stays."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.running.leftovers import find_leftovers
from tests.running.rest import Api, new_session
from tests.running.sessions import IMAGES, list_live
from tests.running.stack import COMMAND, ROOT, Done, Stack, run

TINY_DISK_BYTES: Final = 24 * 1024 * 1024


def assert_told(done: Done, *words: str) -> None:
    """A failure that a person can act on: no traceback, everything that matters named."""
    assert done.code != 0, done.both
    assert "Traceback" not in done.both, done.both
    for word in words:
        assert word.lower() in done.both.lower(), done.both


@pytest.fixture
def fresh() -> Iterator[Stack]:
    """An instance of its own that never came up; nothing of it may be left once it is purged."""
    home = Path(tempfile.mkdtemp(prefix="bai-bad-"))
    home.chmod(0o711)
    stack = Stack(home)
    try:
        yield stack
    finally:
        purged = stack.bai("down", "--purge")
        left = find_leftovers(home)
        shutil.rmtree(home, ignore_errors=True)
    assert purged.code == 0, purged.both
    assert not left, left


@pytest.mark.parametrize(
    ("words", "program"), [(("mgr", "start-server"), "manager"), (("ag", "start-server"), "agent")]
)
def test_a_daemon_names_every_mistake_of_its_file(
    tmp_path: Path, words: tuple[str, ...], program: str
) -> None:
    path = tmp_path / f"{program}.toml"
    path.write_text('[etcd]\nnamespace = 3\naddr = { host = "h", port = 99999 }\n[nosuch]\nx = 1\n')
    done = run([str(COMMAND), *words, "--config", str(path)], dict(os.environ), seconds=30)
    assert_told(done, str(path), "etcd.namespace", "etcd.addr", "nosuch")


@pytest.mark.parametrize("words", [("mgr", "start-server"), ("ag", "start-server")])
def test_a_daemon_tells_where_a_file_is_no_toml(tmp_path: Path, words: tuple[str, ...]) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('[etcd\nnamespace = "local"\n')
    done = run([str(COMMAND), *words, "--config", str(path)], dict(os.environ), seconds=30)
    assert_told(done, str(path), "line 1")


@pytest.mark.parametrize("words", [("mgr", "start-server"), ("ag", "start-server")])
def test_a_daemon_tells_that_its_file_is_missing(tmp_path: Path, words: tuple[str, ...]) -> None:
    path = tmp_path / "nosuch.toml"
    done = run([str(COMMAND), *words, "--config", str(path)], dict(os.environ), seconds=30)
    assert_told(done, str(path))


def test_up_names_every_mistake_of_its_file(fresh: Stack, tmp_path: Path) -> None:
    config = tmp_path / "bai.toml"
    config.write_text('[manager]\nport = 99999\n[engine]\nbackend = "podman"\nunknown = 1\n')
    done = fresh.bai("up", "--no-install", BAI_CONFIG=str(config))
    assert_told(done, str(config), "manager.port", "engine.backend", "podman", "unknown")


def test_up_tells_that_a_port_is_taken(fresh: Stack, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        config = tmp_path / "bai.toml"
        config.write_text(f"[manager]\nport = {port}\n")
        done = fresh.bai("up", "--no-install", BAI_CONFIG=str(config))
    assert_told(done, str(port), "taken", "bai.toml")


def test_up_tells_that_the_docker_daemon_does_not_answer(fresh: Stack) -> None:
    done = fresh.bai("up", "--no-install", DOCKER_HOST="unix:///nosuch/docker.sock")
    assert_told(done, "/nosuch/docker.sock", "DOCKER_HOST")


def test_up_tells_that_docker_may_not_be_used(fresh: Stack, tmp_path: Path) -> None:
    """Without one privilege root is stopped by the mode of a socket as everybody else is."""
    if os.geteuid() != 0:
        pytest.skip("needs root to give its privilege away")
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        path.chmod(0o600)
        os.chown(path, 65534, 65534)
        argv = ["setpriv", "--bounding-set=-dac_override,-dac_read_search", str(ROOT / "bai")]
        environ = fresh.environ | {"DOCKER_HOST": f"unix://{path}"}
        done = run([*argv, "up", "--no-install"], environ)
    assert_told(done, str(path), "permission")


@pytest.fixture
def tiny() -> Iterator[Stack]:
    """An instance on a disk of a few megabytes."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a small disk")
    disk = Path(tempfile.mkdtemp(prefix="bai-tiny-"))
    options = f"size={TINY_DISK_BYTES},mode=711"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", disk], check=True)
    stack = Stack(disk / "state")
    try:
        yield stack
    finally:
        purged = stack.bai("down", "--purge")
        left = find_leftovers(disk / "state")
        subprocess.run(["umount", "--lazy", disk], check=True)
        disk.rmdir()
    assert purged.code == 0, purged.both
    assert not left, left


def test_up_tells_that_the_disk_is_full(tiny: Stack) -> None:
    assert_told(tiny.bai("up", "--no-install"), "disk")


def test_a_bad_image_name_is_told_with_the_name(stack: Stack, api: Api) -> None:
    done = stack.cli("session", "create", "--image", "nosuch/image:latest")
    assert_told(done, "nosuch/image")
    assert done.code == 6
    assert not list_live(api)


def test_more_than_anybody_may_have_is_told_with_what_is_allowed(stack: Stack, api: Api) -> None:
    done = stack.cli("session", "create", "-r", "cpu=100000", "-r", "mem=1g", "--max-wait", "20s")
    assert_told(done, "cpu", "100000")
    assert not list_live(api)


def test_a_wrong_amount_is_told_before_anything_is_asked(stack: Stack) -> None:
    assert_told(stack.cli("session", "create", "-r", "mem=lots"), "mem", "lots")


def test_a_bad_session_name_is_told_with_the_rule(stack: Stack, api: Api) -> None:
    assert_told(stack.cli("session", "create", "--name", "no/slash"), "name")
    assert not list_live(api)


def test_a_request_that_is_too_large_is_refused_before_it_is_read(api: Api) -> None:
    body = new_session("too-large", IMAGES["busybox"], tag="x" * (64 * 1024 * 1024))
    try:
        answer = api.ask("POST", "/session", body)
    except ConnectionError:
        pytest.fail("the connection was cut without a word")
    assert answer.status == 413, answer
    assert answer.headers["content-type"].startswith("application/problem+json")


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", ""),
        (b'"x"', ""),
        (b"\xff\xfe", ""),
        (b'{"name": 3, "image": []}', "name"),
        (b'{"name": "fine-name"}', "image"),
        (b'{"name": "fine-name", "image": "x", "nosuchKey": 1}', "nosuchKey"),
        (b'{"name": "fine-name", "image": "x", "clusterSize": -1}', "clusterSize"),
        (b'{"name": "fine-name", "image": "x", "type": "dance"}', "type"),
        (b"[" * 100_000, ""),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_malformed_request_is_told_with_the_key(api: Api, data: bytes, word: str) -> None:
    answer = api.send("POST", "/session", data, "application/json")
    assert answer.status == 400, answer
    assert word in answer.body.decode()


def test_wrong_usage_says_how_it_is_meant(stack: Stack) -> None:
    done = stack.cli("session", "create", "--nosuch")
    assert_told(done, "--nosuch")
    assert done.code == 2


def test_without_credentials_the_command_says_where_to_find_them(stack: Stack) -> None:
    assert_told(run([str(COMMAND), "ps"], stack.environ), "BACKEND_ACCESS_KEY", "env-user.sh")


def test_without_a_server_the_command_says_how_to_start_one(stack: Stack) -> None:
    away = {"BACKEND_ENDPOINT": "http://127.0.0.1:9"}
    done = run([str(COMMAND), "ps"], stack.environ | stack.credentials() | away, seconds=60)
    assert_told(done, "127.0.0.1:9", "./bai up")
    assert done.code == 8
