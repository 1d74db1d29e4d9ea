"""What a client of the modelled venue sends and what becomes of it."""

from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum

from counterpoise.domain.orders import Liquidity, OrderKind, OrderState, Side, TimeInForce
from counterpoise.exchange.modes import PositionSide, SelfTradeMode


class RefusalReason(StrEnum):
    """Why the venue did not take a request, in the order of the checks of an order."""

    #: No such account.
    ACCOUNT_UNKNOWN = "account_unknown"
    #: No such instrument.
    INSTRUMENT_UNKNOWN = "instrument_unknown"
    #: The instrument takes no such order now.
    INSTRUMENT_NOT_LIVE = "instrument_not_live"
    #: Price, kind, time in force and post-only contradict each other.
    ORDER_INVALID = "order_invalid"
    #: The position side does not fit the account's position mode (OKX 51000, Binance -4061).
    POSITION_SIDE_MISMATCH = "position_side_mismatch"
    #: Not 1 to 32 alphanumeric characters.
    CLIENT_ORDER_ID_INVALID = "client_order_id_invalid"
    #: Quantity is not on the lot grid.
    QUANTITY_OFF_GRID = "quantity_off_grid"
    #: Quantity is under the smallest.
    QUANTITY_TOO_SMALL = "quantity_too_small"
    #: Quantity is over the largest for its kind.
    QUANTITY_TOO_LARGE = "quantity_too_large"
    #: Price is not on the tick grid or not positive.
    PRICE_OFF_GRID = "price_off_grid"
    #: Price is beyond the band around the mark, on the aggressive side.
    PRICE_OUT_OF_BAND = "price_out_of_band"
    #: Notional is under the smallest (Binance -4164, Bybit 110094).
    NOTIONAL_TOO_SMALL = "notional_too_small"
    #: Another order carries the same client order id.
    CLIENT_ORDER_ID_DUPLICATE = "client_order_id_duplicate"
    #: Reduce-only without a position to reduce (OKX 51169).
    REDUCE_ONLY_NO_POSITION = "reduce_only_no_position"
    #: Reduce-only in the direction of the position (OKX 51170).
    REDUCE_ONLY_SAME_SIDE = "reduce_only_same_side"
    #: The account has too many open orders.
    OPEN_ORDERS_TOO_MANY = "open_orders_too_many"
    #: The position would leave the tiers its leverage setting is allowed in (Binance -2027).
    POSITION_TOO_LARGE = "position_too_large"
    #: The increase needs more margin than is available (OKX 51008).
    MARGIN_INSUFFICIENT = "margin_insufficient"
    #: No such order, or forgotten already.
    ORDER_NOT_FOUND = "order_not_found"
    #: The order is filled or canceled.
    ALREADY_OVER = "already_over"
    #: The amendment changes nothing (Binance -5027).
    AMEND_UNCHANGED = "amend_unchanged"
    #: The leverage setting is not within 1 and what the margin tier allows.
    LEVERAGE_INVALID = "leverage_invalid"
    #: The position mode is what it was (Binance -4059).
    MODE_UNCHANGED = "mode_unchanged"
    #: The position mode cannot change with positions or open orders (OKX 59000, Binance -4068).
    MODE_LOCKED = "mode_locked"
    #: The trigger price is reached already (OKX 51278 and its like, Binance -2021, Bybit 110092).
    TRIGGER_AT_ONCE = "trigger_at_once"
    #: Too many live trigger orders (Binance -4045, Bybit 110009).
    TRIGGER_ORDERS_TOO_MANY = "trigger_orders_too_many"
    #: Mark and last were too far apart when the trigger price was reached.
    TRIGGER_PROTECTED = "trigger_protected"
    #: There is not that much free cash to withdraw.
    WITHDRAWAL_TOO_LARGE = "withdrawal_too_large"


class OrderRefused(Exception):
    """The venue refuses a request; nothing of it happened."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        #: Which rule spoke.
        self.reason = reason
        #: The rule's figures in words.
        self.message = message


class OrderCategory(StrEnum):
    """Who made an order."""

    NORMAL = "normal"
    LIQUIDATION = "liquidation"
    #: A step of a liquidation that leaves some of the position.
    PARTIAL_LIQUIDATION = "partial_liquidation"
    #: Auto-deleveraging by the venue.
    ADL = "adl"
    #: Settled because the instrument was delisted.
    DELISTING = "delisting"


class CancelCause(StrEnum):
    """Why an order ended before it was filled."""

    #: The client asked.
    CLIENT = "client"
    #: An IOC's rest, or a market order the book could not fill.
    IMMEDIATE_REST = "immediate_rest"
    #: A FOK the book could not fill whole.
    FOK_NOT_FILLED = "fok_not_filled"
    #: A post-only order that would have taken.
    POST_ONLY_WOULD_TAKE = "post_only_would_take"
    #: A reduce-only order that has nothing left to reduce.
    REDUCE_ONLY = "reduce_only"
    #: It stood in the way of the account's own taker, or was that taker.
    SELF_TRADE = "self_trade"
    #: The account was liquidated.
    LIQUIDATION = "liquidation"
    #: The venue's doing, without a request.
    VENUE = "venue"
    #: An amendment left nothing to fill.
    AMENDED_AWAY = "amended_away"
    #: The position was auto-deleveraged.
    ADL = "adl"
    #: The instrument was delisted.
    DELISTING = "delisting"
    #: A trigger order whose position was closed.
    POSITION_GONE = "position_gone"


class TriggerSource(StrEnum):
    """Which price a trigger order waits for."""

    MARK = "mark"
    INDEX = "index"
    LAST = "last"


class TriggerDirection(StrEnum):
    """Which way the price must come."""

    #: Reached at or above the trigger price.
    RISING = "rising"
    #: Reached at or below it.
    FALLING = "falling"

    def reached(self, price: Decimal, trigger_price: Decimal) -> bool:
        """Tell whether a price is at the trigger price or beyond it."""
        if self is TriggerDirection.RISING:
            return price >= trigger_price
        return price <= trigger_price


class TriggerForm(StrEnum):
    """What the owner of a trigger order calls it; venues list the forms apart."""

    #: Reached when the position loses.
    STOP_LOSS = "stop_loss"
    #: Reached when the position wins.
    TAKE_PROFIT = "take_profit"
    #: No word of a position.
    PLAIN = "plain"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerOrigin:
    """The trigger order an order came from."""

    #: The venue's id of it.
    trigger_order_id: str
    #: The client's id of it; None = it gave none.
    client_order_id: str | None
    #: Quote per base.
    trigger_price: Decimal
    #: Which price reached it.
    source: TriggerSource
    #: Which way it came.
    direction: TriggerDirection
    #: What its owner called it.
    form: TriggerForm


@dataclass(frozen=True, slots=True, kw_only=True)
class NewOrder:
    """A request to trade."""

    #: Instrument.
    instrument_id: str
    #: Direction.
    side: Side
    #: Base units, on the lot grid.
    quantity: Decimal
    #: Limit or market.
    kind: OrderKind = OrderKind.LIMIT
    #: Quote per base, on the tick grid; None exactly for a market order.
    price_limit: Decimal | None = None
    #: A market order is always immediate, whatever stands here.
    time_in_force: TimeInForce = TimeInForce.GTC
    #: True = canceled rather than taking; only for a GTC limit order.
    post_only: bool = False
    #: True = cut to the position, refused where there is none to reduce.
    reduce_only: bool = False
    #: The client's; 1 to 32 alphanumerics, unique among open orders; None = none.
    client_order_id: str | None = None
    #: The client's free label, handed back unchanged.
    tag: str = ""
    #: Which position it trades; LONG or SHORT exactly in hedge mode.
    position_side: PositionSide = PositionSide.NET
    #: What it does on meeting the account's own order; None = the account's setting.
    self_trade: SelfTradeMode | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedOrder:
    """The venue's acknowledgement."""

    #: The venue's id.
    order_id: str
    #: The client's; None = it gave none.
    client_order_id: str | None
    #: Base units after a reduce-only cut.
    quantity: Decimal
    #: Venue clock, ns.
    event_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeOrder:
    """An order as the venue keeps it, at one moment."""

    #: The venue's id.
    order_id: str
    #: The client's; None = it gave none.
    client_order_id: str | None
    #: Whose it is.
    account_id: str
    #: Instrument.
    instrument_id: str
    #: Direction.
    side: Side
    #: Limit or market.
    kind: OrderKind
    #: How long it may rest.
    time_in_force: TimeInForce
    #: Never takes.
    post_only: bool
    #: Never grows a position.
    reduce_only: bool
    #: Base units asked for.
    quantity_asked: Decimal
    #: Base units in force: less than asked where reduce-only was cut to the position.
    quantity: Decimal
    #: Quote per base; None = market.
    price_limit: Decimal | None
    #: ACCEPTED, PARTIALLY_FILLED, FILLED or CANCELED (a canceled order may carry fills).
    state: OrderState
    #: Base units filled so far.
    filled_quantity: Decimal
    #: Quote per base over all fills; None = no fill.
    average_price: Decimal | None
    #: Fees so far, quote, positive = paid.
    fee: Decimal
    #: Realised PnL so far without fees, quote.
    realised_pnl: Decimal
    #: Who made it.
    category: OrderCategory
    #: Why it was canceled; None = it was not.
    cancel_cause: CancelCause | None
    #: Leverage setting when it was placed.
    leverage_setting: Decimal
    #: The client's free label.
    tag: str
    #: Time priority: smaller came earlier.
    sequence: int
    #: Venue clock, ns.
    created_ns: int
    #: Venue clock of the last change, ns.
    updated_ns: int
    #: Which position it trades.
    position_side: PositionSide = PositionSide.NET
    #: What it does on meeting the account's own order.
    self_trade: SelfTradeMode = SelfTradeMode.CANCEL_MAKER
    #: The trigger order it came from; None = it was sent as it is.
    trigger: TriggerOrigin | None = None

    @property
    def remaining(self) -> Decimal:
        """Base units that may still fill."""
        return self.quantity - self.filled_quantity

    @property
    def open(self) -> bool:
        """True while it rests in the book."""
        return self.state in (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)

    def after(self, fill: "ExchangeFill") -> "ExchangeOrder":
        """Return the order with one more execution."""
        filled = self.filled_quantity + fill.quantity
        assert filled <= self.quantity, "an order filled beyond its quantity"
        cost = self.filled_quantity * (self.average_price or 0) + fill.quantity * fill.price
        return replace(
            self,
            state=OrderState.FILLED if filled == self.quantity else OrderState.PARTIALLY_FILLED,
            filled_quantity=filled,
            average_price=cost / filled,
            fee=self.fee + fill.fee,
            realised_pnl=self.realised_pnl + fill.realised_pnl,
            updated_ns=fill.event_ns,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeFill:
    """One execution of one account."""

    #: Unique per account and instrument.
    fill_id: str
    #: The instrument's trade counter; negative for a liquidation.
    trade_sequence: int
    #: The bill that moved the wallet.
    bill_id: str
    #: Whose it is.
    account_id: str
    #: Instrument.
    instrument_id: str
    #: The venue's order id.
    order_id: str
    #: The client's order id; None = it gave none.
    client_order_id: str | None
    #: Direction.
    side: Side
    #: Base units.
    quantity: Decimal
    #: Quote per base.
    price: Decimal
    #: Quote, positive = paid.
    fee: Decimal
    #: Who was in the book first.
    liquidity: Liquidity
    #: Quote, without fees.
    realised_pnl: Decimal
    #: Venue clock, ns.
    event_ns: int
    #: Which position it traded.
    position_side: PositionSide = PositionSide.NET
