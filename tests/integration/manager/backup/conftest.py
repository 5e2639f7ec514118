"""A migrated database with rows in every table, and an archive of it, made once."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from backendai.common.etcd import EtcdStore
from backendai.common.ids import SystemIds
from backendai.common.rpc.curve import generate_keypair, save_keypair
from backendai.common.secretfile import write_secret_key
from backendai.common.settings.load import check_settings
from backendai.manager.backup import rows
from backendai.manager.backup.service import back_up
from backendai.manager.db import schema
from backendai.manager.db.engine import Database, open_database
from backendai.manager.db.tables import metadata
from backendai.manager.lifecycle.postgres import PostgresStore
from backendai.manager.sched.plan import plan
from backendai.manager.settings import ManagerSettings
from tests.integration.manager.world import PROJECT, USER, Wish, add_agent, enqueue, seed

ODD = "tab\t line\nbackslash \\ \\N \\. quote ' \" 한글 \x7f"
_UUID = uuid.UUID(int=9)
# Of the tables that a tenant, a node and its sessions leave empty.
_MORE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("project_members", {"project_id": PROJECT, "user_id": USER}),
    ("dotfiles", {"domain_name": "default", "path": ".x", "permission": "644", "data": ODD}),
    ("resource_presets", {"name": "small", "resource_slots": {"cpu": "1"}, "shared_memory": 1}),
    ("resource_group_domains", {"resource_group": "default", "domain_name": "default"}),
    ("resource_group_projects", {"resource_group": "default", "project_id": PROJECT}),
    ("resource_group_keypairs", {"resource_group": "default", "access_key": "AKIATEST"}),
    ("images", {"id": _UUID, "name": "a:1", "architecture": "x", "labels": {"text": ODD}}),
    ("image_aliases", {"alias": "a", "image_id": _UUID}),
    ("image_agents", {"image_id": _UUID, "agent_id": "n1"}),
    (
        "container_registries",
        {
            "hostname": "cr.example.com",
            "url": "https://cr.example.com",
            "type": "docker",
            "password_encrypted": bytes(range(256)),
        },
    ),
    (
        "session_templates",
        {"id": _UUID, "type": "task", "name": "t", "project_id": PROJECT, "user_id": USER},
    ),
    (
        "usage_records",
        {
            "kernel_id": _UUID,
            "generation": 1,
            "slot": "cpu",
            "amount": "0.000001",
            "allocated_at": datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC),
            "freed_at": datetime(2026, 1, 2, tzinfo=UTC),
            "session_id": _UUID,
            "project_id": PROJECT,
            "user_id": USER,
        },
    ),
    (
        "join_tokens",
        {
            "id": _UUID,
            "token_hash": bytes(range(256)),
            "resource_group": "default",
            "expires_at": datetime(2026, 1, 2, tzinfo=UTC),
        },
    ),
    (
        "alerts",
        {
            "kind": "agent-lost",
            "subject": "n1",
            "detail": ODD,
            "seen_at": datetime(2026, 1, 1, tzinfo=UTC),
        },
    ),
    (
        "alert_messages",
        {
            "alert_id": 1,
            "change": "began",
            "target": "ops@example.com",
            "next_at": datetime(2026, 1, 1, tzinfo=UTC),
        },
    ),
    ("cluster_status", {"status": "frozen", "changed_by": "root"}),
    ("tasks", {"name": "rescan", "user_id": USER, "status": "pending"}),
    ("tasks", {"name": "rescan", "user_id": USER, "status": "running", "holder": "manager-1:x"}),
    ("tasks", {"name": "rescan", "user_id": USER, "status": "done", "message": "100 images"}),
    (
        "error_logs",
        {
            "id": _UUID,
            "user_id": USER,
            "severity": "error",
            "source": "gui",
            "message": ODD,
            "context_lang": "ko",
        },
    ),
    (
        "vfolders",
        {
            "id": _UUID,
            "name": ODD,
            "domain_name": "default",
            "host": "local:volume1",
            "quota_scope_id": f"user:{USER}",
            "usage_mode": "general",
            "permission": "rw",
            "ownership_type": "user",
            "user_id": USER,
            "creator": "user@example.com",
            "status": "ready",
            "status_changed_at": datetime(2026, 1, 1, tzinfo=UTC),
        },
    ),
    ("vfolder_permissions", {"vfolder_id": _UUID, "user_id": USER, "permission": "ro"}),
    (
        "vfolder_invitations",
        {
            "id": _UUID,
            "vfolder_id": _UUID,
            "inviter_id": USER,
            "invitee": "friend@example.com",
            "permission": "rw",
        },
    ),
    (
        "quota_scopes",
        {"host": "local:volume1", "quota_scope_id": f"user:{USER}", "policy_bytes": 2**40},
    ),
    ("idempotency", {"user_id": USER, "token": "t", "request_hash": "h", "session_id": _UUID}),
    (
        "callbacks",
        {"session_id": _UUID, "told": 2**40, "next_at": datetime(2026, 1, 1, tzinfo=UTC)},
    ),
    (
        "leases",
        {
            "name": "outbox",
            "holder": "manager-1:x",
            "epoch": 3,
            "expires_at": datetime(2036, 1, 1, tzinfo=UTC),
        },
    ),
    (
        "audit_log",
        {
            "at": datetime(2026, 1, 1, tzinfo=UTC),
            "request_id": "r",
            "user_id": USER,
            "email": "user@example.com",
            "access_key": "AKIATEST",
            "action": "user.modify",
            "target_kind": "user",
            "target_id": "user@example.com",
        },
    ),
)


@dataclass(frozen=True)
class Plane:
    """A control plane: a database, a namespace of etcd, and a folder with keys."""

    settings: ManagerSettings
    folder: Path

    @asynccontextmanager
    async def open(self) -> AsyncIterator[tuple[Database, EtcdStore]]:
        database = open_database(self.settings.db, "test")
        try:
            async with EtcdStore(self.settings.etcd) as etcd:
                yield database, etcd
        finally:
            await database.close()


async def drop_tables(plane: Plane) -> None:
    async with plane.open() as (database, _), database.begin() as conn:
        await schema.drop_tables(conn)


MakePlane = Callable[..., Plane]


@pytest.fixture(scope="module")
def make_plane(etcd_addr: str, tmp_path_factory: pytest.TempPathFactory) -> MakePlane:
    """A new plane on a database, without keys unless `with_keys`."""

    def make(dsn: str, *, with_keys: bool = False) -> Plane:
        url = sa.make_url(dsn)
        folder = tmp_path_factory.mktemp("plane")
        data = {
            "etcd": {"namespace": f"test-{uuid.uuid4().hex[:8]}", "addr": etcd_addr},
            "db": {
                "addr": {"host": url.host, "port": url.port},
                "name": url.database,
                "user": url.username,
                "password": url.password or "",
            },
            "manager": {
                "secret-key-file": str(folder / "secret.key"),
                "rpc-keypair": str(folder / "rpc.key"),
            },
        }
        if with_keys:
            write_secret_key(folder / "secret.key")
            save_keypair(folder / "rpc.key", generate_keypair())
        return Plane(check_settings(ManagerSettings, data, "test"), folder)

    return make


@pytest.fixture(scope="module")
def source(make_plane: MakePlane, make_database: Callable[[str | None], str]) -> Plane:
    """A plane with rows in every table, keys of etcd, and keys in files. Only read it."""
    plane = make_plane(make_database(None), with_keys=True)
    run_apart(_fill(plane))
    return plane


@pytest.fixture
async def target(make_plane: MakePlane, postgres_dsn: str) -> Plane:
    """A plane that has nothing but the tables of this release."""
    plane = make_plane(postgres_dsn)
    async with plane.open() as (database, _):
        await schema.upgrade(database)
        async with database.begin() as conn:
            await rows.clear(conn)
    return plane


@pytest.fixture(scope="module")
def archive_path(source: Plane, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of `source` whose tables are cut into many members."""
    path = tmp_path_factory.mktemp("archive") / "cluster.tar.gz"

    async def run() -> None:
        async with source.open() as (database, etcd):
            await back_up(database, etcd, source.settings, path, with_secrets=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "CHUNK_BYTES", 100)
        run_apart(run())
    return path


def run_apart(work: Any) -> None:
    """In a loop of its own: fixtures of modules outlive the loops of tests."""
    with asyncio.Runner(loop_factory=asyncio.new_event_loop) as runner:
        runner.run(work)


async def _fill(plane: Plane) -> None:
    async with plane.open() as (database, etcd):
        await schema.upgrade(database)
        async with database.begin() as conn:
            await seed(conn)
        await add_agent(database, "n1", {"cpu": "8", "mem": "17179869184"})
        first = await enqueue(database, Wish(kernels=2, startup_command=ODD))
        placing, now = PostgresStore(database, SystemIds()), datetime.now(UTC)
        await placing.place(list(plan(await placing.load_view(), now).placements()), now)
        await enqueue(database, Wish(depends_on=(first.id,)))
        await enqueue(database, Wish(name=ODD))
        async with database.begin() as conn:
            for name, values in _MORE:
                table = metadata.tables[name]
                await conn.execute(sa.insert(table), values)
            for words in (
                "UPDATE kernels SET status = 'RUNNING', deadline_at = NULL WHERE id IN"
                " (SELECT id FROM kernels WHERE agent_id = 'n1' ORDER BY id LIMIT 1)",
                f"UPDATE sessions SET status = 'RUNNING' WHERE id = '{first.id}'",
                "UPDATE users SET allowed_client_ip = '{10.0.0.0/8,NULL}', full_name = ''",
                "INSERT INTO session_idleness (session_id, active_at, active_by)"
                f" VALUES ('{first.id}', '2026-01-01Z', 'execute')",
                "INSERT INTO session_mounts (session_id, position, vfolder_id, name, host,"
                " volume_path, volume_id, host_path, kernel_path, permission)"
                f" VALUES ('{first.id}', 0, '{_UUID}', 'data', 'local:volume1', '/mnt', 'id',"
                " '/mnt/x', '/home/work/data', 'ro')",
                "DELETE FROM audit_log WHERE id < 0",
            ):
                await conn.execute(sa.text(words))
        await etcd.put("config/announcement", "Back at noon")
        await etcd.put("config/idle/타임", ODD)
        await etcd.put("nodes/agents/n1", "{}")
