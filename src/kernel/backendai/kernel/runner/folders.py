"""Looks whether the folders that are mounted are those that the agent had checked.

Whoever shares a folder may have put a link in the place of a directory after that, and the engine
follows it. Nothing of the user's has run when this is asked.
"""

from collections.abc import Iterable
from pathlib import Path

from backendai.kernel.wire import MountedFolder


def check_folders(folders: Iterable[MountedFolder]) -> None:
    """Raises ValueError naming a target where something else is mounted; OSError."""
    for folder in folders:
        found = Path(folder.target).stat()
        if (found.st_dev, found.st_ino) != (folder.device, folder.inode):
            raise ValueError(
                f"{folder.target} is not the directory that was checked: it has been replaced"
                " during the start"
            )
