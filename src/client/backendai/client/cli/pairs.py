"""`admin etcd`: the pairs of the cluster's configuration."""

import json
from typing import Any

import click

_prefix_option = click.option(
    "--prefix", "-p", "is_prefix", is_flag=True, help="All below KEY too."
)


@click.command()
@click.argument("key")
@_prefix_option
def get(key: str, is_prefix: bool) -> None:
    """Print the value of KEY, or what is below it as JSON.

    Example: backendai admin etcd get --prefix config/docker
    """
    from backendai.client.cli.connect import with_client
    from backendai.client.cli.exits import FAILED

    if is_prefix:
        below = with_client(lambda client: client.cluster.get_config_below(key))
        click.echo(json.dumps(below, indent=2, ensure_ascii=False))
        return
    value = with_client(lambda client: client.cluster.get_config(key))
    if value is None:
        click.echo(f"There is no {key}.", err=True)
        raise SystemExit(FAILED)
    click.echo(value)


@click.command()
@click.argument("key")
@click.argument("value")
def put(key: str, value: str) -> None:
    """Set KEY to VALUE. A JSON object sets one value below KEY for each of its own, at most 16.

    Example: backendai admin etcd set config/docker/registry '{"cr.example.com": "https://…"}'
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.cluster.set_config(key, _read_value(value)))


@click.command()
@click.argument("key")
@_prefix_option
def delete(key: str, is_prefix: bool) -> None:
    """Delete KEY, with --prefix all below it too.

    Example: backendai admin etcd delete config/docker/registry --prefix
    """
    from backendai.client.cli.connect import with_client

    with_client(lambda client: client.cluster.delete_config(key, is_prefix=is_prefix))


def _read_value(text: str) -> Any:
    """An object where the text is one; every other text is meant as it is written."""
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, dict) else text
