"""`backendai mgr etcd …`: the pairs of the cluster's configuration, also while no manager runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from backendai.manager.console import config_option, read_settings, with_etcd

if TYPE_CHECKING:
    from backendai.common.etcd import EtcdStore
    from backendai.manager.settings import ManagerSettings


@click.group()
def etcd() -> None:
    """The cluster's configuration in etcd. Keys are relative to the namespace of [etcd].

    \b
    Examples:
      backendai mgr etcd ls config/
      backendai mgr etcd put config/announcement "Back at noon"
      backendai mgr etcd put-json config/plugins plugins.json
      backendai mgr etcd move-subtree config/old config/new
      backendai mgr etcd delete config/announcement
    """


def _read_key(_ctx: click.Context, _param: click.Parameter, key: str) -> str:
    if not key or key.startswith("/"):
        raise click.BadParameter("name a key below the namespace, like config/announcement")
    return key


_key_argument = click.argument("key", callback=_read_key)


@etcd.command("get")
@_key_argument
@config_option
@click.pass_context
def etcd_get(ctx: click.Context, key: str, config_path: Path | None) -> None:
    """Print the value of KEY."""
    settings = read_settings(ctx, config_path)
    value = with_etcd(settings, lambda store: store.get(key))
    if value is None:
        raise _missing(settings, key)
    click.echo(value)


@etcd.command("put")
@_key_argument
@click.argument("value")
@config_option
@click.pass_context
def etcd_put(ctx: click.Context, key: str, value: str, config_path: Path | None) -> None:
    """Set KEY to VALUE; managers and agents learn it at once."""
    with_etcd(read_settings(ctx, config_path), lambda store: store.put(key, value))


@etcd.command("put-json")
@_key_argument
@click.argument("file", type=click.File("rb"))
@config_option
@click.pass_context
def etcd_put_json(ctx: click.Context, key: str, file: BinaryIO, config_path: Path | None) -> None:
    """Set a key below KEY for each value of the JSON object in FILE (- is stdin).

    Nested objects are paths; numbers and booleans are written as in JSON. Doing it again is right.
    """
    from backendai.common.params import parse_json

    from .keys import check_key, leaves_of

    value = parse_json(file.read())
    if not isinstance(value, dict):
        raise click.ClickException(f"{file.name} must hold a JSON object")
    pairs = {check_key(path): text for path, text in leaves_of(check_key(key), value)}
    settings = read_settings(ctx, config_path)

    async def put(store: EtcdStore) -> None:
        for path, text in pairs.items():
            await store.put(path, text)

    with_etcd(settings, put)
    click.echo(f"{len(pairs)} put")


@etcd.command("move-subtree")
@click.argument("source", callback=_read_key)
@click.argument("target", callback=_read_key)
@config_option
@click.pass_context
def etcd_move_subtree(
    ctx: click.Context, source: str, target: str, config_path: Path | None
) -> None:
    """Move SOURCE and all below it to TARGET.

    Copies first and deletes then: after an interruption do it again. Keys of TARGET that have other
    values are not overwritten.
    """
    from .keys import check_key, moved_pairs

    settings = read_settings(ctx, config_path)
    old, new = check_key(source), check_key(target)

    async def move(store: EtcdStore) -> int:
        pairs = moved_pairs(await store.get_prefix(old), await store.get_prefix(new), old, new)
        for path, (_, text) in pairs.items():
            await store.put(path, text)
        for before, _ in pairs.values():
            await store.delete(before)
        return len(pairs)

    count = with_etcd(settings, move)
    if not count:
        raise _missing(settings, old)
    click.echo(f"{count} moved")


@etcd.command("delete")
@_key_argument
@click.option("--prefix", is_flag=True, help="Delete every key that begins with KEY.")
@config_option
@click.pass_context
def etcd_delete(ctx: click.Context, key: str, prefix: bool, config_path: Path | None) -> None:
    """Delete KEY, and say how many keys that were."""
    settings = read_settings(ctx, config_path)

    async def delete(store: EtcdStore) -> int:
        return await store.delete_prefix(key) if prefix else int(await store.delete(key))

    count = with_etcd(settings, delete)
    if not count:
        raise _missing(settings, key)
    click.echo(f"{count} deleted")


@etcd.command("ls")
@click.argument("prefix", default="")
@click.option("--values", is_flag=True, help="Print key = value.")
@config_option
@click.pass_context
def etcd_ls(ctx: click.Context, prefix: str, values: bool, config_path: Path | None) -> None:
    """List the keys that begin with PREFIX, by default all."""
    pairs = with_etcd(read_settings(ctx, config_path), lambda store: store.get_prefix(prefix))
    for key, value in pairs.items():
        click.echo(f"{key} = {value}" if values else key)


def _missing(settings: ManagerSettings, key: str) -> click.ClickException:
    return click.ClickException(
        f"there is no {key} in namespace {settings.etcd.namespace} of etcd at {settings.etcd.addr};"
        " `backendai mgr etcd ls` lists the keys"
    )
