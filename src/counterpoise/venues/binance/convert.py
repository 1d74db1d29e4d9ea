"""Between Binance's words and ours. Its symbols are our ids and its quantities base units."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.instruments import Instrument, InstrumentState, MarginTier
from counterpoise.domain.orders import FillCause, OrderKind, OrderState, TimeInForce
from counterpoise.venues import listings
from counterpoise.venues.figures import decimal
from counterpoise.venues.listings import Listed, word

#: One contract is one base unit.
CONTRACT_SIZE: Final = Decimal(1)

#: EXPIRED is an order the venue took and ended by its own rules (an IOC's rest, a self-trade): our
#: word for that is CANCELED, for EXPIRED never got so far.
ORDER_STATES: Final[Mapping[str, OrderState]] = {
    "NEW": OrderState.ACCEPTED,
    "PENDING_NEW": OrderState.ACCEPTED,
    "PARTIALLY_FILLED": OrderState.PARTIALLY_FILLED,
    "FILLED": OrderState.FILLED,
    "CANCELED": OrderState.CANCELED,
    "REJECTED": OrderState.REJECTED,
    "EXPIRED": OrderState.CANCELED,
    "EXPIRED_IN_MATCH": OrderState.CANCELED,
    # The venue's own closes, while they run.
    "NEW_INSURANCE": OrderState.ACCEPTED,
    "NEW_ADL": OrderState.ACCEPTED,
}

_TIMES: Final[Mapping[TimeInForce, str]] = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
}

#: When perpetuals "are delivered" that nobody has announced the end of, or later, ms.
DELIVERY_NEVER_MS: Final = 4_102_444_800_000

#: A bracket's cap above this is the end of the table, quote.
_CAP_NONE: Final = Decimal(10) ** 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A perpetual Binance lists, as far as we need it to talk about one."""

    #: Binance's symbol and our identity, "BTCUSDT".
    symbol: str
    #: Base currency, "BTC".
    base: str
    #: Quote currency, "USDT".
    quote: str
    #: Margin currency, "USDT".
    settle: str
    #: Smallest price step, quote.
    tick_size: Decimal
    #: Smallest quantity step of any kind of order, base units.
    lot_size: Decimal
    #: Smallest order of any kind, base units.
    quantity_min: Decimal
    #: Smallest notional of an order that is no reduction, quote; None = none.
    notional_min: Decimal | None
    #: Largest limit order, base units.
    limit_quantity_max: Decimal | None
    #: Largest market order, base units.
    market_quantity_max: Decimal | None
    #: What Binance takes now.
    state: InstrumentState


def listing_from_row(row: Mapping[str, Any], settle: str) -> Listing | None:
    """Return a row of exchangeInfo as a listing; None if it is no perpetual margined in `settle`.

    Raises KeyError, TypeError or ValueError if a field we need is missing or no number.
    """
    if word(row, "contractType") != "PERPETUAL" or word(row, "marginAsset") != settle:
        return None
    filters = {str(each["filterType"]): each for each in row["filters"]}
    lot, market = filters["LOT_SIZE"], filters.get("MARKET_LOT_SIZE") or filters["LOT_SIZE"]
    notional = filters.get("MIN_NOTIONAL")
    base, quote = str(row["baseAsset"]), str(row["quoteAsset"])
    if str(row["symbol"]) != base + quote:
        return None
    return Listing(
        symbol=str(row["symbol"]),
        base=base,
        quote=quote,
        settle=settle,
        tick_size=decimal(filters["PRICE_FILTER"]["tickSize"]),
        lot_size=max(decimal(lot["stepSize"]), decimal(market["stepSize"])),
        quantity_min=max(decimal(lot["minQty"]), decimal(market["minQty"])),
        notional_min=None if notional is None else decimal(notional["notional"]),
        limit_quantity_max=decimal(lot["maxQty"]),
        market_quantity_max=min(decimal(lot["maxQty"]), decimal(market["maxQty"])),
        state=_state(row),
    )


def instrument(listing: Listing, tiers: tuple[MarginTier, ...] = ()) -> Instrument:
    """Return an instrument's rules; its margin tiers are told apart from its listing."""
    return Instrument(
        instrument_id=listing.symbol,
        base=listing.base,
        quote=listing.quote,
        settle=listing.settle,
        tick_size=listing.tick_size,
        lot_size=listing.lot_size,
        quantity_min=listing.quantity_min,
        notional_min=listing.notional_min,
        market_quantity_max=listing.market_quantity_max,
        limit_quantity_max=listing.limit_quantity_max,
        state=listing.state,
        tiers=tiers,
    )


def listed(rows: Iterable[Any], settle: str) -> Listed[Listing]:
    """Return the perpetuals margined in `settle` in exchangeInfo."""
    return listings.listed(
        rows, lambda row: listing_from_row(row, settle), lambda row: word(row, "symbol")
    )


def _state(row: Mapping[str, Any]) -> InstrumentState:
    if row.get("status") != "TRADING":
        return InstrumentState.SUSPENDED
    # A perpetual's delivery lies in the year 2100 until Binance has announced its end.
    ends = 0 < int(row.get("deliveryDate") or 0) < DELIVERY_NEVER_MS
    return InstrumentState.CLOSING if ends else InstrumentState.LIVE


def margin_tier(row: Mapping[str, Any]) -> MarginTier:
    """Return a bracket of leverageBracket. Raises KeyError or ValueError."""
    cap = decimal(str(row["notionalCap"]))
    return MarginTier(
        notional_max=None if cap >= _CAP_NONE else cap,
        maintenance_margin_fraction=decimal(str(row["maintMarginRatio"])),
        initial_margin_fraction=1 / decimal(str(row["initialLeverage"])),
        maintenance_margin_deduction=decimal(str(row.get("cum") or 0)),
    )


def order_type(kind: OrderKind) -> str:
    """Return Binance's type of an order."""
    return "MARKET" if kind is OrderKind.MARKET else "LIMIT"


def time_in_force(time: TimeInForce, *, post_only: bool) -> str:
    """Return Binance's timeInForce of a limit order; GTX is refused if it would take."""
    return "GTX" if post_only else _TIMES[time]


#: How the client ids of orders begin that Binance made itself -> whose doing they are.
_OWN_ORDERS: Final[tuple[tuple[str, FillCause], ...]] = (
    ("autoclose-", FillCause.LIQUIDATION),
    ("adl_autoclose", FillCause.ADL),
    ("settlement_autoclose-", FillCause.SETTLEMENT),
)


def fill_cause(client_id: str) -> FillCause:
    """Return whose doing an order with this client id is (source: User Data Streams, order update).

    A person can choose an id, but not one that begins so.
    """
    return next(
        (cause for prefix, cause in _OWN_ORDERS if client_id.startswith(prefix)), FillCause.ORDER
    )
