"""An account beside its shadow twin: what both held, decided and traded, slot by slot."""

from typing import Any, Final

from counterpoise.domain.identity import SHADOW_SUFFIX
from counterpoise.ledger.reader import LedgerReader

Row = dict[str, Any]

#: Each side's columns, by instrument and slot. Slippage is against the mark of the decision, bps of
#: it, positive = worse for the account; what was traded is signed base units.
_SIDES: Final = """
WITH decided AS (
  SELECT decision_id, slot_ns, account_id = %(twin)s AS twin, action, equity, leverage
  FROM audit.decision
  WHERE kind = 'cycle' AND account_id IN (%(account)s, %(twin)s) AND decided_ns >= %(since)s
), traded AS (
  SELECT i.decision_id, i.instrument_id,
    sum(CASE f.side WHEN 'buy' THEN f.quantity ELSE -f.quantity END) AS quantity,
    sum(f.quantity * f.price) / sum(f.quantity) AS price, sum(f.fee) AS fee
  FROM decided d JOIN audit.order_intent i USING (decision_id)
  JOIN audit.fill f ON f.client_order_id = i.client_order_id
  GROUP BY i.decision_id, i.instrument_id
), sides AS (
  SELECT d.slot_ns, m.instrument_id, d.twin, d.action, d.equity, d.leverage,
    m.quantity AS held, t.quantity AS traded, t.price, t.fee,
    round(sign(t.quantity) * (t.price / m.mark - 1) * 10000, 2) AS slippage_bps
  FROM decided d JOIN audit.market_snapshot m USING (decision_id)
  LEFT JOIN traded t USING (decision_id, instrument_id)
)
"""

#: Columns that both sides have.
FIGURES: Final = (
    "action",
    "equity",
    "leverage",
    "held",
    "traded",
    "price",
    "slippage_bps",
    "fee",
)


def comparison(reader: LedgerReader, account_id: str, since_ns: int) -> list[Row]:
    """Return a row per slot and instrument, newest slot first; None = that side has no such row.

    Keys: slot_ns (and slot_at), instrument_id, and each of `FIGURES` as live_* and twin_*.
    """
    columns = ", ".join(
        f"(array_agg({figure}) FILTER (WHERE {'' if side == 'twin' else 'NOT '}twin))[1] "
        f"AS {side}_{figure}"
        for figure in FIGURES
        for side in ("live", "twin")
    )
    return reader.rows(
        f"{_SIDES} SELECT slot_ns, instrument_id, {columns} FROM sides "  # noqa: S608 - constants
        "GROUP BY slot_ns, instrument_id ORDER BY slot_ns DESC, instrument_id",
        account=account_id,
        twin=account_id + SHADOW_SUFFIX,
        since=since_ns,
    )


def totals(reader: LedgerReader, account_id: str, since_ns: int) -> list[Row]:
    """Return what each side traded in all: one row each, the account first.

    Slippage is weighted by what was traded; None where nothing was.
    """
    return reader.rows(
        _SIDES  # noqa: S608 - a constant
        + """
        , newest AS (
          SELECT DISTINCT ON (account_id) account_id, equity FROM audit.equity
          WHERE account_id IN (%(account)s, %(twin)s)
          ORDER BY account_id, event_ns DESC, spool_seq DESC
        )
        SELECT n.account_id, n.equity, count(DISTINCT s.slot_ns) AS cycles,
          coalesce(sum(abs(s.traded) * s.price), 0) AS turnover,
          coalesce(sum(s.fee), 0) AS fees,
          round(sum(s.slippage_bps * abs(s.traded) * s.price)
            / nullif(sum(abs(s.traded) * s.price), 0), 2) AS slippage_bps
        FROM newest n LEFT JOIN sides s ON s.twin = (n.account_id = %(twin)s)
        GROUP BY n.account_id, n.equity ORDER BY n.account_id
        """,
        account=account_id,
        twin=account_id + SHADOW_SUFFIX,
        since=since_ns,
    )
