"""Which limit of a policy each quota scope was given last."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
CREATE TABLE quota_scopes (
  host text NOT NULL,
  quota_scope_id text NOT NULL,
  policy_bytes bigint,
  CONSTRAINT pk_quota_scopes PRIMARY KEY (host, quota_scope_id)
)
""",
    # They were made with what their policy says; what it said before is not known.
    """
INSERT INTO quota_scopes
SELECT DISTINCT f.host, f.quota_scope_id, nullif(greatest(p.max_quota_scope_size, 0), 0)
FROM vfolders f
JOIN users u ON f.quota_scope_id = 'user:' || u.id
JOIN user_policies p ON p.name = u.resource_policy
WHERE f.unmanaged_path IS NULL
UNION
SELECT DISTINCT f.host, f.quota_scope_id, nullif(greatest(p.max_quota_scope_size, 0), 0)
FROM vfolders f
JOIN projects g ON f.quota_scope_id = 'project:' || g.id
JOIN project_policies p ON p.name = g.resource_policy
WHERE f.unmanaged_path IS NULL
""",
)


def upgrade() -> None:
    for statement in _STATEMENTS:
        op.get_bind().exec_driver_sql(statement)


def downgrade() -> None:
    op.get_bind().exec_driver_sql("DROP TABLE quota_scopes")
