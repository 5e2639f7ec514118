"""Our own SDK and command against a real manager and a real storage proxy, over a bad network."""

import asyncio
import fcntl
import hashlib
import json
import os
import random
import tarfile
import zipfile
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backendai.client import Client, Config
from backendai.client.faults import BadUsage, LocalFileFailed
from backendai.client.vfolders import sending
from backendai.client.vfolders.moving import Progress
from backendai.client.vfolders.rows import BINNED, NewVfolder
from backendai.client.vfolders.syncs import SyncRule
from backendai.common.enums import HostPermission
from backendai.common.faults import (
    AuthFailed,
    BadRequest,
    FileNotFound,
    VFolderExists,
    VFolderNotFound,
)
from backendai.manager.app import Manager
from tests.integration.manager.api.caller import until
from tests.integration.manager.api.command import run_inside
from tests.integration.manager.api.storage import allow
from tests.integration.manager.api.test_client import environ_of
from tests.running.storage import MANAGER_SECRET, VOLUME, StorageDaemon, running_storage

HOST = f"local:{VOLUME}"
MIB = 1024 * 1024


@dataclass
class Wire:
    """A network before the proxy; the next connections of each way break after so many bytes."""

    port: int
    cuts_up: list[int] = field(default_factory=list)
    cuts_down: list[int] = field(default_factory=list)
    server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        assert self.server is not None
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.port)
        pumps = [
            asyncio.create_task(_pump(reader, far_writer, self.cuts_up)),
            asyncio.create_task(_pump(far_reader, writer, self.cuts_down)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for each in (writer, far_writer):
                each.transport.abort()


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, cuts: list[int]
) -> None:
    carried = 0
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
            carried += len(data)
            if cuts and carried >= cuts[0]:
                cuts.pop(0)
                return


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageDaemon]:
    with running_storage(tmp_path_factory.mktemp("storage")) as running:
        yield running


@pytest.fixture
async def wire(manager: Manager, daemon: StorageDaemon) -> AsyncIterator[Wire]:
    """The proxy is known to the manager, and to clients at the wire's address."""
    wire = Wire(daemon.port)
    wire.server = await asyncio.start_server(wire.carry, "127.0.0.1", 0)
    manager_api = f"http://127.0.0.1:{daemon.manager_port}"
    pairs = {"client_api": wire.address, "manager_api": manager_api, "secret": MANAGER_SECRET}
    for key, value in pairs.items():
        await manager.stores.etcd.put(f"volumes/proxies/local/{key}", value)
    await manager.stores.etcd.put("volumes/default_host", HOST)
    await allow(manager, {HOST: [*HostPermission]})

    async def is_known() -> bool:
        known = manager.stores.proxies.config.proxies.get("local")
        return known is not None and known.client_api == wire.address

    await until(is_known)
    yield wire
    wire.server.close()


@pytest.fixture
async def alice(manager: Manager, wire: Wire) -> AsyncIterator[Client]:
    async with Client(Config.from_environment(environ_of(manager, "alice"))) as client:
        yield client


@pytest.fixture
async def folder(alice: Client) -> AsyncIterator[str]:
    made = await alice.vfolders.create(NewVfolder(name="data", cloneable=True))
    yield "data"
    with suppress(VFolderNotFound):
        await alice.vfolders.delete(made.id)
    await alice.vfolders.purge(made.id)


def content_of(count: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(count)


def fill(top: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def files_below(top: Path) -> dict[str, bytes]:
    found = (path for path in top.rglob("*") if path.is_file())
    return {path.relative_to(top).as_posix(): path.read_bytes() for path in found}


TREE = {"a.txt": b"a", "deep/er/b.bin": content_of(70_000), "deep/ü c": b"", "deep/d": b"d" * 9}


async def test_no_credential_a_wrong_one_and_someone_elses_folder(
    manager: Manager, alice: Client, folder: str, tmp_path: Path
) -> None:
    fill(tmp_path, {"a": b"a"})
    wrong = {**environ_of(manager, "alice"), "BACKEND_SECRET_KEY": "another"}
    async with Client(Config.from_environment(wrong)) as stranger:
        with pytest.raises(AuthFailed):
            await stranger.vfolders.list()
    async with Client(Config.from_environment(environ_of(manager, "bob"))) as bob:
        assert not [each for each in await bob.vfolders.list() if each.name == folder]
        with pytest.raises(VFolderNotFound):
            await bob.vfolders.upload(folder, [tmp_path / "a"])
        with pytest.raises(VFolderNotFound):
            await bob.vfolders.download(folder, ["."], into=tmp_path)
    refused = await run_inside(manager, "vfolder", "ls", folder, name="bob")
    assert refused.returncode == 6


async def test_a_folder_from_its_making_to_its_purge(alice: Client, wire: Wire) -> None:
    vfolders = alice.vfolders
    assert (await vfolders.hosts()).allowed == (HOST,)
    made = await vfolders.create(NewVfolder(name="one", permission="ro"))
    with pytest.raises(VFolderExists):
        await vfolders.create(NewVfolder(name="one"))
    await vfolders.rename("one", "two")
    await vfolders.update_options("two", cloneable=True, permission="rw")
    info = await vfolders.info("two")
    assert (info.id, info.cloneable, info.num_files) == (made.id, True, 0)
    assert await vfolders.quota("two") is None
    clone = await vfolders.clone("two", NewVfolder(name="three"))
    news = [each async for each in alice.tasks.follow(clone.bgtask_id)]
    assert news[-1].status == "done"
    await vfolders.delete("two")
    assert {each.name: each.status for each in await vfolders.list()}["two"] == BINNED
    await vfolders.restore("two")
    for name in ("two", "three"):
        await vfolders.delete(name)
        assert await vfolders.purge(name)

    async def is_gone() -> bool:
        return not await vfolders.list()

    await until(is_gone)


async def test_a_tree_comes_back_as_it_was_sent(alice: Client, folder: str, tmp_path: Path) -> None:
    vfolders, told = alice.vfolders, list[Progress]()
    fill(tmp_path / "tree", TREE)
    (tmp_path / "tree" / "empty").mkdir()
    (tmp_path / "tree" / "link").symlink_to("/etc/passwd")
    sent = await vfolders.upload(folder, [tmp_path / "tree"], on_progress=told.append)
    assert sorted(sent.paths) == sorted(f"tree/{name}" for name in TREE)
    assert sent.skipped == (str(tmp_path / "tree" / "link"),)
    assert told[-1].all_done == told[-1].all_size == sum(map(len, TREE.values()))
    assert (told[-1].files_done, told[-1].files) == (4, 4)
    fetched = await vfolders.download(folder, ["."], into=tmp_path / "back")
    assert len(fetched.paths) == 4
    assert files_below(tmp_path / "back" / "tree") == TREE
    assert (tmp_path / "back" / "tree" / "empty").is_dir()
    listed = {each.filename: each for each in await vfolders.list_files(folder, "tree")}
    copy = tmp_path / "back" / "tree" / "a.txt"
    assert abs(copy.stat().st_mtime - listed["a.txt"].mtime) < 0.001
    with pytest.raises(FileNotFound):
        await vfolders.download(folder, ["nothing"], into=tmp_path)
    with pytest.raises(LocalFileFailed, match="No such file"):
        await vfolders.upload(folder, [tmp_path / "nothing"])
    await vfolders.move_file(folder, "tree/a.txt", "z.txt")
    await vfolders.rename_file(folder, "z.txt", "y.txt")
    with pytest.raises(BadRequest):
        await vfolders.delete_files(folder, ["tree"])
    await vfolders.delete_files(folder, ["tree", "y.txt"], recursive=True)
    assert await vfolders.list_files(folder) == ()


async def test_uploads_and_downloads_go_on_where_the_connection_broke(
    alice: Client, folder: str, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "CHUNK_BYTES", MIB)
    data = content_of(5 * MIB + 7)
    fill(tmp_path, {"big": data})
    done: list[int] = []
    wire.cuts_up[:] = [MIB // 2, 2 * MIB + 300_000, 100_000]
    await alice.vfolders.upload(
        folder, [tmp_path / "big"], on_progress=lambda progress: done.append(progress.done)
    )
    assert not wire.cuts_up
    assert done == sorted(done)
    wire.cuts_down[:] = [MIB, 2 * MIB, 500_000]
    done.clear()
    await alice.vfolders.download(
        folder, ["big"], into=tmp_path / "back", on_progress=lambda each: done.append(each.done)
    )
    assert not wire.cuts_down
    assert done == sorted(done)
    fetched = (tmp_path / "back" / "big").read_bytes()
    assert hashlib.sha256(fetched).digest() == hashlib.sha256(data).digest()
    assert files_below(tmp_path / "back").keys() == {"big"}


async def test_an_upload_that_is_given_up_takes_no_room(
    alice: Client, daemon: StorageDaemon, folder: str, tmp_path: Path
) -> None:
    fill(tmp_path, {"big": content_of(2 * sending.CHUNK_BYTES)})

    def write(_: Progress) -> None:
        (tmp_path / "big").write_bytes(b"changed")

    with pytest.raises(LocalFileFailed, match="written to"):
        await alice.vfolders.upload(folder, [tmp_path / "big"], on_progress=write)
    assert not list(daemon.volume.glob(".uploads/*/*.part"))


async def test_a_download_that_was_given_up_goes_on_in_the_next_command(
    alice: Client, folder: str, wire: Wire, tmp_path: Path
) -> None:
    data = content_of(4 * MIB)
    fill(tmp_path, {"big": data})
    await alice.vfolders.upload(folder, [tmp_path / "big"])
    back = tmp_path / "back"

    class Stopped(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.done > MIB:
            raise Stopped

    with pytest.raises(Stopped):
        await alice.vfolders.download(folder, ["big"], into=back, on_progress=stop)
    (part,) = back.iterdir()
    kept = part.stat().st_size
    assert kept > MIB
    with part.open("rb") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LocalFileFailed, match="another download"):
            await alice.vfolders.download(folder, ["big"], into=back)
    done: list[int] = []
    await alice.vfolders.download(
        folder, ["big"], into=back, on_progress=lambda each: done.append(each.done)
    )
    assert done[0] > kept or done == [4 * MIB]
    assert files_below(back) == {"big": data}


async def test_a_sync_copies_only_what_changed(alice: Client, folder: str, tmp_path: Path) -> None:
    vfolders, here, back = alice.vfolders, tmp_path / "here", tmp_path / "back"
    fill(here, TREE)
    first = await vfolders.sync_up(here, folder, "top")
    assert sorted(first.copies) == sorted(TREE)
    assert (await vfolders.sync_up(here, folder, "top")).is_empty
    # What was sent has the time of its original; a file of no bytes is there before it is told.
    assert set((await vfolders.sync_down(folder, "top", here)).copies) <= {"deep/ü c"}
    await vfolders.sync_down(folder, "top", back)
    assert files_below(back) == TREE
    assert (await vfolders.sync_down(folder, "top", back)).is_empty
    changed = {**TREE, "a.txt": b"another", "new/e": b"e"}
    fill(here, changed)
    (here / "deep" / "d").unlink()
    del changed["deep/d"]
    planned = await vfolders.sync_up(here, folder, "top", rule=SyncRule(deletes=True, is_dry=True))
    assert (set(planned.copies), planned.deletions) >= ({"a.txt", "new/e"}, ("deep/d",))
    assert await vfolders.find_file(folder, "top/deep/d")
    await vfolders.sync_up(here, folder, "top", rule=SyncRule(deletes=True))
    await vfolders.sync_down(folder, "top", back, rule=SyncRule(deletes=True))
    assert files_below(back) == files_below(here) == changed
    with pytest.raises(BadUsage, match="no directory"):
        await vfolders.sync_up(here / "a.txt", folder)


async def test_a_sync_by_content_sees_what_times_hide(
    alice: Client, folder: str, tmp_path: Path
) -> None:
    fill(tmp_path, {"a": b"one", "b": b"two"})
    await alice.vfolders.sync_up(tmp_path, folder)
    (tmp_path / "a").write_bytes(b"eno")
    os.utime(tmp_path / "a", (1, 1))
    assert (await alice.vfolders.sync_up(tmp_path, folder)).is_empty
    plan = await alice.vfolders.sync_up(tmp_path, folder, rule=SyncRule(by_content=True))
    assert plan.copies == ("a",)


async def test_a_selection_comes_as_one_archive_and_is_unpacked_again(
    alice: Client, folder: str, tmp_path: Path
) -> None:
    vfolders = alice.vfolders
    fill(tmp_path / "tree", TREE | {"left/out": b"out"})
    await vfolders.upload(folder, [tmp_path / "tree"])
    await vfolders.copy_file(folder, "tree/left", "copy")
    archive, everything = tmp_path / "some.tar", tmp_path / "all.zip"
    chosen = ["tree/a.txt", "tree/deep"]
    size = await vfolders.download_archive(folder, chosen, archive, kind="tar")
    assert size == archive.stat().st_size
    with tarfile.open(archive) as found:
        assert {each.name for each in found if each.isfile()} == {f"tree/{name}" for name in TREE}
    await vfolders.download_archive(folder, ["."], everything)
    with zipfile.ZipFile(everything) as zipped:
        assert zipped.read("copy/out") == b"out"
    await vfolders.upload(folder, [archive])
    done = await vfolders.extract(folder, "some.tar", into="again", removes=True)
    assert (done.files, done.skipped_count) == (len(TREE), 0)
    await vfolders.download(folder, ["again"], into=tmp_path)
    assert files_below(tmp_path / "again" / "tree") == TREE
    assert not await vfolders.find_file(folder, "some.tar")
    with pytest.raises(FileNotFound):
        await vfolders.extract(folder, "some.tar")
    with pytest.raises(BadRequest):
        await vfolders.download_archive(folder, ["x" * 200 + str(n) for n in range(99)], archive)
    assert {name.partition("/")[0] for name in files_below(tmp_path)} == {
        "again",
        "all.zip",
        "some.tar",
        "tree",
    }


async def test_the_command_copies_syncs_and_lists(
    manager: Manager, wire: Wire, tmp_path: Path
) -> None:
    async def ok(*words: str) -> str:
        done = await run_inside(manager, "vfolder", *words, name="alice")
        assert done.returncode == 0, done.stderr
        return done.stdout

    fill(tmp_path / "tree", TREE)
    assert len((await ok("create", "lab")).strip()) == 32
    assert "lab" in await ok("list")
    assert json.loads(await ok("info", "lab", "--output", "json"))["name"] == "lab"
    assert HOST in await ok("hosts")
    await ok("mkdir", "lab", "x/y")
    source = str(tmp_path / "tree")
    assert sorted((await ok("cp", source, "lab:x")).split("\n"))[1] == "x/tree/a.txt"
    await ok("cp", f"{source}/a.txt", "lab:x/named")
    await ok("cp", "lab:x/named", str(tmp_path / "named"))
    assert (tmp_path / "named").read_bytes() == b"a"
    assert "named" in await ok("ls", "lab", "x")
    await ok("mv", "lab", "x/named", "x/y")
    await ok("rm", "lab", "x/y", "-r")
    dry = await ok("sync", source, "lab:x/tree", "--delete", "--dry-run")
    assert dry == ""
    await ok("sync", "lab:x", str(tmp_path / "x"))
    assert files_below(tmp_path / "x" / "tree") == TREE
    await ok("download", "lab", "x/tree/deep", "--dest", str(tmp_path / "out"))
    assert (tmp_path / "out" / "deep" / "d").read_bytes() == TREE["deep/d"]
    await ok("cp", "lab:x/tree", "lab:same")
    zipped = tmp_path / "lab.zip"
    await ok("download", "lab", "same", "--archive", str(zipped))
    await ok("upload", "lab", str(zipped))
    await ok("extract", "lab", "lab.zip", "--into", "unpacked", "--remove")
    assert "a.txt" in await ok("ls", "lab", "unpacked/same")
    wrong = await run_inside(manager, "vfolder", "cp", "a", "b", name="alice")
    assert wrong.returncode == 2
    await ok("delete", "lab")
    await ok("purge", "lab", "--yes")
