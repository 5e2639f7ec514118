"""A descriptor that closes with its last user.

A thread that hangs in the file system may outlive the request that it works for. Were its
descriptor closed meanwhile, the number would soon be that of somebody else's file.
"""

import errno
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Handle:
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._users = 1
        self._guard = threading.Lock()

    @contextmanager
    def used(self) -> Iterator[int]:
        """The descriptor, open until this ends. Raises OSError when all have let it go."""
        with self._guard:
            if not self._users:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._users += 1
        try:
            yield self._fd
        finally:
            self.release()

    def __del__(self) -> None:
        """Of one that nobody got: a thread opened it after its request had been given up. Else the
        lock on an upload would be held for ever."""
        if self._users:
            os.close(self._fd)

    def release(self) -> None:
        """By its owner, once."""
        with self._guard:
            self._users -= 1
            is_last = not self._users
        if is_last:
            os.close(self._fd)
