"""A database with a long history of sessions, made by the database itself."""

import asyncio
import uuid
from typing import Final

import sqlalchemy as sa

from backendai.common.enums import UserRole
from backendai.manager.db.engine import Database
from backendai.manager.db.schema import upgrade
from backendai.manager.gate.actor import Actor

SESSIONS: Final = 100_000
USERS: Final = 40
# Of these many, one lives.
LIVE_EACH: Final = 200
ENDED_WORDS: Final = ("TERMINATED", "CANCELLED")
LIVE_WORDS: Final = ("RUNNING", "PENDING", "PREPARING", "ERROR")

_ROWS: Final = (
    "INSERT INTO domains (name) VALUES ('default'), ('other')",
    "INSERT INTO project_policies (name) VALUES ('default')",
    "INSERT INTO user_policies (name) VALUES ('default')",
    "INSERT INTO keypair_policies (name, default_for_unspecified, max_concurrent_sessions)"
    " VALUES ('default', 'LIMITED', 5)",
    "INSERT INTO resource_groups (name) VALUES ('default')",
    "INSERT INTO projects (id, name, domain_name, resource_policy)"
    " SELECT lpad(to_hex(n), 32, '0')::uuid, 'project-' || n,"
    " CASE WHEN n % 2 = 0 THEN 'default' ELSE 'other' END, 'default'"
    " FROM generate_series(0, 9) AS n",
    "INSERT INTO users (id, email, username, full_name, domain_name, role, status,"
    " resource_policy) SELECT lpad(to_hex(n), 32, '0')::uuid, 'user' || n || '@example.com',"
    " 'user' || n, 'User ' || n, CASE WHEN n % 2 = 0 THEN 'default' ELSE 'other' END, 'user',"
    " 'active', 'default' FROM generate_series(0, :users - 1) AS n",
    "INSERT INTO keypairs (access_key, secret_key_encrypted, user_id, resource_policy)"
    " SELECT 'AK' || n, '', lpad(to_hex(n), 32, '0')::uuid, 'default'"
    " FROM generate_series(0, :users - 1) AS n",
    "INSERT INTO sessions (id, name, type, domain_name, project_id, user_id, access_key,"
    " created_by, resource_group, cluster_mode, cluster_size, status, status_changed_at,"
    " created_at, ended_at)"
    " SELECT lpad(to_hex(n + 1000000), 32, '0')::uuid, 'session-' || n, 'interactive',"
    " CASE WHEN n % 2 = 0 THEN 'default' ELSE 'other' END,"
    " lpad(to_hex(n % 10), 32, '0')::uuid, lpad(to_hex(n % :users), 32, '0')::uuid,"
    " 'AK' || n % :users, lpad(to_hex(n % :users), 32, '0')::uuid, 'default', 'single-node', 1,"
    " CASE WHEN n % :live = 0 THEN (ARRAY['RUNNING', 'PENDING', 'PREPARING', 'ERROR'])"
    "[1 + n / :live % 4] WHEN n % 17 = 0 THEN 'CANCELLED' ELSE 'TERMINATED' END,"
    " timestamptz '2024-01-01' + n * interval '1 minute',"
    " timestamptz '2024-01-01' + n * interval '1 minute',"
    " CASE WHEN n % :live = 0 THEN NULL ELSE timestamptz '2024-01-02' END"
    " FROM generate_series(0, :sessions - 1) AS n",
    "INSERT INTO kernels (id, session_id, cluster_role, cluster_index, cluster_hostname, image,"
    " architecture, shared_memory_bytes, status, status_changed_at)"
    " SELECT s.id, s.id, 'main', 1, 'main1', 'python:3.11', 'x86_64', 0, s.status,"
    " s.status_changed_at FROM sessions AS s",
)


async def fill(database: Database, sessions: int = SESSIONS) -> None:
    """Tables, tenants, and `sessions` sessions of one container each, oldest first."""
    await upgrade(database)
    amounts = {"users": USERS, "live": LIVE_EACH, "sessions": sessions}
    async with database.begin() as connection:
        for row in _ROWS:
            used = {name: value for name, value in amounts.items() if f":{name}" in row}
            text = row.replace("::", "\\:\\:")
            types = [sa.bindparam(name, type_=sa.Integer) for name in used]
            await connection.execute(sa.text(text).bindparams(*types), used)
    # What a server that has run for a while knows of its tables.
    async with database.engine.connect() as connection:
        alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await asyncio.shield(alone.execute(sa.text("VACUUM ANALYZE")))


def actor_of(number: int, role: UserRole = UserRole.USER) -> Actor:
    return Actor(
        access_key=f"AK{number}",
        user_id=uuid.UUID(int=number),
        email=f"user{number}@example.com",
        username=f"user{number}",
        full_name=f"User {number}",
        role=role,
        domain="other" if number % 2 else "default",
        is_admin=role is not UserRole.USER,
        policy="default",
        rate_limit=1000,
    )
