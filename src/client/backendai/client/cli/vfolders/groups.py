"""The `vfolder` group."""

from typing import Final

from backendai.client.cli.lazy import LazyGroup

_HERE: Final = "backendai.client.cli.vfolders"

vfolder = LazyGroup(
    "vfolder",
    {
        "list": (f"{_HERE}.folder:list_folders", "List folders."),
        "create": (f"{_HERE}.folder:create", "Make a folder."),
        "info": (f"{_HERE}.folder:info", "Show what a folder is, and how much is in it."),
        "hosts": (f"{_HERE}.folder:hosts", "List where folders may be made."),
        "rename": (f"{_HERE}.folder:rename", "Give a folder another name."),
        "update": (f"{_HERE}.folder:update", "Change what others may, and if it may be cloned."),
        "clone": (f"{_HERE}.folder:clone", "Copy a folder into a new one."),
        "quota": (f"{_HERE}.folder:quota", "Show or set how much a folder's owner may keep."),
        "delete": (f"{_HERE}.discard:delete", "Put folders into the bin."),
        "restore": (f"{_HERE}.discard:restore", "Take folders out of the bin."),
        "purge": (f"{_HERE}.discard:purge", "Delete folders in the bin for ever."),
        "ls": (f"{_HERE}.files:ls", "List files of a folder."),
        "mkdir": (f"{_HERE}.files:mkdir", "Make directories in a folder."),
        "rm": (f"{_HERE}.files:rm", "Delete files of a folder."),
        "mv": (f"{_HERE}.files:mv", "Move or rename a file in a folder."),
        "upload": (f"{_HERE}.copying:upload", "Copy files into a folder."),
        "download": (f"{_HERE}.copying:download", "Copy files out of a folder."),
        "cp": (f"{_HERE}.copying:cp", "Copy files and directories, either way."),
        "sync": (f"{_HERE}.sync:sync", "Copy only what changed, either way."),
    },
    help="""Folders keep files over sessions, which mount them.

    A folder is named by its name or its id. What is in it is written FOLDER:PATH where either side
    may be on this machine.

    \b
    Examples:
      backendai vfolder create data
      backendai vfolder cp train.csv images/ data:
      backendai session create --name demo --mount data
      backendai vfolder sync data:results ./results
    """,
)
