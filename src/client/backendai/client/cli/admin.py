"""The `admin` group: what administrators do to the cluster and its accounts."""

from backendai.client.cli.lazy import LazyGroup

manager = LazyGroup(
    "manager",
    {
        "status": ("backendai.client.cli.maintenance:status", "Show whether the cluster runs."),
        "freeze": ("backendai.client.cli.maintenance:freeze", "Let nothing new begin."),
        "unfreeze": ("backendai.client.cli.maintenance:unfreeze", "Let sessions begin again."),
    },
    help="""Freeze the cluster and let it run.

    \b
    Examples:
      backendai admin manager freeze --wait
      backendai admin manager unfreeze
    """,
)

announcement = LazyGroup(
    "announcement",
    {
        "get": ("backendai.client.cli.maintenance:announcement", "Show what is announced."),
        "update": ("backendai.client.cli.maintenance:announce", "Announce something."),
        "delete": ("backendai.client.cli.maintenance:unannounce", "Announce nothing any more."),
    },
    help="""What every user is told.

    \b
    Examples:
      backendai admin announcement update -m "**Back** at noon"
      backendai admin announcement delete
    """,
)

etcd = LazyGroup(
    "etcd",
    {
        "get": ("backendai.client.cli.pairs:get", "Print a value, or all below a path."),
        "set": ("backendai.client.cli.pairs:put", "Store a value, or some at once."),
        "delete": ("backendai.client.cli.pairs:delete", "Delete a value, or all below a path."),
    },
    help="""The cluster's configuration.

    \b
    Examples:
      backendai admin etcd get --prefix config
      backendai admin etcd set config/announcement "Back at noon"
      backendai admin etcd set config/docker/registry '{"cr.example.com": "https://cr.example.com"}'
    """,
)

usage = LazyGroup(
    "usage",
    {
        "month": ("backendai.client.cli.usage:month", "Bill projects for a month."),
        "period": ("backendai.client.cli.usage:period", "Bill projects for some days."),
        "check": ("backendai.client.cli.usage:check", "Compare allocations with kernels."),
    },
    help="""What projects used, also those that are gone.

    \b
    Examples:
      backendai admin usage month 202601
      backendai admin usage period 20260101 20260115 --kernels --output csv
    """,
)

admin = LazyGroup(
    "admin",
    {
        "domain": ("backendai.client.cli.accounts.groups:domain", "Tenants."),
        "project": ("backendai.client.cli.accounts.groups:project", "Projects of domains."),
        "user": ("backendai.client.cli.accounts.groups:user", "Users."),
        "keypair": ("backendai.client.cli.accounts.groups:keypair", "Keypairs of users."),
        "policy": ("backendai.client.cli.resources.groups:policy", "Limits of accounts."),
        "preset": ("backendai.client.cli.resources.groups:preset", "Amounts to pick from."),
        "resource-group": (
            "backendai.client.cli.resources.groups:resource_group",
            "Sets of nodes, and who may use them.",
        ),
        "agent": (
            "backendai.client.cli.resources.groups:agent",
            "Nodes, and which get new sessions.",
        ),
        "alerts": ("backendai.client.cli.alerts:alerts", "What operators are told of."),
        "audit": ("backendai.client.cli.audit:audit", "List who changed what."),
        "logs": ("backendai.client.cli.server_logs:logs", "Show what a manager logged."),
        "error-log": (
            "backendai.client.cli.error_log:error_log",
            "What went wrong in front of users.",
        ),
        "manager": ("backendai.client.cli.admin:manager", "Freeze the cluster and let it run."),
        "announcement": ("backendai.client.cli.admin:announcement", "What every user is told."),
        "etcd": ("backendai.client.cli.admin:etcd", "The cluster's configuration."),
        "image": ("backendai.client.cli.images.groups:image", "Images that sessions may use."),
        "registry": ("backendai.client.cli.images.groups:registry", "Where images come from."),
        "task": ("backendai.client.cli.images.groups:task", "Long work of the server."),
        "usage": ("backendai.client.cli.admin:usage", "What projects used."),
    },
    help="""What administrators do to the cluster.

    \b
    Examples:
      backendai admin user list
      backendai admin manager status
      backendai admin announcement update -m "Back at noon"
      backendai admin etcd get --prefix config
    """,
)
