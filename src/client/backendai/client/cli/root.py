"""The top of the command line."""

import click

from backendai.client.cli.lazy import PluggedGroup

OWN = {
    "run": ("backendai.client.cli.run:run", "Run code in a new session and give it back."),
    "ps": ("backendai.client.cli.listing:ps", "List sessions."),
    "images": (
        "backendai.client.cli.images.groups:images",
        "List images that sessions may use.",
    ),
    "image": ("backendai.client.cli.images.groups:own_image", "Your own images."),
    "presets": ("backendai.client.cli.presets:presets", "List presets that could start now."),
    "session": ("backendai.client.cli.session:session", "Start, look at, use and end sessions."),
    "app": ("backendai.client.cli.apps.app:app", "Open a local port that leads to an app."),
    "terminal": (
        "backendai.client.cli.apps.shell:terminal",
        "Use the shell of a session; coming back finds it as it was.",
    ),
    "ssh": ("backendai.client.cli.apps.ssh:ssh", "Log in to a session with ssh."),
    "scp": ("backendai.client.cli.apps.ssh:scp", "Copy files into and out of a session."),
    "ssh-config": (
        "backendai.client.cli.apps.ssh:ssh_config",
        "Print what ssh and editors need to reach a session.",
    ),
    "vfolder": (
        "backendai.client.cli.vfolders.groups:vfolder",
        "Keep files over sessions; copy and sync them.",
    ),
    "template": (
        "backendai.client.cli.template:template",
        "Keep what sessions are started from.",
    ),
    "task": ("backendai.client.cli.images.groups:task", "Look at long work of the server."),
    "error-log": (
        "backendai.client.cli.error_log:error_log",
        "What went wrong in front of users.",
    ),
    "usage": ("backendai.client.cli.usage:curves", "Show what your sessions held over time."),
    "login": ("backendai.client.cli.login:login", "Log in at a webserver."),
    "logout": ("backendai.client.cli.login:logout", "Log out."),
    "account": ("backendai.client.cli.accounts.groups:account", "Your own account."),
    "totp": ("backendai.client.cli.accounts.groups:totp", "Your second factor: one-time codes."),
    "dotfile": ("backendai.client.cli.dotfile:dotfile", "Small files for the homes of sessions."),
    "apply": ("backendai.client.cli.apply:apply", "Make accounts and limits as a file says."),
    "completion": (
        "backendai.client.cli.completion:completion",
        "Print what makes a shell complete commands.",
    ),
    "admin": ("backendai.client.cli.admin:admin", "What administrators do to the cluster."),
}

HELP = """Compute sessions on your cluster.

\b
Examples:
  backendai run -c 'print(6 * 7)'
  backendai session create --name demo -r cpu=1 -r mem=1g
  backendai session exec demo -c 'print("hello")'
  backendai ps

\b
Who you are comes from BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and
BACKEND_SECRET_KEY; after `./bai up`: . .bai/env-user.sh
Or log in at a webserver: BACKEND_ENDPOINT_TYPE=session, backendai login

\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 waited too long, 4 invalid
argument, 5 not allowed to, 6 not found, 7 conflict or quota, 8 away for now.
`run` and `session exec` exit with the code of what they ran.
"""


def _show_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    from importlib.metadata import version

    click.echo(f"backendai {version('backendai-client')}")
    ctx.exit()


root = PluggedGroup(
    "backendai",
    OWN,
    help=HELP,
    params=[
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_show_version,
            help="Show the version.",
        )
    ],
    context_settings={"help_option_names": ["-h", "--help"]},
)
