"""`vfolder upload`, `download`, `cp`."""

import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import click

from backendai.client.cli.vfolders.archive import download_archive
from backendai.client.cli.vfolders.places import Inner, Way, read_inner, read_way

if TYPE_CHECKING:
    from backendai.client.client import Client
    from backendai.client.vfolders.moving import OnProgress
    from backendai.client.vfolders.transfers import Copied

parallel_option = click.option(
    "--parallel", type=click.IntRange(1, 32), default=4, show_default=True, help="Files at a time."
)


@click.command()
@click.argument("folder")
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--into", default=".", help="Directory of the folder to copy into.")
@parallel_option
def upload(folder: str, paths: tuple[str, ...], into: str, parallel: int) -> None:
    """Copy PATHS (files, or directories with all in them) into FOLDER. Links are left out.

    A broken connection is taken up again where it broke.

    \b
    Examples:
      backendai vfolder upload data train.csv images
      backendai vfolder upload data *.csv --into tables
    """
    _copy(
        lambda client, on_progress: client.vfolders.upload(
            folder, paths, into=into, parallel=parallel, on_progress=on_progress
        )
    )


@click.command()
@click.argument("folder")
@click.argument("paths", nargs=-1, required=True)
@click.option("--dest", type=click.Path(file_okay=False), default=".", help="Where to.")
@click.option(
    "--archive", type=click.Path(dir_okay=False), help="One file in place of all: X.zip or X.tar."
)
@parallel_option
def download(
    folder: str, paths: tuple[str, ...], dest: str, archive: str | None, parallel: int
) -> None:
    """Copy PATHS (files, or directories with all in them) out of FOLDER. `.` is everything.

    A download that was interrupted goes on where it was when it is called again; an archive begins
    anew.

    \b
    Examples:
      backendai vfolder download data results
      backendai vfolder download data . --dest backup
      backendai vfolder download data results log.txt --archive results.zip
    """
    if archive is not None:
        download_archive(folder, paths, archive)
        return
    _copy(
        lambda client, on_progress: client.vfolders.download(
            folder, paths, into=dest, parallel=parallel, on_progress=on_progress
        )
    )


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="FROM... TO")
@parallel_option
def cp(paths: tuple[str, ...], parallel: int) -> None:
    """Copy files and directories between this machine and a folder, either way, or within it.

    What is in a folder is written FOLDER:PATH. As with cp, what is copied goes into TO where that
    is a directory or ends in /, and else is called TO.

    \b
    Examples:
      backendai vfolder cp train.csv data:
      backendai vfolder cp train.csv data:raw/first.csv
      backendai vfolder cp data:results data:log.txt .
      backendai vfolder cp data:raw data:raw-before
    """
    if (inner := read_inner(paths)) is not None:
        copy_inner(inner)
        return
    way = read_way(paths)

    async def work(client: "Client", on_progress: "OnProgress") -> "Copied":
        copy = _copy_up if way.is_up else _copy_down
        return await copy(client, way, parallel, on_progress)

    _copy(work)


def copy_inner(inner: Inner) -> None:
    """By the storage proxy: nothing is fetched and sent again."""
    from backendai.client.cli.connect import with_client

    async def run(client: "Client") -> None:
        for source in inner.sources:
            await client.vfolders.copy_file(inner.folder, source, inner.target)

    with_client(run)


async def _copy_up(
    client: "Client", way: Way, parallel: int, on_progress: "OnProgress"
) -> "Copied":
    vfolders, path = client.vfolders, way.target.path
    is_into = len(way.sources) > 1 or way.target.is_directory
    if not is_into:
        from backendai.client.vfolders.trees import clean

        found = await vfolders.find_file(way.folder, clean(path))
        is_into = found is not None and found.mode.startswith("d")
    if is_into:
        return await vfolders.upload(
            way.folder, way.local_sources, into=path, parallel=parallel, on_progress=on_progress
        )
    return await vfolders.upload_as(
        way.folder, way.local_sources[0], path, parallel=parallel, on_progress=on_progress
    )


async def _copy_down(
    client: "Client", way: Way, parallel: int, on_progress: "OnProgress"
) -> "Copied":
    import asyncio
    from pathlib import Path

    vfolders, target = client.vfolders, Path(way.target.path)
    is_there = await asyncio.to_thread(target.is_dir)
    if len(way.sources) > 1 or way.target.is_directory or is_there:
        return await vfolders.download(
            way.folder, way.sources, into=target, parallel=parallel, on_progress=on_progress
        )
    return await vfolders.download_as(
        way.folder, way.sources[0], target, parallel=parallel, on_progress=on_progress
    )


def _copy(work: Callable[["Client", "OnProgress"], Awaitable["Copied"]]) -> None:
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.vfolders.bar import show_skipped, show_sum, shown_bar

    begun_at = time.monotonic()
    with shown_bar() as bar:

        async def run(client: "Client") -> "Copied":
            return await work(client, bar.on_progress)

        copied = with_client(run, is_busy=True)
    show_skipped(copied.skipped)
    show_sum(len(copied.paths), copied.size_bytes, time.monotonic() - begun_at)
