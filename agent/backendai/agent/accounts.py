"""An /etc/passwd and /etc/group that know the kernel's user, for images that do not.

Without them prompts say `I have no name!` and getpwuid fails. The image's own entries are kept.
"""

import asyncio
from collections import defaultdict
from pathlib import Path
from typing import Final

from .backends.backend import Accounts, Backend
from .threads import Threads

USER_NAME: Final = "work"
_HOME: Final = "/home/work"
_ROOT_LINE: Final = "root:x:0:0:root:/root:/bin/sh"


def add_user(accounts: Accounts, uid: int, gid: int) -> Accounts | None:
    """`accounts` with our user and group; None when the image has the user already. PURE."""
    if _has_id(accounts.passwd, uid):
        return None
    passwd = accounts.passwd.strip() or _ROOT_LINE
    group = accounts.group.strip() or "root:x:0:"
    name = USER_NAME if not _has_name(passwd, USER_NAME) else f"{USER_NAME}{uid}"
    if not _has_id(group, gid):
        group += f"\n{name}:x:{gid}:"
    return Accounts(f"{passwd}\n{name}:x:{uid}:{gid}::{_HOME}:/bin/sh\n", f"{group}\n")


class AccountFiles:
    """The files to mount, made once per image below `folder`."""

    def __init__(self, backend: Backend, folder: Path, uid: int, gid: int) -> None:
        self._backend = backend
        self._folder = folder
        self._uid, self._gid = uid, gid
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._known: dict[str, str] = {}

    async def prepare(self, image: str, digest: str, threads: Threads) -> str:
        """The folder with `passwd` and `group` for the image; empty when it needs none."""
        async with self._locks[digest]:
            if not await threads.run(self._is_ready, digest):
                accounts = add_user(await self._backend.read_accounts(image), self._uid, self._gid)
                self._known[digest] = await threads.run(self._write, digest, accounts)
            return self._known[digest]

    def _is_ready(self, digest: str) -> bool:
        """Made before and still there: whoever cleans up the scratch root must break no start."""
        place = self._known.get(digest)
        return place == "" or (place is not None and (Path(place) / "group").is_file())

    def _write(self, digest: str, accounts: Accounts | None) -> str:
        if accounts is None:
            return ""
        place = self._folder / f"{digest.rpartition(':')[2][:24]}.{self._uid}"
        place.mkdir(parents=True, exist_ok=True)
        for name, text in (("passwd", accounts.passwd), ("group", accounts.group)):
            # Living containers have the old file mounted: a new one must not change theirs.
            draft = place / f".{name}"
            draft.write_text(text)
            draft.chmod(0o644)
            draft.replace(place / name)
        return str(place)


def _has_id(text: str, number: int) -> bool:
    return any(_field(line, 2) == str(number) for line in text.splitlines())


def _has_name(text: str, name: str) -> bool:
    return any(_field(line, 0) == name for line in text.splitlines())


def _field(line: str, index: int) -> str:
    parts = line.split(":")
    return parts[index] if len(parts) > index else ""
