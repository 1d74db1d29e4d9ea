"""Monthly partitions of the tables that grow with every cycle, and the record of archived ones.

Revision 0005, after 0004. What carries the venue's ids (orders, fills, funding) stays whole: a
unique key over partitions would have to contain the time, and a fact told twice would be two.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

# Table -> (key, column that says when, indexes beside the key).
_TABLES = {
    "market_snapshot": ("decision_id, instrument_id", "event_ns", ()),
    "signals": ("decision_id, instrument_id", "event_ns", ()),
    "decision": ("decision_id", "decided_ns", ("decision_decided (account_id, decided_ns)",)),
    "position": (
        "position_event_id",
        "recorded_ns",
        ("position_recorded (account_id, instrument_id, recorded_ns DESC, spool_seq DESC)",),
    ),
    "equity": (
        "equity_event_id",
        "event_ns",
        ("equity_event (account_id, event_ns)", "equity_unit_nav (account_id, unit_nav)"),
    ),
    "memory": ("decision_id", "kept_ns", ("memory_kept (account_id, kept_ns)",)),
}

# Rows of a month nobody made a partition for go to the default one, so that no write ever fails.
# Clones of the row triggers come with a partition; TRUNCATE has none to clone.
_PARTITIONS = """
CREATE FUNCTION ops.make_partitions(first timestamptz, last timestamptz) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
  parent record;
  month timestamptz;
  name text;
  made integer := 0;
BEGIN
  PERFORM pg_advisory_xact_lock(7022340011);
  FOR parent IN SELECT c.relname FROM pg_partitioned_table p JOIN pg_class c ON c.oid = p.partrelid
    WHERE c.relnamespace = 'audit'::regnamespace ORDER BY 1
  LOOP
    month := date_trunc('month', first, 'UTC');
    WHILE month <= last LOOP
      name := parent.relname || to_char(month AT TIME ZONE 'UTC', '_YYYY_MM');
      IF to_regclass(format('audit.%I', name)) IS NULL THEN
        BEGIN
          EXECUTE format(
            'CREATE TABLE audit.%I PARTITION OF audit.%I FOR VALUES FROM (%s) TO (%s)',
            name, parent.relname, extract(epoch FROM month)::bigint * 1000000000,
            extract(epoch FROM month + interval '1 month')::bigint * 1000000000);
          EXECUTE format('CREATE TRIGGER append_only_table BEFORE TRUNCATE ON audit.%I
            FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', name);
          EXECUTE format('ALTER TABLE audit.%I ENABLE ALWAYS TRIGGER append_only_table', name);
          made := made + 1;
        EXCEPTION WHEN check_violation THEN
          NULL;  -- rows of that month stand in the default partition and stay there
        END;
      END IF;
      month := month + interval '1 month';
    END LOOP;
  END LOOP;
  RETURN made;
END $$;
REVOKE ALL ON FUNCTION ops.make_partitions FROM PUBLIC;

CREATE TABLE audit.archived (
  archive_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, table_name text NOT NULL,
  partition_name text NOT NULL, spool_id text NOT NULL, seqs int8multirange NOT NULL,
  row_count bigint NOT NULL, file_name text NOT NULL, file_sha256 text NOT NULL,
  archived_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  archived_by text NOT NULL DEFAULT session_user);
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.archived
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON audit.archived
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.archived ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.archived ENABLE ALWAYS TRIGGER append_only_table;
"""

_SEAL = """
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.{name}
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON audit.{name}
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.{name} ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.{name} ENABLE ALWAYS TRIGGER append_only_table;
"""

_DECISIONS = """
CREATE VIEW audit.decisions AS
SELECT d.decision_id, d.account_id, audit.moment(d.decided_ns) AS decided_at,
  audit.moment(d.slot_ns) AS slot_at, d.kind, d.trading_state, d.action, d.reasons, d.summary,
  d.equity, round(d.leverage, 4) AS leverage, round(d.leverage_max, 4) AS leverage_max,
  o.outcome, o.summary AS outcome_summary, o.orders_sent, o.orders_filled,
  round(o.leverage, 4) AS outcome_leverage, d.strategy_version, d.run_id
FROM audit.decision d LEFT JOIN audit.decision_outcome o USING (decision_id)
"""

# The newest position of each instrument a run of the account knew: one index probe for each.
_POSITIONS = """
CREATE VIEW audit.positions AS
SELECT p.account_id, p.instrument_id, p.quantity, p.entry_price, p.mark,
  abs(p.quantity) * p.mark AS notional, p.unrealised_pnl, p.liquidation_price, p.cause,
  audit.moment(p.recorded_ns) AS recorded_at
FROM (WITH RECURSIVE held AS (
    (SELECT account_id, instrument_id FROM audit.position
     ORDER BY account_id, instrument_id LIMIT 1)
    UNION ALL
    SELECT n.account_id, n.instrument_id FROM held h CROSS JOIN LATERAL (
      SELECT account_id, instrument_id FROM audit.position
      WHERE (account_id, instrument_id) > (h.account_id, h.instrument_id)
      ORDER BY account_id, instrument_id LIMIT 1) n)
  SELECT account_id, instrument_id FROM held) h
CROSS JOIN LATERAL (
  SELECT * FROM audit.position
  WHERE account_id = h.account_id AND instrument_id = h.instrument_id
  ORDER BY recorded_ns DESC, spool_seq DESC LIMIT 1) p
"""

_POSITIONS_BEFORE = """
CREATE VIEW audit.positions AS
SELECT DISTINCT ON (account_id, instrument_id) account_id, instrument_id, quantity, entry_price,
  mark, abs(quantity) * mark AS notional, unrealised_pnl, liquidation_price, cause,
  audit.moment(recorded_ns) AS recorded_at
FROM audit.position
ORDER BY account_id, instrument_id, recorded_ns DESC, spool_seq DESC
"""


def _move(*, partitioned: bool) -> None:
    # Each table is made anew beside the old one, which keeps its rows until they are copied.
    op.execute("DROP VIEW audit.decisions, audit.positions")
    op.execute("CREATE SCHEMA audit_before")
    for name, (key, moment, indexes) in _TABLES.items():
        op.execute(f"ALTER TABLE audit.{name} SET SCHEMA audit_before")
        by_month = f"PARTITION BY RANGE ({moment})" if partitioned else ""
        op.execute(
            f"CREATE TABLE audit.{name} (LIKE audit_before.{name} INCLUDING DEFAULTS "
            f"INCLUDING CONSTRAINTS) {by_month}"
        )
        also = f", {moment}" if partitioned else ""
        op.execute(
            f"ALTER TABLE audit.{name} ADD PRIMARY KEY ({key}{also}), "
            f"ADD CONSTRAINT {name}_spool_key UNIQUE (spool_id, spool_seq{also})"
        )
        for index in indexes:
            label, columns = index.split(" ", 1)
            op.execute(f"CREATE INDEX {label} ON audit.{name} {columns}")
        op.execute(_SEAL.format(name=name))
        if partitioned:
            op.execute(f"CREATE TABLE audit.{name}_rest PARTITION OF audit.{name} DEFAULT")
            op.execute(
                f"CREATE TRIGGER append_only_table BEFORE TRUNCATE ON audit.{name}_rest "
                "FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()"
            )
            op.execute(f"ALTER TABLE audit.{name}_rest ENABLE ALWAYS TRIGGER append_only_table")


def _copy() -> None:
    for name in _TABLES:
        op.execute(f"INSERT INTO audit.{name} SELECT * FROM audit_before.{name}")
    op.execute("DROP SCHEMA audit_before CASCADE")
    op.execute("SELECT ops.grant_roles()")


def upgrade() -> None:
    """Make the tables anew with partitions and move the rows."""
    _move(partitioned=True)
    op.execute(_PARTITIONS)
    op.execute(
        """
        SELECT ops.make_partitions(audit.moment(first), audit.moment(last))
        FROM (SELECT min(decided_ns) AS first, max(decided_ns) AS last FROM audit_before.decision) d
        WHERE first IS NOT NULL
        """
    )
    op.execute(_DECISIONS)
    op.execute(_POSITIONS)
    _copy()
    op.execute(
        """
        DO $$ BEGIN
          IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'counterpoise_writer') THEN
            GRANT EXECUTE ON FUNCTION ops.make_partitions TO counterpoise_writer;
            REVOKE INSERT ON audit.archived FROM counterpoise_writer;
          END IF;
        END $$
        """
    )


def downgrade() -> None:
    """Make the tables whole again; what was archived stays outside."""
    op.execute("DROP FUNCTION ops.make_partitions")
    op.execute("DROP TABLE audit.archived")
    _move(partitioned=False)
    op.execute(_DECISIONS)
    op.execute(_POSITIONS_BEFORE)
    _copy()
