"""Trigger orders: orders a venue holds back until a price is reached, and how venues keep them.

A trigger order binds no margin and is in no book. When its price is reached, it places one order,
which is admitted like any other; what that order may do is decided then, not before.

Sources: OKX docs-v5 "Algo Trading"; Binance USD-M "New Algo Order" and "Event: Algo Order Update";
Bybit v5 "Place Order" and "Set Trading Stop".
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from counterpoise.domain.orders import OrderKind, Side, TimeInForce
from counterpoise.exchange.modes import PositionSide, SelfTradeMode
from counterpoise.exchange.orders import (
    CancelCause,
    NewOrder,
    RefusalReason,
    TriggerDirection,
    TriggerForm,
    TriggerOrigin,
    TriggerSource,
)


class TriggerState(StrEnum):
    """What became of a trigger order; all but LIVE are final."""

    LIVE = "live"
    #: Its price was reached and its order was taken.
    TRIGGERED = "triggered"
    CANCELED = "canceled"
    #: Its price was reached and its order was refused.
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerRules:
    """What a venue does its own way with trigger orders."""

    #: Live ones an account may have.
    open_max: int
    #: True = that many per instrument instead of in all.
    open_by_instrument: bool
    #: True = its order has its id (Bybit), False = a new one.
    keeps_order_id: bool
    #: True = its order has its client order id (Binance, Bybit), False = none.
    keeps_client_order_id: bool
    #: True = orders and trigger orders share their client order ids (Bybit).
    shares_client_order_ids: bool


#: By the venue's name in `VenueRules`.
TRIGGER_RULES: Final = {
    "okx": TriggerRules(
        open_max=100, open_by_instrument=True, keeps_order_id=False,
        keeps_client_order_id=False, shares_client_order_ids=False,
    ),
    "binance": TriggerRules(
        open_max=200, open_by_instrument=False, keeps_order_id=False,
        keeps_client_order_id=True, shares_client_order_ids=False,
    ),
    "bybit": TriggerRules(
        open_max=10, open_by_instrument=True, keeps_order_id=True,
        keeps_client_order_id=True, shares_client_order_ids=True,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrigger:
    """A request to hold an order back."""

    #: Instrument.
    instrument_id: str
    #: Direction of the order to come.
    side: Side
    #: Base units; None = all there is to close when it is reached, which is reduce-only by itself.
    quantity: Decimal | None
    #: Quote per base, on the tick grid.
    trigger_price: Decimal
    #: Which price must reach it.
    source: TriggerSource
    #: Which way.
    direction: TriggerDirection
    #: Limit or market.
    kind: OrderKind = OrderKind.MARKET
    #: Quote per base; None exactly for a market order.
    price_limit: Decimal | None = None
    #: Of the order to come.
    time_in_force: TimeInForce = TimeInForce.GTC
    #: Of the order to come.
    post_only: bool = False
    #: Of the order to come: it is cut to the position of that moment, or fails without one.
    reduce_only: bool = False
    #: Which position it trades; LONG or SHORT exactly in hedge mode.
    position_side: PositionSide = PositionSide.NET
    #: True = canceled when the position it would reduce is gone.
    with_position: bool = False
    #: Largest distance of mark and last, fraction of the mark, at which it may place its order;
    #: None = any (Binance `priceProtect`).
    protect_fraction: Decimal | None = None
    #: What its owner calls it.
    form: TriggerForm = TriggerForm.PLAIN
    #: The client's; unique among live trigger orders; None = none.
    client_order_id: str | None = None
    #: The client's free label.
    tag: str = ""
    #: What its order does on meeting the account's own; None = the account's setting.
    self_trade: SelfTradeMode | None = None

    @property
    def closes_position(self) -> bool:
        """Whether it closes all there is."""
        return self.quantity is None

    def order(self, quantity: Decimal, client_order_id: str | None) -> NewOrder:
        """Return the order to come, of a quantity."""
        return NewOrder(
            instrument_id=self.instrument_id,
            side=self.side,
            quantity=quantity,
            kind=self.kind,
            price_limit=self.price_limit,
            time_in_force=self.time_in_force,
            post_only=self.post_only,
            reduce_only=self.reduce_only or self.closes_position,
            client_order_id=client_order_id,
            tag=self.tag,
            position_side=self.position_side,
            self_trade=self.self_trade,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerOrder:
    """A trigger order as the venue keeps it, at one moment."""

    #: The venue's id; no order has it, or its own order alone.
    trigger_order_id: str
    #: Whose it is.
    account_id: str
    #: What was asked for, as amended.
    terms: NewTrigger
    #: What became of it.
    state: TriggerState
    #: The order it placed; None = none.
    order_id: str | None
    #: Why it was canceled; None = it was not.
    cancel_cause: CancelCause | None
    #: Why its order was refused; None = it was not.
    failure: RefusalReason | None
    #: Last trade's price when it came in, quote per base.
    last_at_start: Decimal
    #: Venue clock, ns.
    created_ns: int
    #: Venue clock of the last change, ns.
    updated_ns: int
    #: When its price was reached, ns; None = it was not.
    triggered_ns: int | None

    @property
    def live(self) -> bool:
        """True while it waits."""
        return self.state is TriggerState.LIVE

    @property
    def client_order_id(self) -> str | None:
        """The client's; None = it gave none."""
        return self.terms.client_order_id

    @property
    def instrument_id(self) -> str:
        """Instrument."""
        return self.terms.instrument_id

    @property
    def origin(self) -> TriggerOrigin:
        """What its order remembers of it."""
        terms = self.terms
        return TriggerOrigin(
            trigger_order_id=self.trigger_order_id,
            client_order_id=terms.client_order_id,
            trigger_price=terms.trigger_price,
            source=terms.source,
            direction=terms.direction,
            form=terms.form,
        )
