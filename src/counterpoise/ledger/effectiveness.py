"""Hedge effectiveness, read from the functions of the schema that define it."""

from typing import Any, Final

from counterpoise.ledger.reader import LedgerReader

Row = dict[str, Any]

#: Longest time a question over a long span may take, seconds.
SECONDS_MAX: Final = 300


def effectiveness(reader: LedgerReader, since_ns: int, until_ns: int | None = None) -> list[Row]:
    """Return one row per account for [since, until): `audit.hedge_effectiveness`."""
    reader.be_patient(SECONDS_MAX)
    return reader.rows(
        "SELECT * FROM audit.hedge_effectiveness(audit.moment(%(since)s), "
        "coalesce(audit.moment(%(until)s), 'infinity')) ORDER BY account_id",
        since=since_ns,
        until=until_ns,
    )
