"""Folders of volumes in kernels, on each backend: what is mounted, and what is refused."""

import os
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from backendai.agent.faults import BadOrder, DirectoryMissing, FolderUnfit, VolumeMissing
from backendai.agent.volumes import check_mounts, hold_folder
from backendai.common.contracts.agent import (
    ENSURE,
    Desired,
    EnsureKernel,
    FolderMount,
    KernelRef,
    KernelReport,
    KernelState,
)
from backendai.common.faults import AgentInvalidInput
from backendai.common.mounts import VOLUME_FILE

from .conftest import Node, make_spec
from .speaking import say

OWNER = 1000


@dataclass
class Volume:
    """A directory that is a volume, with one folder, `data`."""

    path: Path
    id: str = field(default_factory=lambda: str(uuid.uuid4()))

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        self.prove(self.id)
        self.give(self.folder)

    @property
    def folder(self) -> Path:
        return self.path / "user:u" / "da" / "data"

    def prove(self, volume_id: str) -> None:
        (self.path / VOLUME_FILE).write_bytes(msgspec.json.encode({"id": volume_id}))

    def give(self, *folders: Path) -> None:
        for folder in folders:
            folder.mkdir(exist_ok=True)
            if os.geteuid() == 0:
                os.chown(folder, OWNER, OWNER)

    def mount(self, target: str = "/home/work/data", **changes: object) -> FolderMount:
        mount = FolderMount(
            name="data",
            volume="local:volume1",
            volume_id=self.id,
            volume_path=str(self.path),
            path=str(self.folder),
            target=target,
        )
        return msgspec.structs.replace(mount, **changes)


@pytest.fixture
def volume(tmp_path: Path) -> Volume:
    return Volume(tmp_path / "volume")


async def run(node: Node, image: str, *mounts: FolderMount) -> KernelRef:
    ref = KernelRef(kernel_id=str(uuid.uuid4()), generation=1)
    await node.order(make_spec(image, mounts=list(mounts)), ref.kernel_id)
    report = await node.kernel(ref.kernel_id, KernelState.FAILED, KernelState.RUNNING)
    assert report.state is KernelState.RUNNING, report.detail
    return ref


async def fail(node: Node, image: str, *mounts: FolderMount) -> KernelReport:
    """The report of a kernel with `mounts` that cannot start."""
    kernel_id = str(uuid.uuid4())
    await node.order(make_spec(image, mounts=list(mounts)), kernel_id)
    report = await node.kernel(kernel_id, KernelState.FAILED, KernelState.RUNNING)
    assert report.state is KernelState.FAILED
    return report


async def test_what_a_kernel_writes_is_in_the_folder(
    node: Node, image: str, volume: Volume
) -> None:
    volume.give(volume.folder / "sub")
    (volume.folder / "sub" / "old").write_text("kept")
    mounts = [
        volume.mount(),
        volume.mount("/home/work/deep/er", subpath="sub", read_only=True),
        volume.mount("/mnt/elsewhere/data", subpath="./sub/"),
    ]
    ref = await run(node, image, *mounts)
    assert await say(node, ref, "print(open('data/new', 'w').write('hello'))") == "5\n"
    assert (volume.folder / "new").read_text() == "hello"
    assert (volume.folder / "new").stat().st_uid == volume.folder.stat().st_uid
    assert await say(node, ref, "print(open('deep/er/old').read())") == "kept\n"
    refusal = "\ntry:\n    open('deep/er/x', 'w')\nexcept OSError as error:\n    print(error.errno)"
    assert await say(node, ref, refusal) == "30\n"
    await say(node, ref, "open('/mnt/elsewhere/data/too', 'w').close(); open('deep/own', 'w')")
    assert sorted(one.name for one in (volume.folder / "sub").iterdir()) == ["old", "too"]
    # An agent that comes back finds it as it was, and its end leaves the folder alone.
    node.restart()
    await node.kernel(ref.kernel_id, KernelState.RUNNING)
    assert await say(node, ref, "print(open('data/new').read())") == "hello\n"
    await node.remove(ref)
    assert (volume.folder / "new").read_text() == "hello"
    assert (volume.folder / "sub" / "old").read_text() == "kept"


async def test_a_volume_that_is_not_there_is_named(node: Node, image: str, volume: Volume) -> None:
    volume.prove("another")
    assert "is another volume, 'another'" in (await fail(node, image, volume.mount())).detail
    (volume.path / VOLUME_FILE).unlink()
    report = await fail(node, image, volume.mount())
    assert report.detail == (
        f"volume local:volume1 is not mounted at {volume.path} on this node:"
        f" there is no {VOLUME_FILE}"
    )
    assert report.retriable
    shutil.rmtree(volume.path)
    assert "No such file" in (await fail(node, image, volume.mount())).detail
    assert not volume.path.exists()


async def test_a_link_out_of_a_folder_is_not_mounted(
    node: Node, image: str, volume: Volume, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (volume.folder / "absolute").symlink_to(tmp_path / "secret")
    (volume.folder / "upwards").symlink_to("../../../secret")
    (volume.folder / "magic").symlink_to("/proc/self/root")
    (volume.folder / "file").touch()
    for subpath, words in (
        ("absolute", "absolute in folder data cannot be mounted: Invalid cross-device link"),
        ("upwards", "cannot be mounted"),
        ("magic", "cannot be mounted"),
        ("file", "Not a directory"),
        ("missing", "No such file"),
    ):
        report = await fail(node, image, volume.mount(subpath=subpath))
        assert words in report.detail
        assert not report.retriable


async def test_a_link_that_is_put_there_after_the_check_ends_the_start(
    resting_node: Node, image: str, volume: Volume, tmp_path: Path
) -> None:
    """The worst case of the race: after all that the agent looks at, before the engine mounts."""
    node, sub = resting_node, volume.folder / "sub"
    volume.give(sub)
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("hidden")
    node.start(f"agent.{node.mode}.before_start:hang")
    await node.until(lambda report: report.engine_reachable)
    kernel_id = str(uuid.uuid4())
    spec = make_spec(
        image,
        mounts=[volume.mount(subpath="sub")],
        bootstrap_script="cat /home/work/data/key > /home/work/stolen",
    )
    await node.order(spec, kernel_id)
    await node.until(lambda report: any(one.container_id for one in report.kernels))
    sub.rename(volume.folder / "aside")
    sub.symlink_to(secret)
    node.restart()
    report = await node.kernel(kernel_id, KernelState.FAILED, KernelState.RUNNING)
    assert report.state is KernelState.FAILED
    assert "/home/work/data is not the directory that was checked" in report.detail
    assert not (node.scratch / kernel_id / "work" / "stolen").exists()


def free(path: Path | str, **changes: object) -> FolderMount:
    """An unmanaged folder, `corpus`, that is the directory at `path`."""
    mount = FolderMount(
        name="corpus",
        volume="",
        volume_id="",
        volume_path="",
        path=str(path),
        target="/home/work/corpus",
    )
    return msgspec.structs.replace(mount, **changes)


@pytest.fixture
def offering_node(resting_node: Node, volume: Volume) -> Node:
    """A running agent that offers the directory of `volume`, which has no proof here."""
    (volume.path / VOLUME_FILE).unlink()
    resting_node.options["container"] = {"unmanaged-roots": [str(volume.path)]}
    resting_node.start()
    return resting_node


async def test_a_directory_that_the_node_offers_is_mounted(
    offering_node: Node, image: str, volume: Volume
) -> None:
    node = offering_node
    volume.give(volume.folder / "sub")
    (volume.folder / "sub" / "old").write_text("kept")
    ref = await run(
        node,
        image,
        free(volume.folder),
        free(volume.folder, target="/mnt/texts/en", subpath="sub", read_only=True),
    )
    assert await say(node, ref, "print(open('corpus/new', 'w').write('hello'))") == "5\n"
    assert (volume.folder / "new").read_text() == "hello"
    assert await say(node, ref, "print(open('/mnt/texts/en/old').read())") == "kept\n"
    refusal = "\ntry:\n    open('/mnt/texts/en/x', 'w')\nexcept OSError as e:\n    print(e.errno)"
    assert await say(node, ref, refusal) == "30\n"
    await node.remove(ref)
    assert (volume.folder / "new").read_text() == "hello"
    assert (volume.folder / "sub" / "old").read_text() == "kept"


async def test_a_directory_that_the_node_does_not_have_or_offer_is_named(
    offering_node: Node, image: str, volume: Volume, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (volume.path / "away").symlink_to(tmp_path / "secret")
    begin = "folder corpus cannot be mounted: "
    offers_none = "lies below no directory that this node offers ([container] unmanaged-roots"
    for path, words in (
        (tmp_path / "secret", f"{begin}{tmp_path / 'secret'} {offers_none}"),
        # Not below it, though its name begins so.
        (f"{volume.path}-2", f"{volume.path}-2 {offers_none}"),
        (volume.path / "none", f"{begin}{volume.path / 'none'} on this node: No such file"),
        (volume.path / "away", f"{volume.path / 'away'} on this node: Too many levels of symbolic"),
    ):
        report = await fail(offering_node, image, free(path))
        assert words in report.detail
        assert report.retriable
    inside = await fail(offering_node, image, free(volume.folder, subpath="none"))
    assert "none in folder corpus cannot be mounted: No such file" in inside.detail
    assert not inside.retriable


async def test_a_node_that_offers_nothing_mounts_nothing(
    node: Node, image: str, volume: Volume
) -> None:
    assert "below no directory" in (await fail(node, image, free(volume.folder))).detail


def test_the_closest_directory_that_is_offered_counts(volume: Volume, tmp_path: Path) -> None:
    """Links are not followed at all: who may write above a folder would choose what others get."""
    inner = volume.path / "inner"
    inner.mkdir()
    (inner / "out").symlink_to("../user:u")
    for roots in ([str(volume.path), str(inner)], [str(volume.path)]):
        with pytest.raises(DirectoryMissing, match="symbolic links"):
            hold_folder(free(inner / "out"), roots)
    whole = hold_folder(free(inner), [str(inner)])
    os.close(whole.descriptor)
    assert whole.source == str(inner)


def test_a_race_of_links_never_holds_what_the_node_does_not_offer(
    volume: Volume, tmp_path: Path
) -> None:
    sub, secret = volume.folder / "sub", tmp_path / "secret"
    volume.give(sub)
    secret.mkdir()
    inside, held = sub.stat().st_ino, 0
    with swapping(sub, secret) as swaps:
        while held < 30 or swaps() < 30:
            try:
                folder = hold_folder(free(sub), [str(volume.path)])
            except DirectoryMissing:
                continue
            held += 1
            os.close(folder.descriptor)
            assert folder.inode == inside


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/", "the whole node"),
        ("/etc", "kept for the system"),
        ("/mnt/../etc", "leads upwards"),
        ("/mnt//x", "not written as it is meant"),
        ("mnt", "not absolute"),
    ],
)
def test_an_order_with_a_directory_of_the_system_is_refused(path: str, words: str) -> None:
    with pytest.raises(BadOrder, match=words):
        check_mounts([free(path)])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "/etc/ssh"}, "kept for the system"),
        ({"target": "/opt/kernel"}, "kept for the system"),
        ({"target": "/home/work"}, "not below it"),
        ({"target": "/home/work//x"}, "not written as it is meant"),
        ({"target": "/home/work/other/data"}, "overlap"),
        ({"subpath": "../x"}, "leads upwards"),
        ({"path": "/etc"}, "not on its volume"),
    ],
)
async def test_an_order_with_a_bad_mount_is_refused(
    node: Node, image: str, volume: Volume, changes: dict[str, object], words: str
) -> None:
    mounts = [volume.mount("/home/work/other"), volume.mount(**changes)]
    order = EnsureKernel(
        kernel_id=str(uuid.uuid4()),
        generation=1,
        desired=Desired.RUNNING,
        spec=make_spec(image, mounts=mounts),
    )
    with pytest.raises(AgentInvalidInput, match=words):
        await (await node.connect()).ask(ENSURE, order)


@contextmanager
def swapping(place: Path, other: Path) -> Iterator[Callable[[], int]]:
    """`place` is a directory and a link to `other` in turn, as fast as it goes."""
    stop, count = threading.Event(), [0]

    def swap() -> None:
        aside, link = place.with_name("aside"), place.with_name("link")
        while not stop.is_set():
            place.rename(aside)
            link.symlink_to(other)
            link.rename(place)
            place.unlink()
            aside.rename(place)
            count[0] += 1

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        yield lambda: count[0]
    finally:
        stop.set()
        thread.join()


def test_a_race_of_links_never_holds_what_is_outside(volume: Volume, tmp_path: Path) -> None:
    sub, secret = volume.folder / "sub", tmp_path / "secret"
    volume.give(sub)
    secret.mkdir()
    inside, held = sub.stat().st_ino, 0
    with swapping(sub, secret) as swaps:
        while held < 30 or swaps() < 30:
            try:
                folder = hold_folder(volume.mount(subpath="sub"))
            except FolderUnfit:
                continue
            held += 1
            os.close(folder.descriptor)
            assert folder.inode == inside


def test_a_proof_that_is_a_trap_is_no_proof(volume: Volume) -> None:
    proof = volume.path / VOLUME_FILE
    proof.unlink()
    os.mkfifo(proof)
    with pytest.raises(VolumeMissing, match="not a regular file"):
        hold_folder(volume.mount())
    proof.unlink()
    proof.write_text("[]")
    with pytest.raises(VolumeMissing, match="cannot be read"):
        hold_folder(volume.mount())
