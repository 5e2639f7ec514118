"""`vfolder delete`, `restore`, `purge`, `abandon`."""

from typing import TYPE_CHECKING

import click

from backendai.client.cli.consent import ask_consent, do_to_each, yes_option

if TYPE_CHECKING:
    from backendai.client.client import Client


@click.command()
@click.argument("folders", nargs=-1, required=True)
def delete(folders: tuple[str, ...]) -> None:
    """Put FOLDERS into the bin, from where `restore` takes them back. Their names are free then.

    Example: backendai vfolder delete data
    """
    do_to_each(folders, lambda client, folder: client.vfolders.delete(folder))


@click.command()
@click.argument("folders", nargs=-1, required=True)
def restore(folders: tuple[str, ...]) -> None:
    """Take FOLDERS out of the bin.

    Example: backendai vfolder restore data
    """
    do_to_each(folders, lambda client, folder: client.vfolders.restore(folder))


@click.command()
@click.argument("folders", nargs=-1, required=True)
@yes_option
def purge(folders: tuple[str, ...], is_sure: bool) -> None:
    """Delete FOLDERS that are in the bin for ever, with all files in them.

    The server does it in a task; see `backendai task list`.

    Example: backendai vfolder purge data --yes
    """
    ask_consent(f"Delete {', '.join(folders)} with all files for ever?", is_sure=is_sure)

    async def work(client: "Client", folder: str) -> None:
        await client.vfolders.purge(folder)

    do_to_each(folders, work)


@click.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@click.option("--force", "is_forced", is_flag=True, help="Also on a host that is configured.")
@yes_option
def abandon(ids: tuple[str, ...], is_forced: bool, is_sure: bool) -> None:
    """End folders that are being deleted on a host that is no more; for superadmins.

    Files that they may still have stay there, and nobody deletes them. `list --all --deleting`
    shows the ids.

    Example: backendai vfolder abandon cf14cfa0fc93480cb10bd6967f7d9343 --yes
    """
    ask_consent(f"Abandon {', '.join(ids)} and files they may have?", is_sure=is_sure)
    do_to_each(ids, lambda client, one: client.vfolders.abandon(one, is_forced=is_forced))
