"""Whose the files of folders are: the user that kernels run as, so that they can change them."""

import os
from dataclasses import dataclass
from typing import Final

from backendai.common.faults import ServerMisconfigured

KERNEL_UID: Final = 1000


@dataclass(frozen=True, slots=True)
class Owner:
    """User and group of every file that this daemon makes."""

    uid: int
    gid: int

    def take(self, fd: int) -> None:
        """Make what is open at `fd` theirs. Blocks. Raises OSError."""
        if (self.uid, self.gid) != (os.geteuid(), os.getegid()):
            os.fchown(fd, self.uid, self.gid)


def find_owner(uid: int | None, gid: int | None) -> Owner:
    """By the settings. Raises ServerMisconfigured for users that this process cannot write as."""
    own = os.geteuid()
    found = uid or (KERNEL_UID if own == 0 else own)
    if own not in (0, found):
        raise ServerMisconfigured(
            f"[storage-proxy] uid is {found}, and only root may make files of another user than "
            f"itself (which is {own})"
        )
    default_gid = os.getegid() if own == found else found
    return Owner(found, gid or default_gid)
