"""`backendai mgr backup` and `restore`: the whole control plane in one file, and back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from backendai.manager.console import (
    ask_consent,
    config_option,
    find_operator,
    log_as_manager,
    patient,
    read_settings,
    with_database,
    yes_option,
)

if TYPE_CHECKING:
    from backendai.manager.db.engine import Database
    from backendai.manager.settings import ManagerSettings

    from .archive import Archive
    from .model import Manifest
    from .service import Consent, Restored

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


@click.command("backup")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--without-secrets", is_flag=True, help="Leave out the manager's keys.")
@config_option
@click.pass_context
def backup(ctx: click.Context, file: Path, without_secrets: bool, config_path: Path | None) -> None:
    """Write the whole control plane to FILE: the database, etcd, and the manager's keys.

    Managers may go on running meanwhile. Who has the file has the cluster: keep it as safe as that.
    Not in it: files in folders, images, containers, logs.

    \b
    Examples:
      backendai mgr backup /var/backups/backendai-$(date +%F).tar.gz
      backendai mgr backup cluster.tar.gz --without-secrets
    """
    from .service import back_up

    settings = patient(read_settings(ctx, config_path))

    async def work(database: Database) -> Manifest:
        from backendai.common.etcd import EtcdStore

        async with EtcdStore(settings.etcd) as config:
            return await back_up(database, config, settings, file, with_secrets=not without_secrets)

    manifest = with_database(settings, work)
    click.echo(f"wrote {file} ({_size(file.stat().st_size)}): {_describe(manifest)}")


@click.command("restore")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--replace", is_flag=True, help="Remove what is in the database and in etcd now.")
@click.option("--force", is_flag=True, help="Do not mind managers that are connected.")
@yes_option
@config_option
@click.pass_context
def restore(
    ctx: click.Context,
    file: Path,
    replace: bool,
    force: bool,
    is_sure: bool,
    config_path: Path | None,
) -> None:
    """Put the control plane back as it was when FILE was written.

    All of FILE is checked before anything is touched, and the database gets all of it or nothing.
    An older schema is upgraded. Containers that run are taken over when managers start.

    \b
    Examples:
      backendai mgr restore /var/backups/backendai-2026-01-31.tar.gz
      backendai mgr restore cluster.tar.gz --replace --yes
    """
    from .archive import verify_archive
    from .service import Consent

    settings = patient(read_settings(ctx, config_path))
    archive = verify_archive(file)
    taken = f"{archive.manifest.taken_at:%Y-%m-%d %H:%M:%S} UTC"
    click.echo(f"{file} of {taken}: {_describe(archive.manifest)}", err=True)
    ask_consent(_question(settings, replaces=replace), is_sure=is_sure)
    restored = _restore(settings, archive, Consent(replace, force))
    for line in restored.told:
        click.echo(line)
    if restored.migrated:
        click.echo(f"upgraded the schema: ran {', '.join(restored.migrated)}")
    next_step = (
        f"restart {', '.join(restored.managers)} now"
        if restored.managers
        else "start the managers now"
    )
    click.echo(f"restored {archive.manifest.rows} rows and {len(archive.pairs)} keys; {next_step}")


def _restore(settings: ManagerSettings, archive: Archive, consent: Consent) -> Restored:
    """Whoever does it is named in the log."""
    from backendai.common.etcd import EtcdStore
    from backendai.common.logs import get_logger

    from .service import restore as put_back

    log_as_manager(settings)

    async def work(database: Database) -> Restored:
        async with EtcdStore(settings.etcd) as config:
            return await put_back(database, config, settings.manager, archive, consent)

    restored = with_database(settings, work)
    get_logger(__name__).warning(
        "backup.restored",
        by=find_operator(),
        taken_at=archive.manifest.taken_at.isoformat(),
        rows=archive.manifest.rows,
        replaced=consent.replaces,
    )
    return restored


def _question(settings: ManagerSettings, *, replaces: bool) -> str:
    where = (
        f"database {settings.db.name} at {settings.db.addr} and namespace "
        f"{settings.etcd.namespace} of etcd at {settings.etcd.addr}"
    )
    return f"Replace what is in {where}?" if replaces else f"Restore it into {where}?"


def _describe(manifest: Manifest) -> str:
    keys = f"with {' and '.join(manifest.keys)}" if manifest.keys else "without secrets"
    return (
        f"{manifest.rows} rows in {len(manifest.tables)} tables at schema revision "
        f"{manifest.revision}, the configuration of {manifest.namespace}, {keys}"
    )


def _size(count: float) -> str:
    for unit in _UNITS[:-1]:
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} {_UNITS[-1]}"
