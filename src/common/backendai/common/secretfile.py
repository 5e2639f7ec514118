"""Keys that daemons read from files: 32 random bytes as base64, for their owner alone to read."""

import base64
import binascii
import os
import stat
from pathlib import Path
from typing import Final

from .faults import ServerMisconfigured

KEY_BYTES: Final = 32


def load_secret_key(path: Path) -> bytes:
    """The 32 bytes in `path` (base64). Raises ServerMisconfigured naming what is wrong."""
    return decode_key(path, check_private(path).strip())


def check_private(path: Path) -> str:
    """The text of a file that its owner alone may read. Raises ServerMisconfigured."""
    try:
        mode = path.stat().st_mode
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ServerMisconfigured(f"secret file {path} cannot be read: {error}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise ServerMisconfigured(
            f"secret file {path} may be read by others: run chmod 0600 {path}"
        )
    return text


def decode_key(path: Path, text: str) -> bytes:
    """The key that `text` of the file is. Raises ServerMisconfigured."""
    try:
        key = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ServerMisconfigured(f"secret-key-file {path} is not base64: {error}") from error
    if len(key) != KEY_BYTES:
        raise ServerMisconfigured(
            f"secret-key-file {path} holds {len(key)} bytes; it needs {KEY_BYTES} random ones"
        )
    return key


def write_secret_key(path: Path) -> None:
    """Make a new random key at `path`, readable by its owner alone. Never overwrites one."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(base64.b64encode(os.urandom(KEY_BYTES)).decode("ascii") + "\n")
