"""The tables of the foundation, with their triggers and views."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_GUARDS = (
    """
CREATE FUNCTION guard_kernel_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status IN ('CANCELLED', 'TERMINATED') AND NEW.status <> OLD.status THEN
    RAISE EXCEPTION 'kernel % is %, which is final', OLD.id, OLD.status
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  IF NEW.status NOT IN ('ERROR', 'PREPARING', 'PULLING', 'RESTARTING', 'RUNNING', 'SCHEDULED',
    'TERMINATING') THEN
    UPDATE allocations SET freed_at = now() WHERE kernel_id = NEW.id AND freed_at IS NULL;
  END IF;
  RETURN NULL;
END $$
""",
    "CREATE TRIGGER guard_kernel_status AFTER UPDATE OF status ON kernels"
    " FOR EACH ROW EXECUTE FUNCTION guard_kernel_status()",
    """
CREATE FUNCTION guard_session_status() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF OLD.status IN ('CANCELLED', 'TERMINATED') AND NEW.status <> OLD.status THEN
    RAISE EXCEPTION 'session % is %, which is final', OLD.id, OLD.status
      USING ERRCODE = 'integrity_constraint_violation';
  END IF;
  RETURN NULL;
END $$
""",
    "CREATE TRIGGER guard_session_status AFTER UPDATE OF status ON sessions"
    " FOR EACH ROW EXECUTE FUNCTION guard_session_status()",
    """
CREATE VIEW slot_drift AS
SELECT coalesce(due.kernel_id, held.kernel_id) AS kernel_id,
  coalesce(due.agent_id, held.agent_id) AS agent_id,
  coalesce(due.slot, held.slot) AS slot,
  due.amount AS due, held.amount AS held
FROM (
  SELECT kernels.id AS kernel_id, kernels.generation, kernels.agent_id, wish.key AS slot,
    wish.value::numeric AS amount
  FROM kernels, jsonb_each_text(kernels.requested_slots) AS wish
  WHERE kernels.status IN ('ERROR', 'PREPARING', 'PULLING', 'RESTARTING', 'RUNNING', 'SCHEDULED',
    'TERMINATING')
) AS due
FULL JOIN (SELECT * FROM allocations WHERE freed_at IS NULL) AS held
  ON due.kernel_id = held.kernel_id AND due.generation = held.generation
    AND due.agent_id = held.agent_id AND due.slot = held.slot
WHERE due.amount IS DISTINCT FROM held.amount
""",
)


def upgrade() -> None:
    # Frozen text, so that later changes of the tables never change what this revision does.
    tables = Path(__file__).with_suffix(".sql").read_text("utf-8")
    for statement in (*tables.split(";\n"), *_GUARDS):
        if statement.strip():
            op.get_bind().exec_driver_sql(statement)
