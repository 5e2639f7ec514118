"""`admin preset`. `backendai presets` shows everybody which could start now."""

from typing import Any, Final

import click

from backendai.client.cli.accounts.options import (
    NONE_LEFT,
    add_options,
    columns_option,
    or_empty,
    show_listing,
    show_one,
    take_changes,
    take_given,
)
from backendai.client.cli.consent import ask_consent, do_to_each, yes_option
from backendai.client.cli.options import output_option, read_amount, read_size
from backendai.client.cli.render import Output

SEEN: Final = ("name", "resource_slots", "shared_memory")

_props = add_options(
    click.option(
        "--resource",
        "-r",
        "resource_slots",
        type=or_empty(read_amount),
        metavar="SLOT=AMOUNT",
        multiple=True,
        help=f"Such as cpu=1 or mem=4g; repeat it. Those before are gone. {NONE_LEFT}",
    ),
    click.option(
        "--shmem",
        "shared_memory",
        type=read_size,
        metavar="SIZE",
        help="Shared memory, a part of mem, such as 64m; 0 leaves it to the image.",
    ),
)


@click.command("list")
@columns_option
@output_option
def list_all(columns: str | None, output: Output) -> None:
    """List presets.

    Example: backendai admin preset list --output json
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.resources.rows import Preset

    show_listing(with_client(lambda client: client.presets.list()), Preset, SEEN, columns, output)


@click.command()
@click.argument("name")
@output_option
def info(name: str, output: Output) -> None:
    """Show the preset NAME.

    Example: backendai admin preset info small
    """
    from backendai.client.cli.connect import with_client

    show_one(with_client(lambda client: client.presets.get(name)), output)


@click.command()
@click.argument("name")
@_props
def add(name: str, **options: Any) -> None:
    """Make the preset NAME.

    Example: backendai admin preset add small -r cpu=1 -r mem=2g --shmem 64m
    """
    from backendai.client.cli.connect import with_client

    click.echo(with_client(lambda client: client.presets.create(name, **take_given(options))).name)


@click.command()
@click.argument("name")
@_props
def update(name: str, **options: Any) -> None:
    """Change the preset NAME.

    Example: backendai admin preset update small -r cpu=2 -r mem=4g
    """
    from backendai.client.cli.connect import with_client

    changes = take_changes(options)
    with_client(lambda client: client.presets.modify(name, **changes))


@click.command()
@click.argument("names", nargs=-1, required=True)
@yes_option
def delete(names: tuple[str, ...], is_sure: bool) -> None:
    """Remove the presets NAMES for good. Sessions that were started from them stay.

    Example: backendai admin preset delete small
    """
    ask_consent(f"Remove for good: {', '.join(names)}?", is_sure=is_sure)
    do_to_each(names, lambda client, name: client.presets.delete(name))
