"""`vfolder delete`, `restore`, `purge`."""

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
