"""`admin alerts`: what operators are told of, and whether they hear it."""

from typing import TYPE_CHECKING, Final

import click

from backendai.client.cli.options import output_option
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.alerts import Alert, Outcome
    from backendai.client.client import Client

SEEN: Final = ("kind", "detail", "began_at", "ended_at")


@click.group()
def alerts() -> None:
    """What operators are told of by mail and webhook: `[alerts]` of managers says whom.

    \b
    Examples:
      backendai admin alerts list --with-ended
      backendai admin alerts test
    """


@alerts.command("list")
@click.option("--with-ended", is_flag=True, help="Also those that are over, for 90 days.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True)
@output_option
def list_alerts(with_ended: bool, limit: int, output: Output) -> None:
    """List alerts, newest first.

    \b
    Examples:
      backendai admin alerts list
      backendai admin alerts list --with-ended --output json
    """
    from backendai.client.alerts import Alert
    from backendai.client.cli.connect import with_client

    async def work(client: "Client") -> tuple["Alert", ...]:
        return await client.alerts.list(with_ended=with_ended, limit=limit)

    found = with_client(work)
    if not found and output == "table":
        click.echo("No alerts.", err=True)
        return
    columns = SEEN if output == "table" else Alert.__struct_fields__
    show_rows([{name: getattr(one, name) for name in columns} for one in found], columns, output)


@alerts.command()
@output_option
def test(output: Output) -> None:
    """Tell everybody who gets alerts something now; exits with 1 when one does not hear it.

    \b
    Examples:
      backendai admin alerts test
    """
    from backendai.client.cli.connect import with_client

    async def work(client: "Client") -> tuple["Outcome", ...]:
        return await client.alerts.test()

    found = with_client(work)
    if not found:
        raise click.ClickException(
            "nobody is told: name webhooks, or mail-to and smtp-addr, in [alerts]"
        )
    rows = [{"target": one.target, "outcome": one.problem or "told"} for one in found]
    show_rows(rows, ("target", "outcome"), output)
    raise SystemExit(1 if any(one.problem for one in found) else 0)
