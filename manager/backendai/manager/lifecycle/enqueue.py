"""Writing a new session: all of its rows in one statement, so that it is there whole or not at all.

It begins PENDING; from then on only `moves` writes its status.
"""

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from backendai.common.enums import ClusterMode
from backendai.common.ids import Generation, Revision
from backendai.common.lifecycle import KernelStatus, session_status

from .changes import enqueued
from .model import Claim, KernelRow, NewKernel, NewSession, SessionRow
from .moves import (
    NOTIFY_CHANNEL,
    RECORD_SQL,
    history_values,
    in_order,
    outbox_values,
    time_text,
)

# The columns are those of `_session_values` and `_kernel_values`; foreign keys are checked when the
# statement ends.
_INSERT: Final = sa.text(f"""
WITH made AS (
  INSERT INTO sessions (id, revision, name, type, tag, priority, domain_name, project_id, user_id,
    access_key, created_by, resource_group, cluster_mode, cluster_size, status, status_changed_at,
    startup_command, bootstrap_script, callback_url, environ, resource_opts, requested_slots,
    designated_agents, preopen_ports, starts_at, created_at)
  SELECT id, revision, name, type, tag, priority, domain_name, project_id, user_id,
    access_key, created_by, resource_group, cluster_mode, cluster_size, status, status_changed_at,
    startup_command, bootstrap_script, callback_url, environ, resource_opts, requested_slots,
    designated_agents, preopen_ports, starts_at, created_at
  FROM jsonb_populate_record(CAST(NULL AS sessions), CAST(:session AS jsonb))
  RETURNING id, created_at, callback_url
), made_kernels AS (
  INSERT INTO kernels (id, revision, session_id, cluster_role, cluster_index, cluster_hostname,
    image, image_id, architecture, requested_slots, shared_memory_bytes, status, status_changed_at,
    created_at)
  SELECT id, revision, session_id, cluster_role, cluster_index, cluster_hostname,
    image, image_id, architecture, requested_slots, shared_memory_bytes, status, status_changed_at,
    created_at
  FROM jsonb_populate_recordset(CAST(NULL AS kernels), CAST(:kernels AS jsonb))
), mounted AS (
  INSERT INTO session_mounts (session_id, position, vfolder_id, name, host, volume_path, volume_id,
    host_path, kernel_path, permission, subpath)
  SELECT session_id, position, vfolder_id, name, host, volume_path, volume_id,
    host_path, kernel_path, permission, subpath
  FROM jsonb_populate_recordset(CAST(NULL AS session_mounts), CAST(:mounts AS jsonb))
), linked AS (
  INSERT INTO session_dependencies (session_id, depends_on)
  SELECT :session_id, other FROM unnest(CAST(:depends_on AS uuid[])) AS other
), called AS (
  INSERT INTO callbacks (session_id, next_at)
  SELECT id, created_at FROM made WHERE callback_url IS NOT NULL
), claimed AS (
  INSERT INTO idempotency (user_id, token, request_hash, session_id)
  SELECT user_id, token, request_hash, session_id
  FROM jsonb_populate_recordset(CAST(NULL AS idempotency), CAST(:claims AS jsonb))
), {RECORD_SQL}
SELECT count(pg_notify(:channel, hint)) FROM unnest(CAST(:hints AS text[])) AS hint
""")  # noqa: S608 - constants only


async def insert_session(
    conn: AsyncConnection, new: NewSession, now: datetime, claim: Claim | None = None
) -> SessionRow:
    """Insert a session and its kernels, PENDING, with history and outbox rows: one statement.

    With `claim` the client's token means this session from now on. Raises IntegrityError when the
    name or the token is taken; nothing is written then.
    """
    session, kernels = first_rows(new, now)
    rows = [_kernel_values(*pair) for pair in zip(new.kernels, kernels, strict=True)]
    changes = enqueued(session, kernels, now)
    values = {
        "now": now,
        "session": json.dumps(_session_values(new, session)),
        "kernels": json.dumps(rows),
        "mounts": json.dumps(_mount_values(new)),
        "session_id": new.id,
        "depends_on": list(new.depends_on),
        "claims": json.dumps([] if claim is None else [_claim_values(claim, new)]),
        "history": in_order([history_values(row) for row in changes.history]),
        "outbox": in_order([outbox_values(row) for row in changes.announcements]),
        "channel": NOTIFY_CHANNEL,
        "hints": sorted(changes.hints),
    }
    await conn.execute(_INSERT, values)
    return session


def first_rows(new: NewSession, now: datetime) -> tuple[SessionRow, tuple[KernelRow, ...]]:
    """The rows with which a new session begins."""
    kernels = tuple(_first_kernel(new, made, now) for made in new.kernels)
    session = SessionRow(
        id=new.id,
        revision=Revision(0),
        name=new.name,
        type=new.type,
        access_key=new.access_key,
        cluster_size=len(kernels),
        cluster_mode=ClusterMode(new.cluster_mode),
        status=session_status([row.status for row in kernels]),
        status_changed_at=now,
    )
    return session, kernels


def _first_kernel(new: NewSession, made: NewKernel, now: datetime) -> KernelRow:
    return KernelRow(
        id=made.id,
        session_id=new.id,
        revision=Revision(0),
        status=KernelStatus.PENDING,
        status_changed_at=now,
        cluster_role=made.cluster_role,
        cluster_index=made.cluster_index,
        generation=Generation(0),
        requested_slots=dict(made.requested_slots),
    )


def _session_values(new: NewSession, row: SessionRow) -> dict[str, Any]:
    return {
        "id": str(new.id),
        "revision": row.revision,
        "name": new.name,
        "type": new.type.value,
        "tag": new.tag,
        "priority": new.priority,
        "domain_name": new.domain_name,
        "project_id": str(new.project_id),
        "user_id": str(new.user_id),
        "access_key": new.access_key,
        "created_by": str(new.created_by),
        "resource_group": new.resource_group,
        "cluster_mode": str(new.cluster_mode),
        "cluster_size": row.cluster_size,
        "status": row.status.value,
        "status_changed_at": time_text(row.status_changed_at),
        "startup_command": new.startup_command,
        "bootstrap_script": new.bootstrap_script,
        "callback_url": new.callback_url,
        "environ": dict(new.environ),
        "resource_opts": dict(new.resource_opts),
        "requested_slots": dict(new.requested_slots),
        "designated_agents": list(new.designated_agents),
        "preopen_ports": list(new.preopen_ports),
        "starts_at": time_text(new.starts_at),
        "created_at": time_text(row.status_changed_at),
    }


def _kernel_values(made: NewKernel, row: KernelRow) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "revision": row.revision,
        "session_id": str(row.session_id),
        "cluster_role": row.cluster_role.value,
        "cluster_index": row.cluster_index,
        "cluster_hostname": made.cluster_hostname,
        "image": made.image,
        "image_id": None if made.image_id is None else str(made.image_id),
        "architecture": made.architecture,
        "requested_slots": dict(made.requested_slots),
        "shared_memory_bytes": made.shared_memory_bytes,
        "status": row.status.value,
        "status_changed_at": time_text(row.status_changed_at),
        "created_at": time_text(row.status_changed_at),
    }


def _mount_values(new: NewSession) -> list[dict[str, Any]]:
    return [
        {
            **asdict(mount),
            "vfolder_id": str(mount.vfolder_id),
            "session_id": str(new.id),
            "position": position,
        }
        for position, mount in enumerate(new.mounts)
    ]


def _claim_values(claim: Claim, new: NewSession) -> dict[str, Any]:
    return {
        "user_id": str(claim.user_id),
        "token": claim.token,
        "request_hash": claim.request_hash,
        "session_id": str(new.id),
    }
