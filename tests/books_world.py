"""Writes facts as the shipper does (a fact told twice is one row) and a naive model of the books."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import psycopg

import ledger_samples
from counterpoise.domain.records import (
    AccountLooked,
    FillSeen,
    FundingSeen,
    Record,
    TransferSeen,
)
from counterpoise.ledger import codec, schema

Fact = FillSeen | FundingSeen | TransferSeen
ZERO = Decimal(0)


class Writer:
    """Inserts records with a place in a spool of its own."""

    def __init__(self, connection: "psycopg.Connection[Any]", spool_id: str) -> None:
        self._connection = connection
        self._spool_id = spool_id
        self._seq = 0

    def write(self, records: Iterable[Record]) -> None:
        """Insert records in their order; what has the same key is there already."""
        with self._connection.cursor() as cursor:
            for record in records:
                self._seq += 1
                row = schema.row_of(record) | {"spool_id": self._spool_id, "spool_seq": self._seq}
                names, marks = ", ".join(row), ", ".join(f"%({name})s" for name in row)
                table = schema.TABLE_NAMES[type(record)]
                statement = (
                    f"INSERT INTO audit.{table} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING"
                )
                cursor.execute(statement.encode(), row)


def fill(account_id: str, number: int, moment_ns: int, **changes: Any) -> FillSeen:
    made = ledger_samples.fill(number, fill_id=str(number), event_ns=moment_ns)
    return replace(made, account_id=account_id, **changes)


def funding(account_id: str, number: int, moment_ns: int, payment: Decimal) -> FundingSeen:
    return FundingSeen(
        account_id=account_id,
        payment_id=f"bill-{number}",
        run_id="run-1",
        instrument_id="BTCUSDT" if number % 2 else "ETHUSDT",
        payment=payment,
        event_ns=moment_ns,
        received_ns=moment_ns + 1,
    )


def transfer(account_id: str, number: int, moment_ns: int, change: Decimal) -> TransferSeen:
    return TransferSeen(
        account_id=account_id,
        transfer_id=f"bill-{number}",
        run_id="run-1",
        transfer=change,
        event_ns=moment_ns,
        recorded_ns=moment_ns + 1,
    )


def look(
    account_id: str,
    number: int,
    balance_ns: int,
    wallet: Decimal,
    positions: dict[str, Decimal],
    **changes: Any,
) -> AccountLooked:
    made = AccountLooked(
        reconciliation_id=f"{account_id}-look-{number}",
        run_id="run-1",
        account_id=account_id,
        cause="cycle",
        result="balanced",
        currency="USDT",
        wallet_balance=wallet,
        venue_equity=wallet,
        body=codec.encode({"found": {}, "positions": positions}),
        balance_ns=balance_ns,
        positions_ns=balance_ns,
        recorded_ns=balance_ns + number,
    )
    return replace(made, **changes)


@dataclass
class Venue:
    """What the venue's own account does with the facts; knows nothing of entries."""

    opening: Decimal
    held: dict[str, Decimal]
    facts: list[Fact]

    def wallet(self, until_ns: int, facts: Iterable[Fact] | None = None) -> Decimal:
        """Return cash after every fact up to a moment."""
        total = self.opening
        for fact in self.facts if facts is None else facts:
            if fact.event_ns > until_ns:
                continue
            if isinstance(fact, FillSeen):
                total += (fact.realised_pnl or ZERO) - fact.fee
            else:
                total += fact.payment if isinstance(fact, FundingSeen) else fact.transfer
        return total

    def positions(self, until_ns: int) -> dict[str, Decimal]:
        """Return what is held after every execution up to a moment, flat ones left out."""
        found = defaultdict(lambda: ZERO, self.held)
        for fact in self.facts:
            if isinstance(fact, FillSeen) and fact.event_ns <= until_ns:
                found[fact.instrument_id] += fact.quantity if fact.side == "buy" else -fact.quantity
        return {name: quantity for name, quantity in found.items() if quantity}
