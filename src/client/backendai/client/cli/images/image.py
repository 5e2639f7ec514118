"""`images`, `image` and `admin image`: look for images, name, limit and forget them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NoReturn

import click

from backendai.client.cli.consent import ask_consent, yes_option
from backendai.client.cli.options import output_option, read_amount
from backendai.client.cli.render import Output, show_rows

if TYPE_CHECKING:
    from backendai.client.client import Client

COLUMNS: Final = ("image", "architecture", "size", "aliases", "digest")
_architecture_option = click.option(
    "--arch", "architecture", default="x86_64", show_default=True, help="CPU of the image."
)

_detach_option = click.option(
    "--detach", "is_detached", is_flag=True, help="Print the task's id and do not wait."
)
_node_option = click.option(
    "--agent", "agents", metavar="AGENT", multiple=True, required=True, help="A node; repeat it."
)


@click.command("list")
@output_option
def list_images(output: Output) -> None:
    """List images that sessions may use.

    Example: backendai image list --output json
    """
    from decimal import Decimal

    from backendai.client.cli.connect import with_client
    from backendai.common.slots import format_size

    is_table = output == "table"
    rows = [
        {
            "image": image.reference,
            "architecture": image.architecture,
            "size": format_size(Decimal(image.size_bytes or 0)) if is_table else image.size_bytes,
            "aliases": ", ".join(image.aliases or ()) if is_table else list(image.aliases or ()),
            "digest": image.digest,
        }
        for image in with_client(lambda client: client.images.list())
    ]
    show_rows(rows, COLUMNS[:-1] if is_table else COLUMNS, output)


@click.command()
@click.argument("registry", required=False)
@click.option("--project", help="Only this project of it.")
@_detach_option
def rescan(registry: str | None, project: str | None, is_detached: bool) -> None:
    """Look for images in REGISTRY, on the nodes (`local`) or, by default, everywhere.

    Shows its task and the progress until it is over; Ctrl-C leaves it running.

    \b
    Examples:
      backendai admin image rescan
      backendai admin image rescan cr.example.com --project stable
    """
    _run_task(lambda client: client.images.rescan(registry, project), is_detached=is_detached)


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@_node_option
@_detach_option
def preload(images: tuple[str, ...], agents: tuple[str, ...], is_detached: bool) -> None:
    """Have nodes pull IMAGES now, so that no session waits for that.

    Shows its task and the progress until it is over; Ctrl-C leaves it running.

    Example: backendai admin image preload cr.example.com/stable/python:3.11 --agent i-1 --agent i-2
    """
    _run_task(lambda client: client.images.preload(images, agents), is_detached=is_detached)


@click.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True)
@_node_option
@_detach_option
def unload(images: tuple[str, ...], agents: tuple[str, ...], is_detached: bool) -> None:
    """Remove IMAGES of registries from nodes; where sessions need one it stays.

    Shows its task and the progress until it is over; Ctrl-C leaves it running.

    Example: backendai admin image unload cr.example.com/stable/python:3.11 --agent i-1
    """
    _run_task(lambda client: client.images.unload(images, agents), is_detached=is_detached)


@click.command()
@click.argument("name")
@click.argument("target")
@_architecture_option
def alias(name: str, target: str, architecture: str) -> None:
    """Let NAME mean the image TARGET too.

    Example: backendai admin image alias py cr.example.com/stable/python:3.11
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.images.alias(name, target, architecture))


@click.command()
@click.argument("name")
def dealias(name: str) -> None:
    """Take the other name NAME back.

    Example: backendai admin image dealias py
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.images.dealias(name))


@click.command()
@click.argument("image")
@click.option(
    "--min",
    "least",
    type=read_amount,
    metavar="SLOT=AMOUNT",
    multiple=True,
    help="What a container needs; repeat it.",
)
@click.option(
    "--max",
    "most",
    type=read_amount,
    metavar="SLOT=AMOUNT",
    multiple=True,
    help="What it gets at most; repeat it.",
)
@_architecture_option
def limit(
    image: str,
    least: tuple[tuple[str, str], ...],
    most: tuple[tuple[str, str], ...],
    architecture: str,
) -> None:
    """Set the limits of IMAGE for new sessions; without any, its labels alone count again.

    Example: backendai admin image limit py --min cpu=1 --max mem=8g
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.images.limit(image, dict(least), dict(most), architecture))


@click.command()
@click.argument("image")
@_architecture_option
def forget(image: str, architecture: str) -> None:
    """Let nobody use IMAGE any more. What runs stays; a rescan that finds it brings it back.

    Your own are those that you made of sessions: they are removed for good when nothing runs of
    them any more. All others are for superadmins.

    \b
    Examples:
      backendai image forget tools:1
      backendai admin image forget cr.example.com/stable/python:3.11
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.images.forget(image, architecture))


@click.command()
@click.argument("registry")
@yes_option
def clear(registry: str, is_sure: bool) -> None:
    """Forget all images of REGISTRY; `local` are those without one.

    What runs stays; a rescan that finds an image brings it back.

    Example: backendai admin image clear cr.example.com
    """
    from backendai.client.cli.connect import with_client

    ask_consent(f"Forget all images of {registry}?", is_sure=is_sure)
    with_client(lambda client: client.images.clear(registry))


def _run_task(begin: Callable[["Client"], Awaitable[str]], *, is_detached: bool) -> NoReturn:
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.images.task import follow_task

    async def work(client: "Client") -> int:
        task_id = await begin(client)
        if is_detached:
            click.echo(task_id)
            return 0
        # Who interrupts the command, or loses the connection, goes on with `task watch`.
        click.echo(f"task {task_id}", err=True)
        return await follow_task(client, task_id)

    raise SystemExit(with_client(work))
