"""`vfolder ls`, `mkdir`, `rm`, `mv`."""

import click

from backendai.client.cli.entries import show_entries
from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output


@click.command()
@click.argument("folder")
@click.argument("path", default=".")
@output_option
def ls(folder: str, path: str, output: Output) -> None:
    """List the directory PATH of FOLDER.

    Example: backendai vfolder ls data images
    """
    from backendai.client.cli.connect import with_client

    show_entries(with_client(lambda client: client.vfolders.list_files(folder, path)), output)


@click.command()
@click.argument("folder")
@click.argument("paths", nargs=-1, required=True)
@click.option("--exist-ok", is_flag=True, help="Also when they are there already.")
def mkdir(folder: str, paths: tuple[str, ...], exist_ok: bool) -> None:
    """Make the directories PATHS in FOLDER, and those above them.

    Example: backendai vfolder mkdir data images/train images/test
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.vfolders.mkdir(folder, paths, exist_ok=exist_ok))


@click.command()
@click.argument("folder")
@click.argument("paths", nargs=-1, required=True)
@click.option("--recursive", "-r", is_flag=True, help="Also directories with all in them.")
def rm(folder: str, paths: tuple[str, ...], recursive: bool) -> None:
    """Delete PATHS of FOLDER for good.

    Example: backendai vfolder rm data old.csv images -r
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.vfolders.delete_files(folder, paths, recursive=recursive))


@click.command()
@click.argument("folder")
@click.argument("source")
@click.argument("target")
def mv(folder: str, source: str, target: str) -> None:
    """Move SOURCE to the path TARGET in FOLDER, or into it where it is a directory.

    Example: backendai vfolder mv data a.csv old/a.csv
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.vfolders.move_file(folder, source, target))
