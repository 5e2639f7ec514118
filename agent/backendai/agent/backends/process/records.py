"""What the process backend has on disk about each sandbox: its labels, and whether it lives.

`<root>/<name>/` holds `record.json`, `started` (from the moment of the start on), `status.json`
(bwrap's own words: pids, exit code) and `lock`, which the sandbox holds as long as it lives. A
record is the counterpart of a container's labels, and lies with the kernels' files.
"""

import fcntl
import os
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from backendai.agent.machine import Phase
from backendai.agent.profile import Profile

LOCK: Final = "lock"
STARTED: Final = "started"
STATUS: Final = "status.json"
OUTPUT: Final = "output.log"
_RECORD: Final = "record.json"


@dataclass(frozen=True, slots=True)
class Status:
    """What bwrap told: the host's pid of the sandbox's first process, and its exit code."""

    pid: int | None = None
    exit_code: int | None = None


class Records:
    """Blocking; calls for one record do not overlap, because a look takes the lock for a moment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._guard = threading.Lock()

    def folder(self, name: str) -> Path:
        return self.root / name

    def list_names(self) -> list[str]:
        if not self.root.is_dir():
            return []
        return sorted(one.name for one in self.root.iterdir() if not one.name.startswith("."))

    def create(self, profile: Profile) -> bool:
        """False when a record of that name is there already. It appears whole or not at all."""
        draft = self.root / f".{profile.name}.{os.getpid()}.{threading.get_ident()}"
        draft.mkdir(parents=True, mode=0o700)
        (draft / _RECORD).write_bytes(msgspec.json.encode(profile))
        (draft / LOCK).touch(0o600)
        try:
            draft.rename(self.folder(profile.name))
        except OSError:
            shutil.rmtree(draft)
            if not self.folder(profile.name).is_dir():
                raise
            return False
        return True

    def read(self, name: str) -> Profile | None:
        try:
            data = (self.folder(name) / _RECORD).read_bytes()
            return msgspec.json.decode(data, type=Profile)
        except (OSError, msgspec.DecodeError):
            return None

    def phase(self, name: str) -> Phase:
        if self.is_alive(name):
            return Phase.RUNNING
        return Phase.EXITED if (self.folder(name) / STARTED).exists() else Phase.CREATED

    def is_alive(self, name: str) -> bool:
        with self._guard:
            descriptor = self._take_lock(name)
            if descriptor is not None:
                os.close(descriptor)
                return False
        return (self.folder(name) / LOCK).exists()

    def begin(self, name: str) -> int | None:
        """Mark the start and give the lock to pass on; None when it was started before."""
        with self._guard:
            descriptor = self._take_lock(name)
            if descriptor is None:
                return None
            started = self.folder(name) / STARTED
            if started.exists():
                os.close(descriptor)
                return None
            started.touch()
            return descriptor

    def status(self, name: str) -> Status:
        status = Status()
        for document in _documents(self.folder(name) / STATUS):
            status = Status(
                pid=document.get("child-pid", status.pid),
                exit_code=document.get("exit-code", status.exit_code),
            )
        return status

    def changed_at(self, name: str, part: str) -> float | None:
        try:
            return (self.folder(name) / part).stat().st_mtime
        except OSError:
            return None

    def output(self, name: str, chars_max: int = 2000) -> str:
        """The end of what the sandbox's own programs said, for error messages."""
        try:
            return (self.folder(name) / OUTPUT).read_text("utf-8", "replace")[-chars_max:].strip()
        except OSError:
            return ""

    def remove(self, name: str) -> None:
        folder = self.folder(name)
        if folder.is_dir():
            aside = self.root / f".{name}.gone"
            shutil.rmtree(aside, ignore_errors=True)
            folder.rename(aside)
            shutil.rmtree(aside)

    def _take_lock(self, name: str) -> int | None:
        """None when the sandbox lives, or has no record."""
        try:
            descriptor = os.open(self.folder(name) / LOCK, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            return None
        return descriptor


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    """bwrap writes one JSON document after the other, with blanks between."""
    try:
        text = path.read_text()
    except OSError:
        return
    for part in text.replace("}", "}\0").split("\0"):
        try:
            document = msgspec.json.decode(part.strip() or "{}")
        except msgspec.DecodeError:
            continue
        if isinstance(document, dict):
            yield document
