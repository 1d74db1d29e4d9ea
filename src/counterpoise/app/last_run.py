"""What the last run left on record, read at once and beside the loop."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Self

from counterpoise.app.boot import FILLS_REMEMBERED
from counterpoise.app.database import silent
from counterpoise.app.way_out import from_thread
from counterpoise.engine.same_instant import STAMPS_APART_NS
from counterpoise.ledger.reader import Row
from counterpoise.ledger.start_reader import StartReader

#: All of it is read within this, seconds; the server gives each question less.
READ_SECONDS_MAX: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRun:
    """One account's record as a start needs it; rows are those of `StartReader`."""

    #: The newest position of each instrument, signed base units; flat and foreign ones are too.
    recorded: dict[str, Decimal]
    #: Instruments the daemon ever ordered in: only there a position is ours.
    ordered: frozenset[str]
    #: The strategy's memory; None = none was kept.
    memory: Row | None
    #: The trading state and its causes; None = none.
    trading_state: Row | None
    #: Orders without an end.
    intents: tuple[Row, ...]
    #: Kinds of losses that no decision answered.
    losses: frozenset[str]
    #: Executions that no position followed.
    unplaced: tuple[Row, ...]
    #: The last moment of each position, with its executions.
    instants: tuple[Row, ...]
    #: Pairs and other decisions without an outcome.
    pairs: tuple[Row, ...]
    decisions: tuple[Row, ...]
    #: The venue's time of the newest execution; None = no execution.
    last_fill_ns: int | None
    #: Our time of the first decision on record, ns; None = no decision.
    memory_first_ns: int | None
    #: Deposits less withdrawals that no memory counts, quote.
    transferred: Decimal
    #: Transfers and executions that a venue could tell again, newest first.
    transfers: tuple[Row, ...]
    fills: tuple[Row, ...]

    @classmethod
    def of(cls, reader: StartReader, account_id: str) -> Self:
        """Read it. Blocks. Raises LedgerUnavailable."""
        return cls(
            recorded={
                row["instrument_id"]: row["quantity"] for row in reader.positions(account_id)
            },
            ordered=reader.instruments_ordered(account_id),
            memory=reader.memory_last(account_id),
            trading_state=reader.trading_state_last(account_id),
            intents=tuple(reader.open_intents(account_id)),
            losses=reader.losses(account_id),
            unplaced=tuple(reader.fills_unplaced(account_id)),
            instants=tuple(reader.last_instants(account_id, STAMPS_APART_NS)),
            pairs=tuple(reader.unfinished_pairs(account_id)),
            decisions=tuple(reader.unfinished_decisions(account_id)),
            last_fill_ns=reader.last_fill_ns(account_id),
            memory_first_ns=reader.memory_first_ns(account_id),
            transferred=reader.transfers_since_memory(account_id),
            transfers=tuple(reader.transfers(limit=FILLS_REMEMBERED, account_id=account_id)),
            fills=tuple(reader.fills(limit=FILLS_REMEMBERED, account_id=account_id)),
        )


async def read(dsn: str, account_id: str) -> LastRun:
    """Return what is on record of an account; the journal was flushed before.

    Raises LedgerUnavailable, and StartRefused when the server does not answer in time.
    """

    def ask() -> LastRun:
        with StartReader(dsn) as reader:
            return LastRun.of(reader, account_id)

    try:
        return await from_thread(ask, READ_SECONDS_MAX)
    except TimeoutError as error:
        raise silent(dsn, "what the last run left on record", READ_SECONDS_MAX) from error
