"""The record: append-only tables in `audit`, small mutable state in `ops`, roles and views.

Revision 0001, after nothing.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Every audit row says which spool it came from and where it stood there. The pair is unique: a
# second net under the cursor that moves records exactly once.
_ORIGIN = """
  spool_id text NOT NULL,
  spool_seq bigint NOT NULL,
  shipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT {name}_spool_key UNIQUE (spool_id, spool_seq)
"""

# Name -> columns and primary key, in the order a run writes them.
_TABLES = {
    "run": """
      run_id text PRIMARY KEY, account_id text NOT NULL, venue text NOT NULL,
      profile text NOT NULL, mode text NOT NULL, version text NOT NULL,
      strategy_version text NOT NULL, host text NOT NULL, pid bigint NOT NULL,
      epoch bigint NOT NULL, configuration_sha256 text NOT NULL, started_ns bigint NOT NULL
    """,
    "run_end": """
      run_id text PRIMARY KEY, reason text NOT NULL, exit_code bigint NOT NULL,
      ended_ns bigint NOT NULL
    """,
    "configuration": """
      configuration_sha256 text NOT NULL, run_id text NOT NULL, body json NOT NULL,
      created_ns bigint NOT NULL, PRIMARY KEY (configuration_sha256, run_id)
    """,
    "instrument": """
      run_id text NOT NULL, venue text NOT NULL, instrument_id text NOT NULL,
      venue_symbol text NOT NULL, tick_size numeric NOT NULL, lot_size numeric NOT NULL,
      quantity_min numeric NOT NULL, contract_size numeric NOT NULL, body json NOT NULL,
      valid_from_ns bigint NOT NULL, PRIMARY KEY (run_id, instrument_id, valid_from_ns)
    """,
    "market_snapshot": """
      decision_id text NOT NULL, instrument_id text NOT NULL, mark numeric, index numeric,
      bid numeric, ask numeric, funding_rate numeric, mark_age_ms bigint, book_age_ms bigint,
      event_ns bigint NOT NULL, PRIMARY KEY (decision_id, instrument_id)
    """,
    "signals": """
      decision_id text NOT NULL, instrument_id text NOT NULL, volatility_fast float8,
      volatility_medium float8, volatility_slow float8, beta float8, correlation_fast float8,
      correlation_medium float8, stress_ratio float8, event_ns bigint NOT NULL,
      PRIMARY KEY (decision_id, instrument_id)
    """,
    "decision": """
      decision_id text PRIMARY KEY, run_id text NOT NULL, account_id text NOT NULL,
      kind text NOT NULL, slot_ns bigint NOT NULL, decided_ns bigint NOT NULL,
      trading_state text NOT NULL, action text NOT NULL,
      reasons text[] NOT NULL CHECK (cardinality(reasons) > 0), summary text NOT NULL,
      strategy_version text NOT NULL, equity numeric, leverage numeric, leverage_max numeric,
      inputs json NOT NULL, outputs json NOT NULL
    """,
    "decision_outcome": """
      decision_id text PRIMARY KEY, run_id text NOT NULL, outcome text NOT NULL,
      summary text NOT NULL, orders_sent bigint NOT NULL, orders_filled bigint NOT NULL,
      leverage numeric, leverage_max numeric, ended_ns bigint NOT NULL
    """,
    "order_intent": """
      client_order_id text PRIMARY KEY, decision_id text NOT NULL, run_id text NOT NULL,
      account_id text NOT NULL, epoch bigint NOT NULL, instrument_id text NOT NULL,
      leg text NOT NULL, source text NOT NULL, side text NOT NULL,
      quantity numeric NOT NULL CHECK (quantity > 0), kind text NOT NULL, price_limit numeric,
      time_in_force text NOT NULL, reduce_only boolean NOT NULL, attempt bigint NOT NULL,
      leverage_worst numeric, created_ns bigint NOT NULL, expires_ns bigint NOT NULL
    """,
    "order_denial": """
      row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, decision_id text NOT NULL,
      run_id text NOT NULL, instrument_id text NOT NULL, side text NOT NULL,
      quantity numeric NOT NULL, reason text NOT NULL, body json NOT NULL,
      denied_ns bigint NOT NULL
    """,
    "order_event": """
      event_id text PRIMARY KEY, client_order_id text, venue_order_id text,
      run_id text NOT NULL, instrument_id text NOT NULL, state text NOT NULL,
      source text NOT NULL, filled_quantity numeric, average_price numeric, code text,
      message text NOT NULL, event_ns bigint NOT NULL, recorded_ns bigint NOT NULL
    """,
    # The venue's execution id: stream and REST may deliver the same fill.
    "fill": """
      account_id text NOT NULL, instrument_id text NOT NULL, fill_id text NOT NULL,
      run_id text NOT NULL, client_order_id text, venue_order_id text NOT NULL,
      side text NOT NULL, quantity numeric NOT NULL CHECK (quantity > 0),
      price numeric NOT NULL, fee numeric NOT NULL, fee_currency text NOT NULL,
      liquidity text, realised_pnl numeric, event_ns bigint NOT NULL,
      received_ns bigint NOT NULL, PRIMARY KEY (account_id, instrument_id, fill_id)
    """,
    "position": """
      position_event_id text PRIMARY KEY, run_id text NOT NULL, account_id text NOT NULL,
      instrument_id text NOT NULL, quantity numeric NOT NULL, entry_price numeric, mark numeric,
      unrealised_pnl numeric, liquidation_price numeric, cause text NOT NULL,
      event_ns bigint NOT NULL, recorded_ns bigint NOT NULL
    """,
    "equity": """
      equity_event_id text PRIMARY KEY, run_id text NOT NULL, account_id text NOT NULL,
      wallet_balance numeric NOT NULL, equity numeric NOT NULL, venue_equity numeric NOT NULL,
      gross_exposure numeric NOT NULL, net_exposure numeric NOT NULL, leverage numeric,
      leverage_max numeric, unit_nav numeric, cause text NOT NULL, event_ns bigint NOT NULL
    """,
    "funding": """
      account_id text NOT NULL, payment_id text NOT NULL, run_id text NOT NULL,
      instrument_id text NOT NULL, payment numeric NOT NULL, event_ns bigint NOT NULL,
      received_ns bigint NOT NULL, PRIMARY KEY (account_id, payment_id)
    """,
    "control_ack": """
      control_id text NOT NULL, run_id text NOT NULL, action text NOT NULL,
      actor text NOT NULL, reason text NOT NULL, result text NOT NULL, message text NOT NULL,
      trading_state text NOT NULL, handled_ns bigint NOT NULL, PRIMARY KEY (control_id, run_id)
    """,
    "trading_state": """
      row_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id text NOT NULL,
      account_id text NOT NULL, trading_state text NOT NULL, causes text[] NOT NULL,
      changed_ns bigint NOT NULL
    """,
    "incident": """
      incident_id text PRIMARY KEY, run_id text NOT NULL, severity text NOT NULL,
      kind text NOT NULL, summary text NOT NULL, body json NOT NULL, opened_ns bigint NOT NULL
    """,
    "memory": """
      decision_id text PRIMARY KEY, run_id text NOT NULL, account_id text NOT NULL,
      strategy_version text NOT NULL, body json NOT NULL, kept_ns bigint NOT NULL
    """,
}

_INDEXES = """
CREATE INDEX decision_decided ON audit.decision (account_id, decided_ns);
CREATE INDEX order_intent_decision ON audit.order_intent (decision_id);
CREATE INDEX order_intent_created ON audit.order_intent (account_id, created_ns);
CREATE INDEX order_denial_decision ON audit.order_denial (decision_id);
CREATE INDEX order_event_order ON audit.order_event (client_order_id, recorded_ns);
CREATE INDEX fill_order ON audit.fill (client_order_id);
CREATE INDEX fill_event ON audit.fill (account_id, event_ns);
CREATE INDEX position_recorded
  ON audit.position (account_id, instrument_id, recorded_ns DESC, spool_seq DESC);
CREATE INDEX equity_event ON audit.equity (account_id, event_ns);
CREATE INDEX equity_unit_nav ON audit.equity (account_id, unit_nav);
CREATE INDEX memory_kept ON audit.memory (account_id, kept_ns);
CREATE INDEX trading_state_changed ON audit.trading_state (account_id, changed_ns);
"""

_CONTROL = """
CREATE TABLE audit.control (
  control_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id text,
  action text NOT NULL CHECK (action IN
    ('pause', 'resume', 'flatten', 'stop', 'flatten_stop', 'high_water_reset')),
  reason text NOT NULL,
  from_halt boolean NOT NULL DEFAULT false,
  actor text NOT NULL DEFAULT session_user,
  requested_at timestamptz NOT NULL DEFAULT clock_timestamp());

-- Who asked and when is the server's to say, whatever the request claims.
CREATE FUNCTION audit.control_signed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  new.actor := session_user;
  new.requested_at := clock_timestamp();
  RETURN new;
END $$;
CREATE TRIGGER control_signed BEFORE INSERT ON audit.control
  FOR EACH ROW EXECUTE FUNCTION audit.control_signed();

CREATE FUNCTION audit.control_announced() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_notify('counterpoise_control', new.control_id::text);
  RETURN NULL;
END $$;
CREATE TRIGGER control_announced AFTER INSERT ON audit.control
  FOR EACH ROW EXECUTE FUNCTION audit.control_announced();

-- A record Postgres would not take, as text, so that it never blocks those behind it.
CREATE TABLE audit.refused_record (
  spool_id text, spool_seq bigint, table_name text NOT NULL, body text NOT NULL,
  error text NOT NULL, shipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (spool_id, spool_seq));
"""

_OPS = """
CREATE TABLE ops.lease (
  name text PRIMARY KEY, epoch bigint NOT NULL, holder text NOT NULL, machine text NOT NULL,
  released boolean NOT NULL DEFAULT false, acquired_at timestamptz NOT NULL,
  heartbeat_at timestamptz NOT NULL);
CREATE TABLE ops.spool_cursor (
  spool_id text PRIMARY KEY, last_seq bigint NOT NULL,
  updated_at timestamptz NOT NULL DEFAULT clock_timestamp());
"""

# ENABLE ALWAYS: the triggers fire under session_replication_role = replica, too.
_SEAL = """
CREATE FUNCTION audit.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% of %.% is refused: the record is append-only',
    tg_op, tg_table_schema, tg_table_name USING errcode = 'restrict_violation';
END $$;
DO $$
DECLARE name regclass;
BEGIN
  FOR name IN SELECT oid::regclass FROM pg_class
    WHERE relnamespace = 'audit'::regnamespace AND relkind = 'r'
  LOOP
    EXECUTE format('CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON %s
      FOR EACH ROW EXECUTE FUNCTION audit.refuse_change()', name);
    EXECUTE format('CREATE TRIGGER append_only_table BEFORE TRUNCATE ON %s
      FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change()', name);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only_row', name);
    EXECUTE format('ALTER TABLE %s ENABLE ALWAYS TRIGGER append_only_table', name);
  END LOOP;
END $$;
"""

# For people: readable times, newest state, one row per thing.
_VIEWS = """
CREATE FUNCTION audit.moment(ns bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT
  RETURN timestamptz '1970-01-01 00:00:00+00' + ns / 1000 * interval '1 microsecond';

CREATE VIEW audit.decisions AS
SELECT d.decision_id, d.account_id, audit.moment(d.decided_ns) AS decided_at,
  audit.moment(d.slot_ns) AS slot_at, d.kind, d.trading_state, d.action, d.reasons, d.summary,
  d.equity, round(d.leverage, 4) AS leverage, round(d.leverage_max, 4) AS leverage_max,
  o.outcome, o.summary AS outcome_summary, o.orders_sent, o.orders_filled,
  round(o.leverage, 4) AS outcome_leverage, d.strategy_version, d.run_id
FROM audit.decision d LEFT JOIN audit.decision_outcome o USING (decision_id);

CREATE VIEW audit.orders AS
SELECT i.client_order_id, i.decision_id, i.account_id, audit.moment(i.created_ns) AS created_at,
  i.instrument_id, i.leg, i.source, i.side, i.quantity, i.kind, i.price_limit, i.time_in_force,
  i.reduce_only, i.attempt, i.leverage_worst, coalesce(e.state, 'journaled') AS state,
  e.venue_order_id, coalesce(f.quantity, 0) AS filled_quantity, f.average_price, e.code,
  e.message, i.created_ns
FROM audit.order_intent i
LEFT JOIN LATERAL (
  SELECT * FROM audit.order_event WHERE client_order_id = i.client_order_id
  ORDER BY recorded_ns DESC, spool_seq DESC LIMIT 1) e ON true
LEFT JOIN LATERAL (
  SELECT sum(quantity) AS quantity, sum(quantity * price) / sum(quantity) AS average_price
  FROM audit.fill WHERE client_order_id = i.client_order_id) f ON true;

CREATE VIEW audit.fills AS
SELECT account_id, instrument_id, fill_id, audit.moment(event_ns) AS filled_at, side, quantity,
  price, quantity * price AS notional, fee, fee_currency, liquidity, realised_pnl,
  client_order_id, venue_order_id
FROM audit.fill;

CREATE VIEW audit.positions AS
SELECT DISTINCT ON (account_id, instrument_id) account_id, instrument_id, quantity, entry_price,
  mark, abs(quantity) * mark AS notional, unrealised_pnl, liquidation_price, cause,
  audit.moment(recorded_ns) AS recorded_at
FROM audit.position
ORDER BY account_id, instrument_id, recorded_ns DESC, spool_seq DESC;

CREATE VIEW audit.controls AS
SELECT c.control_id, c.requested_at, c.actor, c.account_id, c.action, c.from_halt, c.reason,
  a.result, a.message, a.trading_state, audit.moment(a.handled_ns) AS handled_at, a.run_id
FROM audit.control c LEFT JOIN audit.control_ack a ON a.control_id = c.control_id::text;
"""

# Roles belong to the whole server and may be the administrator's to make. The grants are a
# function, so that they can be given later: `SELECT ops.grant_roles()`.
_ROLES = """
DO $$
DECLARE name text;
BEGIN
  FOREACH name IN ARRAY
    ARRAY['counterpoise_writer', 'counterpoise_reader', 'counterpoise_operator']
  LOOP
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
      BEGIN
        EXECUTE format('CREATE ROLE %I NOLOGIN', name);
        IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
          EXECUTE format('GRANT %I TO %I', name, session_user);
        END IF;
      EXCEPTION
        WHEN insufficient_privilege THEN
          RAISE NOTICE 'as an administrator run: CREATE ROLE % NOLOGIN; GRANT % TO %; '
            'then as the owner: SELECT ops.grant_roles();', name, name, session_user;
        WHEN duplicate_object OR unique_violation THEN
          NULL;  -- another database of this server made it at the same moment
      END;
    END IF;
  END LOOP;
END $$;

CREATE FUNCTION ops.grant_roles() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'counterpoise_writer') THEN
    GRANT USAGE ON SCHEMA audit, ops TO counterpoise_writer;
    GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA audit TO counterpoise_writer;
    -- Wishes are the operator's; the daemon only answers them.
    REVOKE INSERT ON audit.control FROM counterpoise_writer;
    GRANT SELECT, INSERT, UPDATE ON ops.lease, ops.spool_cursor TO counterpoise_writer;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'counterpoise_reader') THEN
    GRANT USAGE ON SCHEMA audit, ops TO counterpoise_reader;
    GRANT SELECT ON ALL TABLES IN SCHEMA audit, ops TO counterpoise_reader;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'counterpoise_operator') THEN
    GRANT USAGE ON SCHEMA audit, ops TO counterpoise_operator;
    GRANT SELECT ON ALL TABLES IN SCHEMA audit, ops TO counterpoise_operator;
    GRANT INSERT ON audit.control TO counterpoise_operator;
  END IF;
END $$;
SELECT ops.grant_roles();
"""


def upgrade() -> None:
    """Create everything."""
    op.execute("CREATE SCHEMA audit")
    for name, columns in _TABLES.items():
        op.execute(f"CREATE TABLE audit.{name} ({columns}, {_ORIGIN.format(name=name)})")
    for statements in (_CONTROL, _OPS, _INDEXES, _SEAL, _VIEWS, _ROLES):
        op.execute(statements)


def downgrade() -> None:
    """Drop everything but the roles, which other databases of the server may use."""
    op.execute("DROP SCHEMA audit CASCADE")
    op.execute("DROP FUNCTION ops.grant_roles()")
    op.execute("DROP TABLE ops.lease, ops.spool_cursor")
