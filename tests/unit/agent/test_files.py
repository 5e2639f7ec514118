"""Files of kernels: directories, kept logs, traps, orders on disk, accounts."""

import errno
import os
import uuid
from pathlib import Path

import pytest

from backendai.agent.accounts import add_user
from backendai.agent.backends.backend import Accounts
from backendai.agent.desires import FileStore, Record
from backendai.agent.faults import DiskRefused
from backendai.agent.reading import read_head, read_tail
from backendai.agent.scratch import LOG_KEEP_SECONDS, Scratch
from backendai.agent.threads import Threads
from backendai.common.contracts.agent import Desired, EnsureKernel

KERNEL = str(uuid.uuid4())


@pytest.fixture
def scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path / "scratch", os.getuid(), os.getgid())


def test_preparing_again_changes_nothing(scratch: Scratch) -> None:
    scratch.prepare(KERNEL, 1, b"{}")
    (scratch.work_dir(KERNEL) / "file").write_text("x")
    scratch.prepare(KERNEL, 1, b"{}")
    scratch.prepare(KERNEL, 2, b"{}")
    assert (scratch.work_dir(KERNEL) / "file").exists()
    assert scratch.tmp_dir(KERNEL, 1).stat().st_mode & 0o7777 == 0o1777
    assert scratch.run_dir(KERNEL, 1).stat().st_mode & 0o777 == 0o700


def test_a_generation_leaves_its_log_and_the_work(scratch: Scratch) -> None:
    scratch.prepare(KERNEL, 1, b"{}")
    say(scratch, 1)
    scratch.drop_generation(KERNEL, 1)
    assert not scratch.run_dir(KERNEL, 1).exists()
    assert scratch.work_dir(KERNEL).is_dir()
    assert (scratch.kept_dir(KERNEL, 1) / "console.log").read_text() == "said"


def say(scratch: Scratch, generation: int) -> None:
    (scratch.run_dir(KERNEL, generation) / "log" / "console.log").write_text("said")


def test_what_a_user_puts_beside_the_log_is_not_kept(scratch: Scratch) -> None:
    scratch.prepare(KERNEL, 1, b"{}")
    say(scratch, 1)
    log = scratch.run_dir(KERNEL, 1) / "log"
    (log / "hoard" / "inner").mkdir(parents=True)
    (log / "hoard" / "inner" / "big").write_bytes(b"x" * 1000)
    (log / "console.log.1").symlink_to("/etc/passwd")
    scratch.drop_generation(KERNEL, 1)
    assert [one.name for one in scratch.kept_dir(KERNEL, 1).iterdir()] == ["console.log"]


def test_logs_are_kept_though_the_agent_died_while_keeping_them(scratch: Scratch) -> None:
    scratch.prepare(KERNEL, 1, b"{}")
    say(scratch, 1)
    scratch.kept_dir(KERNEL, 1).mkdir(parents=True)
    scratch.drop_generation(KERNEL, 1)
    assert (scratch.kept_dir(KERNEL, 1) / "console.log").read_text() == "said"


def test_nothing_but_logs_is_left_of_a_kernel(scratch: Scratch) -> None:
    for generation in (1, 2):
        scratch.prepare(KERNEL, generation, b"{}")
        say(scratch, generation)
    scratch.put_aside(KERNEL)
    scratch.put_aside(KERNEL)
    assert not (scratch.root / KERNEL).exists()
    assert scratch.sweep() == 1
    assert scratch.sweep() == 0
    assert scratch.kept_dir(KERNEL, 2).is_dir()


def test_a_tree_of_any_depth_and_without_rights_is_swept(scratch: Scratch, tmp_path: Path) -> None:
    scratch.prepare(KERNEL, 1, b"{}")
    (tmp_path / "kept").write_text("not the kernel's")
    nest(scratch.work_dir(KERNEL), 3000)
    (scratch.work_dir(KERNEL) / "link").symlink_to(tmp_path)
    (scratch.work_dir(KERNEL) / "locked" / "inner").mkdir(parents=True)
    (scratch.work_dir(KERNEL) / "locked").chmod(0)
    scratch.put_aside(KERNEL)
    assert scratch.sweep() == 1
    assert list((scratch.root / ".trash").iterdir()) == []
    assert (tmp_path / "kept").exists()


async def test_a_disk_that_refuses_is_a_fault(tmp_path: Path) -> None:
    def fill() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "orders")

    with pytest.raises(DiskRefused, match="No space left"):
        await Threads("test", 1).run(fill)


def nest(top: Path, levels: int) -> None:
    """As a user does it, step by step: the whole path would be longer than a path may be."""
    here = os.open(top, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_old_logs_go_and_young_ones_stay(scratch: Scratch) -> None:
    for generation in (1, 2):
        scratch.prepare(KERNEL, generation, b"{}")
        say(scratch, generation)
        scratch.drop_generation(KERNEL, generation)
    os.utime(scratch.kept_dir(KERNEL, 1), (0, 0))
    now = scratch.kept_dir(KERNEL, 2).stat().st_mtime
    assert scratch.expire_logs(now) == 1
    assert scratch.kept_dir(KERNEL, 2).exists()
    assert scratch.expire_logs(now + LOG_KEEP_SECONDS + 1) == 1


def test_a_tail_is_the_end_of_a_regular_file(tmp_path: Path) -> None:
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "a").write_bytes(b"0123456789")
    assert read_tail(tmp_path, "log/a", 4) == (b"6789", True)
    assert read_tail(tmp_path, "log/a", 10) == (b"0123456789", False)
    assert read_head(tmp_path, "log/a", 3) == b"012"


@pytest.mark.parametrize("trap", ["link", "folder link", "pipe", "folder", "missing", "device"])
def test_traps_are_not_stepped_into(tmp_path: Path, trap: str) -> None:
    log = tmp_path / "log"
    if trap == "folder link":
        log.symlink_to("/etc")
        assert read_head(tmp_path, "log/passwd", 10) is None
        return
    log.mkdir()
    target = log / "a"
    match trap:
        case "link":
            target.symlink_to("/etc/passwd")
        case "pipe":
            os.mkfifo(target)
        case "folder":
            target.mkdir()
        case "device":
            target = Path("/dev/null")
            assert read_head(Path("/dev"), "zero", 10) is None
    assert read_head(tmp_path, "log/a", 10) is None
    assert read_tail(tmp_path, "log/a", 10) is None


def make_record(kernel_id: str = KERNEL) -> Record:
    order = EnsureKernel(kernel_id=kernel_id, generation=3, desired=Desired.GONE, reason="r")
    return Record(order=order, launched=True, saved_at=1.0)


async def test_orders_survive_on_disk(tmp_path: Path) -> None:
    store = FileStore(tmp_path / "state" / "desires", Threads("test", 1))
    assert await store.load() == []
    await store.save(make_record())
    assert await store.load() == [make_record()]
    await store.forget([KERNEL, str(uuid.uuid4())])
    assert await store.load() == []


@pytest.mark.parametrize("garbage", [b"", b"{", b"\0" * 100, b'{"order": {}}'])
async def test_a_broken_order_counts_as_none(tmp_path: Path, garbage: bytes) -> None:
    store = FileStore(tmp_path, Threads("test", 1))
    await store.save(make_record())
    (tmp_path / f"{uuid.uuid4()}.json").write_bytes(garbage)
    (tmp_path / f"{uuid.uuid4()}.json").write_bytes((tmp_path / f"{KERNEL}.json").read_bytes())
    (tmp_path / "notes.json").write_bytes(garbage)
    assert await store.load() == [make_record()]


def test_an_image_without_accounts_gets_some() -> None:
    made = add_user(Accounts("", ""), 1000, 1001)
    assert made is not None
    assert made.passwd.splitlines()[-1] == "work:x:1000:1001::/home/work:/bin/sh"
    assert made.passwd.startswith("root:x:0:0:")
    assert "work:x:1001:" in made.group


def test_an_image_keeps_its_own_accounts() -> None:
    own = Accounts("root:x:0:0::/root:/bin/sh\nwork:x:5:5::/:/bin/sh\n", "root:x:0:\nwork:x:5:\n")
    made = add_user(own, 1000, 1000)
    assert made is not None
    assert own.passwd.strip() in made.passwd
    assert "work1000:x:1000:1000" in made.passwd
    assert add_user(made, 1000, 1000) is None
