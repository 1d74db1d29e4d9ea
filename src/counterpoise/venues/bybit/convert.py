"""Between Bybit's words and ours: instruments, states, sides and executions.

Linear contracts are counted in base units, and their symbols are our ids.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import FillCause, OrderKind, OrderState, Side, TimeInForce
from counterpoise.venues import listings
from counterpoise.venues.figures import decimal, positive_decimal
from counterpoise.venues.listings import Listed, word

#: The product this adapter trades.
CATEGORY: Final = "linear"

#: Goes with every order: an order of ours that would trade with another of ours cancels that one.
#: The taker's word counts, and Bybit's own is "None", unlike other venues' (docs v5 "SMP").
NO_SELF_TRADE: Final[Mapping[str, str]] = {"smpType": "CancelMaker"}

#: `orderStatus` of an order that is, or was, in the book. A conditional order that waits
#: ("Untriggered", "Triggered") is not: it binds and reserves nothing.
ORDER_STATES: Final[Mapping[str, OrderState]] = {
    "New": OrderState.ACCEPTED,
    "PartiallyFilled": OrderState.PARTIALLY_FILLED,
    "Filled": OrderState.FILLED,
    "Cancelled": OrderState.CANCELED,
    "PartiallyFilledCanceled": OrderState.CANCELED,
    "Rejected": OrderState.REJECTED,
    "Deactivated": OrderState.CANCELED,
}

#: States of a conditional order that waits.
WAITING: Final = frozenset({"Untriggered", "Triggered"})

#: `execType` that are trades: ours, deleveraging, liquidation, a delisting's settlement and a
#: block. Funding is none, and anything else never becomes a fill.
TRADES: Final = frozenset({"Trade", "AdlTrade", "BustTrade", "Settle", "BlockTrade"})
#: `execType` and `createType` of what is not an order of the account's -> whose doing it is.
_CAUSES: Final[Mapping[str, FillCause]] = {
    "AdlTrade": FillCause.ADL,
    "BustTrade": FillCause.LIQUIDATION,
    "Settle": FillCause.SETTLEMENT,
    "CreateByLiq": FillCause.LIQUIDATION,
    "CreateByTakeOver_PassThrough": FillCause.LIQUIDATION,
    "CreateByAdl_PassThrough": FillCause.ADL,
    "CreateBySettle": FillCause.SETTLEMENT,
}
#: `execType` that move cash alone.
NO_TRADES: Final = frozenset({"Funding", "SessionSettlePnL"})

SIDES: Final[Mapping[str, Side]] = {"Buy": Side.BUY, "Sell": Side.SELL}

#: Figures of a row that say nothing went wrong.
NO_REASONS: Final = frozenset({"", "UNKNOWN", "EC_NoError"})

_INSTRUMENT_STATES: Final[Mapping[str, InstrumentState]] = {
    "Trading": InstrumentState.LIVE,
    # Before its launch a contract takes resting orders, and for most of that time no others.
    "PreLaunch": InstrumentState.POST_ONLY,
}

_TIMES: Final[Mapping[TimeInForce, str]] = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What Bybit says of a linear perpetual, as far as we need it to trade one."""

    #: Our identity and Bybit's symbol, "BTCUSDT".
    instrument_id: str
    #: Base currency, "BTC".
    base: str
    #: Quote currency, "USDT".
    quote: str
    #: Settlement currency, "USDT".
    settle: str
    #: Smallest price step, quote.
    tick_size: Decimal
    #: Smallest quantity step, base units.
    lot_size: Decimal
    #: Smallest order, base units.
    quantity_min: Decimal
    #: Smallest order, quote; None = there is none. Reductions are exempt.
    notional_min: Decimal | None
    #: Largest limit order, base units; None = unlimited.
    limit_quantity_max: Decimal | None
    #: Largest market order, base units; None = unlimited.
    market_quantity_max: Decimal | None
    #: What Bybit takes now.
    state: InstrumentState
    #: Hours from one funding to the next; None = not told.
    funding_interval_hours: Decimal | None = None


def listing_from_row(row: Mapping[str, Any], settle: str) -> Listing | None:
    """Return a row of instruments-info; None if it is no linear perpetual of `settle`.

    Raises KeyError, TypeError or ValueError if a field we need is missing or no number.
    """
    if word(row, "contractType") != "LinearPerpetual" or word(row, "settleCoin") != settle:
        return None
    lots, prices = row["lotSizeFilter"], row["priceFilter"]
    limit_max = positive_decimal(lots.get("maxOrderQty"))
    return Listing(
        instrument_id=str(row["symbol"]),
        base=str(row["symbol"]).removesuffix(str(row["quoteCoin"])),
        quote=str(row["quoteCoin"]),
        settle=settle,
        tick_size=decimal(prices["tickSize"]),
        lot_size=decimal(lots["qtyStep"]),
        quantity_min=decimal(lots["minOrderQty"]),
        notional_min=positive_decimal(lots.get("minNotionalValue")),
        limit_quantity_max=limit_max,
        market_quantity_max=positive_decimal(lots.get("maxMktOrderQty")) or limit_max,
        state=_state(row),
        funding_interval_hours=_hours(row.get("fundingInterval")),
    )


def listed(rows: Iterable[Any], settle: str) -> Listed[Listing]:
    """Return the linear perpetuals of `settle` in instruments-info."""
    return listings.listed(
        rows, lambda row: listing_from_row(row, settle), lambda row: word(row, "symbol")
    )


def _state(row: Mapping[str, Any]) -> InstrumentState:
    state = _INSTRUMENT_STATES.get(str(row.get("status")), InstrumentState.SUSPENDED)
    # A perpetual has a delivery only once its end was announced.
    ends = state is InstrumentState.LIVE and str(row.get("deliveryTime") or "0") != "0"
    return InstrumentState.CLOSING if ends else state


def order_type(kind: OrderKind) -> str:
    """Return Bybit's orderType; a market order is an IOC inside the price limits there."""
    return "Market" if kind is OrderKind.MARKET else "Limit"


def time_in_force(asked: TimeInForce, *, post_only: bool) -> str:
    """Return Bybit's timeInForce; a post-only order that would take is canceled at once."""
    return "PostOnly" if post_only else _TIMES[asked]


def side_name(side: Side) -> str:
    """Return "Buy" or "Sell"."""
    return "Buy" if side is Side.BUY else "Sell"


def _hours(minutes: object) -> Decimal | None:
    # instruments-info counts it in minutes.
    return decimal(str(minutes)) / 60 if minutes else None


def fill_cause(exec_type: str, create_type: str) -> FillCause:
    """Return whose doing an execution is.

    A liquidation in steps fills as an ordinary trade of an order Bybit made (source: enums
    `execType` and `createType`).
    """
    return _CAUSES.get(exec_type) or _CAUSES.get(create_type, FillCause.ORDER)
