"""`session ls`, `upload`, `download`."""

from pathlib import Path

import click

from backendai.client.cli.entries import show_entries
from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output


@click.command()
@click.argument("session")
@click.argument("path", default=".")
@output_option
def ls(session: str, path: str, output: Output) -> None:
    """List the files of PATH (below /home/work) in SESSION.

    Example: backendai session ls demo data
    """
    from backendai.client.cli.connect import with_client

    show_entries(with_client(lambda client: client.sessions.list_files(session, path)), output)


@click.command()
@click.argument("session")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--base", default=".", help="Paths are kept relative to this folder.")
def upload(session: str, files: tuple[str, ...], base: str) -> None:
    """Copy FILES into /home/work of SESSION.

    Example: backendai session upload demo main.py data/a.csv
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.sessions.upload(session, files, base=base))


@click.command()
@click.argument("session")
@click.argument("files", nargs=-1, required=True)
@click.option("--dest", type=click.Path(file_okay=False, path_type=Path), default=Path())
def download(session: str, files: tuple[str, ...], dest: Path) -> None:
    """Copy FILES (files or folders of /home/work) out of SESSION.

    Example: backendai session download demo result.csv --dest out
    """
    from backendai.client.cli.connect import with_client

    written = with_client(lambda client: client.sessions.download(session, files, destination=dest))
    for path in written:
        click.echo(path)
