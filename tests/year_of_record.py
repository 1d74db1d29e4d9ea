"""Fills a database with the record of many cycles, by INSERT ... SELECT: as large as a real one.

A core and nine hedge legs, a decision every 15 minutes, a trade of all legs and funding every
eight hours. The facts fit each other: the books balance. Decisions carry a real
decision's inputs and outputs, stretched to ten legs, so that they take the room of real ones.
"""

import json
import random
from typing import Any

import psycopg

import virtual_loop
import virtual_world
from counterpoise.domain import records

ACCOUNT = "okx-7"
LEGS = (
    "BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "LTCUSDT", "ADAUSDT", "AVAXUSDT",
    "LINKUSDT", "BCHUSDT",
)  # fmt: skip
CYCLES_PER_YEAR = 35_040
#: 2026-01-01T00:00:00Z.
BEGIN_NS = 1_767_225_600_000_000_000

_STEPS = """
CREATE TEMP TABLE leg AS
  SELECT i, name, CASE i WHEN 1 THEN 'core' ELSE 'hedge' END AS leg,
    CASE i WHEN 1 THEN 1.5 ELSE -0.15 END AS weight, (100000 / (3 ^ (i - 1)))::numeric AS mark
  FROM unnest(%(legs)s::text[]) WITH ORDINALITY AS l(name, i);
CREATE TEMP TABLE cycle AS
  SELECT n, %(begin)s + n * 900000000000 AS ns, left(md5('d' || n), 16) AS decision_id,
    'run-' || (n / 2920) AS run_id, sqrt(-2 * ln(1 - random())) * cos(6.2831853 * random()) AS z
  FROM generate_series(0, %(cycles)s - 1) n;
CREATE TEMP TABLE path AS
  SELECT c.n, c.ns, c.decision_id, l.i, l.name, l.leg,
    round(l.mark * exp(sum(0.0025 * c.z + CASE WHEN l.i > 1 THEN 0.001 * (random() - 0.5)
      ELSE 0 END) OVER (PARTITION BY l.i ORDER BY c.n))::numeric, 6) AS mark,
    CASE WHEN c.n = 0 THEN 0 ELSE round(100000 * l.weight / l.mark
      * (1 + 0.1 * ((c.n - 1) / 32 %% 3)), 6) END AS held,
    CASE WHEN c.n %% 32 <> 0 THEN 0 WHEN c.n = 0 THEN round(100000 * l.weight / l.mark, 6)
      ELSE round(100000 * l.weight / l.mark * (1 + 0.1 * (c.n / 32 %% 3)), 6)
        - round(100000 * l.weight / l.mark * (1 + 0.1 * ((c.n - 1) / 32 %% 3)), 6) END AS delta
  FROM cycle c CROSS JOIN leg l;
CREATE INDEX ON path (n);
ANALYZE path;

SELECT ops.make_partitions(audit.moment(%(begin)s), audit.moment(%(begin)s
  + %(cycles)s * 900000000000));

INSERT INTO audit.run
  SELECT DISTINCT ON (run_id) run_id, %(account)s, 'okx', 'live', 'trade', '1.0.0', '1', 'host', 42, n / 2920 + 1,
    md5(run_id), ns - 1000000000, 'year', 1000000000 + n FROM cycle ORDER BY run_id, n;
INSERT INTO audit.decision
  SELECT c.decision_id, c.run_id, %(account)s, 'cycle', c.ns, c.ns + 500000000, 'active',
    CASE WHEN c.n %% 32 = 0 THEN 'traded' WHEN c.n %% 100 = 3 THEN 'skipped'
      WHEN c.n %% 100 = 5 THEN 'blocked' ELSE 'unchanged' END,
    CASE WHEN c.n %% 32 = 0 THEN '{RULE_SKIPPED,BAND_LEG}'
      WHEN c.n %% 100 = 3 THEN '{CORE_STALE}' ELSE '{RULE_SKIPPED,BAND_NOT_REACHED}' END::text[],
    'Unchanged: gross 2.85 of equity held, 2.90 wanted, net beta +0.15, calm, 0 changes.', '1',
    100000, 2.85, 2.9, t.inputs, t.outputs, 'year', c.n * 100 + 1
  FROM cycle c CROSS JOIN year_template t;
INSERT INTO audit.market_snapshot
  SELECT decision_id, name, mark, mark, mark * 0.9999, mark * 1.0001, 0.0001, 120, 80,
    ns + 500000000, 'year', n * 100 + 1 + i, clock_timestamp(), held, leg FROM path;
INSERT INTO audit.signals
  SELECT decision_id, name, 0.5 + random() / 10, 0.5 + random() / 10, 0.5 + random() / 10,
    CASE i WHEN 1 THEN 1 ELSE 1 + random() / 10 END, 0.85 + random() / 10, 0.85 + random() / 10,
    CASE i WHEN 1 THEN 1 + random() END, ns + 500000000, 'year', n * 100 + 11 + i FROM path;
INSERT INTO audit.memory
  SELECT decision_id, run_id, %(account)s, '1', t.memory, ns + 500000000, 'year', n * 100 + 22
  FROM cycle CROSS JOIN year_template t;
INSERT INTO audit.decision_outcome
  SELECT decision_id, run_id, CASE WHEN n %% 32 = 0 THEN 'done' ELSE 'nothing_to_do' END,
    CASE WHEN n %% 32 = 0 THEN '10 of 10 orders filled' ELSE 'nothing to trade' END,
    CASE WHEN n %% 32 = 0 THEN 10 ELSE 0 END, CASE WHEN n %% 32 = 0 THEN 10 ELSE 0 END, 2.85, 2.9,
    ns + 3000000000, 'year', n * 100 + 23, clock_timestamp(),
    CASE WHEN n %% 32 = 0 THEN 0.4 END, CASE WHEN n %% 32 = 0 THEN 15000 * random()::numeric END
  FROM cycle;
INSERT INTO audit.order_intent
  SELECT 'cp' || left(md5('o' || n || '-' || i), 30), decision_id, 'run-' || (n / 2920),
    %(account)s, 1, name, leg, 'cycle', CASE WHEN delta > 0 THEN 'buy' ELSE 'sell' END,
    abs(delta), 'limit', mark * 1.001, 'ioc', false, 0, 2.95, ns + 600000000, ns + 5600000000,
    'year', n * 100 + 24 + i FROM path WHERE delta <> 0;
INSERT INTO audit.order_event
  SELECT 'run-' || (n / 2920) || '-order-' || (n * 100 + i * 3 + k), 'cp'
    || left(md5('o' || n || '-' || i), 30), (1000000 + n * 10 + i)::text, 'run-' || (n / 2920), name,
    (ARRAY['submitted', 'accepted', 'filled'])[k], 'stream', CASE k WHEN 3 THEN abs(delta) END,
    CASE k WHEN 3 THEN mark END, NULL, '', ns + 700000000 + k * 100000000,
    ns + 710000000 + k * 100000000, 'year', 10000000000 + n * 100 + i * 3 + k
  FROM path CROSS JOIN generate_series(1, 3) k WHERE delta <> 0;
INSERT INTO audit.fill
  SELECT %(account)s, name, (n * 20 + i * 2 + k)::text, 'run-' || (n / 2920),
    'cp' || left(md5('o' || n || '-' || i), 30), (1000000 + n * 10 + i)::text,
    CASE WHEN delta > 0 THEN 'buy' ELSE 'sell' END, abs(delta) / 2, round(mark * 1.0001, 6),
    round(abs(delta) / 2 * mark * 0.0005, 8), 'USDT', 'taker',
    CASE WHEN n > 0 AND delta * held < 0 THEN round((random() * 20 - 9)::numeric, 6) ELSE 0 END,
    ns + 2000000000 + k * 100000000, ns + 2050000000 + k * 100000000, 'year',
    20000000000 + n * 100 + i * 2 + k, clock_timestamp(), 'order'
  FROM path CROSS JOIN generate_series(0, 1) k WHERE delta <> 0;
INSERT INTO audit.position
  SELECT 'run-' || (n / 2920) || '-position-' || (n * 20 + i * 2 + k), 'run-' || (n / 2920),
    %(account)s, name, held + delta * (k + 1) / 2, mark, mark, 0, NULL, 'fill',
    ns + 2000000000 + k * 100000000, ns + 2050000000 + k * 100000000, 'year',
    30000000000 + n * 100 + i * 2 + k
  FROM path CROSS JOIN generate_series(0, 1) k WHERE delta <> 0;
INSERT INTO audit.funding
  SELECT %(account)s, 'bill-' || n || '-' || i, 'run-' || (n / 2920), name,
    round(-held * mark * 0.00005, 8), ns + 1000000000, ns + 1100000000, 'year',
    40000000000 + n * 100 + i FROM path WHERE n %% 32 = 0 AND n > 0;
INSERT INTO audit.transfer
  SELECT %(account)s, 'bill-' || n, run_id, 250, ns + 1500000000, ns + 1600000000, 'year',
    50000000000 + n FROM cycle WHERE n %% 5000 = 100;
INSERT INTO audit.reconciliation
  SELECT run_id || '-reconciliation-' || n, run_id, %(account)s, 'cycle', 'balanced', 'USDT',
    100000 + coalesce(sum(cash) OVER (ORDER BY n ROWS BETWEEN UNBOUNDED PRECEDING
      AND 1 PRECEDING), 0), 100000,
    json_build_object('found', '{}'::json, 'positions', positions),
    ns + 400000000, ns + 410000000, ns + 450000000, 'year', 60000000000 + n
  FROM (SELECT c.n, c.ns, c.run_id, coalesce(f.cash, 0) + coalesce(g.cash, 0) + coalesce(t.cash, 0)
      AS cash, (SELECT coalesce(json_object_agg(name, held::text), '{}') FROM path p
        WHERE p.n = c.n AND p.held <> 0) AS positions
    FROM cycle c
    LEFT JOIN (SELECT (event_ns - %(begin)s) / 900000000000 AS n, sum(realised_pnl - fee) AS cash
      FROM audit.fill GROUP BY 1) f USING (n)
    LEFT JOIN (SELECT (event_ns - %(begin)s) / 900000000000 AS n, sum(payment) AS cash
      FROM audit.funding GROUP BY 1) g USING (n)
    LEFT JOIN (SELECT (event_ns - %(begin)s) / 900000000000 AS n, sum(transfer) AS cash
      FROM audit.transfer GROUP BY 1) t USING (n)) flows;
INSERT INTO audit.equity
  SELECT 'run-' || (n / 2920) || '-equity-' || n, 'run-' || (n / 2920), %(account)s,
    r.wallet_balance, r.wallet_balance + 100 * z::numeric, r.wallet_balance, 285000, 15000, 2.85,
    2.9, 1 + (sum(z) OVER (ORDER BY n) / 20000)::numeric, 'cycle', ns + 500000000, 'year',
    70000000000 + n
  FROM cycle JOIN audit.reconciliation r ON r.spool_seq = 60000000000 + n;
INSERT INTO audit.order_denial (decision_id, run_id, instrument_id, side, quantity, reason, body,
    denied_ns, spool_id, spool_seq)
  SELECT decision_id, run_id, 'ETHUSDT', 'sell', 2, 'LEVERAGE_EXCEEDED', '{"message":"3.01"}',
    ns + 700000000, 'year', 80000000000 + n FROM cycle WHERE n %% 100 = 5;
INSERT INTO audit.incident
  SELECT run_id || '-incident-' || n, run_id,
    (ARRAY['warning', 'error', 'critical'])[1 + n / 500 %% 3],
    (ARRAY['leg.vanished', 'account.drift', 'stream.down'])[1 + n / 500 %% 3], 'Something to know.',
    '{}', ns + 800000000, 'year', 90000000000 + n FROM cycle WHERE n %% 500 = 7;
INSERT INTO audit.trading_state (run_id, account_id, trading_state, causes, changed_ns, spool_id,
    spool_seq)
  SELECT run_id, %(account)s, CASE n %% 500 WHEN 7 THEN 'reducing' ELSE 'active' END,
    CASE n %% 500 WHEN 7 THEN '{drift}' ELSE '{}' END::text[], ns + 800000000, 'year',
    100000000000 + n FROM cycle WHERE n %% 500 IN (7, 9);
INSERT INTO audit.control (account_id, action, reason) VALUES (%(account)s, 'pause', 'looking');
INSERT INTO audit.clock
  SELECT run_id || '-clock-' || (n * 15 + k), run_id, 3.5 * random(), false, ns + k * 60000000000,
    'year', 110000000000 + n * 15 + k FROM cycle CROSS JOIN generate_series(0, 14) k;
INSERT INTO audit.block
  SELECT 'okx:okx-7', n + 1, 'shipped', 'year',
    ARRAY(SELECT n * 100 + k FROM generate_series(1, 45) k),
    decode(repeat(md5('l' || n) || md5('m' || n), 45), 'hex'), sha256(n::text::bytea),
    ns + 900000000, sha256((n + 1)::text::bytea) FROM cycle;
DROP TABLE path, cycle, leg, year_template;
"""


def bodies() -> tuple[str, str, str]:
    """Return a real decision's inputs, outputs and memory, stretched to all legs."""
    world = virtual_loop.run(virtual_world.live_through(1))
    made = [r for r in world.kept if isinstance(r, records.DecisionMade) and r.action == "traded"]
    kept = [r for r in world.kept if isinstance(r, records.MemoryKept)]
    digits = random.Random(1)
    return (
        json.dumps(_stretched(json.loads(made[-1].inputs), digits), separators=(",", ":")),
        json.dumps(_stretched(json.loads(made[-1].outputs), digits), separators=(",", ":")),
        json.dumps(_stretched(json.loads(kept[-1].body), digits), separators=(",", ":")),
    )


def fill(dsn: str, cycles: int = CYCLES_PER_YEAR) -> None:
    """Write the record of `cycles` cycles into a migrated, empty database."""
    values = {"legs": list(LEGS), "cycles": cycles, "begin": BEGIN_NS, "account": ACCOUNT}
    with psycopg.connect(dsn) as connection, psycopg.ClientCursor(connection) as cursor:
        cursor.execute("SET synchronous_commit = off; SELECT setseed(0.5)")
        # Read from a table, a body stays compressed on its way.
        cursor.execute("CREATE TEMP TABLE year_template (inputs json, outputs json, memory json)")
        cursor.execute("INSERT INTO year_template VALUES (%s, %s, %s)", bodies())
        cursor.execute(_STEPS, values)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def _stretched(value: Any, digits: random.Random) -> Any:
    if isinstance(value, float):
        return value * (1 + digits.random() / 1e3)
    if isinstance(value, list):
        return [_stretched(each, digits) for each in value]
    if not isinstance(value, dict):
        return value
    known = [value[name] for name in LEGS if name in value]
    if known and set(value) <= set(LEGS):
        return {name: _stretched(known[at % len(known)], digits) for at, name in enumerate(LEGS)}
    return {key: _stretched(each, digits) for key, each in value.items()}
