"""Bybit's public REST: time, instruments, risk limits, price limits, funding and tickers."""

from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.orders import Side
from counterpoise.simulator.bybit.calls import Call, Desk, Handler, int_field, page
from counterpoise.simulator.bybit.errors import Row
from counterpoise.simulator.bybit.symbols import CATEGORY, milliseconds, text, text_or

#: When the venue says its perpetuals were listed, ms.
_LISTED_MS: Final = "1585526400000"
#: When a perpetual whose end was announced ends, ms; the simulator's never do by themselves.
_ENDS_MS: Final = "4102444800000"
#: What stands for "no upper end" of the last tier, quote.
_NOTIONAL_ENDLESS: Final = "10000000000"
#: Largest leverage setting Bybit offers where the first tier allows more.
LEVERAGE_SETTING_MAX: Final = Decimal(100)
#: Funding rates in one answer.
FUNDINGS_MAX: Final = 200
#: Symbols in one page of risk limits.
RISK_SYMBOLS_MAX: Final = 15

_STATUS: Final = {
    InstrumentState.LIVE: "Trading",
    InstrumentState.POST_ONLY: "PreLaunch",
    InstrumentState.CLOSING: "Trading",
    InstrumentState.SUSPENDED: "Closed",
}


def leverage_max(instrument: Instrument) -> Decimal:
    """Return the largest leverage setting of an instrument."""
    first = instrument.tiers[0]
    return min(LEVERAGE_SETTING_MAX, 1 / first.initial_margin_fraction).quantize(Decimal("0.01"))


def funding_bounds(desk: Desk, symbol: str) -> tuple[Decimal, Decimal]:
    """Return the largest and the lowest funding rate per interval, fractions."""
    parameters = desk.listed[symbol]
    highest = parameters.funding_rate_cap or desk.venue.exchange.parameters.funding_rate_max
    lowest = parameters.funding_rate_floor
    return highest, -highest if lowest is None else lowest


def instrument_row(desk: Desk, symbol: str) -> Row:
    """Return an instrument as instruments-info lists it."""
    exchange = desk.venue.exchange
    instrument = exchange.instrument(symbol)
    band = exchange.parameters.band(desk.listed[symbol])
    limit_max = text_or(instrument.limit_quantity_max, "1000000000")
    funding_max, funding_min = funding_bounds(desk, symbol)
    return {
        "symbol": symbol,
        "symbolId": list(desk.listed).index(symbol) + 1,
        "contractType": "LinearPerpetual",
        "status": _STATUS[instrument.state],
        "baseCoin": instrument.base,
        "quoteCoin": instrument.quote,
        "launchTime": _LISTED_MS,
        "deliveryTime": _ENDS_MS if instrument.state is InstrumentState.CLOSING else "0",
        "deliveryFeeRate": "",
        "priceScale": str(max(0, -int(instrument.tick_size.normalize().as_tuple().exponent))),
        "leverageFilter": {
            "minLeverage": "1",
            "maxLeverage": text(leverage_max(instrument)),
            "leverageStep": "0.01",
        },
        "priceFilter": {
            "minPrice": text(instrument.tick_size),
            "maxPrice": text(instrument.tick_size * 19_999_998),
            "tickSize": text(instrument.tick_size),
        },
        "lotSizeFilter": {
            "maxOrderQty": limit_max,
            "minOrderQty": text(instrument.quantity_min),
            "qtyStep": text(instrument.lot_size),
            "postOnlyMaxOrderQty": limit_max,
            "maxMktOrderQty": text_or(instrument.market_quantity_max, limit_max),
            "minNotionalValue": text_or(instrument.notional_min, "0"),
        },
        "unifiedMarginTrade": True,
        "fundingInterval": exchange.funding(symbol).interval_hours * 60,
        "settleCoin": instrument.settle,
        "copyTrading": "none",
        "upperFundingRate": text(funding_max),
        "lowerFundingRate": text(funding_min),
        "isPreListing": False,
        "preListingInfo": None,
        "riskParameters": {
            "priceLimitRatioX": text(band.near_fraction),
            "priceLimitRatioY": text(band.far_fraction or band.near_fraction),
        },
        "displayName": "",
        "symbolType": "",
    }


def _instruments(desk: Desk, call: Call) -> Row:
    # `status=PreLaunch` lists what trades before its launch: nothing here.
    status = call.query.get("status", "Trading")
    rows = [instrument_row(desk, symbol) for symbol in call.wanted(desk)]
    kept = [row for row in rows if "symbol" in call.query or row["status"] == status]
    shown, cursor = page(kept, call, key=lambda row: str(row["symbol"]), default=500, most=1_000)
    category = call.query.get("category", CATEGORY)
    return {"category": category, "list": shown, "nextPageCursor": cursor}


def _time(desk: Desk, _call: Call) -> Row:
    now_ns = desk.venue.clock.told_ns()
    return {"timeSecond": str(now_ns // units.NS_PER_SECOND), "timeNano": str(now_ns)}


def _status(_desk: Desk, _call: Call) -> Row:
    return {"list": []}


def _tier_rows(desk: Desk, symbol: str) -> list[Row]:
    rows: list[Row] = []
    for number, tier in enumerate(desk.instrument(symbol).tiers, start=1):
        rows.append(
            {
                "id": number,
                "symbol": symbol,
                "riskLimitValue": text_or(tier.notional_max, _NOTIONAL_ENDLESS),
                "maintenanceMargin": text(tier.maintenance_margin_fraction),
                "initialMargin": text(tier.initial_margin_fraction),
                "isLowestRisk": int(number == 1),
                "maxLeverage": text((1 / tier.initial_margin_fraction).quantize(Decimal("0.01"))),
                "mmDeduction": text_or(tier.maintenance_margin_deduction or None, ""),
            }
        )
    return rows


def _risk_limit(desk: Desk, call: Call) -> Row:
    symbols, cursor = page(
        call.wanted(desk), call, key=str, default=RISK_SYMBOLS_MAX, most=RISK_SYMBOLS_MAX
    )
    rows = [row for symbol in symbols for row in _tier_rows(desk, symbol)]
    category = call.query.get("category", CATEGORY)
    return {"category": category, "list": rows, "nextPageCursor": cursor}


def price_limit_row(desk: Desk, symbol: str) -> Row:
    """Return the highest bid and lowest ask a limit order may name."""
    band, tick_size = desk.venue.exchange.price_band(symbol), desk.instrument(symbol).tick_size
    return {
        "symbol": symbol,
        "buyLmt": text(band.inside(Side.BUY, tick_size)),
        "sellLmt": text(band.inside(Side.SELL, tick_size)),
        "ts": milliseconds(desk.venue.clock.told_ns()),
    }


def _price_limit(desk: Desk, call: Call) -> Row:
    return price_limit_row(desk, call.one(desk))


def _funding_history(desk: Desk, call: Call) -> Row:
    symbol = call.one(desk)
    start = int_field(call.query.get("startTime"), "startTime")
    end = int_field(call.query.get("endTime"), "endTime")
    kept = [
        each
        for each in desk.tape.settled(symbol)
        if (start is None or each.funding_ns >= start * units.NS_PER_MS)
        and (end is None or each.funding_ns <= end * units.NS_PER_MS)
    ]
    rows: list[Row] = [
        {
            "symbol": symbol,
            "fundingRate": text(each.rate),
            "fundingRateTimestamp": milliseconds(each.funding_ns),
        }
        for each in kept[: call.rows_max(FUNDINGS_MAX, FUNDINGS_MAX)]
    ]
    return {"category": CATEGORY, "list": rows}


#: Path -> handler of GET requests that need no key.
ROUTES: Final[dict[str, Handler]] = {
    "/v5/market/time": _time,
    "/v5/market/instruments-info": _instruments,
    "/v5/market/risk-limit": _risk_limit,
    "/v5/market/price-limit": _price_limit,
    "/v5/market/funding/history": _funding_history,
    "/v5/system/status": _status,
}
