"""What a backup holds comes back whole into empty stores, and nothing is touched by a refusal."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, ProgrammingError

from backendai.common.config import ConfigStore
from backendai.common.faults import StoreUnavailable
from backendai.manager.backup import aftermath, rows
from backendai.manager.backup.archive import Archive, verify_archive, write_archive
from backendai.manager.backup.model import (
    FORMAT,
    PAIRS,
    BackupRefused,
    Manifest,
    RestoreUnfinished,
    TableEntry,
)
from backendai.manager.backup.service import Consent, Restored, back_up, restore
from backendai.manager.console import patient
from backendai.manager.db import tables as t
from backendai.manager.db.engine import open_database
from backendai.manager.db.revision import OLDEST, REVISION, Schema, current_schema
from backendai.manager.db.tables import metadata
from tests.integration.manager.backup.conftest import ODD, Plane, drop_tables
from tests.integration.manager.world import fetch

# What is made fit for the time after: everything else is equal to the last bit.
SETTLED = {
    "agents": {"status", "status_changed_at"},
    "kernels": {"deadline_at"},
    "outbox": {"relayed_at"},
    "session_idleness": set(metadata.tables["session_idleness"].columns.keys()),
    "tasks": {"status", "message", "ended_at"},
}

CAREFUL = Consent()


async def all_rows(plane: Plane) -> dict[str, list[str]]:
    found = {}
    async with plane.open() as (database, _):
        for table in rows.list_tables():
            names = [
                column.name
                for column in table.columns
                if column.name not in SETTLED.get(table.name, ())
            ]
            shown = ", ".join(f'"{name}"' for name in names)
            words = f"SELECT CAST(ROW({shown}) AS text) FROM {table.name} ORDER BY 1"
            found[table.name] = [row[0] for row in await fetch(database, words)]
    return found


async def put_back(plane: Plane, archive: Archive, consent: Consent = CAREFUL) -> Restored:
    async with plane.open() as (database, etcd):
        return await restore(database, etcd, plane.settings.manager, archive, consent)


@pytest.fixture
def archive(archive_path: Path) -> Archive:
    return verify_archive(archive_path)


# Of tables as the migrations made them, whatever the code knows of them.
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
JOIN information_schema.tables USING (table_schema, table_name)
WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
"""
LEFTOVERS = """
SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


async def test_an_archive_has_every_column_of_every_table(source: Plane, archive: Archive) -> None:
    async with source.open() as (database, _):
        present = {(table, column) for table, column in await fetch(database, COLUMNS)}
    apart = {"alembic_version", *rows.LEFT_OUT}
    due = {(table, column) for table, column in present if table not in apart}
    assert apart <= {table for table, _ in present}
    assert {(one.name, column) for one in archive.manifest.tables for column in one.columns} == due
    assert [one.name for one in archive.manifest.tables if one.rows == 0] == []


async def test_every_table_comes_back_equal(source: Plane, target: Plane, archive: Archive) -> None:
    assert archive.manifest.revision == REVISION
    assert max(table.chunks for table in archive.manifest.tables) > 10
    before = await all_rows(source)
    restored = await put_back(target, archive)
    assert (restored.migrated, restored.managers) == ([], [])
    assert await all_rows(target) == before
    # A second time it is the same, and says no more of keys.
    with pytest.raises(BackupRefused, match=r"The database has rows \(agent_slots, agents, "):
        await put_back(target, archive)
    again = await put_back(target, archive, Consent(replaces=True))
    assert again.told == []
    assert await all_rows(target) == before


async def test_etcd_and_the_keys_come_back(source: Plane, target: Plane, archive: Archive) -> None:
    async with target.open() as (_, etcd):
        await etcd.put("nodes/agents/n2", "{}")
    await put_back(target, archive)
    async with target.open() as (_, etcd):
        assert await etcd.get_prefix("") == {
            "config/announcement": "Back at noon",
            "config/idle/타임": ODD,
            "nodes/agents/n2": "{}",
        }
    for name in ("secret.key", "rpc.key"):
        assert (target.folder / name).read_bytes() == (source.folder / name).read_bytes()


async def test_numbers_go_on_where_they_were(target: Plane, archive: Archive) -> None:
    await put_back(target, archive)
    async with target.open() as (database, _):
        for name in ("history", "outbox", "audit_log", "dotfiles"):
            [(highest,)] = await fetch(database, f"SELECT max(id) FROM {name}")
            words = f"SELECT nextval(pg_get_serial_sequence('{name}', 'id'))"
            assert await fetch(database, words) == [(highest + 1,)]


async def test_old_work_and_uncounted_time_do_no_harm(target: Plane, archive: Archive) -> None:
    began = datetime.now(UTC)
    await put_back(target, archive)
    async with target.open() as (database, _):
        tasks = await fetch(database, "SELECT status, message FROM tasks ORDER BY status, message")
        assert tasks == [
            ("done", "100 images"),
            ("failed", aftermath.INTERRUPTED),
            ("failed", aftermath.INTERRUPTED),
        ]
        assert await fetch(database, "SELECT 1 FROM outbox WHERE relayed_at IS NULL") == []
        assert await fetch(database, "SELECT 1 FROM leases") == []
        assert await fetch(database, "SELECT status FROM agents") == [("SUSPECT",)]
        [(used_at,)] = await fetch(database, "SELECT active_at FROM session_idleness")
        assert used_at >= began
        before = await fetch(database, "SELECT id, deadline_at FROM kernels ORDER BY id")
        assert [deadline is None for _, deadline in before].count(False) >= 1
        async with database.begin() as conn:
            await aftermath.settle(conn, datetime.now(UTC) - timedelta(days=1))
        after = await fetch(database, "SELECT id, deadline_at FROM kernels ORDER BY id")
    for (_, old), (_, new) in zip(before, after, strict=True):
        assert (old is None) == (new is None)
        assert old is None or abs(new - old - timedelta(days=1)) < timedelta(seconds=30)


async def test_triggers_guard_what_was_restored(target: Plane, archive: Archive) -> None:
    await put_back(target, archive)
    async with target.open() as (database, _):
        with pytest.raises(IntegrityError):
            await fetch(database, "DELETE FROM users RETURNING 1")
        await fetch(database, "UPDATE kernels SET status = 'TERMINATED' RETURNING 1")
        assert await fetch(database, "SELECT 1 FROM allocations WHERE freed_at IS NULL") == []


async def test_a_backup_sees_one_moment(source: Plane, tmp_path: Path) -> None:
    async with source.open() as (database, _), database.begin() as conn:
        await rows.hold_still(conn)
        other = open_database(source.settings.db, "test")
        await fetch(other, "INSERT INTO domains (name) VALUES ('late') RETURNING 1")
        entry = await rows.copy_out(conn, t.domains, lambda _name, _data: None)
        await fetch(other, "DELETE FROM domains WHERE name = 'late' RETURNING 1")
        await other.close()
    assert entry.rows == 1


async def test_an_archive_of_a_newer_release_touches_nothing(
    target: Plane, archive: Archive
) -> None:
    newer = replace(archive, manifest=msgspec.structs.replace(archive.manifest, revision="9999"))
    with pytest.raises(BackupRefused, match="9999"):
        await put_back(target, newer, Consent(replaces=True))
    assert not any((await all_rows(target)).values())
    assert list(target.folder.iterdir()) == []


@pytest.mark.parametrize("has_tables", [True, False])
async def test_an_older_archive_is_restored_and_upgraded(
    target: Plane, tmp_path: Path, has_tables: bool
) -> None:
    if not has_tables:
        await drop_tables(target)
    path, rows_text = tmp_path / "old.tar.gz", b"default\nother\n"
    with write_archive(path, datetime.now(UTC)) as writer:
        writer.add(PAIRS, b"{}")
        writer.add("tables/domains/000001", rows_text)
        manifest = Manifest(
            format=FORMAT,
            release="0",
            revision="0003",
            taken_at=datetime.now(UTC),
            namespace="local",
            key_id="",
            tables=[TableEntry("domains", ["name"], 2, 1, {})],
            sums=dict(writer.sums),
        )
        writer.add_manifest(manifest)
    restored = await put_back(target, verify_archive(path))
    assert restored.migrated[0] == "0004"
    assert restored.migrated[-1] == REVISION
    async with target.open() as (database, _):
        assert await current_schema(database) == Schema(REVISION, OLDEST)
        assert await fetch(database, "SELECT name FROM domains ORDER BY 1") == [
            ("default",),
            ("other",),
        ]
        assert await fetch(database, "SELECT 1 FROM slot_drift") == []


async def test_a_database_without_tables_gets_them(
    source: Plane, target: Plane, archive: Archive, tmp_path: Path
) -> None:
    await drop_tables(target)
    async with target.open() as (database, etcd):
        assert await fetch(database, LEFTOVERS) == []
        with pytest.raises(BackupRefused, match="nothing to back up"):
            await back_up(database, etcd, source.settings, tmp_path / "x", with_secrets=True)
    assert (await put_back(target, archive)).migrated == []
    assert sum(map(len, (await all_rows(target)).values())) == archive.manifest.rows


async def test_tables_of_somebody_else_are_not_dropped(target: Plane, archive: Archive) -> None:
    await drop_tables(target)
    async with target.open() as (database, _):
        async with database.begin() as conn:
            await conn.execute(sa.text("CREATE TABLE users (theirs integer)"))
        with pytest.raises(ProgrammingError, match="already exists"):
            await put_back(target, archive, Consent(replaces=True))
        assert await fetch(database, "SELECT theirs FROM users") == []
        async with database.begin() as conn:
            await conn.execute(sa.text("DROP TABLE users"))


async def test_rows_that_end_early_leave_the_target_as_it_was(
    target: Plane, archive: Archive
) -> None:
    async with target.open() as (database, _):
        await fetch(database, "INSERT INTO domains (name) VALUES ('kept') RETURNING 1")
    manifest = archive.manifest
    tables = [
        msgspec.structs.replace(entry, rows=entry.rows + 1) if entry.name == "tasks" else entry
        for entry in manifest.tables
    ]
    short = replace(archive, manifest=msgspec.structs.replace(manifest, tables=tables))
    with pytest.raises(BackupRefused, match="3 rows of tasks, not all"):
        await put_back(target, short, Consent(replaces=True))
    found = await all_rows(target)
    assert [name for name, filled in found.items() if filled] == ["domains"]
    assert "kept" in found["domains"][0]
    assert list(target.folder.iterdir()) == []


async def test_running_managers_are_not_pulled_the_rug_from_under(
    target: Plane, archive: Archive
) -> None:
    manager = open_database(target.settings.db, "manager:manager-7")
    try:
        await fetch(manager, "SELECT 1")
        with pytest.raises(BackupRefused, match=r"connected \(manager-7\): stop them"):
            await put_back(target, archive)
        restored = await put_back(target, archive, Consent(disturbs_managers=True))
        assert restored.managers == ["manager-7"]
    finally:
        await manager.close()


async def test_keys_of_etcd_are_replaced_only_with_leave(target: Plane, archive: Archive) -> None:
    async with target.open() as (_, etcd):
        await etcd.put("config/other", "x")
    with pytest.raises(BackupRefused, match=r"etcd has keys \(config/other\)"):
        await put_back(target, archive)
    await put_back(target, archive, Consent(replaces=True))
    async with target.open() as (_, etcd):
        assert await etcd.get("config/other") is None


class _Failing:
    """A store that is lost after it was read."""

    def __init__(self, store: ConfigStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put(self, key: str, value: str) -> None:
        raise StoreUnavailable("etcd does not answer")


async def test_an_etcd_that_is_lost_on_the_way_is_told_and_made_good(
    target: Plane, archive: Archive
) -> None:
    async with target.open() as (database, etcd):
        failing: Any = _Failing(etcd)
        with pytest.raises(RestoreUnfinished, match=r"etcd does not answer\. Run it again"):
            await restore(database, failing, target.settings.manager, archive, Consent())
    await put_back(target, archive, Consent(replaces=True))
    async with target.open() as (_, etcd):
        assert await etcd.get("config/announcement") == "Back at noon"


async def test_an_archive_without_secrets_wants_the_key_of_its_rows(
    source: Plane, target: Plane, tmp_path: Path
) -> None:
    path = tmp_path / "bare.tar.gz"
    async with source.open() as (database, etcd):
        await back_up(database, etcd, source.settings, path, with_secrets=False)
    bare = verify_archive(path)
    assert bare.keys == {}
    with pytest.raises(BackupRefused, match="put that key at"):
        await put_back(target, bare)
    (target.folder / "secret.key").write_bytes((source.folder / "secret.key").read_bytes())
    (target.folder / "secret.key").chmod(0o600)
    await put_back(target, bare)


def test_statements_are_given_the_time_they_need(source: Plane) -> None:
    assert patient(source.settings).db.statement_timeout >= 3600
