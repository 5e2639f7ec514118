"""Triggers and views that no code path can forget; made from the lifecycle table, so never stale.

The first migration runs `CREATE` after the tables; `DROP` undoes it.
"""

from collections.abc import Iterable
from typing import Final

from backendai.common.lifecycle import FINAL, HOLDING, SESSION_FINAL


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
