"""Images of the process backend: folders with a root file system, and the host's own as `host`.

A folder may hold `.image.json` with `name`, `labels` and `environ`; else its name is the folder's.
"""

import hashlib
import platform
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from backendai.agent.backends.backend import Accounts
from backendai.common.contracts.agent import ImageReport

HOST_IMAGE: Final = "host"
FACTS_NAME: Final = ".image.json"
DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOST_TOP: Final = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32")
_HOST_ETC: Final = (
    "alternatives",
    "ca-certificates",
    "debian_version",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "localtime",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "protocols",
    "services",
    "ssl",
    "terminfo",
)
# These are made fresh in each sandbox, whatever the image has there.
_FRESH: Final = frozenset({"proc", "dev", "sys", "tmp", "run"})
# Our own mounts lie below these, so their entries are bound one by one.
_OPENED: Final = frozenset({"etc", "home", "opt"})


class _Facts(msgspec.Struct):
    name: str = ""
    labels: dict[str, str] = {}
    environ: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class RootFs:
    """One image: the folder that becomes `/`."""

    name: str
    folder: Path
    labels: dict[str, str] = field(default_factory=dict)
    environ: dict[str, str] = field(default_factory=dict)

    def report(self) -> ImageReport:
        found = self.folder.stat()
        words = f"{self.name}\n{found.st_mtime_ns}\n{found.st_ino}"
        return ImageReport(
            name=self.name,
            digest=f"sha256:{hashlib.sha256(words.encode()).hexdigest()}",
            architecture=platform.machine(),
            size_bytes=0,
            labels=self.labels,
        )

    def accounts(self) -> Accounts:
        return Accounts(self._text("etc/passwd"), self._text("etc/group"))

    def bind_arguments(self, hidden: frozenset[str]) -> Iterator[str]:
        """bwrap arguments that show this root read-only; `hidden` are targets mounted over it."""
        opened = _OPENED | {target.split("/")[1] for target in hidden} - {*_HOST_TOP}
        for entry in self._top():
            if entry.is_symlink():
                yield from ("--symlink", str(entry.readlink()), f"/{entry.name}")
            elif entry.name in opened:
                yield from ("--dir", f"/{entry.name}")
                yield from self._open(entry, hidden)
            else:
                yield from ("--ro-bind", str(entry), f"/{entry.name}")

    def _open(self, folder: Path, hidden: frozenset[str]) -> Iterator[str]:
        for entry in sorted(folder.iterdir()):
            target = f"/{folder.name}/{entry.name}"
            if target in hidden or (self.name == HOST_IMAGE and entry.name not in _HOST_ETC):
                continue
            if entry.is_symlink():
                yield from ("--symlink", str(entry.readlink()), target)
            elif entry.is_dir() or entry.is_file():
                yield from ("--ro-bind", str(entry), target)

    def _top(self) -> list[Path]:
        entries = sorted(self.folder.iterdir())
        if self.name == HOST_IMAGE:
            return [one for one in entries if one.name in (*_HOST_TOP, "etc")]
        shown = [one for one in entries if one.name not in _FRESH and one.name[0] != "."]
        return [one for one in shown if one.is_symlink() or one.is_dir()]

    def _text(self, name: str) -> str:
        """The host's own accounts stay its own."""
        path = self.folder / name
        if self.name == HOST_IMAGE or path.is_symlink() or not path.is_file():
            return ""
        return path.read_text("utf-8", "replace")


def list_images(image_dir: Path) -> list[RootFs]:
    """All images, the host's first. Methods block."""
    found = [RootFs(HOST_IMAGE, Path("/"), environ={"PATH": DEFAULT_PATH})]
    if image_dir.is_dir():
        folders = (one for one in sorted(image_dir.iterdir()) if one.is_dir())
        found += [_read(one) for one in folders if not one.name.startswith(".")]
    return found


def find_image(image_dir: Path, name: str) -> RootFs | None:
    return next((one for one in list_images(image_dir) if one.name == name), None)


def _read(folder: Path) -> RootFs:
    try:
        facts = msgspec.json.decode((folder / FACTS_NAME).read_bytes(), type=_Facts)
    except (OSError, msgspec.DecodeError):
        facts = _Facts()
    environ = {"PATH": DEFAULT_PATH, **facts.environ}
    return RootFs(facts.name or folder.name, folder, facts.labels, environ)
