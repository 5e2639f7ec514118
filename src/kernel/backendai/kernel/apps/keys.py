"""The session's key pair for SSH: its private part lies in the home, where its owner fetches it."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

KEY_NAME: Final = "id_container"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def main(argv: Sequence[str]) -> int:
    """Make the key in the given folder unless one is there."""
    (work_dir,) = argv
    make_key(Path(work_dir) / KEY_NAME)
    return 0


def make_key(path: Path) -> None:
    """A new key for the owner alone; what is there, or comes there meanwhile, stays."""
    if os.path.lexists(path):
        return
    part = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    key = Ed25519PrivateKey.generate()
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    try:
        with os.fdopen(os.open(part, _NEW, 0o600), "wb") as file:
            file.write(text)
        with suppress(FileExistsError):
            path.hardlink_to(part)
    finally:
        part.unlink(missing_ok=True)
