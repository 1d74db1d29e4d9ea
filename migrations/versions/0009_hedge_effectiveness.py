"""What the hedge did, as functions of a span of time: nothing is stored.

Revision 0009, after 0008. From one cycle's decision to the next, a leg's profit is its position
at the later one (before its orders) x the change of its mark. The prediction is the earlier one's
signals put into one factor: what the legs share with the core is their beta, the rest of each
leg's variance is its own.
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# Rows come in the order of time, so that a few bytes a block of pages find a span.
_NS = """
CREATE INDEX market_snapshot_moment ON audit.market_snapshot
  USING brin (event_ns) WITH (pages_per_range = 8);
CREATE INDEX signals_moment ON audit.signals
  USING brin (event_ns) WITH (pages_per_range = 8);
CREATE FUNCTION audit.ns(moment timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT AS $$
  SELECT CASE WHEN isfinite(moment) THEN (extract(epoch FROM moment) * 1000000)::bigint * 1000
    WHEN moment > '2000-01-01 00:00:00+00' THEN 9223372036854775807
    ELSE -9223372036854775808 END
$$;
"""

# In plpgsql, and planned anew each time: the span is a number then, which finds partitions and is
# not computed again for every row. Sorted by what differs most: accounts are few and alike.
_INTERVALS = """
CREATE FUNCTION audit.hedge_intervals(since timestamptz, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (account_id text, decision_id text, ended_at timestamptz, seconds float8,
  core_id text, core_pnl float8, hedge_pnl float8, net_beta_exposure float8,
  core_variance_predicted float8, book_variance_predicted float8)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE since_ns bigint := audit.ns(since);
  until_ns bigint := audit.ns(until);
BEGIN
  RETURN QUERY
  WITH cycle AS (
    SELECT d.account_id, d.decision_id, d.decided_ns, lead(d.decision_id) OVER w AS next_id,
      lead(d.decided_ns) OVER w AS next_ns
    FROM audit.decision d
    WHERE d.kind = 'cycle' AND d.decided_ns >= since_ns AND d.decided_ns < until_ns
    WINDOW w AS (PARTITION BY d.account_id ORDER BY d.decided_ns)),
  leg AS (
    SELECT c.account_id, c.next_id, c.next_ns, c.decided_ns, m.instrument_id, m.leg, m.mark,
      s.beta, s.volatility_medium AS volatility, s.correlation_medium AS correlation,
      lead(m.decision_id) OVER w AS seen_id, lead(m.mark) OVER w AS mark_next,
      lead(m.quantity) OVER w AS held
    FROM cycle c JOIN audit.market_snapshot m USING (decision_id)
    LEFT JOIN audit.signals s ON s.decision_id = m.decision_id
      AND s.instrument_id = m.instrument_id AND s.event_ns >= since_ns
      AND s.event_ns < until_ns
    WHERE m.event_ns >= since_ns AND m.event_ns < until_ns
    WINDOW w AS (PARTITION BY m.instrument_id, c.account_id ORDER BY c.decided_ns)),
  moved AS MATERIALIZED (
    SELECT f.*, f.notional * CASE WHEN f.core THEN 1 ELSE f.beta END AS exposure,
      f.notional * f.volatility AS risk
    FROM (
      SELECT account_id, next_id, next_ns, instrument_id, leg = 'core' AS core, beta, volatility,
        correlation, (next_ns - decided_ns) / 1e9::float8 AS seconds,
        (held * (mark_next - mark))::float8 AS pnl, (held * mark)::float8 AS notional
      FROM leg WHERE seen_id = next_id AND (leg = 'core' OR held <> 0) OFFSET 0) f)
  SELECT l.account_id, l.next_id, audit.moment(l.next_ns), l.seconds,
    min(l.instrument_id) FILTER (WHERE l.core), sum(l.pnl) FILTER (WHERE l.core),
    coalesce(sum(l.pnl) FILTER (WHERE NOT l.core), 0), sum(l.exposure),
    sum(l.risk * l.risk) FILTER (WHERE l.core) * l.seconds / 31536000,
    (sum(l.exposure) ^ 2 * max(l.volatility) FILTER (WHERE l.core) ^ 2
     + coalesce(sum(l.risk * l.risk * (1 - l.correlation * l.correlation))
         FILTER (WHERE NOT l.core), 0)) * l.seconds / 31536000
  FROM moved l GROUP BY l.next_ns, l.seconds, l.next_id, l.account_id;
END $$;
"""

_EFFECTIVENESS = """
CREATE FUNCTION audit.hedge_effectiveness(
  since timestamptz, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (account_id text, intervals bigint, first_at timestamptz, last_at timestamptz,
  core_pnl float8, hedge_pnl float8, variance_reduction float8,
  variance_reduction_predicted float8, residual_beta float8, net_beta_dollar_seconds float8,
  naked_dollar_seconds float8, hedge_fees float8, hedge_funding float8, hedge_cost float8,
  risk_removed float8, cost_per_risk_removed float8)
LANGUAGE plpgsql STABLE SET plan_cache_mode = force_custom_plan AS $$
#variable_conflict use_column
DECLARE since_ns bigint := audit.ns(since);
  until_ns bigint := audit.ns(until);
BEGIN
  RETURN QUERY
  WITH held AS (
    SELECT i.account_id, count(*) AS intervals, min(i.ended_at) AS first_at,
      max(i.ended_at) AS last_at, array_agg(DISTINCT i.core_id) AS cores,
      sum(i.core_pnl) AS core_pnl, sum(i.hedge_pnl) AS hedge_pnl,
      var_samp(i.core_pnl) AS core_variance, var_samp(i.core_pnl + i.hedge_pnl) AS book_variance,
      regr_slope(i.core_pnl + i.hedge_pnl, i.core_pnl) AS residual_beta,
      sum(i.core_variance_predicted) FILTER (WHERE i.book_variance_predicted IS NOT NULL)
        AS core_predicted,
      sum(i.book_variance_predicted) AS book_predicted,
      sum(abs(i.net_beta_exposure) * i.seconds) AS net_beta_dollar_seconds
    FROM audit.hedge_intervals(since, until) i GROUP BY i.account_id),
  naked AS (
    SELECT d.account_id, sum(o.naked_notional_seconds)::float8 AS dollar_seconds
    FROM audit.decision_outcome o JOIN audit.decision d USING (decision_id)
    WHERE o.naked_notional_seconds IS NOT NULL AND d.decided_ns >= since_ns
      AND d.decided_ns < until_ns GROUP BY d.account_id),
  cost AS (
    SELECT h.account_id, h.cores,
      (SELECT coalesce(sum(f.fee), 0)::float8 FROM audit.fill f
       WHERE f.account_id = h.account_id AND f.instrument_id <> ALL (h.cores)
         AND f.event_ns >= since_ns
         AND f.event_ns < until_ns) AS fees,
      (SELECT coalesce(sum(f.payment), 0)::float8 FROM audit.funding f
       WHERE f.account_id = h.account_id AND f.instrument_id <> ALL (h.cores)
         AND f.event_ns >= since_ns
         AND f.event_ns < until_ns) AS funding
    FROM held h)
  SELECT h.account_id, h.intervals, h.first_at, h.last_at, h.core_pnl, h.hedge_pnl,
    1 - h.book_variance / nullif(h.core_variance, 0),
    1 - h.book_predicted / nullif(h.core_predicted, 0), h.residual_beta,
    h.net_beta_dollar_seconds, coalesce(n.dollar_seconds, 0), c.fees, c.funding,
    c.fees - c.funding, r.removed, (c.fees - c.funding) / CASE WHEN r.removed > 0 THEN r.removed END
  FROM held h LEFT JOIN naked n USING (account_id) JOIN cost c USING (account_id)
  CROSS JOIN LATERAL (
    SELECT (sqrt(h.core_variance) - sqrt(h.book_variance)) * sqrt(h.intervals) AS removed) r;
END $$;
"""

_DAILY = """
CREATE FUNCTION audit.hedge_effectiveness_daily(
  since timestamptz, until timestamptz DEFAULT 'infinity')
RETURNS TABLE (account_id text, day date, intervals bigint, variance_reduction float8,
  variance_reduction_predicted float8, residual_beta float8)
LANGUAGE sql STABLE AS $$
  SELECT i.account_id, (i.ended_at AT TIME ZONE 'UTC')::date, count(*),
    1 - var_samp(i.core_pnl + i.hedge_pnl) / nullif(var_samp(i.core_pnl), 0),
    1 - sum(i.book_variance_predicted) / nullif(sum(i.core_variance_predicted)
      FILTER (WHERE i.book_variance_predicted IS NOT NULL), 0),
    regr_slope(i.core_pnl + i.hedge_pnl, i.core_pnl)
  FROM audit.hedge_intervals(since, until) i GROUP BY 1, 2
$$;
"""


def upgrade() -> None:
    """Add them."""
    for statements in (_NS, _INTERVALS, _EFFECTIVENESS, _DAILY):
        op.execute(statements)


def downgrade() -> None:
    """Drop them."""
    for name in ("hedge_effectiveness_daily", "hedge_effectiveness", "hedge_intervals", "ns"):
        op.execute(f"DROP FUNCTION audit.{name}")
    op.execute("DROP INDEX audit.market_snapshot_moment, audit.signals_moment")
