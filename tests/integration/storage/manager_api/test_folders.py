"""What managers order of folders and quota scopes, over HTTP."""

import contextlib
import json
import os
import socket
import stat
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.running.rest import Answer
from tests.running.storage import VOLUME, StorageDaemon
from tests.running.waiting import until

FILES: Final = 3000
# Every endpoint, with its method: none of them does anything without the secret.
ENDPOINTS: Final = (
    ("GET", "/volumes"),
    ("GET", "/volume/hwinfo"),
    ("GET", "/volume/performance-metric"),
    ("GET", "/volume/quota"),
    ("PATCH", "/volume/quota"),
    ("POST", "/quota-scope"),
    ("GET", "/quota-scope"),
    ("PATCH", "/quota-scope"),
    ("DELETE", "/quota-scope/quota"),
    ("POST", "/folder/create"),
    ("POST", "/folder/delete"),
    ("POST", "/folder/clone"),
    ("GET", "/folder/mount"),
    ("GET", "/folder/usage"),
    ("GET", "/folder/used-bytes"),
    ("GET", "/folder/fs-usage"),
    ("GET", "/folder/metadata"),
    ("POST", "/folder/metadata"),
    *(
        ("POST", f"/folder/file/{word}")
        for word in (
            "mkdir",
            "list",
            "rename",
            "move",
            "copy",
            "fetch",
            "download",
            "upload",
            "delete",
        )
    ),
)


def new_folder(daemon: StorageDaemon, scope: str = "") -> str:
    vfid = f"{scope or f'user:{uuid.uuid4()}'}/{uuid.uuid4().hex}"
    answer = daemon.order("POST", "/folder/create", volume=VOLUME, vfid=vfid, options=None)
    assert answer.status == 204, answer
    return vfid


def place(daemon: StorageDaemon, vfid: str) -> Path:
    scope, digits = vfid.split("/")
    return daemon.volume / scope / digits[:2] / digits


def of(daemon: StorageDaemon, method: str, path: str, vfid: str, **more: Any) -> Answer:
    return daemon.order(method, path, volume=VOLUME, vfid=vfid, **more)


@pytest.mark.parametrize(("method", "path"), ENDPOINTS)
def test_without_or_with_a_wrong_secret(daemon: StorageDaemon, method: str, path: str) -> None:
    for secret in ("", "a-wrong-secret-0123456789", "a-secret-of-tests-0123"):
        answer = daemon.order(method, path, secret)
        assert (answer.status, answer.problem) == (403, "generic-forbidden")


@pytest.mark.parametrize(("method", "path"), ENDPOINTS[1:])
def test_what_is_no_parameter_of_it(daemon: StorageDaemon, method: str, path: str) -> None:
    answer = daemon.order(method, path, volume=7, vfid="../x", qsid="user:1", odd=1)
    assert (answer.status, answer.problem) == (400, "invalid-api-params")
    assert {"volume", "odd"} < answer.json()["data"].keys() | {""}


def test_a_folder_or_a_volume_that_is_not_there(daemon: StorageDaemon) -> None:
    missing = f"user:{uuid.uuid4()}/{uuid.uuid4().hex}"
    for path in ("/folder/usage", "/folder/used-bytes", "/folder/mount", "/folder/metadata"):
        answer = of(daemon, "GET", path, missing)
        assert (answer.status, answer.problem) == (404, "folder-not-found")
        answer = daemon.order("GET", path, volume="other", vfid=missing)
        assert (answer.status, answer.problem) == (404, "volume-not-found")


def test_both_listeners_tell_who_they_are_to_anybody(daemon: StorageDaemon) -> None:
    for answer in (daemon.order("GET", "/", ""), daemon.order("GET", "/status", "")):
        assert (answer.status, answer.json()["type"]) == (200, "manager-facing")
    assert daemon.ask("GET", "/").json()["type"] == "client-facing"
    assert daemon.order("GET", "/health", "").status == 200


def test_volumes_and_how_they_are(daemon: StorageDaemon) -> None:
    (volume,) = daemon.order("GET", "/volumes").json()["volumes"]
    proof = json.loads((daemon.volume / ".backendai-volume.json").read_text())
    assert volume["volume_id"] == proof["id"]
    assert (volume["name"], volume["backend"]) == (VOLUME, "vfs")
    assert {"vfolder", "quota", "metric"} <= set(volume["capabilities"])
    known = daemon.order("GET", "/volume/hwinfo", volume=VOLUME).json()
    assert known["status"] in ("healthy", "degraded")
    metric = daemon.order("GET", "/volume/performance-metric", volume=VOLUME).json()["metric"]
    assert len(metric) == 6
    assert all(isinstance(value, int) for value in metric.values())
    usage = daemon.order("GET", "/folder/fs-usage", volume=VOLUME).json()
    assert 0 < usage["used_bytes"] <= usage["capacity_bytes"]
    for method in ("GET", "PATCH"):
        answer = of(daemon, method, "/volume/quota", str(daemon.folder))
        assert answer.status == 400


def test_a_folder_is_made_used_and_deleted(daemon: StorageDaemon) -> None:
    vfid = new_folder(daemon)
    top = place(daemon, vfid)
    (top / "some" / "deep").mkdir(parents=True)
    (top / "some" / "deep" / "file").write_bytes(b"x" * 100)
    os.link(top / "some" / "deep" / "file", top / "again")
    (top / "link").symlink_to("some")
    usage = of(daemon, "GET", "/folder/usage", vfid).json()
    assert (usage["file_count"], usage["used_bytes"]) == (3, 104)
    assert of(daemon, "GET", "/folder/used-bytes", vfid).json() == {"used_bytes": 104}
    assert of(daemon, "POST", "/folder/create", vfid).status == 204
    assert (top / "again").exists()
    for _ in range(2):
        assert of(daemon, "POST", "/folder/delete", vfid).status == 204
        assert not top.exists()
    until(lambda: not os.listdir(daemon.volume / ".trash"), "the trash is empty")


def test_where_a_folder_is_mounted_from(daemon: StorageDaemon) -> None:
    vfid = new_folder(daemon)
    top = place(daemon, vfid)
    (top / "a" / "b").mkdir(parents=True)
    (top / "link").symlink_to("a")
    (top / "out").symlink_to("/")
    found = of(daemon, "GET", "/folder/mount", vfid, subpath=".").json()
    assert found == {"path": str(top)}
    found = of(daemon, "GET", "/folder/mount", vfid, subpath="a//b/").json()
    assert found == {"path": str(top / "a" / "b")}
    for subpath, status in (("link", 400), ("out", 400), ("link/b", 400), ("missing", 404)):
        answer = of(daemon, "GET", "/folder/mount", vfid, subpath=subpath)
        assert answer.status == status, answer


def test_a_clone_has_what_can_be_copied(daemon: StorageDaemon) -> None:
    vfid = new_folder(daemon)
    top = place(daemon, vfid)
    fill(top)
    clone = f"project:{uuid.uuid4()}/{uuid.uuid4().hex}"
    assert order_clone(daemon, vfid, clone).status == 204
    copied = place(daemon, clone)
    assert (copied / "dir" / "file").read_bytes() == (top / "dir" / "file").read_bytes()
    assert (copied / "hole").stat().st_size == 50 << 20
    assert (copied / "hole").stat().st_blocks * 512 < 1 << 20
    assert stat.S_IMODE((copied / "dir" / "file").stat().st_mode) == 0o750
    assert (copied / "dir" / "file").stat().st_mtime_ns == 1_000_000_000
    assert os.readlink(copied / "link") == "/etc/passwd"
    assert sorted(os.listdir(copied)) == ["dir", "hole", "link", "locked"]
    assert stat.S_IMODE((copied / "locked").stat().st_mode) == 0o555
    again = order_clone(daemon, vfid, clone)
    assert (again.status, again.problem) == (409, "folder-exists")
    assert not os.listdir(copied.parents[1] / ".cloning")


def order_clone(daemon: StorageDaemon, source: str, target: str) -> Answer:
    named = {"src_volume": VOLUME, "src_vfid": source, "dst_volume": VOLUME, "dst_vfid": target}
    return daemon.order("POST", "/folder/clone", **named, options=None)


def fill(top: Path) -> None:
    """A file with a mode, a hole, a link, a directory without write permission, and specials."""
    (top / "dir").mkdir()
    (top / "dir" / "file").write_bytes(os.urandom(3_000_000))
    (top / "dir" / "file").chmod(0o4750)
    os.utime(top / "dir" / "file", ns=(1_000_000_000, 1_000_000_000))
    with (top / "hole").open("wb") as file:
        file.write(b"begin")
        file.truncate(50 << 20)
    (top / "link").symlink_to("/etc/passwd")
    (top / "locked").mkdir()
    (top / "locked" / "file").write_text("x")
    (top / "locked").chmod(0o555)
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(top)
        listener.bind("socket")
        os.chdir(here)


def test_quota_scopes(daemon: StorageDaemon) -> None:
    scope = f"user:{uuid.uuid4()}"

    def ask(method: str, path: str = "/quota-scope", **more: Any) -> Answer:
        return daemon.order(method, path, volume=VOLUME, qsid=scope, **more)

    assert (ask("GET").status, ask("GET").problem) == (404, "quota-scope-not-found")
    assert ask("PATCH", options={"limit_bytes": 5}).status == 404
    assert ask("POST", options={"limit_bytes": 1000}, extra_args={}).status == 204
    assert ask("POST", options=None, extra_args={}).status == 409
    assert ask("GET").json()["limit_bytes"] == 1000
    assert ask("PATCH", options={"limit_bytes": -1}).status == 400
    assert ask("PATCH", options={"limit_bytes": 2000}).status == 204
    vfid = new_folder(daemon, scope)
    (place(daemon, vfid) / "file").write_bytes(b"x" * 1500)

    full = copy_file(daemon, vfid)
    # It was counted a moment ago, without what something else wrote since.
    assert full.status == 204
    clone = f"{scope}/{uuid.uuid4().hex}"
    refused = order_clone(daemon, vfid, clone)
    assert (refused.status, refused.problem) == (507, "insufficient-storage")
    assert refused.json()["data"]["limitBytes"] == 2000
    assert not place(daemon, clone).exists()
    # Its owner can still clean up, and then goes on.
    deleted = daemon.order(
        "POST", "/folder/file/delete", volume=VOLUME, vfid=vfid, relpaths=["b", "file"]
    )
    assert deleted.status == 200
    until(lambda: order_clone(daemon, vfid, clone).status == 204, "there is room again")
    assert ask("DELETE", "/quota-scope/quota").status == 204
    assert ask("GET").json()["limit_bytes"] is None


def copy_file(daemon: StorageDaemon, vfid: str) -> Answer:
    return of(daemon, "POST", "/folder/file/copy", vfid, src_relpath="file", dst_relpath="b")


def test_a_small_copy_into_a_full_scope_is_refused(daemon: StorageDaemon) -> None:
    scope = f"user:{uuid.uuid4()}"
    vfid = new_folder(daemon, scope)
    (place(daemon, vfid) / "file").write_bytes(b"x" * 1500)
    limit = {"limit_bytes": 2999}
    daemon.order("PATCH", "/quota-scope", volume=VOLUME, qsid=scope, options=limit)
    full = copy_file(daemon, vfid)
    assert (full.status, full.problem) == (507, "insufficient-storage")
    assert os.listdir(place(daemon, vfid)) == ["file"]
    limit = {"limit_bytes": 3000}
    daemon.order("PATCH", "/quota-scope", volume=VOLUME, qsid=scope, options=limit)
    assert copy_file(daemon, vfid).status == 204


@pytest.mark.parametrize("is_delete", [True, False], ids=["delete", "clone"])
def test_a_daemon_killed_in_the_middle_goes_on(own_daemon: StorageDaemon, is_delete: bool) -> None:
    vfid = new_folder(own_daemon)
    top = place(own_daemon, vfid)
    for number in range(FILES):
        (top / f"{number}").write_bytes(b"x" * 10)
    clone = f"{vfid.partition('/')[0]}/{uuid.uuid4().hex}"
    if is_delete:
        kill_in(own_daemon, own_daemon.volume / ".trash", lambda: delete(own_daemon, vfid))
    else:
        staging = top.parents[1] / ".cloning"
        kill_in(own_daemon, staging, lambda: order_clone(own_daemon, vfid, clone))
    own_daemon.start()
    until(lambda: not unfinished(own_daemon), "nothing half done is left")
    assert len(list(top.iterdir()) if top.exists() else []) == (0 if is_delete else FILES)
    assert not place(own_daemon, clone).exists()


def test_what_is_being_copied_to_is_deleted_when_it_is_there(own_daemon: StorageDaemon) -> None:
    vfid = new_folder(own_daemon)
    for number in range(FILES):
        (place(own_daemon, vfid) / f"{number}").write_bytes(b"x" * 10)
    clone = f"{vfid.partition('/')[0]}/{uuid.uuid4().hex}"
    asking = threading.Thread(target=order_clone, args=(own_daemon, vfid, clone))
    asking.start()
    staging = place(own_daemon, vfid).parents[1] / ".cloning"
    until(lambda: staging.exists() and any(staging.iterdir()), "it is being copied")
    refused = delete(own_daemon, clone)
    asking.join()
    assert (refused.status, refused.problem) == (409, "folder-busy"), "make more files"
    assert place(own_daemon, clone).exists()
    assert delete(own_daemon, clone).status == 204
    assert not place(own_daemon, clone).exists()


def delete(daemon: StorageDaemon, vfid: str) -> Answer:
    return of(daemon, "POST", "/folder/delete", vfid)


def kill_in(daemon: StorageDaemon, busy: Path, order: Callable[[], Answer]) -> None:
    """Kill the daemon when something of what was ordered lies in `busy`."""

    def ask() -> None:
        with contextlib.suppress(OSError):
            order()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        deadline = time.monotonic() + 30
        while not (busy.exists() and any(busy.iterdir())):
            assert time.monotonic() < deadline, f"nothing came into {busy}"
        daemon.kill()
    finally:
        asking.join()
    assert any(busy.iterdir()), "it was through before it was killed: make more files"


def unfinished(daemon: StorageDaemon) -> list[Path]:
    return [
        *daemon.volume.glob(".trash/*"),
        *daemon.volume.glob("*/.cloning/*"),
    ]
