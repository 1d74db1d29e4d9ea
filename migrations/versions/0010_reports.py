"""What a report shows, as functions of a span of time: equity, legs, and the flows of each day.

Revision 0010, after 0009. Nothing is stored.
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Highest and deepest count from the beginning of the span.
_EQUITY = """
CREATE FUNCTION audit.equity_curve(since timestamptz, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (account_id text, at timestamptz, cause text, wallet_balance numeric,
  equity numeric, gross_exposure numeric, net_exposure numeric, leverage numeric,
  leverage_max numeric, unit_nav numeric, drawdown numeric)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE since_ns bigint := audit.ns(since);
  until_ns bigint := audit.ns(until);
BEGIN
  RETURN QUERY
  SELECT e.account_id, audit.moment(e.event_ns), e.cause, e.wallet_balance, e.equity,
    e.gross_exposure, e.net_exposure, e.leverage, e.leverage_max, e.unit_nav,
    1 - e.unit_nav / nullif(max(e.unit_nav) OVER (PARTITION BY e.account_id
      ORDER BY e.event_ns ROWS UNBOUNDED PRECEDING), 0)
  FROM audit.equity e
  WHERE e.event_ns >= since_ns
    AND e.event_ns < until_ns;
END $$;
"""

_LEGS = """
CREATE FUNCTION audit.legs(since timestamptz, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (account_id text, at timestamptz, decision_id text, instrument_id text, leg text,
  quantity numeric, mark numeric, notional numeric, fraction numeric)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE since_ns bigint := audit.ns(since);
  until_ns bigint := audit.ns(until);
BEGIN
  RETURN QUERY
  SELECT d.account_id, audit.moment(m.event_ns), m.decision_id, m.instrument_id, m.leg,
    m.quantity, m.mark, m.quantity * m.mark, m.quantity * m.mark / nullif(d.equity, 0)
  FROM audit.decision d JOIN audit.market_snapshot m USING (decision_id)
  WHERE m.quantity IS NOT NULL AND d.decided_ns >= since_ns
    AND m.event_ns >= since_ns
    AND d.decided_ns < until_ns
    AND m.event_ns < until_ns;
END $$;
"""

_FLOWS = """
CREATE FUNCTION audit.flows_daily(since timestamptz, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (account_id text, day date, instrument_id text, fills bigint, turnover numeric,
  realised numeric, fees numeric, funding numeric)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE since_ns bigint := audit.ns(since);
  until_ns bigint := audit.ns(until);
BEGIN
  RETURN QUERY
  SELECT f.account_id, (audit.moment(f.event_ns) AT TIME ZONE 'UTC')::date, f.instrument_id,
    sum(f.fills)::bigint, sum(f.turnover), sum(f.realised), sum(f.fees), sum(f.funding)
  FROM (
    SELECT account_id, event_ns, instrument_id, 1 AS fills, quantity * price AS turnover,
      coalesce(realised_pnl, 0) AS realised, fee AS fees, 0 AS funding
    FROM audit.fill
    UNION ALL
    SELECT account_id, event_ns, instrument_id, 0, 0, 0, 0, payment FROM audit.funding) f
  WHERE f.event_ns >= since_ns
    AND f.event_ns < until_ns
  GROUP BY 1, 2, 3;
END $$;
"""

# What a report asks by time alone.
_INDEXES = """
CREATE INDEX incident_opened ON audit.incident (opened_ns);
CREATE INDEX decision_outcome_ended ON audit.decision_outcome (ended_ns);
CREATE INDEX fill_moment ON audit.fill (event_ns);
CREATE INDEX funding_moment ON audit.funding (event_ns);
CREATE INDEX order_denial_denied ON audit.order_denial (denied_ns);
"""


def upgrade() -> None:
    """Add them."""
    for statements in (_EQUITY, _LEGS, _FLOWS, _INDEXES):
        op.execute(statements)


def downgrade() -> None:
    """Drop them."""
    for name in ("flows_daily", "legs", "equity_curve"):
        op.execute(f"DROP FUNCTION audit.{name}")
    op.execute(
        "DROP INDEX audit.incident_opened, audit.decision_outcome_ended, audit.fill_moment, "
        "audit.funding_moment, audit.order_denial_denied"
    )
