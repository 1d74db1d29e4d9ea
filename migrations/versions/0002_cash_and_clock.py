"""Deposits and withdrawals by the venue's id, and the venue's clock as it was measured.

Revision 0002, after 0001.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TABLES = {
    "transfer": """
      account_id text NOT NULL, transfer_id text NOT NULL, run_id text NOT NULL,
      transfer numeric NOT NULL, event_ns bigint NOT NULL, recorded_ns bigint NOT NULL,
      PRIMARY KEY (account_id, transfer_id)
    """,
    "clock": """
      clock_event_id text PRIMARY KEY, run_id text NOT NULL, offset_ms float8,
      refused boolean NOT NULL, measured_ns bigint NOT NULL
    """,
}

_ORIGIN = """
  spool_id text NOT NULL, spool_seq bigint NOT NULL,
  shipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT {name}_spool_key UNIQUE (spool_id, spool_seq)
"""

_SEAL = """
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.{name}
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON audit.{name}
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.{name} ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.{name} ENABLE ALWAYS TRIGGER append_only_table;
"""


def upgrade() -> None:
    """Add both tables, sealed as the others are."""
    for name, columns in _TABLES.items():
        op.execute(f"CREATE TABLE audit.{name} ({columns}, {_ORIGIN.format(name=name)})")
        op.execute(_SEAL.format(name=name))
    op.execute("CREATE INDEX transfer_recorded ON audit.transfer (account_id, recorded_ns)")
    op.execute("SELECT ops.grant_roles()")


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP TABLE audit.transfer, audit.clock")
