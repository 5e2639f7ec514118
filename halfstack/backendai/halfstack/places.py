"""Where an instance keeps its files: one state directory, `.bai/` by default."""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# A Unix socket's address is 108 bytes with its final zero; the longest name we append is
# "docker/libnetwork/0123456789ab.sock".
_RUN_PATH_MAX = 70


@dataclass(frozen=True)
class Layout:
    """Paths of one instance. `root` is absolute; nothing is made before `make()`."""

    root: Path

    @property
    def instance(self) -> str:
        """Eight hex digits that tell instances on one machine apart."""
        return hashlib.sha256(os.fsencode(self.root)).hexdigest()[:8]

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def etc(self) -> Path:
        return self.root / "etc"

    @property
    def log(self) -> Path:
        return self.root / "log"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def run(self) -> Path:
        """Sockets and process records; elsewhere when the path is too long for a socket."""
        inside = self.root / "run"
        if len(os.fsencode(inside)) <= _RUN_PATH_MAX:
            return inside
        if os.geteuid() == 0:
            return Path("/run") / f"bai-{self.instance}"
        return Path(tempfile.gettempdir()) / f"bai-{os.geteuid()}-{self.instance}"

    @property
    def rootfs(self) -> Path:
        return self.root / "rootfs"

    @property
    def ports_file(self) -> Path:
        return self.root / "ports.json"

    @property
    def control_socket(self) -> Path:
        return self.run / "control.sock"

    def log_file(self, service: str) -> Path:
        return self.log / f"{service}.log"

    def make(self) -> None:
        for place in (self.root, self.data, self.etc, self.log, self.secrets, self.run):
            place.mkdir(mode=0o700, parents=True, exist_ok=True)


def find_layout(start: Path | None = None) -> Layout:
    """The instance of `BAI_HOME`, else of the nearest folder upwards that holds `bai`."""
    if home := os.environ.get("BAI_HOME"):
        return Layout(Path(home).absolute())
    return Layout(find_checkout(start) / ".bai")


def find_checkout(start: Path | None = None) -> Path:
    """The root of the source tree: what `./bai` says, else the folder upwards that has `bai`."""
    if start is None and (root := os.environ.get("BAI_ROOT")):
        return Path(root)
    here = (start or Path.cwd()).absolute()
    for folder in (here, *here.parents):
        if (folder / "bai").is_file() and (folder / "requirements.lock").is_file():
            return folder
    return here


@contextmanager
def replaced_file(path: Path, mode: int = 0o600) -> Iterator[Path]:
    """Write to a neighbour, then rename: readers see the old or the new, never a half."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        new.touch(mode=mode)
        new.chmod(mode)
        yield new
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def write_file(path: Path, text: str, mode: int = 0o600) -> None:
    with replaced_file(path, mode) as new:
        new.write_text(text)
