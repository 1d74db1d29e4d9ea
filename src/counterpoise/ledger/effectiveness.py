"""Hedge effectiveness, read from the functions of the schema that define it."""

from typing import Any

from counterpoise.ledger.reader import LedgerReader

Row = dict[str, Any]


def effectiveness(reader: LedgerReader, since_ns: int, until_ns: int | None = None) -> list[Row]:
    """Return one row per account for [since, until): `audit.hedge_effectiveness`."""
    return reader.rows(
        "SELECT * FROM audit.hedge_effectiveness(audit.moment(%(since)s), "
        "coalesce(audit.moment(%(until)s), 'infinity')) ORDER BY account_id",
        since=since_ns,
        until=until_ns,
    )


def intervals(reader: LedgerReader, since_ns: int, until_ns: int | None = None) -> list[Row]:
    """Return one row per cycle and account, oldest first: `audit.hedge_intervals`."""
    return reader.rows(
        "SELECT * FROM audit.hedge_intervals(audit.moment(%(since)s), "
        "coalesce(audit.moment(%(until)s), 'infinity')) ORDER BY ended_at, account_id",
        since=since_ns,
        until=until_ns,
    )
