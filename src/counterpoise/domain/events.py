"""Everything that enters the engine. Each carries the times it needs; nothing reads a clock."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from counterpoise.domain.account import (
    AccountSnapshot,
    AttestedDifference,
    Balance,
    OpenOrder,
    Position,
    WaitingTrigger,
)
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import Fill, OrderState, Side


class StreamName(StrEnum):
    """Sockets whose liveness is proven one by one."""

    #: Order books and public trades.
    BOOKS = "books"
    #: Marks, index prices and funding, on a socket of their own.
    MARKS = "marks"
    #: Orders, fills, positions and balance.
    ACCOUNT = "account"


#: Price and quantity as the venue wrote them; a quantity of "0" deletes the level.
Level = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookSnapshot:
    """A whole order book. Its parser has checked the sequence."""

    instrument_id: str
    #: Best first is not promised.
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    #: Base units in one unit of a level's quantity (a contract's size; 1 where there is none).
    quantity_unit: Decimal
    #: The venue's sequence number after this message.
    sequence: int
    #: Venue clock, ns.
    event_ns: int
    #: Our clock, ns.
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookDelta:
    """Changed levels of a book that follow the message before without a gap."""

    instrument_id: str
    bids: tuple[Level, ...]
    asks: tuple[Level, ...]
    sequence: int
    event_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BookGap:
    """The book's sequence broke; it is unknown until the next snapshot."""

    instrument_id: str
    #: The sequence the next message should have continued from.
    expected: int
    #: The one it named.
    found: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkPrice:
    """The venue's fair price for margin."""

    instrument_id: str
    #: Quote per base.
    mark: Decimal
    #: Quote per base; None = not in this message.
    index: Decimal | None
    event_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingRate:
    """What the next funding is expected to be."""

    instrument_id: str
    #: Fraction per interval; > 0: longs pay shorts.
    rate: Decimal
    #: When it is charged, venue clock, ns.
    funding_ns: int
    #: Hours from one funding to the next.
    interval_hours: Decimal
    event_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidationPrinted:
    """The venue liquidated somebody's position and said so in public."""

    instrument_id: str
    #: Side of the venue's order: SELL closes a long position.
    side: Side
    #: Base units.
    quantity: Decimal
    #: Quote per base it was taken over or traded at.
    price: Decimal
    event_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TradedVolume:
    """How much was traded in the last 24 hours."""

    instrument_id: str
    #: Quote notional.
    volume_quote: Decimal
    event_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamAlive:
    """Data or a pong arrived: unchanged values of this stream are still true."""

    stream: StreamName
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamDown:
    """A stream, or a part of it, is gone; its inputs age from now."""

    stream: StreamName
    reason: str
    received_ns: int
    #: What the part carried; None = the whole stream is gone.
    instrument_ids: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionUpdate:
    """A position as the account stream tells it."""

    position: Position
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceUpdate:
    """Cash and margin as the account stream tells them."""

    balance: Balance
    received_ns: int


class UpdateSource(StrEnum):
    """Who told us."""

    LOCAL = "local"
    STREAM = "stream"
    REST = "rest"
    #: A person who looked at the venue.
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUpdate:
    """An order's state changed, or an answer about it arrived."""

    #: None = an order without a client id: not ours.
    client_order_id: str | None
    #: None while unknown.
    venue_order_id: str | None
    instrument_id: str
    state: OrderState
    #: Base units filled in all so far; None = this message does not say.
    filled_quantity: Decimal | None
    #: Quote per base over all fills; None = no fill or not said.
    average_price: Decimal | None
    source: UpdateSource
    #: The venue's code for a refusal, or ours ("APPROVAL_EXPIRED", "TIMEOUT"); None = no refusal.
    code: str | None
    #: The venue's words; "" = none.
    message: str
    #: The whole order where the source knows it (for adopting an order found at start).
    order: OpenOrder | None
    #: Venue clock, ns; our clock where the source is LOCAL.
    event_ns: int
    received_ns: int
    #: True = refused because the position is not what the order took it for.
    position_doubtful: bool = False
    #: True = refused because its price lies outside what the venue takes now.
    price_refused: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderAbsent:
    """Evidence from the venue proves that an order with unknown outcome never was accepted."""

    client_order_id: str
    #: What was asked and what it said, in words for the record.
    evidence: str
    received_ns: int
    #: True = its market ended: it cannot fill any more, but the venue lists no executions of such
    #: a market either, so what it filled is known by the position and the cash alone.
    market_ended: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderUnresolved:
    """The venue's evidence neither finds an order nor proves it absent; it counts in full."""

    client_order_id: str
    #: What was asked, what it said, and why that is no proof.
    evidence: str
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggersListed:
    """The venue listed every order it holds back until a price is reached."""

    triggers: tuple[WaitingTrigger, ...]
    #: When it was asked, our clock, ns.
    asked_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FillReported:
    """An execution arrived, by stream or by reconciliation; the same one may arrive twice."""

    fill: Fill
    source: UpdateSource


@dataclass(frozen=True, slots=True, kw_only=True)
class FundingPaid:
    """Funding was charged or received."""

    instrument_id: str
    #: The venue's bill id.
    payment_id: str
    #: Quote, positive = received by us.
    payment: Decimal
    event_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Transferred:
    """Cash was deposited or withdrawn by somebody: neither profit nor loss."""

    #: The venue's bill id.
    transfer_id: str
    #: Quote, positive = into the account.
    transfer: Decimal
    event_ns: int
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockMeasured:
    """The venue's clock was asked for."""

    #: Venue clock minus ours, ns; None = the venue did not answer.
    offset_ns: int | None
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountAttested:
    """How the account and its instruments are set up was asked for again."""

    #: Hash of `body`, hex; "" = the venue gave no whole answer.
    attestation_sha256: str
    #: Canonical JSON of everything attested; "" = no whole answer.
    body: str
    #: What is not as it was at the start of the run; empty = all of it is.
    differences: tuple[AttestedDifference, ...]
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentStateTold:
    """The venue says whether it takes orders in an instrument."""

    instrument_id: str
    state: InstrumentState
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountReconciled:
    """The venue's REST answered for the whole account; it is truth."""

    snapshot: AccountSnapshot
    #: Why it was asked: "start", "cycle", "reconnect", "resolve", "control".
    cause: str
    #: When it was asked, our clock, ns; 0 = not known, so that it proves nothing of a gap before.
    asked_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationFailed:
    """The venue's REST did not answer."""

    cause: str
    message: str
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleDue:
    """The scheduler's slot has come."""

    #: The slot on the clock grid, ns.
    slot_ns: int
    #: When the event was made, ns; never before the slot.
    now_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A second has passed; ages, time boxes and expiries are looked at."""

    now_ns: int


class ControlAction(StrEnum):
    """What an operator may ask, by signal or through the database."""

    PAUSE = "pause"
    RESUME = "resume"
    FLATTEN = "flatten"
    STOP = "stop"
    #: Flatten, then stop (SIGQUIT).
    FLATTEN_STOP = "flatten_stop"
    HIGH_WATER_RESET = "high_water_reset"
    #: State what became of an order that the venue's evidence leaves open.
    RESOLVE_ORDER = "resolve_order"


class StatedEnd(StrEnum):
    """What an operator may state of an unresolved order."""

    #: The venue never had it, or it ended there without an execution.
    ABSENT = "absent"
    #: It is over at the venue, filled by what the operator says.
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatement:
    """What an operator says became of an order."""

    client_order_id: str
    end: StatedEnd
    #: Base units filled in all, 0 for ABSENT.
    filled_quantity: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlRequested:
    """An operator asks for something."""

    #: The database's id of the request, or "signal-<name>-<ns>".
    control_id: str
    action: ControlAction
    #: Who: a database user or "signal".
    actor: str
    #: The operator's words; "" = none.
    reason: str
    #: True = leave HALTED too (`counterpoise resume --from-halt`).
    from_halt: bool
    received_ns: int
    #: What is stated of an order; only RESOLVE_ORDER has it.
    statement: OrderStatement | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHealth:
    """Whether Postgres takes commits now."""

    available: bool
    #: Age of the oldest record not handed over yet, seconds.
    backlog_age_seconds: float
    received_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseHealth:
    """Whether this daemon is the account's only writer."""

    held: bool
    #: True = another daemon took over: nothing more is sent, reductions included.
    fenced: bool
    received_ns: int


Event = (
    BookSnapshot
    | BookDelta
    | BookGap
    | MarkPrice
    | FundingRate
    | LiquidationPrinted
    | TradedVolume
    | StreamAlive
    | StreamDown
    | PositionUpdate
    | BalanceUpdate
    | OrderUpdate
    | OrderAbsent
    | OrderUnresolved
    | TriggersListed
    | FillReported
    | FundingPaid
    | Transferred
    | ClockMeasured
    | AccountAttested
    | InstrumentStateTold
    | AccountReconciled
    | ReconciliationFailed
    | CycleDue
    | Tick
    | ControlRequested
    | LedgerHealth
    | LeaseHealth
)
