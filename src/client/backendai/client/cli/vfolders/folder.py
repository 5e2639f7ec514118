"""`vfolder list`, `create`, `info`, `hosts`, `rename`, `update`, `clone`, `quota`."""

from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.options import output_option, read_size_limit
from backendai.client.cli.render import Output, show_object, show_rows

if TYPE_CHECKING:
    from backendai.client.client import Client
    from backendai.client.vfolders.rows import NewVfolder
    from backendai.client.vfolders.sharing import Permission

COLUMNS: Final = (
    "name",
    "id",
    "host",
    "status",
    "usage_mode",
    "permission",
    "ownership_type",
    "is_owner",
    "group_name",
    "user_email",
    "cloneable",
    "created_at",
    "unmanaged_path",
)
SEEN_COLUMNS: Final = ("name", "host", "status", "permission", "owner", "age")
PERMISSIONS: Final = click.Choice(["ro", "rw", "wd"])
MODES: Final = click.Choice(["general", "data", "model"])

_host_option = click.option("--host", help="Host, such as local:volume1. Default: the server's.")
_mode_option = click.option("--usage-mode", type=MODES, default="general", show_default=True)
_permission_option = click.option(
    "--permission",
    type=PERMISSIONS,
    default="rw",
    show_default=True,
    help="What others than its owner get.",
)
_cloneable_option = click.option("--cloneable", is_flag=True, help="Others may clone it.")


@click.command("list")
@click.option("--all", "-a", "is_all", is_flag=True, help="Everybody's; for administrators.")
@click.option("--owner", "owner_email", metavar="EMAIL", help="Of one user; for administrators.")
@click.option("--deleting", "is_deleting", is_flag=True, help="What is being deleted for ever.")
@output_option
def list_folders(is_all: bool, owner_email: str | None, is_deleting: bool, output: Output) -> None:
    """List the folders that you may use, those in the bin too.

    \b
    Examples:
      backendai vfolder list
      backendai vfolder list --output json
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client

    found = with_client(
        lambda client: client.vfolders.list(
            is_all=is_all, owner_email=owner_email, is_deleting=is_deleting
        )
    )
    if not found and output == "table":
        click.echo("No folders.", err=True)
        return
    rows = [_with_short_forms(structs.asdict(each)) for each in found]
    show_rows(rows, SEEN_COLUMNS if output == "table" else COLUMNS, output)


@click.command()
@click.argument("name")
@_host_option
@click.option(
    "--unmanaged",
    "unmanaged_path",
    metavar="PATH",
    help="Of this directory of the nodes, in place of a host; for superadmins.",
)
@click.option("--project", help="Project that shall own it, by name or id.")
@_mode_option
@_permission_option
@_cloneable_option
def create(
    name: str,
    host: str | None,
    unmanaged_path: str | None,
    project: str | None,
    usage_mode: str,
    permission: str,
    cloneable: bool,
) -> None:
    """Make the folder NAME and print its id.

    A folder whose name begins with a dot is mounted in the home of all your sessions.

    \b
    Examples:
      backendai vfolder create data
      backendai vfolder create models --project lab --usage-mode model --permission ro
      backendai vfolder create corpus --unmanaged /mnt/corpus --permission ro
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.vfolders.rows import NewVfolder

    new = NewVfolder(
        name=name,
        host=host,
        unmanaged_path=unmanaged_path,
        project=project,
        usage_mode=usage_mode,
        permission=permission,
        cloneable=cloneable,
    )
    click.echo(with_client(lambda client: client.vfolders.create(new)).id)


@click.command()
@click.argument("folder")
@output_option
def info(folder: str, output: Output) -> None:
    """Show what FOLDER is, and how much is in it.

    Example: backendai vfolder info data
    """
    from msgspec import structs

    from backendai.client.cli.connect import with_client

    facts = structs.asdict(with_client(lambda client: client.vfolders.info(folder)))
    show_object(_told(facts) if output == "table" else facts, output)


@click.command()
@click.option("--project", help="Where this project's folders may be.")
@output_option
def hosts(project: str | None, output: Output) -> None:
    """List the hosts where folders may be made, and how full they are.

    Example: backendai vfolder hosts
    """
    from backendai.client.cli.connect import with_client

    found = with_client(lambda client: client.vfolders.hosts(project))
    rows: list[dict[str, Any]] = []
    for name in found.allowed:
        about = found.volume_info.get(name)
        rows.append(
            {
                "host": name,
                "default": name == found.default,
                "backend": about.backend if about else None,
                "used_percent": about.usage.get("percentage") if about else None,
            }
        )
    show_rows(rows, ("host", "default", "backend", "used_percent"), output)


@click.command()
@click.argument("folder")
@click.argument("new_name")
def rename(folder: str, new_name: str) -> None:
    """Give FOLDER another name.

    Example: backendai vfolder rename data raw-data
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.vfolders.rename(folder, new_name))


@click.command()
@click.argument("folder")
@click.option("--permission", type=PERMISSIONS, help="What others than its owner get.")
@click.option("--cloneable/--not-cloneable", default=None, help="Whether it may be cloned.")
def update(folder: str, permission: "Permission | None", cloneable: bool | None) -> None:
    """Change what others may do with FOLDER, and whether it may be cloned.

    Example: backendai vfolder update data --permission ro --cloneable
    """
    from backendai.client.cli.connect import with_client

    if permission is None and cloneable is None:
        raise click.UsageError("Nothing to change: give --permission or --cloneable.")
    with_client(
        lambda client: client.vfolders.update_options(
            folder, cloneable=cloneable, permission=permission
        )
    )


@click.command()
@click.argument("folder")
@click.argument("name")
@_host_option
@_mode_option
@_permission_option
@_cloneable_option
@click.option("--detach", "is_detached", is_flag=True, help="Print the task's id and do not wait.")
def clone(
    folder: str,
    name: str,
    host: str | None,
    usage_mode: str,
    permission: str,
    cloneable: bool,
    is_detached: bool,
) -> None:
    """Copy FOLDER into the new folder NAME, and show the progress until it is done.

    Ctrl-C leaves the task running.

    Example: backendai vfolder clone data data-copy
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.vfolders.rows import NewVfolder

    new = NewVfolder(
        name=name, host=host, usage_mode=usage_mode, permission=permission, cloneable=cloneable
    )
    raise SystemExit(with_client(lambda client: _clone(client, folder, new, is_detached)))


@click.command()
@click.argument("folder")
@click.option(
    "--set",
    "size",
    type=read_size_limit,
    metavar="SIZE",
    help="Such as 100g, or none for no limit; for administrators.",
)
def quota(folder: str, size: int | None) -> None:
    """Show or set how many bytes the owner of FOLDER may keep on its host, in all folders.

    \b
    Examples:
      backendai vfolder quota data
      backendai vfolder quota data --set 100g
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.resources.rows import NO_LIMIT

    if size is None:
        limit = with_client(lambda client: client.vfolders.quota(folder))
        click.echo("none" if limit is None else limit)
        return
    limit = None if size == NO_LIMIT else size
    with_client(lambda client: client.vfolders.set_quota(folder, limit))


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    """In sizes and ages that people read."""
    from datetime import UTC, datetime
    from decimal import Decimal

    from backendai.client.cli.units import show_past, show_size

    told = dict(facts)
    if facts["used_bytes"] is not None:
        told["used_bytes"] = f"{facts['used_bytes']} ({show_size(Decimal(facts['used_bytes']))})"
    if facts["usage_at"] is not None:
        told["usage_at"] = show_past(facts["usage_at"], datetime.now(UTC))
    if not facts["counts_for_owner"]:
        told["counts_for_owner"] = "no: it was handed on, and counts for whom it was made"
    return told


async def _clone(client: "Client", folder: str, new: "NewVfolder", is_detached: bool) -> int:
    from backendai.client.cli.images.task import follow_task

    begun = await client.vfolders.clone(folder, new)
    if is_detached:
        click.echo(begun.bgtask_id)
        return 0
    # Who interrupts the command, or loses the connection, goes on with `task watch`.
    click.echo(f"task {begun.bgtask_id}", err=True)
    return await follow_task(client, begun.bgtask_id)


def _with_short_forms(row: dict[str, Any]) -> dict[str, Any]:
    """With `age` and `owner`, which are made here."""
    from datetime import UTC, datetime

    from backendai.client.cli.units import show_age

    owner = "you" if row["is_owner"] and not row["group_name"] else None
    owner = owner or row["group_name"] or row["user_email"]
    told = {"age": show_age(row["created_at"], datetime.now(UTC)), "owner": owner}
    return row | told | {"host": row["host"] or row["unmanaged_path"]}
