"""The session's key pair for SSH: its private part lies in the home, where its owner fetches it."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

KEY_NAME: Final = "id_container"
# In the environment of this program alone: what a session of several kernels has its key of.
SEED_VARIABLE: Final = "BACKENDAI_KEY_SEED"
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def main(argv: Sequence[str]) -> int:
    """Make the key in the given folder: the one of the seed, or a new one unless one is there."""
    (work_dir,) = argv
    path = Path(work_dir) / KEY_NAME
    seed = os.environ.get(SEED_VARIABLE, "")
    if seed:
        put_key(path, bytes.fromhex(seed))
    else:
        make_key(path)
    return 0


def make_key(path: Path) -> None:
    """A new key for the owner alone; what is there, or comes there meanwhile, stays."""
    if os.path.lexists(path):
        return
    with _written(path, Ed25519PrivateKey.generate()) as part, suppress(FileExistsError):
        path.hardlink_to(part)


def put_key(path: Path, seed: bytes) -> None:
    """The key of a seed, in place of whatever is there."""
    with _written(path, Ed25519PrivateKey.from_private_bytes(seed)) as part:
        part.replace(path)


@contextmanager
def _written(path: Path, key: Ed25519PrivateKey) -> Iterator[Path]:
    """A file beside `path` that has the key, for as long as the body takes."""
    part = path.with_name(f".{path.name}.{os.urandom(6).hex()}")
    text = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    try:
        with os.fdopen(os.open(part, _NEW, 0o600), "wb") as file:
            file.write(text)
        yield part
    finally:
        part.unlink(missing_ok=True)
