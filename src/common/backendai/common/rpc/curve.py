"""CURVE key pairs: made, kept in a file that only its owner reads, and checked when read.

Keys are Z85 text of 40 characters. A file holds the public key, a newline and the secret key.
"""

import contextlib
import os
import re
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import zmq

from ..faults import ServerMisconfigured

_Z85: Final = re.compile(r"[0-9a-zA-Z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}")


@dataclass(frozen=True, slots=True)
class KeyPair:
    public: str
    secret: str = field(repr=False)


def generate_keypair() -> KeyPair:
    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))


def is_public_key(text: str) -> bool:
    return _Z85.fullmatch(text) is not None


def save_keypair(path: Path, pair: KeyPair) -> None:
    """Write `pair` to `path`, mode 0600. Raises FileExistsError: a key is never overwritten.

    The file appears whole or not at all.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".keypair-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(f"{pair.public}\n{pair.secret}\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        Path(draft).unlink()


def load_keypair(path: Path) -> KeyPair:
    """Read a pair. Raises ServerMisconfigured: missing, readable by others, malformed."""
    try:
        with path.open(encoding="ascii") as file:
            _refuse_readable_by_others(path, os.fstat(file.fileno()).st_mode)
            lines = file.read(1024).split()
    except (OSError, UnicodeDecodeError) as error:
        raise ServerMisconfigured(f"cannot read the key pair {path}: {error}") from error
    if len(lines) != 2 or not all(is_public_key(line) for line in lines):
        raise ServerMisconfigured(
            f"{path} is no key pair: it must hold a public and a secret key of 40 characters each"
        )
    if zmq.curve_public(lines[1].encode("ascii")).decode("ascii") != lines[0]:
        raise ServerMisconfigured(f"{path}: the public key does not belong to the secret key")
    return KeyPair(*lines)


def ensure_keypair(path: Path) -> KeyPair:
    """Read the pair at `path`, making it first when there is none."""
    if not path.exists():
        # Another process may make it in this instant; its pair is as good.
        with contextlib.suppress(FileExistsError):
            save_keypair(path, generate_keypair())
    return load_keypair(path)


def _refuse_readable_by_others(path: Path, mode: int) -> None:
    if stat.S_IMODE(mode) & 0o077:
        raise ServerMisconfigured(
            f"{path} is readable by others (mode {stat.S_IMODE(mode):04o}): chmod 600 {path}"
        )
