"""Legs traded together, how long they stood alone, and orders that wait in the book.

Revision 0003, after 0002.
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_PAIR = """
CREATE TABLE audit.pair (
  decision_id text PRIMARY KEY, run_id text NOT NULL, account_id text NOT NULL,
  notional numeric NOT NULL, naked_leg_seconds numeric NOT NULL, body json NOT NULL,
  opened_ns bigint NOT NULL,
  spool_id text NOT NULL, spool_seq bigint NOT NULL,
  shipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT pair_spool_key UNIQUE (spool_id, spool_seq));
CREATE INDEX pair_opened ON audit.pair (account_id, opened_ns);
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.pair
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON audit.pair
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.pair ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.pair ENABLE ALWAYS TRIGGER append_only_table;
"""

# NULL in rows of an earlier version and of decisions that no leg of ever stood alone.
_COLUMNS = """
ALTER TABLE audit.decision_outcome
  ADD COLUMN naked_leg_seconds numeric, ADD COLUMN naked_notional_seconds numeric;
ALTER TABLE audit.order_intent ADD COLUMN post_only boolean NOT NULL DEFAULT false;
"""

_VIEW = """
CREATE VIEW audit.pairs AS
SELECT p.decision_id, p.account_id, audit.moment(p.opened_ns) AS opened_at,
  round(p.notional, 2) AS notional, p.naked_leg_seconds AS naked_leg_seconds_max,
  o.naked_leg_seconds, round(o.naked_notional_seconds, 2) AS naked_notional_seconds,
  o.outcome, o.summary AS outcome_summary, p.run_id
FROM audit.pair p LEFT JOIN audit.decision_outcome o USING (decision_id);
"""


def upgrade() -> None:
    """Add them; no row that is there changes."""
    for statements in (_PAIR, _COLUMNS, _VIEW):
        op.execute(statements)
    op.execute("SELECT ops.grant_roles()")


def downgrade() -> None:
    """Drop them."""
    op.execute("DROP VIEW audit.pairs")
    op.execute("DROP TABLE audit.pair")
    op.execute("ALTER TABLE audit.order_intent DROP COLUMN post_only")
    op.execute(
        "ALTER TABLE audit.decision_outcome "
        "DROP COLUMN naked_leg_seconds, DROP COLUMN naked_notional_seconds"
    )
