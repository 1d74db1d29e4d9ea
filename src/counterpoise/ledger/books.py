"""The double-entry books, read from the views that make them of the facts on record.

An entry is an execution, a payment or a transfer, keyed by the venue's own id; nothing is
computed a second time. The books open with the venue's first answer on record and are proven
against its last one.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterpoise.ledger.reader import LedgerReader

Row = dict[str, Any]

#: Longest time a question over a long span may take, seconds.
SECONDS_MAX: Final = 300
#: What a venue may round off its own cash, quote: venues tell at most eight places.
DUST: Final = Decimal("0.00000001")


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """One account's books."""

    account_id: str
    #: Opening + flows against the venue's cash: a row of `audit.book_proof`.
    proof: Row
    #: Rows of `audit.book_positions`: opening + executions against the venue's position.
    positions: tuple[Row, ...]
    #: Rows of `audit.book_balances`, + debit, - credit; each commodity sums to zero.
    balances: tuple[Row, ...]
    #: Answers of the venue that the books were compared with, and those that did not add up.
    looks: int
    looks_unexplained: int

    @property
    def cash_difference(self) -> Decimal:
        """The venue's cash less what the facts explain, quote."""
        difference: Decimal = self.proof["difference"]
        return difference

    @property
    def balanced(self) -> bool:
        """Tell whether facts explain cash to `DUST` and every position exactly."""
        positions = all(row["difference"] == 0 for row in self.positions)
        return abs(self.cash_difference) <= DUST and positions


def read(reader: LedgerReader) -> list[Books]:
    """Return the books of every account that was looked at. Raises LedgerUnavailable."""
    balances = reader.view("book_balances", order="account_id, book, commodity")
    positions = reader.view("book_positions", order="account_id, instrument_id")
    looks = {
        row["account_id"]: row
        for row in reader.rows(
            "SELECT account_id, count(*) AS looks, "
            "count(*) FILTER (WHERE result = 'unexplained') AS looks_unexplained "
            "FROM audit.reconciliation GROUP BY account_id"
        )
    }
    return [
        Books(
            account_id=proof["account_id"],
            proof=proof,
            positions=tuple(_of(positions, proof["account_id"])),
            balances=tuple(_of(balances, proof["account_id"])),
            looks=looks[proof["account_id"]]["looks"],
            looks_unexplained=looks[proof["account_id"]]["looks_unexplained"],
        )
        for proof in reader.view("book_proof", order="account_id")
    ]


def cycles(reader: LedgerReader, since_ns: int = 0, limit: int = 100_000) -> list[Row]:
    """Return each answer of the venue against the one before it, oldest first."""
    reader.be_patient(SECONDS_MAX)
    return reader.rows(
        "SELECT * FROM audit.book_cycles WHERE recorded_ns >= %(since)s "
        "ORDER BY recorded_ns LIMIT %(limit)s",
        since=since_ns,
        limit=limit,
    )


def _of(rows: list[Row], account_id: str) -> list[Row]:
    return [row for row in rows if row["account_id"] == account_id]
