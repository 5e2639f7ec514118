"""The directories of kernels on the host: work files, run directory, temporary files, kept logs.

`<root>/<kernel>/work` lives as long as the kernel, over restarts; where its size is limited, it is
what is in `work.disk`. `run.<generation>` and
`tmp.<generation>` as long as one container. After the end only the console logs stay, for a while.
"""

import os
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from backendai.common.beneath import opened_directory, opened_path
from backendai.common.mounts import below_home
from backendai.common.paths import RelPath
from backendai.kernel.wire import LOG_PATH, SETUP_NAME

from .workdisk import attach_disk, detach_disk

KEPT_LOGS: Final = ".logs"
TRASH: Final = ".trash"
HOSTS_NAME: Final = "hosts"
HOSTS: Final = "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
WORK_DISK: Final = "work.disk"
LOG_KEEP_SECONDS: Final = 7 * 24 * 3600.0
LOG_KEEP_BYTES_MAX: Final = 2 * 1024**3
_NO_ACCESS_FOR_OTHERS: Final = 0o700
_EVERYBODY_BUT_OWN_FILES: Final = 0o1777
_FOLDER_OF_USER: Final = 0o755


@dataclass(frozen=True, slots=True)
class Scratch:
    """All below `root`; a kernel's files belong to `uid` and `gid`. Methods block: use threads.

    Work files of new kernels get `work_bytes_max` of room; 0: as much as there is.
    """

    root: Path
    uid: int
    gid: int
    work_bytes_max: int = 0

    def run_dir(self, kernel_id: str, generation: int) -> Path:
        return self.root / kernel_id / f"run.{generation}"

    def work_dir(self, kernel_id: str) -> Path:
        return self.root / kernel_id / "work"

    def tmp_dir(self, kernel_id: str, generation: int) -> Path:
        return self.root / kernel_id / f"tmp.{generation}"

    def prepare(self, kernel_id: str, generation: int, setup: bytes) -> None:
        """Make all directories of one generation and write its `kernel.json`. Repeatable."""
        run = self.run_dir(kernel_id, generation)
        self.make_work(kernel_id)
        self._make(run, _NO_ACCESS_FOR_OTHERS)
        self._make((run / LOG_PATH).parent, _NO_ACCESS_FOR_OTHERS)
        self._make(self.tmp_dir(kernel_id, generation), _EVERYBODY_BUT_OWN_FILES)
        target = run / SETUP_NAME
        target.write_bytes(setup)
        self._own(target, 0o400)

    def write_hosts(self, kernel_id: str, generation: int) -> Path:
        """The names that are the same in every container, for one in two networks.

        The engine would write the container's own name there once for each of its networks, in any
        order; without that the engine's name service tells the address that siblings know.
        """
        target = self.run_dir(kernel_id, generation) / HOSTS_NAME
        target.write_text(HOSTS)
        self._own(target, 0o444)
        return target

    def make_work(self, kernel_id: str) -> None:
        """The folder of work files, on a disk of its own where it has or gets one.

        Repeatable; after a restart of the node nothing may use it before this was called.
        """
        work, disk = self.work_dir(kernel_id), self.root / kernel_id / WORK_DISK
        if disk.exists() or (self.work_bytes_max and not work.exists()):
            disk.parent.mkdir(parents=True, exist_ok=True)
            attach_disk(disk, work, self.work_bytes_max, self.uid, self.gid)
        else:
            self._make(work, _NO_ACCESS_FOR_OTHERS)

    def make_mount_points(self, kernel_id: str, targets: Iterable[str]) -> None:
        """What an engine would make itself, as root's, where `targets` lie below the home.

        A kernel that ran before may have made links there: none that leads out is followed. Raises
        OSError.
        """
        inside = [path for target in targets if (path := below_home(target)) is not None]
        with opened_path(self.work_dir(kernel_id)) as home:
            for path in inside:
                for depth in range(1, len(path.names) + 1):
                    self._make_below(home, RelPath(path.names[:depth]))

    def _make_below(self, home: int, path: RelPath) -> None:
        with opened_directory(home, path.parent) as parent:
            try:
                os.mkdir(path.name, _FOLDER_OF_USER, dir_fd=parent)
            except FileExistsError:
                return
            if os.geteuid() == 0:
                os.chown(path.name, self.uid, self.gid, dir_fd=parent, follow_symlinks=False)

    def drop_generation(self, kernel_id: str, generation: int) -> None:
        """Keep the logs of one generation and remove its own directories; work files stay."""
        self._keep_logs(kernel_id, generation)
        _remove_tree(self.run_dir(kernel_id, generation))
        _remove_tree(self.tmp_dir(kernel_id, generation))

    def put_aside(self, kernel_id: str) -> None:
        """Keep the logs of a kernel and take all else out of sight, however much it is."""
        folder = self.root / kernel_id
        detach_disk(self.work_dir(kernel_id))
        for run in sorted(folder.glob("run.*")):
            self._keep_logs(kernel_id, int(run.name.partition(".")[2]))
        if folder.is_dir():
            trash = self.root / TRASH
            trash.mkdir(parents=True, exist_ok=True, mode=_NO_ACCESS_FOR_OTHERS)
            folder.rename(trash / f"{kernel_id}.{time.time_ns()}")

    def sweep(self) -> int:
        """Remove what was put aside. Returns how many folders; may take long."""
        folders = list((self.root / TRASH).glob("*"))
        for folder in folders:
            detach_disk(folder / "work")
        for folder in folders:
            _remove_tree(folder)
        return len(folders)

    def detach_all(self) -> None:
        """Unmount the disks of all kernels, which are to be no more. Raises DiskRefused."""
        for disk in self.root.glob(f"*/{WORK_DISK}"):
            detach_disk(disk.with_name("work"))

    def kept_dir(self, kernel_id: str, generation: int) -> Path:
        return self.root / KEPT_LOGS / f"{kernel_id}.{generation}"

    def expire_logs(self, now: float | None = None) -> int:
        """Remove kept logs that are too old, or beyond the total size. Returns how many."""
        now = time.time() if now is None else now
        folders = sorted(
            (self.root / KEPT_LOGS).glob("*"), key=lambda one: one.stat().st_mtime, reverse=True
        )
        total, removed = 0, 0
        for folder in folders:
            total += sum(one.lstat().st_size for one in folder.iterdir())
            is_old = now - folder.stat().st_mtime > LOG_KEEP_SECONDS
            if is_old or total > LOG_KEEP_BYTES_MAX:
                _remove_tree(folder)
                removed += 1
        return removed

    def _keep_logs(self, kernel_id: str, generation: int) -> None:
        """Only the runner's own log files: their folder is the user's to fill."""
        newest = self.run_dir(kernel_id, generation) / LOG_PATH
        if newest.parent.is_symlink():
            return
        kept = self.kept_dir(kernel_id, generation)
        for log in (newest, newest.with_name(f"{newest.name}.1")):
            if log.is_file() and not log.is_symlink():
                kept.mkdir(parents=True, exist_ok=True, mode=_NO_ACCESS_FOR_OTHERS)
                log.rename(kept / log.name)

    def _make(self, folder: Path, mode: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._own(folder, mode)

    def _own(self, path: Path, mode: int) -> None:
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)
        path.chmod(mode)


def _remove_tree(folder: Path) -> None:
    """Remove a tree of any depth: its user may nest more folders than a stack or a path can hold.

    Inner folders are lifted to the top before they are emptied, so nothing here recurses.
    """
    if folder.is_symlink() or not folder.is_dir():
        return
    waiting = [folder]
    while waiting:
        one = waiting.pop()
        waiting += _empty(one, folder)
        if one != folder:
            one.rmdir()
    folder.rmdir()


def _empty(one: Path, top: Path) -> list[Path]:
    """Unlink the files of `one` and lift its folders to `top`. Returns where these are now."""
    lifted = []
    with os.scandir(one) as entries:
        found = list(entries)
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            # Its user may have taken the rights away that moving and emptying it need.
            Path(entry.path).chmod(_NO_ACCESS_FOR_OTHERS)
            lifted.append(Path(entry.path).rename(top / uuid.uuid4().hex))
        else:
            Path(entry.path).unlink()
    return lifted
