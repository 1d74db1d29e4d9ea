"""Orders: the three stamps, the lifecycle table, fills."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final


class Side(StrEnum):
    """Direction of an order. A position has a signed quantity instead."""

    BUY = "buy"
    SELL = "sell"

    @property
    def sign(self) -> int:
        """+1 for BUY, -1 for SELL."""
        return 1 if self is Side.BUY else -1

    @property
    def opposite(self) -> "Side":
        """The other side."""
        return Side.SELL if self is Side.BUY else Side.BUY


class OrderKind(StrEnum):
    """How an order is priced."""

    LIMIT = "limit"
    MARKET = "market"


class TimeInForce(StrEnum):
    """How long an order may rest."""

    GTC = "gtc"
    IOC = "ioc"
    FOK = "fok"


class LegRole(StrEnum):
    """What a position is for."""

    CORE = "core"
    HEDGE = "hedge"


class IntentSource(StrEnum):
    """Who wants the order."""

    CYCLE = "cycle"
    GUARD = "guard"
    FLATTEN = "flatten"
    #: A stop that rests at the venue for when this daemon does not act.
    PROTECTION = "protection"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegChange:
    """A wish before it is priced and named: the engine makes an `OrderIntent` of it."""

    #: Instrument of the leg.
    instrument_id: str
    #: Core or hedge.
    leg: LegRole
    #: Who wants it.
    source: IntentSource
    #: Direction.
    side: Side
    #: Base units, positive, on the lot grid.
    quantity: Decimal
    #: True = may only shrink the position.
    reduce_only: bool


class OrderState(StrEnum):
    """Lifecycle of an order from the moment it is journaled (see `TRANSITIONS`)."""

    JOURNALED = "journaled"
    SUBMITTED = "submitted"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"
    UNKNOWN = "unknown"


#: States nothing follows. EXPIRED includes "never sent: approval was too old".
TERMINAL: Final = frozenset(
    {OrderState.FILLED, OrderState.CANCELED, OrderState.EXPIRED, OrderState.REJECTED}
)

_ENDS: Final = frozenset(
    {
        OrderState.ACCEPTED,
        OrderState.PARTIALLY_FILLED,
        OrderState.FILLED,
        OrderState.CANCELED,
        OrderState.EXPIRED,
        OrderState.REJECTED,
        OrderState.UNKNOWN,
    }
)

#: state -> states that may follow. An order found at start enters at ACCEPTED or UNKNOWN.
TRANSITIONS: Final[dict[OrderState, frozenset[OrderState]]] = {
    OrderState.JOURNALED: _ENDS | {OrderState.SUBMITTED},
    OrderState.SUBMITTED: _ENDS,
    OrderState.UNKNOWN: _ENDS - {OrderState.UNKNOWN},
    OrderState.ACCEPTED: _ENDS - {OrderState.ACCEPTED},
    OrderState.PARTIALLY_FILLED: frozenset(
        {
            OrderState.PARTIALLY_FILLED,
            OrderState.FILLED,
            OrderState.CANCELED,
            OrderState.EXPIRED,
            OrderState.UNKNOWN,
        }
    ),
    OrderState.FILLED: frozenset(),
    OrderState.CANCELED: frozenset(),
    OrderState.EXPIRED: frozenset(),
    OrderState.REJECTED: frozenset(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderIntent:
    """First stamp: what the strategy, the guard or the operator wants sent."""

    #: f(account, decision, leg, attempt), at most 32 alphanumerics, never reused.
    client_order_id: str
    #: The decision (cycle, guard action or flatten) this order carries out.
    decision_id: str
    #: Instrument of the leg.
    instrument_id: str
    #: Core or hedge.
    leg: LegRole
    #: Who wants it.
    source: IntentSource
    #: Direction.
    side: Side
    #: Base units, positive, on the lot grid.
    quantity: Decimal
    #: Limit or market.
    kind: OrderKind
    #: Quote per base, on the tick grid; None exactly for a market order.
    price_limit: Decimal | None
    #: GTC only for an order that waits at the best price; IOC for all others.
    time_in_force: TimeInForce
    #: True = the venue must refuse any part that would grow the position.
    reduce_only: bool
    #: Zero-based count of orders sent for this decision and leg.
    attempt: int
    #: When it was made, ns since the epoch, UTC.
    created_ns: int
    #: True = the venue must cancel it rather than let it take from the book.
    post_only: bool = False
    #: The venue holds it back until the mark reaches this, quote per base; None = it acts at once.
    trigger_price: Decimal | None = None

    def __post_init__(self) -> None:
        assert self.trigger_price is None or self.reduce_only, "only a reduction waits for a mark"
        assert not self.post_only or self.rests, "post-only is for an order that may rest"
        assert self.quantity > 0, "quantity must be positive"
        assert len(self.client_order_id) <= 32, "client_order_id has more than 32 characters"
        assert self.client_order_id.isalnum(), "client_order_id must be alphanumeric"
        assert (self.price_limit is None) == (self.kind is OrderKind.MARKET), "price and kind"

    @property
    def rests(self) -> bool:
        """True if the order may stay in the book until it is canceled."""
        return self.kind is OrderKind.LIMIT and self.time_in_force is TimeInForce.GTC

    @property
    def increases(self) -> bool:
        """True if the order may grow exposure: everything that is not reduce-only."""
        return not self.reduce_only


@dataclass(frozen=True, slots=True, kw_only=True)
class ApprovedOrder:
    """Second stamp: what risk allows. Built by `risk.gate` alone."""

    #: The wish, unchanged.
    intent: OrderIntent
    #: Base units allowed; at most `intent.quantity`.
    quantity: Decimal
    #: Gross / equity if this and every open, in-flight and unknown increase fills; None = not
    #: computable, which only a reduction may carry.
    leverage_worst: Decimal | None
    #: When it was approved, ns.
    approved_ns: int
    #: Not sent at or after this instant, ns.
    expires_ns: int

    def __post_init__(self) -> None:
        assert 0 < self.quantity <= self.intent.quantity, "approved more than was asked"
        assert self.intent.reduce_only or self.leverage_worst is not None, "increase unmeasured"


class Durability(StrEnum):
    """Where the intent of a journaled order is committed."""

    #: Committed by Postgres.
    POSTGRES = "postgres"
    #: Synced to the local disk; Postgres has it later.
    SPOOL = "spool"
    #: The disk is dead and the log was told: nothing may stand in front of a reduction. Best effort:
    #: the line is written soon, not synced, and lost with a log that cannot be written either.
    LOG = "log"


@dataclass(frozen=True, slots=True, kw_only=True)
class JournaledOrder:
    """Third stamp: committed before its first byte leaves. Built by `ledger.journal` alone."""

    #: What risk allowed.
    approved: ApprovedOrder
    #: Position of the intent in the spool, counted from 1; 0 = the spool did not take it.
    spool_seq: int
    #: An increase is always POSTGRES.
    durability: Durability
    #: When the commit was confirmed, ns.
    journaled_ns: int

    def __post_init__(self) -> None:
        assert self.approved.intent.reduce_only or self.durability is Durability.POSTGRES

    @property
    def intent(self) -> OrderIntent:
        """The wish this order carries out."""
        return self.approved.intent


class Liquidity(StrEnum):
    """Who was in the book first."""

    MAKER = "maker"
    TAKER = "taker"


class FillCause(StrEnum):
    """Whose doing an execution was."""

    #: An order of the account's, ours or a person's.
    ORDER = "order"
    #: The venue liquidated the position or a part of it.
    LIQUIDATION = "liquidation"
    #: The venue auto-deleveraged it.
    ADL = "adl"
    #: The venue settled an instrument it delists.
    SETTLEMENT = "settlement"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """One execution as the venue reports it."""

    #: The venue's execution id, unique per account and instrument.
    fill_id: str
    #: Instrument traded.
    instrument_id: str
    #: Ours; None = an order we did not send (liquidation, ADL, a person).
    client_order_id: str | None
    #: The venue's order id.
    venue_order_id: str
    #: Direction of the execution.
    side: Side
    #: Base units, positive.
    quantity: Decimal
    #: Quote per base.
    price: Decimal
    #: Positive = paid by us, negative = rebate, in `fee_currency`.
    fee: Decimal
    #: Currency of the fee.
    fee_currency: str
    #: None = the venue does not say.
    liquidity: Liquidity | None
    #: Quote; PnL realised by this fill as the venue reports it; None = not reported.
    realised_pnl: Decimal | None
    #: Venue clock, ns.
    event_ns: int
    #: Our clock, ns.
    received_ns: int
    #: None = the venue does not say.
    cause: FillCause | None = None

    @property
    def signed_quantity(self) -> Decimal:
        """Base units, + for a buy."""
        return self.quantity * self.side.sign
