"""The groups `admin domain`, `project`, `user` and `keypair`, and `account`."""

from backendai.client.cli.lazy import LazyGroup, Table

_HERE = "backendai.client.cli.accounts"


def _table(module: str, what: str, delete: str, purge: str | None) -> Table:
    """The five or six commands that each of them has."""
    rows = {
        "list": (f"{_HERE}.{module}:list_all", f"List {what}s."),
        "info": (f"{_HERE}.{module}:info", f"Show one {what}."),
        "add": (f"{_HERE}.{module}:add", f"Make a {what}."),
        "update": (f"{_HERE}.{module}:update", f"Change a {what}."),
        "delete": (f"{_HERE}.{module}:delete", delete),
    }
    return rows if purge is None else {**rows, "purge": (f"{_HERE}.{module}:purge", purge)}


domain = LazyGroup(
    "domain",
    _table("domain", "domain", "Switch domains off.", "Remove empty domains for good."),
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
    _table("project", "project", "Switch projects off.", "Remove projects for good."),
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
    _table("user", "user", "Switch users and their keypairs off.", "Remove users for good."),
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
    _table("keypair", "keypair", "Remove keypairs for good.", None),
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
        "whoami": (f"{_HERE}.own:whoami", "Show who you are."),
        "password": (f"{_HERE}.own:password", "Change your password."),
        "full-name": (f"{_HERE}.own:full_name", "Change your full name."),
        "ssh-keypair": (f"{_HERE}.own:ssh_keypair", "Show or replace your SSH key pair."),
        "sign-out": (f"{_HERE}.own:sign_out", "Switch your account off."),
    },
    help="""Your own account.

    \b
    Examples:
      backendai account whoami
      backendai account password
      backendai account ssh-keypair --renew
    """,
)
