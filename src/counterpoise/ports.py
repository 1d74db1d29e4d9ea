"""What the outside must offer to the engine's performers. Protocols only."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal, NamedTuple, Protocol

from counterpoise.domain.account import AccountSnapshot, Attestation, WaitingTrigger
from counterpoise.domain.events import (
    Event,
    FundingPaid,
    FundingRate,
    MarkPrice,
    OrderUpdate,
    Transferred,
)
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.orders import ApprovedOrder, Fill, JournaledOrder
from counterpoise.domain.records import IntentWritten, Record

#: Where streams and performers put what happened; called on the event loop's thread.
Feed = Callable[[Event], None]


class Clock(Protocol):
    """Wall and monotonic time."""

    def now_ns(self) -> int:
        """Return ns since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Candle:
    """One bar of mark prices, quote per base."""

    #: Venue clock at the bar's open, ns.
    open_ns: int
    #: Length, seconds.
    step_seconds: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal


class MarketFeed(Protocol):
    """Public streams of one venue."""

    async def run(self, feed: Feed) -> None:
        """Stream until cancelled; reconnect with back-off; every frame becomes an event."""
        ...


class AccountFeed(Protocol):
    """Private streams of one venue."""

    async def run(self, feed: Feed) -> None:
        """Stream until cancelled; each new connection announces itself by a StreamAlive."""
        ...


class Venue(Protocol):
    """One account on one venue, by REST. Raises the `VenueError` family only."""

    #: "okx", "binance", "bybit" or "paper".
    name: str
    #: How long the venue lists an order that ended, filled or not, ns.
    history_ns: int
    #: How long it lists executions, ns.
    executions_ns: int
    #: How long after it was sent the venue may still carry out a reduction, which bears no deadline
    #: of ours, ns; 0 = what is not taken when the call ends never is.
    reduction_valid_ns: int
    #: True = it holds orders back until a mark is reached; False = the trigger calls are not used.
    has_triggers: bool

    async def open(self) -> None:
        """Load instruments and clock offset; VenueUnreachable or StartRefused."""
        ...

    async def close(self) -> None:
        """Release connections; safe to call twice."""
        ...

    async def attest(self, instrument_ids: Sequence[str]) -> Attestation:
        """Return how account and key are set up; asked again every hour while trading.

        A fault of the account is told, not raised. StartRefused: the key itself is refused.
        """
        ...

    async def instruments(self, instrument_ids: Sequence[str]) -> tuple[Instrument, ...]:
        """Return their rules; StartRefused names an instrument the venue does not list.

        Asked again every hour while trading: what was listed before must stay readable in fills,
        funding and transfers.
        """
        ...

    def venue_symbol(self, instrument_id: str) -> str:
        """Return the venue's string for an instrument."""
        ...

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return base units per contract, 1 where the venue has none."""
        ...

    async def set_leverage(self, instrument_id: str, leverage: Decimal) -> None:
        """Set the leverage setting and cross margin; only while nothing is held or open in it."""
        ...

    async def set_modes(self) -> None:
        """Set one-way positions, cross margin and margin of the settlement currency alone.

        Only on an account that holds nothing and has nothing open. What is so already is no
        error; what the venue has no switch for stays as it is. VenueRejected: it may not be now.
        """
        ...

    async def account(self) -> AccountSnapshot:
        """Return balance, positions and open orders."""
        ...

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Return complete mark candles opened in [since, until), oldest first."""
        ...

    async def submit(self, order: JournaledOrder) -> OrderUpdate:
        """Send it once. VenueRejected and VenueUnreachable: not placed. OutcomeUnknown: unknown."""
        ...

    async def cancel(self, instrument_id: str, client_order_id: str) -> None:
        """Ask for a cancel; an order that is already over is no error."""
        ...

    async def place_trigger(self, order: JournaledOrder) -> OrderUpdate:
        """Have the venue hold a reduction back until the mark reaches its trigger price.

        Reserves and binds nothing until then, ends with the position, and goes at market. Raises
        like `submit`. ACCEPTED = it waits there; executions and ends are told under its id.
        """
        ...

    async def cancel_trigger(self, instrument_id: str, client_order_id: str) -> None:
        """Have a held back order dropped; one that is already over is no error."""
        ...

    async def find_trigger(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what became of a held back order and of what it sent; None = not known."""
        ...

    async def triggers(self) -> tuple[WaitingTrigger, ...]:
        """Return every order the venue holds back for this account, whoever sent it."""
        ...

    async def find_order(self, instrument_id: str, client_order_id: str) -> OrderUpdate | None:
        """Return what the venue knows of an order by our id; None = it says it knows none."""
        ...

    async def find_ended(
        self, instrument_id: str, client_order_id: str, since_ns: int
    ) -> OrderUpdate | None:
        """Return an order made since then from the list of orders that ended; None = not there.

        The list reaches `history_ns` back; it may have what a query by id does not find.
        """
        ...

    async def fills_since(self, since_ns: int) -> tuple[Fill, ...]:
        """Return executions of the account since then, oldest first."""
        ...

    async def funding_since(self, since_ns: int) -> tuple[FundingPaid, ...]:
        """Return funding payments of the account since then, oldest first."""
        ...

    async def transfers_since(self, since_ns: int) -> tuple[Transferred, ...]:
        """Return deposits and withdrawals of the account since then, oldest first."""
        ...

    async def account_id(self) -> str:
        """Return the account's name as the venue says it now, asked anew."""
        ...

    @property
    def offset_ns(self) -> int:
        """The venue's clock minus ours as it was measured last, ns; 0 before."""
        ...

    async def clock_offset_ns(self) -> int:
        """Measure and return the venue's clock minus ours; corrects this adapter as well."""
        ...

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return what the venue takes in each now; one it no longer lists is DELISTED."""
        ...

    async def arm_dead_man(self, seconds: int) -> bool:
        """Have the venue cancel every resting order unless asked again in time; 0 = disarm.

        False = the venue has no such switch, and nothing was asked.
        """
        ...


class PublicVenue(Protocol):
    """One venue's public REST: what needs no key. Raises the `VenueError` family only."""

    #: "okx", "binance" or "bybit".
    name: str

    async def open(self) -> None:
        """Load what is listed and measure the clock; VenueUnreachable or VenueRejected."""
        ...

    async def close(self) -> None:
        """Release connections; safe to call twice."""
        ...

    async def instruments(self, instrument_ids: Sequence[str]) -> tuple[Instrument, ...]:
        """Return their rules now; without tiers where the venue tells none in public.

        StartRefused names an instrument the venue does not list.
        """
        ...

    def venue_symbol(self, instrument_id: str) -> str:
        """Return the venue's string for an instrument."""
        ...

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return base units per contract, 1 where the venue has none."""
        ...

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Return complete mark candles opened in [since, until), oldest first."""
        ...

    async def clock_offset_ns(self) -> int:
        """Measure and return the venue's clock minus ours."""
        ...

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return what the venue takes in each now; one it no longer lists is DELISTED."""
        ...

    async def present(self, instrument_ids: Sequence[str]) -> tuple[MarkPrice | FundingRate, ...]:
        """Return the mark and the next funding of each now."""
        ...


class Journal(Protocol):
    """The one write path of the record."""

    def append(self, record: Record) -> int:
        """Queue a record for the spool in order; returns at once with a local counter."""
        ...

    async def journal_order(self, approved: ApprovedOrder, intent: IntentWritten) -> JournaledOrder:
        """Stamp an order.

        An increase waits until Postgres has committed its intent and everything before it
        (LedgerUnavailable after the time limit, SpoolFailed when the disk is dead); a reduction
        waits for the local fsync only, and is stamped without it when the disk is dead.
        """
        ...

    async def flush(self, timeout_seconds: float) -> bool:
        """Wait until Postgres has everything; False = the time limit came first."""
        ...


class Alerts(Protocol):
    """Where a person is told."""

    def alert(self, kind: str, summary: str) -> None:
        """Tell; never blocks, never raises."""
        ...


#: Which prices a bar is made of: trades, or the venue's mark.
BarKind = Literal["last", "mark"]


class HistoricBar(NamedTuple):
    """One complete bar of a venue's public history, figures as statistics take them."""

    #: Venue clock at the bar's open, ms UTC.
    open_ms: int
    open: float
    high: float
    low: float
    close: float
    #: Base units traded; 0 for bars of marks.
    volume: float


class HistoricFunding(NamedTuple):
    """A funding rate as it was charged."""

    #: When it was charged, ms UTC.
    funding_ms: int
    #: Fraction per interval, > 0 = longs paid.
    rate: float


class History(Protocol):
    """Public history of one venue, by our instrument ids; needs no key.

    Every read raises VenueUnreachable (after its own retries) or VenueRejected.
    """

    async def now_ms(self) -> int:
        """Return the venue's clock, ms UTC."""
        ...

    def bars_per_page(self, kind: BarKind) -> int:
        """Return how many bars one answer holds."""
        ...

    def funding_page_ms(self) -> int:
        """Return a span whose funding rates surely fit one answer, ms."""
        ...

    async def bars(
        self, instrument_id: str, kind: BarKind, step_seconds: int, since_ms: int, until_ms: int
    ) -> Sequence[HistoricBar]:
        """Return the bars of one page opened in [since, until), in any order."""
        ...

    async def fundings(
        self, instrument_id: str, since_ms: int, until_ms: int
    ) -> Sequence[HistoricFunding]:
        """Return the rates of one page charged in [since, until), in any order."""
        ...
