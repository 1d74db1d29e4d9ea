"""Double-entry books as views over the facts, and what the venue said of the whole account.

Revision 0008, after 0007. Nothing is stored twice: an entry is a fill, a payment or a transfer
seen through `audit.postings`. What is new to store is each answer of the venue for the whole
account (`audit.reconciliation`), whose doing a fill was, and what a leg held at a decision.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_RECONCILIATION = """
CREATE TABLE audit.reconciliation (
  reconciliation_id text PRIMARY KEY, run_id text NOT NULL, account_id text NOT NULL,
  cause text NOT NULL, result text NOT NULL, currency text NOT NULL,
  wallet_balance numeric NOT NULL, venue_equity numeric NOT NULL, body json NOT NULL,
  balance_ns bigint NOT NULL, positions_ns bigint NOT NULL, recorded_ns bigint NOT NULL,
  spool_id text NOT NULL, spool_seq bigint NOT NULL,
  shipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT reconciliation_spool_key UNIQUE (spool_id, spool_seq));
CREATE INDEX reconciliation_recorded
  ON audit.reconciliation (account_id, recorded_ns, spool_seq);
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.reconciliation
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON audit.reconciliation
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.reconciliation ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.reconciliation ENABLE ALWAYS TRIGGER append_only_table;

-- NULL in rows of an earlier version.
ALTER TABLE audit.fill ADD COLUMN cause text;
ALTER TABLE audit.market_snapshot ADD COLUMN quantity numeric, ADD COLUMN leg text;

CREATE INDEX funding_event ON audit.funding (account_id, event_ns);
CREATE INDEX transfer_event ON audit.transfer (account_id, event_ns);
"""

# One rule for every fact and for every sum of facts: it is linear in the changes, so that the
# balances may be had from sums. Changes + debit, - credit; each commodity of a fact sums to zero.
_POSTINGS = """
CREATE FUNCTION audit.postings(kind text, instrument_id text, cause text, currency text,
  cash numeric, fee numeric, fee_currency text, quantity numeric)
RETURNS TABLE (book text, commodity text, change numeric) LANGUAGE sql IMMUTABLE AS $$
  SELECT p.book, p.commodity, p.change FROM (VALUES
    ('assets:wallet', currency, cash),
    (CASE kind
      WHEN 'opening' THEN 'equity:opening'
      WHEN 'transfer' THEN 'equity:transfers'
      WHEN 'suspense' THEN 'equity:suspense'
      WHEN 'funding' THEN 'income:funding:' || instrument_id
      ELSE 'income:' || CASE cause WHEN 'order' THEN 'realised' ELSE cause END
        || ':' || instrument_id END, currency, -cash),
    ('expenses:fees:' || instrument_id, fee_currency, fee),
    ('assets:wallet', fee_currency, -fee),
    ('positions:' || instrument_id, instrument_id, quantity),
    (CASE kind
      WHEN 'opening' THEN 'equity:opening'
      WHEN 'suspense' THEN 'equity:suspense'
      ELSE 'positions:counterparty' END, instrument_id, -quantity)
  ) AS p(book, commodity, change) WHERE p.change <> 0
$$;
"""

# The books open with the venue's first answer on record and are closed against its last one.
_ENDS = """
CREATE VIEW audit.book_openings AS
SELECT r.account_id, r.currency, r.wallet_balance, r.balance_ns, r.positions_ns, r.body,
  r.reconciliation_id, r.recorded_ns
FROM (SELECT DISTINCT account_id FROM audit.run) a
CROSS JOIN LATERAL (SELECT * FROM audit.reconciliation WHERE account_id = a.account_id
  ORDER BY recorded_ns, spool_seq LIMIT 1) r;

CREATE VIEW audit.book_closings AS
SELECT r.account_id, r.currency, r.wallet_balance, r.balance_ns, r.positions_ns, r.body,
  r.reconciliation_id, r.recorded_ns
FROM (SELECT DISTINCT account_id FROM audit.run) a
CROSS JOIN LATERAL (SELECT * FROM audit.reconciliation WHERE account_id = a.account_id
  ORDER BY recorded_ns DESC, spool_seq DESC LIMIT 1) r;

-- What moved cash or a position since the opening, one row for each id of the venue. What the
-- opening's balance or its positions hold already is left out of that half.
CREATE VIEW audit.book_facts AS
SELECT o.account_id, f.event_ns, 'fill' AS kind, f.fill_id AS venue_id, f.instrument_id,
  coalesce(f.cause, 'order') AS cause, o.currency,
  CASE WHEN f.event_ns > o.balance_ns THEN coalesce(f.realised_pnl, 0) ELSE 0 END AS cash,
  CASE WHEN f.event_ns > o.balance_ns THEN f.fee ELSE 0 END AS fee, f.fee_currency,
  CASE WHEN f.event_ns <= o.positions_ns THEN 0 WHEN f.side = 'buy' THEN f.quantity
    ELSE -f.quantity END AS quantity
FROM audit.book_openings o JOIN audit.fill f ON f.account_id = o.account_id
  AND f.event_ns > least(o.balance_ns, o.positions_ns)
UNION ALL
SELECT o.account_id, f.event_ns, 'funding', f.payment_id, f.instrument_id, NULL, o.currency,
  f.payment, 0, NULL, 0
FROM audit.book_openings o JOIN audit.funding f ON f.account_id = o.account_id
  AND f.event_ns > o.balance_ns
UNION ALL
SELECT o.account_id, t.event_ns, 'transfer', t.transfer_id, NULL, NULL, o.currency,
  t.transfer, 0, NULL, 0
FROM audit.book_openings o JOIN audit.transfer t ON t.account_id = o.account_id
  AND t.event_ns > o.balance_ns;
"""

# The facts summed in one pass, and apart from them what is younger than the closing.
_PROOFS = """
CREATE VIEW audit.book_sums AS
SELECT o.account_id, 'fill' AS kind, f.instrument_id, coalesce(f.cause, 'order') AS cause,
  o.currency, f.fee_currency,
  coalesce(sum(f.realised_pnl) FILTER (WHERE f.event_ns > o.balance_ns), 0) AS cash,
  coalesce(sum(f.fee) FILTER (WHERE f.event_ns > o.balance_ns), 0) AS fee,
  coalesce(sum(CASE f.side WHEN 'buy' THEN f.quantity ELSE -f.quantity END)
    FILTER (WHERE f.event_ns > o.positions_ns), 0) AS quantity,
  coalesce(sum(f.realised_pnl) FILTER (WHERE f.event_ns > c.balance_ns), 0) AS cash_after,
  coalesce(sum(f.fee) FILTER (WHERE f.event_ns > c.balance_ns), 0) AS fee_after,
  coalesce(sum(CASE f.side WHEN 'buy' THEN f.quantity ELSE -f.quantity END)
    FILTER (WHERE f.event_ns > c.positions_ns), 0) AS quantity_after
FROM audit.book_openings o JOIN audit.book_closings c USING (account_id)
JOIN audit.fill f ON f.account_id = o.account_id
  AND f.event_ns > least(o.balance_ns, o.positions_ns)
GROUP BY 1, 3, 4, 5, 6
UNION ALL
SELECT o.account_id, 'funding', f.instrument_id, NULL, o.currency, NULL, sum(f.payment), 0, 0,
  coalesce(sum(f.payment) FILTER (WHERE f.event_ns > c.balance_ns), 0), 0, 0
FROM audit.book_openings o JOIN audit.book_closings c USING (account_id)
JOIN audit.funding f ON f.account_id = o.account_id AND f.event_ns > o.balance_ns
GROUP BY 1, 3, 5
UNION ALL
SELECT o.account_id, 'transfer', NULL, NULL, o.currency, NULL, sum(t.transfer), 0, 0,
  coalesce(sum(t.transfer) FILTER (WHERE t.event_ns > c.balance_ns), 0), 0, 0
FROM audit.book_openings o JOIN audit.book_closings c USING (account_id)
JOIN audit.transfer t ON t.account_id = o.account_id AND t.event_ns > o.balance_ns
GROUP BY 1, 5;

CREATE VIEW audit.book_proof AS
SELECT e.*, e.assets - e.expected AS difference
FROM (
  SELECT o.account_id, o.currency, audit.moment(o.balance_ns) AS opened_at,
    audit.moment(c.balance_ns) AS closed_at, c.reconciliation_id,
    o.wallet_balance AS opening, s.realised, -s.fees AS fees, s.funding, s.transfers,
    o.wallet_balance + s.realised - s.fees + s.funding + s.transfers AS expected,
    c.wallet_balance AS assets
  FROM audit.book_openings o JOIN audit.book_closings c USING (account_id)
  CROSS JOIN LATERAL (
    SELECT coalesce(sum(f.cash - f.cash_after) FILTER (WHERE f.kind = 'fill'), 0) AS realised,
      coalesce(sum(f.fee - f.fee_after) FILTER (WHERE f.fee_currency = o.currency), 0) AS fees,
      coalesce(sum(f.cash - f.cash_after) FILTER (WHERE f.kind = 'funding'), 0) AS funding,
      coalesce(sum(f.cash - f.cash_after) FILTER (WHERE f.kind = 'transfer'), 0) AS transfers
    FROM audit.book_sums f WHERE f.account_id = o.account_id) s) e;

CREATE VIEW audit.book_positions AS
SELECT account_id, instrument_id, sum(opening) AS opening, sum(executed) AS executed,
  sum(opening) + sum(executed) AS expected, sum(venue) AS venue,
  sum(venue) - sum(opening) - sum(executed) AS difference
FROM (
  SELECT o.account_id, p.key AS instrument_id, p.value::numeric AS opening, 0 AS executed,
    0 AS venue
  FROM audit.book_openings o CROSS JOIN LATERAL json_each_text(o.body -> 'positions') p
  UNION ALL
  SELECT c.account_id, p.key, 0, 0, p.value::numeric
  FROM audit.book_closings c CROSS JOIN LATERAL json_each_text(c.body -> 'positions') p
  UNION ALL
  SELECT s.account_id, s.instrument_id, 0, s.quantity - s.quantity_after, 0
  FROM audit.book_sums s WHERE s.kind = 'fill') parts
GROUP BY account_id, instrument_id;

-- Each answer of the venue against the one before it: what moved between is asked by index.
CREATE VIEW audit.book_cycles AS
SELECT r.account_id, r.reconciliation_id, audit.moment(r.recorded_ns) AS looked_at, r.cause,
  r.result, p.wallet_balance AS opening, m.realised, -m.fees AS fees, m.funding, m.transfers,
  r.wallet_balance AS assets,
  r.wallet_balance - (p.wallet_balance + m.realised - m.fees + m.funding + m.transfers)
    AS difference, r.body -> 'found' AS found, r.recorded_ns
FROM audit.reconciliation r
CROSS JOIN LATERAL (
  SELECT * FROM audit.reconciliation b WHERE b.account_id = r.account_id
    AND (b.recorded_ns, b.spool_seq) < (r.recorded_ns, r.spool_seq)
  ORDER BY b.recorded_ns DESC, b.spool_seq DESC LIMIT 1) p
CROSS JOIN LATERAL (
  -- An answer may be older than the one before it: then its cash lacks what is between.
  SELECT s.sign * coalesce(f.realised, 0) AS realised, s.sign * coalesce(f.fees, 0) AS fees,
    s.sign * coalesce(g.funding, 0) AS funding, s.sign * coalesce(t.transfers, 0) AS transfers
  FROM (SELECT CASE WHEN r.balance_ns < p.balance_ns THEN -1 ELSE 1 END AS sign,
    least(p.balance_ns, r.balance_ns) AS after_ns,
    greatest(p.balance_ns, r.balance_ns) AS until_ns) s
  CROSS JOIN LATERAL (SELECT sum(realised_pnl) AS realised,
    sum(fee) FILTER (WHERE fee_currency = r.currency) AS fees FROM audit.fill
    WHERE account_id = r.account_id AND event_ns > s.after_ns AND event_ns <= s.until_ns) f
  CROSS JOIN LATERAL (SELECT sum(payment) AS funding FROM audit.funding
    WHERE account_id = r.account_id AND event_ns > s.after_ns AND event_ns <= s.until_ns) g
  CROSS JOIN LATERAL (SELECT sum(transfer) AS transfers FROM audit.transfer
    WHERE account_id = r.account_id AND event_ns > s.after_ns AND event_ns <= s.until_ns) t) m;
"""

# What the facts do not explain stands in suspense, never in another account.
_BOOKS = """
CREATE VIEW audit.book_ends AS
SELECT account_id, balance_ns AS event_ns, 'opening' AS kind, reconciliation_id AS venue_id,
  NULL AS instrument_id, currency, wallet_balance AS cash, 0 AS quantity
FROM audit.book_openings
UNION ALL
SELECT o.account_id, o.positions_ns, 'opening', o.reconciliation_id, p.key, o.currency, 0,
  p.value::numeric
FROM audit.book_openings o CROSS JOIN LATERAL json_each_text(o.body -> 'positions') p
UNION ALL
SELECT c.account_id, c.balance_ns, 'suspense', c.reconciliation_id, NULL, c.currency,
  p.difference, 0
FROM audit.book_closings c JOIN audit.book_proof p USING (account_id) WHERE p.difference <> 0
UNION ALL
SELECT c.account_id, c.positions_ns, 'suspense', c.reconciliation_id, p.instrument_id,
  c.currency, 0, p.difference
FROM audit.book_closings c JOIN audit.book_positions p USING (account_id)
WHERE p.difference <> 0;

CREATE VIEW audit.book_entries AS
SELECT e.account_id, audit.moment(e.event_ns) AS booked_at, e.kind, e.venue_id, p.book,
  p.commodity, p.change, e.event_ns
FROM (
  SELECT account_id, event_ns, kind, venue_id, instrument_id, cause, currency, cash, fee,
    fee_currency, quantity FROM audit.book_facts
  UNION ALL
  SELECT account_id, event_ns, kind, venue_id, instrument_id, NULL, currency, cash, 0, NULL,
    quantity FROM audit.book_ends) e
CROSS JOIN LATERAL audit.postings(e.kind, e.instrument_id, e.cause, e.currency, e.cash, e.fee,
  e.fee_currency, e.quantity) p;

-- The same from sums: the facts are read once, whatever the ends ask of them.
CREATE VIEW audit.book_balances AS
WITH sums AS MATERIALIZED (SELECT * FROM audit.book_sums),
ends AS MATERIALIZED (
  SELECT o.account_id, o.currency, o.wallet_balance AS opened, c.wallet_balance AS closed,
    o.body -> 'positions' AS positions_opened, c.body -> 'positions' AS positions_closed
  FROM audit.book_openings o JOIN audit.book_closings c USING (account_id)),
held AS (
  SELECT e.account_id, p.key AS instrument_id, p.value::numeric AS opened, 0 AS closed
  FROM ends e CROSS JOIN LATERAL json_each_text(e.positions_opened) p
  UNION ALL
  SELECT e.account_id, p.key, 0, p.value::numeric
  FROM ends e CROSS JOIN LATERAL json_each_text(e.positions_closed) p
  UNION ALL
  SELECT account_id, instrument_id, 0, quantity_after - quantity FROM sums WHERE kind = 'fill')
SELECT s.account_id, p.book, p.commodity, sum(p.change) AS balance
FROM (
  SELECT account_id, kind, instrument_id, cause, currency, cash, fee, fee_currency, quantity
  FROM sums
  UNION ALL
  SELECT account_id, 'opening', NULL, NULL, currency, opened, 0, NULL, 0 FROM ends
  UNION ALL
  SELECT account_id, 'opening', instrument_id, NULL, NULL, 0, 0, NULL, opened FROM held
  UNION ALL
  SELECT e.account_id, 'suspense', NULL, NULL, e.currency, e.closed - e.opened - coalesce((
    SELECT sum(s.cash - s.cash_after
      - CASE WHEN s.fee_currency = e.currency THEN s.fee - s.fee_after ELSE 0 END)
    FROM sums s WHERE s.account_id = e.account_id), 0), 0, NULL, 0
  FROM ends e
  UNION ALL
  SELECT account_id, 'suspense', instrument_id, NULL, NULL, 0, 0, NULL,
    sum(closed) - sum(opened) FROM held GROUP BY account_id, instrument_id) s
CROSS JOIN LATERAL audit.postings(s.kind, s.instrument_id, s.cause, s.currency, s.cash, s.fee,
  s.fee_currency, s.quantity) p
GROUP BY s.account_id, p.book, p.commodity HAVING sum(p.change) <> 0;
"""

# As before, and what an earlier revision revoked stays revoked whenever grants are given again.
_GRANTS = """
CREATE OR REPLACE FUNCTION ops.grant_roles() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'counterpoise_writer') THEN
    GRANT USAGE ON SCHEMA audit, ops TO counterpoise_writer;
    GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA audit TO counterpoise_writer;
    -- Wishes are the operator's; the daemon only answers them. What was archived is the owner's.
    REVOKE INSERT ON audit.control FROM counterpoise_writer;
    IF to_regclass('audit.archived') IS NOT NULL THEN
      REVOKE INSERT ON audit.archived FROM counterpoise_writer;
    END IF;
    IF to_regprocedure('ops.make_partitions(timestamptz, timestamptz)') IS NOT NULL THEN
      GRANT EXECUTE ON FUNCTION ops.make_partitions TO counterpoise_writer;
    END IF;
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

_VIEWS = (
    "book_balances",
    "book_entries",
    "book_ends",
    "book_cycles",
    "book_positions",
    "book_proof",
    "book_sums",
    "book_facts",
    "book_closings",
    "book_openings",
)


def upgrade() -> None:
    """Add them; no row that is there changes."""
    for statements in (_RECONCILIATION, _POSTINGS, _ENDS, _PROOFS, _BOOKS, _GRANTS):
        op.execute(statements)


def downgrade() -> None:
    """Drop them; the function that gives grants fits every earlier revision too."""
    for name in _VIEWS:
        op.execute(f"DROP VIEW audit.{name}")
    op.execute("DROP FUNCTION audit.postings")
    op.execute("DROP TABLE audit.reconciliation")
    op.execute("DROP INDEX audit.funding_event, audit.transfer_event")
    op.execute("ALTER TABLE audit.fill DROP COLUMN cause")
    op.execute("ALTER TABLE audit.market_snapshot DROP COLUMN quantity, DROP COLUMN leg")
