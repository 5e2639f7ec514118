"""Triggers and views that no code path can forget, as this release needs them: made from the
lifecycle table, so never stale. Migrations have them as frozen text, which a test holds to these.
"""

from collections.abc import Iterable
from typing import Final

from backendai.common.enums import UserRole, UserStatus
from backendai.common.lifecycle import FINAL, HOLDING, SESSION_FINAL, KernelStatus


def _words(statuses: Iterable[str]) -> str:
    return ", ".join(f"'{status}'" for status in sorted(statuses))


_FINAL: Final = _words(status.value for status in FINAL)
_SESSION_FINAL: Final = _words(status.value for status in SESSION_FINAL)
_HOLDING: Final = _words(status.value for status in HOLDING)

# The interpolated words are statuses of the table, never input.
_GUARD_KERNELS: Final = f"""
CREATE FUNCTION guard_kernel_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status IN ({_FINAL}) AND NEW.status <> OLD.status THEN
    RAISE EXCEPTION 'kernel % is %, which is final', OLD.id, OLD.status
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.status NOT IN ({_HOLDING}) THEN
    UPDATE allocations SET freed_at = now() WHERE kernel_id = NEW.id AND freed_at IS NULL;
  END IF;
  RETURN NULL;
END $$
"""  # noqa: S608
_GUARD_SESSIONS: Final = f"""
CREATE FUNCTION guard_session_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status IN ({_SESSION_FINAL}) AND NEW.status <> OLD.status THEN
    RAISE EXCEPTION 'session % is %, which is final', OLD.id, OLD.status
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$
"""
_SLOT_DRIFT: Final = f"""
CREATE VIEW slot_drift AS
SELECT coalesce(due.kernel_id, held.kernel_id) AS kernel_id,
  coalesce(due.agent_id, held.agent_id) AS agent_id,
  coalesce(due.slot, held.slot) AS slot,
  due.amount AS due, held.amount AS held
FROM (
  SELECT kernels.id AS kernel_id, kernels.generation, kernels.agent_id, wish.key AS slot,
    wish.value::numeric AS amount
  FROM kernels, jsonb_each_text(kernels.requested_slots) AS wish
  WHERE kernels.status IN ({_HOLDING})
) AS due
FULL JOIN (SELECT * FROM allocations WHERE freed_at IS NULL) AS held
  ON due.kernel_id = held.kernel_id AND due.generation = held.generation
    AND due.agent_id = held.agent_id AND due.slot = held.slot
WHERE due.amount IS DISTINCT FROM held.amount
"""  # noqa: S608

CREATE: Final = (
    _GUARD_KERNELS,
    "CREATE TRIGGER guard_kernel_status AFTER UPDATE OF status ON kernels "
    "FOR EACH ROW EXECUTE FUNCTION guard_kernel_status()",
    _GUARD_SESSIONS,
    "CREATE TRIGGER guard_session_status AFTER UPDATE OF status ON sessions "
    "FOR EACH ROW EXECUTE FUNCTION guard_session_status()",
    _SLOT_DRIFT,
)
DROP: Final = (
    "DROP VIEW IF EXISTS slot_drift",
    "DROP TRIGGER IF EXISTS guard_session_status ON sessions",
    "DROP FUNCTION IF EXISTS guard_session_status()",
    "DROP TRIGGER IF EXISTS guard_kernel_status ON kernels",
    "DROP FUNCTION IF EXISTS guard_kernel_status()",
)

# What a bill tells of a kernel, while its rows are there and after.
_USAGE_FACTS: Final = """
CREATE VIEW usage_facts AS
SELECT kernels.id AS kernel_id, sessions.id AS session_id, sessions.project_id, sessions.user_id,
  jsonb_build_object(
    'domain_name', sessions.domain_name, 'project_name', projects.name,
    'session_name', sessions.name, 'access_key', sessions.access_key,
    'email', users.email, 'full_name', users.full_name,
    'agent', kernels.agent_id, 'container_id', kernels.container_id, 'image', kernels.image,
    'shared_memory', kernels.shared_memory_bytes, 'cluster_mode', sessions.cluster_mode,
    'status', kernels.status, 'status_info', kernels.status_info,
    'status_changed_at', kernels.status_changed_at,
    'created_at', kernels.created_at, 'ended_at', kernels.ended_at,
    'last_use', kernels.last_use) AS facts
FROM kernels
JOIN sessions ON sessions.id = kernels.session_id
JOIN users ON users.id = sessions.user_id
JOIN projects ON projects.id = sessions.project_id
"""
_KEEP_USAGE: Final = """
CREATE FUNCTION keep_usage() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO usage_records (kernel_id, generation, slot, amount, allocated_at, freed_at,
    session_id, project_id, user_id, facts)
  SELECT gone.kernel_id, gone.generation, gone.slot, gone.amount, gone.allocated_at,
    coalesce(gone.freed_at, greatest(now(), gone.allocated_at)),
    told.session_id, told.project_id, told.user_id, told.facts
  FROM gone JOIN usage_facts AS told ON told.kernel_id = gone.kernel_id
  ON CONFLICT DO NOTHING;
  RETURN NULL;
END $$
"""

# Rows of allocations leave a record, whoever deletes them and why.
KEEP_USAGE: Final = (
    _USAGE_FACTS,
    _KEEP_USAGE,
    "CREATE TRIGGER keep_usage AFTER DELETE ON allocations REFERENCING OLD TABLE AS gone "
    "FOR EACH STATEMENT EXECUTE FUNCTION keep_usage()",
)

# The routes that lead into a kernel which runs, of somebody who may
# still come, and where the relay of its node is. App proxies know of routes by this alone.
LIVE_CIRCUITS: Final = f"""
CREATE VIEW live_circuits AS
SELECT circuits.id, circuits.session_id, circuits.kernel_id, circuits.generation,
  circuits.agent_id, circuits.app, circuits.port, circuits.protocol, circuits.owner,
  circuits.access_key, circuits.is_public, circuits.allowed_ips, circuits.proxy,
  circuits.subdomain, circuits.public_port, circuits.created_at, circuits.expires_at,
  circuits.used_at, agents.relay_addr
FROM circuits
JOIN kernels ON kernels.id = circuits.kernel_id AND kernels.generation = circuits.generation
  AND kernels.agent_id = circuits.agent_id AND kernels.status = '{KernelStatus.RUNNING.value}'
JOIN agents ON agents.id = circuits.agent_id
JOIN keypairs ON keypairs.access_key = circuits.access_key AND keypairs.is_active
JOIN users ON users.id = circuits.owner AND users.status = '{UserStatus.ACTIVE.value}'
JOIN domains ON domains.name = users.domain_name AND domains.is_active
JOIN sessions ON sessions.id = circuits.session_id AND (
  sessions.user_id = circuits.owner OR users.role = '{UserRole.SUPERADMIN.value}'
  OR users.role = '{UserRole.ADMIN.value}' AND users.domain_name = sessions.domain_name)
WHERE circuits.closed_at IS NULL AND circuits.expires_at > now()
"""  # noqa: S608

# What stands upon the tables, and what outlives them.
VIEWS: Final = ("slot_drift", "usage_facts", "live_circuits")
FUNCTIONS: Final = ("guard_kernel_status", "guard_session_status", "keep_usage")
