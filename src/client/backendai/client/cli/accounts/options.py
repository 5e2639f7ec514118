"""Options of the account commands, and how rows of accounts are shown."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from backendai.client.cli.options import read_amount
from backendai.client.cli.render import Output, show_object, show_rows

if TYPE_CHECKING:
    import msgspec

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

ROLES: Final = ("user", "admin", "superadmin", "monitor")
STATUSES: Final = ("active", "inactive", "deleted", "before-verification")
# Options that say where and how, not what.
NO_CHANGES: Final = ("domain", "of", "output")
# More than people read; the server lists no more domains, projects and resource groups at once.
ROWS_MAX: Final = 1000

# Properties that are amounts by slot, objects at all, lists, and sizes in bytes.
SLOTS: Final = (
    "total_resource_slots",
    "max_pending_session_resource_slots",
    "resource_slots",
    "available_slots",
    "occupied_slots",
)
PAIRS: Final = (*SLOTS, "allowed_vfolder_hosts")
LISTS: Final = (
    "allowed_client_ip",
    "allowed_docker_registries",
    "allowed_session_types",
    "projects",
)
SIZES: Final = ("max_quota_scope_size", "shared_memory", "mem_cur_bytes")
# Of each of them; the part of a help that says how none are left.
NONE_LEFT: Final = 'One empty value ("") leaves none.'


def or_empty(read: Callable[[str], tuple[str, T]]) -> Callable[[str], tuple[str, T] | None]:
    """A pair, or None for an empty text."""

    def read_or_empty(text: str) -> tuple[str, T] | None:
        return read(text) if text else None

    return read_or_empty


domain_option = click.option(
    "--domain", envvar="BACKEND_DOMAIN", default="default", show_default=True, help="Its domain."
)
columns_option = click.option("--format", "-f", "columns", help="Columns, such as name,created_at.")
active_option = click.option("--active/--inactive", "is_active", default=None, help="Switch it.")
policy_option = click.option("--resource-policy", help="Name of its resource policy.")
description_option = click.option("--description", help="Free text.")
resources_option = click.option(
    "--resource",
    "-r",
    "total_resource_slots",
    type=or_empty(read_amount),
    metavar="SLOT=AMOUNT",
    multiple=True,
    help="Limit of all together, such as cpu=64 or mem=256g; repeat it. Those before are gone."
    f" {NONE_LEFT}",
)


def read_host(text: str) -> tuple[str, list[str]]:
    """`HOST=PERMISSION,PERMISSION`; the server knows which there are."""
    host, equals, permissions = text.partition("=")
    if not (host and equals):
        raise click.BadParameter(f"{text!r} must be HOST=PERMISSION,PERMISSION")
    return host, [each.strip() for each in permissions.split(",") if each.strip()]


hosts_option = click.option(
    "--vfolder-host",
    "allowed_vfolder_hosts",
    type=or_empty(read_host),
    metavar="HOST=PERMISSION,…",
    multiple=True,
    help=f"What is allowed on a storage host; repeat it. Those before are gone. {NONE_LEFT}",
)


def add_options(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several at once, in this order."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def page_options(example: str, order: str = "created_at") -> Callable[[F], F]:
    """Of a list that has pages; `example` is a condition, `order` the column that it is sorted by
    where nothing is asked."""
    return add_options(
        click.option("--filter", "condition", help=f"Condition, such as '{example}'."),
        click.option(
            "--order",
            default=order,
            show_default=True,
            help="Column to sort by; with a minus before it the other way round.",
        ),
        click.option(
            "--limit",
            type=click.IntRange(min=1),
            default=ROWS_MAX,
            show_default=True,
            help="Show at most so many.",
        ),
    )


def take_given(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were written: repeated ones as a list, pairs as an object; one empty value makes
    an empty one. Raises UsageError for one among others."""
    given = {name: value for name, value in options.items() if value is not None and value != ()}
    return {
        name: _collect(name, value) if isinstance(value, tuple) else value
        for name, value in given.items()
    }


def _collect(name: str, values: tuple[Any, ...]) -> Any:
    filled = [value for value in values if value]
    if len(filled) < len(values) and (len(values) > 1 or name not in (*PAIRS, *LISTS)):
        params = click.get_current_context().command.params
        option = next(param.opts[0] for param in params if param.name == name)
        raise click.UsageError(f"{option}: no empty value here, or not among others.")
    return dict(filled) if name in PAIRS else filled


def take_changes(options: Mapping[str, Any]) -> dict[str, Any]:
    """As `take_given`. Raises UsageError without any."""
    changes = take_given(options)
    if not changes:
        ctx = click.get_current_context()
        names = [
            option.opts[0]
            for option in ctx.command.params
            if isinstance(option, click.Option) and option.name not in NO_CHANGES
        ]
        raise click.UsageError(f"Nothing is to be changed: give one of {', '.join(names)}.")
    return changes


def show_listing(
    rows: "Sequence[msgspec.Struct]",
    kind: "type[msgspec.Struct]",
    seen: Sequence[str],
    columns: str | None,
    output: Output,
    limit: int = ROWS_MAX,
) -> None:
    """Tables have the columns `seen`, programs get all; `columns` says which for both. `limit` is
    the number of rows that were asked for."""
    known = kind.__struct_fields__
    chosen = _read_columns(columns, known) or (seen if output == "table" else known)
    if not rows and output == "table":
        click.echo(f"No {_plural(kind.__name__)}.", err=True)
        return
    show_rows([_for(facts_of(row), output) for row in rows], chosen, output)
    if len(rows) >= limit:
        click.echo(f"These are the first {limit}; there may be more.", err=True)


def show_one(row: "msgspec.Struct", output: Output, **more: Any) -> None:
    """`more` comes below its own facts."""
    show_object(_for({**facts_of(row), **more}, output), output)


def facts_of(row: "msgspec.Struct") -> dict[str, Any]:
    """Its fields by our names; projects by theirs."""
    from msgspec import structs

    return {name: _plain(value) for name, value in structs.asdict(row).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [getattr(each, "name", each) for each in value]
    return value


def _for(facts: dict[str, Any], output: Output) -> dict[str, Any]:
    """Lists and amounts as people write them, where people read."""
    if output != "table":
        return facts
    return {name: _seen(name, value) for name, value in facts.items()}


def _seen(name: str, value: Any) -> Any:
    from decimal import Decimal

    from backendai.client.cli.units import show_size, show_slots

    if isinstance(value, list):
        return ", ".join(map(str, value)) or None
    if name in SLOTS:
        return show_slots(value or {}) or None
    if name in SIZES and value is not None:
        return show_size(Decimal(value)) if value >= 0 else None
    return value


def _plural(name: str) -> str:
    """`KeypairPolicy` -> `keypair policies`."""
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return f"{words[:-1]}ies" if words.endswith("y") else f"{words}s"


def _read_columns(text: str | None, known: Sequence[str]) -> Sequence[str]:
    if text is None:
        return ()
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in known]
    if unknown or not chosen:
        told = f"{', '.join(unknown) or 'nothing'}: choose among {', '.join(known)}."
        raise click.BadParameter(told, param_hint="'--format'")
    return chosen
