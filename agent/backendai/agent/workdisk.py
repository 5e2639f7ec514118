"""A file system of its own for the work files of a kernel, so that they cannot fill the node.

It is an ext4 image in a sparse file, mounted by way of a loop device. Mounts outlive the agent, and
a loop device is let go of with its mount, so nothing has to be remembered. All of this blocks.
"""

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from .faults import DiskRefused

BYTES_MIN: Final = 16 * 1024**2
COMMAND_SECONDS_MAX: Final = 60.0
_OPTIONS: Final = "loop,nosuid,nodev,discard"


def attach_disk(image: Path, folder: Path, size_bytes: int, uid: int, gid: int) -> None:
    """Mount `image` at `folder`, making either first. Repeatable at any point where it was cut off.

    Only who is `uid` gets in. Raises DiskRefused, or OSError.
    """
    if not folder.is_mount():
        _mount(image, folder, size_bytes, uid, gid)
    folder.chmod(0o700)


def detach_disk(folder: Path) -> None:
    """Unmount what is mounted at `folder`; nothing is as wanted. Raises DiskRefused."""
    while not folder.is_symlink() and folder.is_mount():
        _run("umount", "--lazy", str(folder))


def find_obstacle(folder: Path) -> str:
    """Why no disk can be attached below `folder`; empty when one could just now."""
    if os.geteuid() != 0:
        return "only root may mount file systems"
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".trial-") as trial:
            place = Path(trial)
            attach_disk(place / "disk", place / "work", BYTES_MIN, 0, 0)
            detach_disk(place / "work")
    except DiskRefused as fault:
        return fault.detail
    except OSError as error:
        return str(error)
    return ""


def _mount(image: Path, folder: Path, size_bytes: int, uid: int, gid: int) -> None:
    if not image.exists():
        _make_image(image, size_bytes, uid, gid)
    # Without its disk nobody may write there: it would be the node's own.
    folder.mkdir(mode=0o000, parents=True, exist_ok=True)
    _run("mount", "-t", "ext4", "-o", _OPTIONS, str(image), str(folder))
    with contextlib.suppress(FileNotFoundError):
        (folder / "lost+found").rmdir()


def _make_image(image: Path, size_bytes: int, uid: int, gid: int) -> None:
    """The file has its name only when it is whole; it takes no room before it is written to."""
    draft = image.with_suffix(".new")
    with draft.open("wb") as file:
        file.truncate(size_bytes)
    draft.chmod(0o600)
    extended = f"root_owner={uid}:{gid},lazy_itable_init=1,lazy_journal_init=1,nodiscard"
    _run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", extended, str(draft))
    draft.rename(image)


def _run(*command: str) -> None:
    try:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS_MAX,
        )
    except FileNotFoundError as error:
        raise DiskRefused(f"there is no {command[0]} on this node") from error
    except subprocess.TimeoutExpired as error:
        raise DiskRefused(f"{command[0]} does not end") from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split())
        raise DiskRefused(f"{command[0]} failed: {said or f'exit code {done.returncode}'}")
