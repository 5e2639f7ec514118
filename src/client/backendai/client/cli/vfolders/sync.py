"""`vfolder sync`."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from backendai.client.cli.vfolders.copying import parallel_option
from backendai.client.cli.vfolders.places import read_way

if TYPE_CHECKING:
    from backendai.client.client import Client
    from backendai.client.vfolders.plan import SyncPlan


@click.command()
@click.argument("source")
@click.argument("target")
@click.option("--delete", "deletes", is_flag=True, help="Delete what SOURCE does not have.")
@click.option(
    "--checksum", "by_content", is_flag=True, help="Compare contents, which reads both sides."
)
@click.option("--dry-run", "-n", "is_dry", is_flag=True, help="Only print what would be done.")
@parallel_option
def sync(
    source: str, target: str, deletes: bool, by_content: bool, is_dry: bool, parallel: int
) -> None:
    """Make the directory TARGET have what the directory SOURCE has, copying only what changed.

    One of them is FOLDER:PATH, the other one here. A file is copied when it is missing, has another
    size, or is newer in SOURCE. An interrupted sync goes on when it is called again.

    \b
    Examples:
      backendai vfolder sync ./images data:images
      backendai vfolder sync data:results ./results --delete --dry-run
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.vfolders.bar import show_skipped, show_sum, shown_bar
    from backendai.client.vfolders.syncs import SyncRule

    way = read_way((source, target))
    rule = SyncRule(deletes=deletes, by_content=by_content, is_dry=is_dry)
    begun_at = time.monotonic()
    with shown_bar() as bar:

        async def run(client: "Client") -> "SyncPlan":
            (origin,), vfolders = way.sources, client.vfolders
            if way.is_up:
                return await vfolders.sync_up(
                    origin,
                    way.folder,
                    way.target.path,
                    rule=rule,
                    parallel=parallel,
                    on_progress=bar.on_progress,
                )
            return await vfolders.sync_down(
                way.folder,
                origin,
                way.target.path,
                rule=rule,
                parallel=parallel,
                on_progress=bar.on_progress,
            )

        plan = with_client(run, is_busy=True)
    show_skipped(plan.skipped)
    if is_dry:
        for line in _lines_of(plan):
            click.echo(line)
        return
    for path in (*plan.replaced, *plan.deletions):
        click.echo(f"deleted {path}", err=True)
    show_sum(len(plan.copies), plan.size_bytes, time.monotonic() - begun_at)


def _lines_of(plan: "SyncPlan") -> Iterator[str]:
    """In the order in which it would be done."""
    from backendai.client.cli.render import cell

    steps = (
        ("delete", plan.replaced),
        ("mkdir", plan.directories),
        ("copy", plan.copies),
        ("delete", plan.deletions),
    )
    yield from (f"{word} {cell(path)}" for word, paths in steps for path in paths)
