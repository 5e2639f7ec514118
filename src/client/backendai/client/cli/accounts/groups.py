"""The groups `admin domain`, `project`, `user` and `keypair`, `account`, and `totp`."""

from backendai.client.cli.lazy import LazyGroup, Table


def _table(module: str, what: str, delete: str, purge: str = "") -> Table:
    """The five or six commands that each of them has in its module."""
    rows = {
        "list": (f"{module}:list_all", f"List {what}s."),
        "info": (f"{module}:info", f"Show one {what}."),
        "add": (f"{module}:add", f"Make a {what}."),
        "update": (f"{module}:update", f"Change a {what}."),
        "delete": (f"{module}:delete", delete),
    }
    return {**rows, "purge": (f"{module}:purge", purge)} if purge else rows


domain = LazyGroup(
    "domain",
    _table(
        "backendai.client.cli.accounts.domain",
        "domain",
        "Switch domains off.",
        "Remove empty domains for good.",
    ),
    help="""Domains: tenants, each with its users and projects.

    \b
    Examples:
      backendai admin domain list
      backendai admin domain add lab --description "The laboratory"
      backendai admin domain update lab --resource cpu=64 --resource mem=256g
    """,
)

project = LazyGroup(
    "project",
    _table(
        "backendai.client.cli.accounts.project",
        "project",
        "Switch projects off.",
        "Remove projects for good.",
    ),
    help="""Projects: users of a domain who share limits.

    \b
    Examples:
      backendai admin project list --domain lab
      backendai admin project add vision --domain lab
      backendai admin project update vision --domain lab --add-user ann@example.com
    """,
)

user = LazyGroup(
    "user",
    {
        **_table(
            "backendai.client.cli.accounts.user",
            "user",
            "Switch users and their keypairs off.",
            "Remove users for good.",
        ),
        "reset-totp": (
            "backendai.client.cli.accounts.user:reset_totp",
            "Let users log in who lost their device.",
        ),
    },
    help="""Users, each with a first keypair.

    \b
    Examples:
      backendai admin user list --domain lab
      backendai admin user add ann@example.com --domain lab --generate-password
      backendai admin user update ann@example.com --role admin
    """,
)

keypair = LazyGroup(
    "keypair",
    _table(
        "backendai.client.cli.accounts.keypair",
        "keypair",
        "Remove keypairs for good.",
    ),
    help="""Keypairs: what users sign their requests with.

    \b
    Examples:
      backendai admin keypair list --user ann@example.com
      backendai admin keypair add ann@example.com
      backendai admin keypair update AKIAEXAMPLE --inactive
    """,
)

account = LazyGroup(
    "account",
    {
        "whoami": ("backendai.client.cli.accounts.own:whoami", "Show who you are."),
        "password": ("backendai.client.cli.accounts.own:password", "Change your password."),
        "full-name": ("backendai.client.cli.accounts.own:full_name", "Change your full name."),
        "ssh-keypair": (
            "backendai.client.cli.accounts.own:ssh_keypair",
            "Show or replace your SSH key pair.",
        ),
        "sign-out": ("backendai.client.cli.accounts.own:sign_out", "Switch your account off."),
    },
    help="""Your own account.

    \b
    Examples:
      backendai account whoami
      backendai account password
      backendai account ssh-keypair --renew
    """,
)

totp = LazyGroup(
    "totp",
    {
        "status": ("backendai.client.cli.accounts.totp:status", "Show whether it is on."),
        "enable": ("backendai.client.cli.accounts.totp:enable", "Let logins ask for a code."),
        "disable": ("backendai.client.cli.accounts.totp:disable", "Let them ask for none."),
    },
    help="""Your second factor: one-time codes (TOTP) of an authenticator app.

    \b
    Examples:
      backendai totp enable
      backendai totp status
      backendai totp disable
    """,
)
