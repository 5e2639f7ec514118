"""Whom this node takes orders from: the public keys of managers, in a file that may change."""

from pathlib import Path

from backendai.common.rpc.curve import is_public_key


class ManagerKeys:
    """Public keys of managers, one on each line of a file that is read again when it changes."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int] = (0, 0)
        self._keys: frozenset[str] = frozenset()

    def __call__(self, public_key: str) -> bool:
        try:
            found = self._path.stat()
        except OSError:
            return False
        if (found.st_mtime_ns, found.st_size) != self._seen:
            words = self._path.read_text("utf-8").split()
            self._keys = frozenset(word for word in words if is_public_key(word))
            self._seen = (found.st_mtime_ns, found.st_size)
        return public_key in self._keys
