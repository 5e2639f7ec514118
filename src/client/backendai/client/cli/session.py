"""The `session` group."""

from backendai.client.cli.lazy import LazyGroup

_HERE = "backendai.client.cli"

session = LazyGroup(
    "session",
    {
        "create": (f"{_HERE}.create:create", "Start a session."),
        "list": (f"{_HERE}.listing:ps", "List sessions; the same as `backendai ps`."),
        "info": (f"{_HERE}.look:info", "Show what a session is."),
        "why": (f"{_HERE}.look:why", "Say why a session waits, runs or ended."),
        "history": (f"{_HERE}.look:history", "Show each move of a session and its cause."),
        "events": (f"{_HERE}.look:events", "Follow what happens to a session."),
        "logs": (f"{_HERE}.look:logs", "Print what a session printed."),
        "exec": (f"{_HERE}.execute:execute", "Run code or a command in a session."),
        "ls": (f"{_HERE}.files:ls", "List files of a session."),
        "upload": (f"{_HERE}.files:upload", "Copy files into a session."),
        "download": (f"{_HERE}.files:download", "Copy files out of a session."),
        "rename": (f"{_HERE}.change:rename", "Give a session another name."),
        "restart": (f"{_HERE}.change:restart", "Start a session's containers again."),
        "terminate": (f"{_HERE}.change:terminate", "End sessions."),
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
