"""`vfolder extract`, and `vfolder download --archive`."""

import time
from typing import Final

import click

KINDS: Final = {".zip": "zip", ".tar": "tar"}


@click.command()
@click.argument("folder")
@click.argument("path")
@click.option("--into", default=".", help="Directory of the folder to unpack into.")
@click.option("--remove", "removes", is_flag=True, help="Delete the archive when all is unpacked.")
def extract(folder: str, path: str, into: str, removes: bool) -> None:
    """Unpack the archive PATH that lies in FOLDER: a zip, or a tar of any compression.

    Files of the same names are replaced. Links, devices and what would lead out of the folder are
    left out, and told of.

    \b
    Examples:
      backendai vfolder upload data images.tar.gz
      backendai vfolder extract data images.tar.gz --into images --remove
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.render import cell
    from backendai.client.cli.vfolders.bar import show_sum

    begun_at = time.monotonic()
    done = with_client(
        lambda client: client.vfolders.extract(folder, path, into=into, removes=removes),
        is_busy=True,
    )
    for one in done.skipped:
        click.echo(f"skipped {cell(one.name)}: {cell(one.why)}", err=True)
    if more := done.skipped_count - len(done.skipped):
        click.echo(f"skipped {more} more", err=True)
    show_sum(done.files, done.bytes, time.monotonic() - begun_at)


def download_archive(folder: str, paths: tuple[str, ...], target: str) -> None:
    """Into the file `target`, whose name says of which kind. Raises UsageError for another."""
    from pathlib import Path

    from backendai.client.cli.connect import with_client
    from backendai.client.cli.vfolders.bar import show_sum

    kind = KINDS.get(Path(target).suffix)
    if kind is None:
        raise click.UsageError(f"{target}: the name of an archive ends in .zip or .tar.")
    begun_at = time.monotonic()
    size = with_client(
        lambda client: client.vfolders.download_archive(
            folder, paths, target, kind="tar" if kind == "tar" else "zip"
        ),
        is_busy=True,
    )
    show_sum(1, size, time.monotonic() - begun_at)
