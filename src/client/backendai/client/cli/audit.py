"""`admin audit`: who changed what."""

from typing import TYPE_CHECKING, Any, Final

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.client import Client

SEEN: Final = ("at", "email", "action", "target", "changed")
PAGE_SIZE: Final = 100


@click.command()
@click.option("--action", help="Such as user.modify.")
@click.option("--target-kind", help="Such as user, keypair, project or domain.")
@click.option("--target-id", help="An email, an access key, a project's id, or a name.")
@click.option("--email", help="Who did it.")
@click.option("--access-key", help="With which keypair it was done.")
@click.option("--domain", help="The domain of what was changed.")
@click.option("--request-id", help="The request that did it.")
@click.option("--since", help="No earlier than this time, such as 2026-01-31 (UTC).")
@click.option("--until", help="Before this time.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@output_option
def audit(limit: int, output: Output, **wanted: Any) -> None:
    """List changes, newest first.

    \b
    Examples:
      backendai admin audit --target-kind user --target-id ann@example.com
      backendai admin audit --since 2026-01-31 --output json
    """
    from backendai.client.audit import Entry
    from backendai.client.cli.connect import with_client

    async def work(client: "Client") -> list[Entry]:
        entries: list[Entry] = []
        while len(entries) < limit:
            size = min(PAGE_SIZE, limit - len(entries))
            page = await client.audit.list(limit=size, offset=len(entries), **wanted)
            entries += page.items
            if not page.items or len(entries) >= page.total_count:
                break
        return entries

    entries = with_client(work)
    if not entries and output == "table":
        click.echo("No changes.", err=True)
        return
    columns = SEEN if output == "table" else Entry.__struct_fields__
    show_rows([_row(entry) for entry in entries], columns, output)


def _row(entry: Any) -> dict[str, Any]:
    """With `target` and `changed`, which people read in a line."""
    from msgspec import structs

    facts = structs.asdict(entry)
    names = sorted(entry.before.keys() | entry.after.keys())
    return {
        **facts,
        "target": f"{entry.target_kind} {entry.target_id}",
        "changed": ", ".join(names) if entry.before and entry.after else None,
    }
