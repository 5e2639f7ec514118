"""The `vfolder` group."""

from backendai.client.cli.lazy import LazyGroup

vfolder = LazyGroup(
    "vfolder",
    {
        "list": ("backendai.client.cli.vfolders.folder:list_folders", "List folders."),
        "create": ("backendai.client.cli.vfolders.folder:create", "Make a folder."),
        "info": (
            "backendai.client.cli.vfolders.folder:info",
            "Show what a folder is, and how much is in it.",
        ),
        "hosts": ("backendai.client.cli.vfolders.folder:hosts", "List where folders may be made."),
        "rename": ("backendai.client.cli.vfolders.folder:rename", "Give a folder another name."),
        "update": (
            "backendai.client.cli.vfolders.folder:update",
            "Change what others may, and if it may be cloned.",
        ),
        "clone": ("backendai.client.cli.vfolders.folder:clone", "Copy a folder into a new one."),
        "quota": (
            "backendai.client.cli.vfolders.folder:quota",
            "Show or set how much a folder's owner may keep.",
        ),
        "delete": ("backendai.client.cli.vfolders.discard:delete", "Put folders into the bin."),
        "restore": (
            "backendai.client.cli.vfolders.discard:restore",
            "Take folders out of the bin.",
        ),
        "purge": (
            "backendai.client.cli.vfolders.discard:purge",
            "Delete folders in the bin for ever.",
        ),
        "invite": ("backendai.client.cli.vfolders.sharing:invite", "Invite users to your folder."),
        "invitations": (
            "backendai.client.cli.vfolders.sharing:invitations",
            "List invitations that wait for an answer.",
        ),
        "accept": ("backendai.client.cli.vfolders.sharing:accept", "Accept invitations."),
        "reject": (
            "backendai.client.cli.vfolders.sharing:reject",
            "Reject invitations, or cancel your own.",
        ),
        "set-invitation": (
            "backendai.client.cli.vfolders.sharing:set_invitation",
            "Change what an invitation gives.",
        ),
        "leave": (
            "backendai.client.cli.vfolders.sharing:leave",
            "Give up folders that others shared.",
        ),
        "shares": (
            "backendai.client.cli.vfolders.sharing:shares",
            "List who has what of your folders.",
        ),
        "share": (
            "backendai.client.cli.vfolders.sharing:share",
            "Give project members a permission of their own.",
        ),
        "set-share": (
            "backendai.client.cli.vfolders.sharing:set_share",
            "Change what somebody's share gives.",
        ),
        "unshare": (
            "backendai.client.cli.vfolders.sharing:unshare",
            "Take away what users were given of a folder.",
        ),
        "chown": (
            "backendai.client.cli.vfolders.sharing:chown",
            "Hand a folder on to another user.",
        ),
        "abandon": (
            "backendai.client.cli.vfolders.discard:abandon",
            "End folders whose host is no more.",
        ),
        "ls": ("backendai.client.cli.vfolders.files:ls", "List files of a folder."),
        "mkdir": ("backendai.client.cli.vfolders.files:mkdir", "Make directories in a folder."),
        "rm": ("backendai.client.cli.vfolders.files:rm", "Delete files of a folder."),
        "mv": ("backendai.client.cli.vfolders.files:mv", "Move or rename a file in a folder."),
        "upload": ("backendai.client.cli.vfolders.copying:upload", "Copy files into a folder."),
        "download": (
            "backendai.client.cli.vfolders.copying:download",
            "Copy files out of a folder.",
        ),
        "extract": (
            "backendai.client.cli.vfolders.archive:extract",
            "Unpack an archive that lies in a folder.",
        ),
        "cp": (
            "backendai.client.cli.vfolders.copying:cp",
            "Copy files and directories, either way.",
        ),
        "sync": ("backendai.client.cli.vfolders.sync:sync", "Copy only what changed, either way."),
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
