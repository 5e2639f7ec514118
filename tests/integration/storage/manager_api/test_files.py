"""What managers do to the files of folders: the corpus of paths, and that nothing leads out."""

import io
import os
import socket
import tarfile
import uuid
import zipfile
from pathlib import Path
from typing import Any, Final

import pytest

from tests.running.rest import Answer
from tests.running.storage import VOLUME, StorageDaemon
from tests.running.waiting import until

# Each way to name a path, with the rest that its endpoint needs.
PATHS: Final[tuple[tuple[str, str, dict[str, Any]], ...]] = (
    ("mkdir", "relpath", {"parents": True, "exist_ok": True}),
    ("list", "relpath", {}),
    ("rename", "relpath", {"new_name": "new"}),
    ("move", "src_relpath", {"dst_relpath": "new"}),
    ("move", "dst_relpath", {"src_relpath": "given"}),
    ("copy", "src_relpath", {"dst_relpath": "new"}),
    ("copy", "dst_relpath", {"src_relpath": "given"}),
    ("fetch", "relpath", {}),
    ("download", "relpath", {}),
    ("upload", "relpath", {"size": 1}),
    ("extract", "relpath", {}),
    ("extract", "into", {"relpath": "given"}),
    ("delete", "relpaths", {"recursive": True}),
)
# None of these names anything, whatever lies on the disk.
NEVER: Final = (
    "..",
    "../secret",
    "a/../../secret",
    "/etc/passwd",
    "a/b\0c",
    "n" * 256,
    "d/" * 2100,
)
# These are names like any others: nothing is decoded twice.
PLAIN: Final = ("..%2fsecret", "%252e%252e%252fsecret", "..\\secret", "a b", "-rf", "été", "\u202e")


@pytest.fixture
def top(daemon: StorageDaemon) -> Path:
    """A directory of the test's own at the top of the folder, beside a secret that is not in it."""
    (daemon.top.parent / "secret").write_text("outside")
    made = daemon.top / uuid.uuid4().hex
    made.mkdir()
    (made / "given").write_text("inside")
    return made


def order(daemon: StorageDaemon, word: str, key: str, path: str, **more: Any) -> Answer:
    return daemon.order_file(word, **{key: [path] if word == "delete" else path}, **more)


@pytest.mark.parametrize(("word", "key", "more"), PATHS)
def test_paths_that_name_nothing(
    daemon: StorageDaemon, word: str, key: str, more: dict[str, Any]
) -> None:
    for path in NEVER:
        answer = order(daemon, word, key, path, **more)
        assert answer.status == 400, (path, answer)
        assert answer.json()["msg"], answer


@pytest.mark.parametrize(("word", "key", "more"), PATHS)
def test_links_that_lead_out(
    daemon: StorageDaemon, top: Path, word: str, key: str, more: dict[str, Any]
) -> None:
    (top / "out").symlink_to("../..")
    (top / "root").symlink_to("/proc/self/root")
    (top / "passwd").symlink_to("/etc/passwd")
    given = {"src_relpath": f"{top.name}/given"} if "src_relpath" in more else {}
    for path in ("out/secret", "root/etc/passwd", "passwd/x"):
        answer = order(daemon, word, key, f"{top.name}/{path}", **(more | given))
        assert answer.status in (400, 404), (path, answer)
    assert (daemon.top.parent / "secret").read_text() == "outside"
    assert sorted(os.listdir(daemon.top.parent)) == [daemon.folder.hex, "secret"]


@pytest.mark.parametrize("name", PLAIN)
def test_names_are_taken_as_they_are(daemon: StorageDaemon, top: Path, name: str) -> None:
    path = f"{top.name}/{name}"
    assert daemon.order_file("mkdir", relpath=path).status == 204
    listed = daemon.order_file("list", relpath=top.name).json()["items"]
    assert name in [item["name"] for item in listed]
    assert (top / name).is_dir()


def test_links_themselves_are_listed_and_deleted(daemon: StorageDaemon, top: Path) -> None:
    (top / "dir").mkdir()
    (top / "dir" / "kept").write_text("kept")
    (top / "link").symlink_to("dir")
    (top / "out").symlink_to("/etc")
    items = {item["name"]: item for item in listing(daemon, top)}
    assert (items["link"]["type"], items["link"]["symlink_target"]) == ("SYMLINK", "dir")
    assert items["dir"]["type"] == "DIRECTORY"
    assert (items["given"]["type"], items["given"]["stat"]["size"]) == ("FILE", 6)
    paths = [f"{top.name}/link", f"{top.name}/out"]
    assert daemon.order_file("delete", relpaths=paths, recursive=True).status == 200
    assert (top / "dir" / "kept").read_text() == "kept"
    assert Path("/etc/passwd").exists()


def listing(daemon: StorageDaemon, top: Path) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = daemon.order_file("list", relpath=top.name).json()["items"]
    return items


def test_pipes_sockets_and_devices_are_no_files(daemon: StorageDaemon, top: Path) -> None:
    os.mkfifo(top / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        # Addresses of sockets are short, so it is bound by its directory's descriptor.
        fd = os.open(top, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{fd}/socket")
        os.close(fd)
    for name in ("pipe", "socket", "."):
        answer = daemon.order_file("fetch", relpath=f"{top.name}/{name}")
        assert (answer.status, answer.problem) == (400, "path-refused"), answer
    assert daemon.order_file("copy", src_relpath=f"{top.name}/pipe", dst_relpath="p").status == 400
    names = [f"{top.name}/{name}" for name in ("pipe", "socket")]
    assert daemon.order_file("delete", relpaths=names).status == 200


def test_directories_and_parents(daemon: StorageDaemon, top: Path) -> None:
    path = f"{top.name}/x/y"
    answer = daemon.order_file("mkdir", relpath=path, parents=False)
    assert (answer.status, answer.problem) == (404, "file-not-found")
    assert answer.json()["paths"] == [path]
    assert daemon.order_file("mkdir", relpath=path, parents=True).status == 204
    answer = daemon.order_file("mkdir", relpath=path, exist_ok=False)
    assert (answer.status, answer.problem, answer.json()["errno"]) == (400, "path-exists", 17)
    assert daemon.order_file("mkdir", relpath=path, exist_ok=True).status == 204
    answer = daemon.order_file("mkdir", relpath=f"{top.name}/given", exist_ok=True)
    assert answer.status == 400
    answer = daemon.order_file("mkdir", relpath=f"{top.name}/given/below")
    assert (answer.status, answer.problem) == (400, "path-refused")


def test_nothing_is_replaced(daemon: StorageDaemon, top: Path) -> None:
    (top / "other").write_text("kept")
    given, other = f"{top.name}/given", f"{top.name}/other"
    assert daemon.order_file("rename", relpath=given, new_name="other").status == 400
    for word in ("move", "copy"):
        answer = daemon.order_file(word, src_relpath=given, dst_relpath=other)
        assert (answer.status, answer.problem) == (400, "path-exists")
    for new_name in ("", ".", "..", "a/b", "/a"):
        answer = daemon.order_file("rename", relpath=given, new_name=new_name)
        assert (answer.status, answer.problem) == (400, "invalid-api-params")
    assert ((top / "given").read_text(), (top / "other").read_text()) == ("inside", "kept")


def test_moved_renamed_and_copied(daemon: StorageDaemon, top: Path) -> None:
    (top / "dir").mkdir()
    here = top.name
    assert daemon.order_file("rename", relpath=f"{here}/given", new_name="named").status == 204
    into = {"src_relpath": f"{here}/named", "dst_relpath": f"{here}/dir"}
    assert daemon.order_file("move", **into).status == 204
    assert (top / "dir" / "named").read_text() == "inside"
    tree = {"src_relpath": f"{here}/dir", "dst_relpath": f"{here}/copied"}
    assert daemon.order_file("copy", **tree).status == 204
    assert (top / "copied" / "named").read_text() == "inside"
    for word in ("move", "copy"):
        inside = {"src_relpath": f"{here}/dir", "dst_relpath": f"{here}/dir/in"}
        assert daemon.order_file(word, **inside).status == 400
        assert daemon.order_file(word, src_relpath=".", dst_relpath="x").status == 400
    assert daemon.order_file("rename", relpath=".", new_name="x").status == 400


def test_fetch_gives_the_bytes(daemon: StorageDaemon, top: Path) -> None:
    data = os.urandom(3_000_000)
    (top / "file").write_bytes(data)
    (top / "empty").touch()
    assert daemon.order_file("fetch", relpath=f"{top.name}/file").body == data
    assert daemon.order_file("fetch", relpath=f"{top.name}/empty").body == b""
    answer = daemon.order_file("fetch", relpath=f"{top.name}/missing")
    assert (answer.status, answer.problem) == (404, "file-not-found")


def test_what_cannot_be_deleted_is_named(daemon: StorageDaemon, top: Path) -> None:
    (top / "full" / "deep").mkdir(parents=True)
    (top / "file").touch()
    paths = [f"{top.name}/{name}" for name in ("missing", "full", "file")]
    answer = daemon.order_file("delete", relpaths=paths, recursive=False)
    assert answer.status == 404
    assert answer.json()["data"]["failed"].keys() == {*paths[:2]}
    assert not (top / "file").exists()
    assert daemon.order_file("delete", relpaths=["."], recursive=True).status == 400
    assert daemon.order_file("delete", relpaths=paths[1:2], recursive=True).status == 200
    assert not (top / "full").exists()


def test_trees_of_any_depth_are_deleted(daemon: StorageDaemon, top: Path) -> None:
    fd = os.open(top, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    answer = daemon.order("GET", "/folder/usage", volume=VOLUME, vfid=str(daemon.folder))
    assert (answer.status, answer.problem) == (400, "path-refused")
    assert daemon.order_file("delete", relpaths=[f"{top.name}/d"], recursive=True).status == 200
    until(lambda: not os.listdir(daemon.volume / ".trash"), "the trash is empty")


def test_tokens_are_for_what_is_there(daemon: StorageDaemon, top: Path) -> None:
    path = f"{top.name}/given"
    assert daemon.order_file("download", relpath=path, archive=False).json()["token"]
    answer = daemon.order_file("download", relpath=path, unmanaged_path="/etc")
    assert (answer.status, answer.problem) == (400, "invalid-api-params")
    assert daemon.order_file("download", relpath=f"{top.name}/missing").status == 404
    assert daemon.order_file("upload", relpath=f"{top.name}/new", size=-1).status == 400
    for path in (".", "", top.name):
        assert daemon.order_file("upload", relpath=path, size=5).status == 400, path
    token = daemon.order_file("upload", relpath=f"{top.name}/new", size=5).json()["token"]
    assert daemon.patch(f"/upload?token={token}", 0, b"whole").status == 204
    assert (top / "new").read_text() == "whole"


def test_a_selection_is_one_archive(daemon: StorageDaemon, top: Path) -> None:
    (top / "d").mkdir()
    (top / "d" / "a").write_text("a")
    (top / "other").write_text("not asked for")
    asked = daemon.order_file("download", relpath=top.name, selection=["d", "given"])
    answer = daemon.ask("GET", f"/download?token={asked.json()['token']}&format=tar")
    with tarfile.open(fileobj=io.BytesIO(answer.body)) as found:
        assert set(found.getnames()) == {"d", "d/a", "given"}
    many = [f"{'n' * 200}{number}" for number in range(100)]
    refused = daemon.order_file("download", relpath=top.name, selection=many)
    assert (refused.status, b"name their directories" in refused.body) == (400, True)
    assert daemon.order_file("download", relpath=top.name, selection=["../x"]).status == 400


def test_an_archive_is_unpacked_by_a_token(daemon: StorageDaemon, top: Path) -> None:
    with zipfile.ZipFile(top / "all.zip", "w") as archive:
        archive.writestr("x/y", "inside")
    path = f"{top.name}/all.zip"
    asked = daemon.order_file("extract", relpath=path, into=f"{top.name}/out", remove=True)
    answer = daemon.ask("POST", f"/extract?token={asked.json()['token']}")
    assert (answer.status, answer.json()["files"]) == (200, 1)
    assert (top / "out" / "x" / "y").read_text() == "inside"
    assert not (top / "all.zip").exists()
    assert daemon.order_file("extract", relpath=path).status == 404
