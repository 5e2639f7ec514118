"""The groups `admin policy`, `admin preset` and `admin resource-group`."""

from backendai.client.cli.lazy import LazyGroup, Table


def _table(module: str, one: str, many: str) -> Table:
    """The five commands that each of them has in its module."""
    return {
        "list": (f"{module}:list_all", f"List {many}."),
        "info": (f"{module}:info", f"Show one {one}."),
        "add": (f"{module}:add", f"Make a {one}."),
        "update": (f"{module}:update", f"Change a {one}."),
        "delete": (f"{module}:delete", f"Remove {many} for good."),
    }


policy = LazyGroup(
    "policy",
    _table("backendai.client.cli.resources.policy", "policy", "policies"),
    help="""Policies: limits of keypairs, of users and of projects.

    \b
    Examples:
      backendai admin policy list --of keypair
      backendai admin policy add students --of keypair -r cpu=8 --max-concurrent-sessions 3
      backendai admin keypair update AKIAEXAMPLE --resource-policy students
    """,
)

preset = LazyGroup(
    "preset",
    _table("backendai.client.cli.resources.preset", "preset", "presets"),
    help="""Presets: named amounts of resources that people pick from.

    \b
    Examples:
      backendai admin preset list
      backendai admin preset add small -r cpu=1 -r mem=2g
      backendai presets
    """,
)

resource_group = LazyGroup(
    "resource-group",
    {
        **_table(
            "backendai.client.cli.resources.resource_group", "resource group", "resource groups"
        ),
        "allow": (
            "backendai.client.cli.resources.resource_group:allow",
            "Open one to somebody.",
        ),
        "disallow": (
            "backendai.client.cli.resources.resource_group:disallow",
            "Close one to somebody.",
        ),
    },
    help="""Resource groups: sets of nodes, and who may use them.

    \b
    Examples:
      backendai admin resource-group add gpu --placement dispersed
      backendai admin resource-group allow gpu --domain lab
      backendai admin resource-group info gpu
    """,
)

agent = LazyGroup(
    "agent",
    {
        "list": ("backendai.client.cli.resources.agent:list_all", "List nodes."),
        "info": ("backendai.client.cli.resources.agent:info", "Show a node."),
        "pause": ("backendai.client.cli.resources.agent:pause", "Place nothing new on nodes."),
        "resume": ("backendai.client.cli.resources.agent:resume", "Use nodes again."),
        "join-token": (
            "backendai.client.cli.resources.agent:join_token",
            "Make a token by which one machine joins.",
        ),
        "join-tokens": (
            "backendai.client.cli.resources.agent:join_tokens",
            "List tokens that are not used yet.",
        ),
        "withdraw-token": (
            "backendai.client.cli.resources.agent:withdraw_token",
            "Let nobody join by tokens any more.",
        ),
        "unit": (
            "backendai.client.cli.resources.agent:unit",
            "See, start, stop or restart the daemon of a node.",
        ),
        "drain": (
            "backendai.client.cli.resources.agent:drain",
            "Pause nodes, and wait until nothing runs on them.",
        ),
    },
    help="""Nodes, called agents after the daemon on each.

    \b
    Examples:
      backendai admin agent list
      backendai admin agent drain node-3 --max-wait 2h
      backendai admin agent resume node-3
    """,
)
