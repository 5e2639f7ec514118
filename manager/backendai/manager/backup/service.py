"""Backup and restore of the whole control plane: Postgres, etcd, and the manager's keys."""

from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.config import ConfigStore
from backendai.common.faults import StoreUnavailable
from backendai.manager.db import schema
from backendai.manager.db.engine import Database
from backendai.manager.db.revision import REVISION, Schema, read_schema
from backendai.manager.settings import ManagerSettings, ServiceSettings

from . import rows
from .aftermath import settle
from .archive import Archive, ArchiveWriter, read_chunks, write_archive
from .keys import place_keys, read_key_id, read_keys, refuse_other_key, stage_keys, unplaced_keys
from .model import (
    FORMAT,
    KEYS,
    PAIRS,
    BackupRefused,
    Manifest,
    RestoreUnfinished,
    refuse_filled,
    refuse_revision,
    refuse_target,
)
from .pairs import read_pairs, write_pairs


@dataclass(frozen=True, slots=True)
class Consent:
    """What an operator allows: to remove what is there, and to do it below running managers."""

    replaces: bool = False
    disturbs_managers: bool = False


@dataclass(frozen=True, slots=True)
class Restored:
    """`migrated` are the revisions that were run on the restored rows; `managers` are those that
    were connected meanwhile and have to be restarted; `told` is what was done to key files."""

    migrated: list[str]
    managers: list[str]
    told: list[str]


async def back_up(
    database: Database,
    config: ConfigStore,
    settings: ManagerSettings,
    path: Path,
    *,
    with_secrets: bool,
) -> Manifest:
    """Write all that the control plane knows at one moment to a new file.

    Managers may go on meanwhile. Raises BackupRefused, and StoreUnavailable for Postgres.
    """
    keys = read_keys(settings.manager) if with_secrets else {}
    pairs = await read_pairs(config)
    async with database.begin() as conn:
        _refuse_unready(await read_schema(conn))
    async with database.begin() as conn:
        taken_at = (await rows.hold_still(conn)).astimezone(UTC)
        _refuse_unready(await read_schema(conn))
        with write_archive(path, taken_at) as writer:
            writer.add(PAIRS, msgspec.json.encode(pairs, order="sorted"))
            for name, data in keys.items():
                writer.add(KEYS + name, data)
            manifest = await _write_tables(conn, writer, settings, taken_at)
    return manifest


async def _write_tables(
    conn: AsyncConnection, writer: ArchiveWriter, settings: ManagerSettings, taken_at: datetime
) -> Manifest:
    tables = [await rows.copy_out(conn, table, writer.add) for table in rows.list_tables()]
    manifest = Manifest(
        format=FORMAT,
        release=version("backendai-manager"),
        revision=REVISION,
        taken_at=taken_at,
        namespace=settings.etcd.namespace,
        key_id=read_key_id(settings.manager),
        tables=tables,
        sums=dict(writer.sums),
    )
    writer.add_manifest(manifest)
    return manifest


async def restore(
    database: Database,
    config: ConfigStore,
    own: ServiceSettings,
    archive: Archive,
    consent: Consent,
) -> Restored:
    """Put back all that an archive holds. Doing it again is right.

    Rows in one transaction, then the keys, then etcd. Raises BackupRefused before anything is
    changed, RestoreUnfinished after the rows, and StoreUnavailable for Postgres.
    """
    refuse_revision(archive.manifest.revision, schema.known_revisions())
    refuse_other_key(own, archive.manifest)
    present = await read_pairs(config)
    if present != archive.pairs and not consent.replaces:
        refuse_filled(present, "etcd has keys")
    with stage_keys(own, archive.keys, replaces=consent.replaces) as staged:
        async with database.begin() as conn:
            managers = await _prepare(conn, archive.manifest, consent)
            migrated = await _fill(conn, archive)
        try:
            told = place_keys(staged, datetime.now(UTC))
            await write_pairs(config, present, archive.pairs)
        except (OSError, StoreUnavailable) as error:
            raise RestoreUnfinished(f"{error}. Run it again with --replace.") from error
    told += [
        f"left out {name}: [manager] names no file" for name in unplaced_keys(own, archive.keys)
    ]
    return Restored(migrated, managers, told)


async def _prepare(conn: AsyncConnection, manifest: Manifest, consent: Consent) -> list[str]:
    """Make the tables of the archive's release, and empty. Returns the managers that look on."""
    await schema.take_guard(conn)
    found = await read_schema(conn)
    current = found.revision if found else None
    refuse_target(found, REVISION)
    managers = await rows.list_managers(conn)
    if managers and not consent.disturbs_managers:
        raise BackupRefused(
            f"Managers are connected ({', '.join(managers)}): stop them, or give --force and "
            "restart them afterwards."
        )
    if current is not None:
        await rows.take_over(conn)
        if not consent.replaces:
            refuse_filled(await rows.list_filled(conn), "The database has rows")
    if current == manifest.revision:
        await rows.clear(conn)
    else:
        if current is not None:
            await schema.drop_tables(conn)
        await schema.upgrade_within(conn, manifest.revision)
    await rows.speak_plainly(conn)
    return managers


async def _fill(conn: AsyncConnection, archive: Archive) -> list[str]:
    manifest = archive.manifest
    with closing(read_chunks(archive)) as chunks:
        for entry in manifest.tables:
            await rows.copy_in(conn, entry, chunks)
    migrated = await schema.upgrade_within(conn) if manifest.revision != REVISION else []
    await settle(conn, manifest.taken_at)
    await rows.measure(conn)
    return migrated


def _refuse_unready(current: Schema | None) -> None:
    """Raises BackupRefused for a database that is not this release's."""
    if current is None:
        raise BackupRefused("The database is empty: there is nothing to back up.")
    refuse_target(current, REVISION)
