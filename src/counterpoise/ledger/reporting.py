"""Everything a report shows, read from the views and functions of the schema."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterpoise.ledger import books, effectiveness
from counterpoise.ledger.books import Books
from counterpoise.ledger.reader import LedgerReader
from counterpoise.ledger.rows import iso

Row = dict[str, Any]

#: Points of one leg's line.
LEG_POINTS_MAX: Final = 1_500

_LEGS: Final = """
SELECT at, instrument_id, leg, quantity, fraction FROM (
  SELECT l.*, row_number() OVER w AS place, count(*) OVER (PARTITION BY instrument_id) AS points
  FROM audit.legs(audit.moment(%(since)s), audit.moment(%(until)s)) l
  WHERE account_id = %(account)s WINDOW w AS (PARTITION BY instrument_id ORDER BY at DESC)) p
WHERE (place - 1) %% ((points + %(points)s - 1) / %(points)s) = 0 ORDER BY at, instrument_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """One account's record over a span of time; rows as the schema's functions give them."""

    account_id: str
    since_ns: int
    until_ns: int
    #: `audit.equity_curve`, oldest first.
    equity: list[Row]
    #: `audit.legs`, oldest first, at most `LEG_POINTS_MAX` evenly spread points of each leg.
    legs: list[Row]
    #: `audit.flows_daily`, oldest day first.
    flows: list[Row]
    #: Decisions counted by kind and action.
    decisions: list[Row]
    #: Reason codes counted, the most frequent first.
    reasons: list[Row]
    #: Decisions that traded, the newest first, at most as many as were asked for.
    trades: list[Row]
    #: Incidents, newest first.
    incidents: list[Row]
    #: Orders risk refused, counted by reason.
    denials: list[Row]
    #: `audit.hedge_effectiveness` of the whole span; None = no two cycles.
    effectiveness: Row | None
    #: `audit.hedge_effectiveness_daily`, oldest day first.
    effectiveness_daily: list[Row]
    #: The books since they were opened; None = the venue was never asked.
    books: Books | None


def newest_account(reader: LedgerReader) -> str | None:
    """Return the account of the newest run; None = no daemon ever ran."""
    runs = reader.runs(limit=1)
    return str(runs[0]["account_id"]) if runs else None


def read(
    reader: LedgerReader, account_id: str, since_ns: int, until_ns: int, trades_max: int = 200
) -> ReportData:
    """Return the record of [since, until). Raises LedgerUnavailable."""
    reader.be_patient(effectiveness.SECONDS_MAX)
    span: dict[str, object] = {
        "points": LEG_POINTS_MAX,
        "account": account_id,
        "since": since_ns,
        "until": until_ns,
        "limit": trades_max,
    }

    def rows(statement: str) -> list[Row]:
        return reader.rows(statement, **span)

    function = (
        "SELECT * FROM audit.{}(audit.moment(%(since)s), audit.moment(%(until)s)) "
        "WHERE account_id = %(account)s ORDER BY {}"
    )
    decided = (
        "FROM audit.decision WHERE account_id = %(account)s "
        "AND decided_ns >= %(since)s AND decided_ns < %(until)s "
    )
    whole = effectiveness.effectiveness(reader, since_ns, until_ns)
    return ReportData(
        account_id=account_id,
        since_ns=since_ns,
        until_ns=until_ns,
        equity=rows(function.format("equity_curve", "at")),
        legs=rows(_LEGS),
        flows=rows(function.format("flows_daily", "day, instrument_id")),
        decisions=rows(
            f"SELECT kind, action, count(*) AS decisions {decided} GROUP BY 1, 2 ORDER BY 1, 2"
        ),
        reasons=rows(
            f"SELECT code, count(*) AS decisions FROM (SELECT unnest(reasons) AS code {decided}) r "  # noqa: S608
            "GROUP BY code ORDER BY decisions DESC, code"
        ),
        trades=rows(
            f"SELECT decided_ns, decision_id, kind, summary {decided} AND action = 'traded' "
            "ORDER BY decided_ns DESC LIMIT %(limit)s"
        ),
        incidents=rows(
            "SELECT i.opened_ns, i.severity, i.kind, i.summary FROM audit.incident i "
            "JOIN audit.run r USING (run_id) WHERE r.account_id = %(account)s "
            "AND i.opened_ns >= %(since)s AND i.opened_ns < %(until)s ORDER BY i.opened_ns DESC"
        ),
        denials=rows(
            "SELECT d.reason, count(*) AS orders FROM audit.order_denial d "
            "JOIN audit.run r USING (run_id) WHERE r.account_id = %(account)s "
            "AND d.denied_ns >= %(since)s AND d.denied_ns < %(until)s GROUP BY 1 ORDER BY 2 DESC, 1"
        ),
        effectiveness=_one(whole, account_id),
        effectiveness_daily=rows(function.format("hedge_effectiveness_daily", "day")),
        books=next((b for b in books.read(reader) if b.account_id == account_id), None),
    )


def figures(data: ReportData) -> dict[str, Any]:
    """Return the report's figures by name; None = not known. Decimals are quote or multiples."""
    last, first = (data.equity[-1], data.equity[0]) if data.equity else (None, None)
    found: dict[str, Any] = {
        "account_id": data.account_id,
        "since": iso(data.since_ns),
        "until": iso(data.until_ns),
        "equity_first": None if first is None else first["equity"],
        "equity_last": None if last is None else last["equity"],
        "unit_nav_change": _nav_change(data.equity),
        "drawdown_deepest": _highest(data.equity, "drawdown"),
        "leverage_highest": _highest(data.equity, "leverage_max"),
        "fills": sum(row["fills"] for row in data.flows),
    }
    for name in ("turnover", "realised", "fees", "funding"):
        found[name] = sum((row[name] for row in data.flows), Decimal(0))
    for row in data.decisions:
        found[f"decisions_{row['kind']}_{row['action']}"] = row["decisions"]
    for severity in ("warning", "error", "critical"):
        found[f"incidents_{severity}"] = sum(r["severity"] == severity for r in data.incidents)
    found["orders_denied"] = sum(row["orders"] for row in data.denials)
    if data.books is not None:
        found["books_difference"] = data.books.cash_difference
        found["books_looks_unexplained"] = data.books.looks_unexplained
    left_out = ("account_id", "first_at", "last_at")
    for name, value in (data.effectiveness or {}).items():
        if name not in left_out:
            found[f"hedge_{name.removeprefix('hedge_')}"] = value
    return found


def _one(rows: list[Row], account_id: str) -> Row | None:
    return next((row for row in rows if row["account_id"] == account_id), None)


def _highest(rows: list[Row], name: str) -> Decimal | None:
    return max((row[name] for row in rows if row[name] is not None), default=None)


def _nav_change(rows: list[Row]) -> Decimal | None:
    known = [row["unit_nav"] for row in rows if row["unit_nav"]]
    return known[-1] / known[0] - 1 if known else None
