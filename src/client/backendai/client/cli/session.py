"""The `session` group."""

from backendai.client.cli.lazy import LazyGroup

session = LazyGroup(
    "session",
    {
        "create": ("backendai.client.cli.create:create", "Start a session."),
        "list": ("backendai.client.cli.listing:ps", "List sessions; the same as `backendai ps`."),
        "info": ("backendai.client.cli.look:info", "Show what a session is."),
        "why": ("backendai.client.cli.look:why", "Say why a session waits, runs or ended."),
        "history": (
            "backendai.client.cli.look:history",
            "Show each move of a session and its cause.",
        ),
        "events": ("backendai.client.cli.look:events", "Follow what happens to a session."),
        "logs": ("backendai.client.cli.look:logs", "Print what a session printed."),
        "exec": ("backendai.client.cli.execute:execute", "Run code or a command in a session."),
        "ls": ("backendai.client.cli.files:ls", "List files of a session."),
        "upload": ("backendai.client.cli.files:upload", "Copy files into a session."),
        "download": ("backendai.client.cli.files:download", "Copy files out of a session."),
        "rename": ("backendai.client.cli.change:rename", "Give a session another name."),
        "restart": ("backendai.client.cli.change:restart", "Start a session's containers again."),
        "extend": (
            "backendai.client.cli.change:extend",
            "Keep sessions that would end for being idle.",
        ),
        "commit": ("backendai.client.cli.commit:commit", "Make an image of a session."),
        "commit-status": (
            "backendai.client.cli.commit:commit_status",
            "Say whether an image is being made of a session.",
        ),
        "terminate": ("backendai.client.cli.change:terminate", "End sessions."),
    },
    help="""Start, look at, use and end sessions.

    A session is named by its name or its id.

    \b
    Examples:
      backendai session create --name demo -r cpu=1 -r mem=1g
      backendai session exec demo -c 'print(40 + 2)'
      backendai session why demo
      backendai session terminate demo
    """,
)
