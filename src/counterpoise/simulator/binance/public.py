"""Binance's public figures of instruments: what is listed, marks, funding ("Market Data")."""

from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.exchange.triggers import TRIGGER_RULES
from counterpoise.simulator.binance import symbols
from counterpoise.simulator.binance.calls import (
    Call,
    Desk,
    Route,
    Routes,
    clip,
    instruments_of,
    one_or_all,
)
from counterpoise.simulator.binance.errors import Row
from counterpoise.simulator.binance.symbols import CURRENCY, text
from counterpoise.simulator.binance.tape import FundingRow

#: When the venue says its contracts were listed and end, ms.
_LISTED_MS: Final = 1_569_398_400_000
_DELIVERY_MS: Final = 4_133_404_800_000
#: The interest part of eight hours, fraction.
INTEREST: Final = Decimal("0.0001")
INTEREST_NS: Final = 8 * units.NS_PER_HOUR
#: Open orders per instrument.
ORDERS_MAX: Final = 200
#: Decimals of a mark.
MARK_PLACES: Final = 8
ORDER_TYPES: Final = (
    "LIMIT",
    "MARKET",
    "STOP",
    "STOP_MARKET",
    "TAKE_PROFIT",
    "TAKE_PROFIT_MARKET",
)
TIMES_IN_FORCE: Final = ("GTC", "IOC", "FOK", "GTX")

_STATUS: Final = {
    InstrumentState.LIVE: "TRADING",
    InstrumentState.POST_ONLY: "TRADING",
    InstrumentState.CLOSING: "TRADING",
    InstrumentState.SUSPENDED: "PENDING_TRADING",
}


def band(desk: Desk, instrument_id: str) -> Decimal:
    """Return how far from the mark a price may be on its aggressive side, fraction."""
    parameters = desk.venue.exchange.parameters
    return parameters.band(desk.listed[instrument_id]).near_fraction


def notional_min(instrument: Instrument) -> Decimal:
    """Return the least notional of an order that may grow a position, quote."""
    return instrument.notional_min or Decimal(0)


def _filters(desk: Desk, instrument: Instrument) -> list[Row]:
    fraction = band(desk, instrument.instrument_id)
    lot, least = text(instrument.lot_size), text(instrument.quantity_min)
    most = instrument.limit_quantity_max or Decimal(10**9)
    return [
        {
            "filterType": "PRICE_FILTER",
            "maxPrice": text(instrument.tick_size * 10**8),
            "minPrice": text(instrument.tick_size),
            "tickSize": text(instrument.tick_size),
        },
        {"filterType": "LOT_SIZE", "maxQty": text(most), "minQty": least, "stepSize": lot},
        {
            "filterType": "MARKET_LOT_SIZE",
            "maxQty": text(instrument.market_quantity_max or most),
            "minQty": least,
            "stepSize": lot,
        },
        {"filterType": "MAX_NUM_ORDERS", "limit": ORDERS_MAX},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "limit": TRIGGER_RULES["binance"].open_max},
        {"filterType": "MIN_NOTIONAL", "notional": text(notional_min(instrument))},
        {
            "filterType": "PERCENT_PRICE",
            "multiplierDecimal": "4",
            "multiplierDown": symbols.fixed(1 - fraction, 4),
            "multiplierUp": symbols.fixed(1 + fraction, 4),
        },
    ]


def instrument_row(desk: Desk, instrument: Instrument) -> Row:
    """Return a contract as exchangeInfo lists it."""
    parameters = desk.venue.exchange.parameters
    return {
        "symbol": instrument.instrument_id,
        "pair": instrument.instrument_id,
        "contractType": "PERPETUAL",
        "deliveryDate": _DELIVERY_MS,
        "onboardDate": _LISTED_MS,
        "status": _STATUS[instrument.state],
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": instrument.quote,
        "marginAsset": instrument.settle,
        "pricePrecision": symbols.places(instrument.tick_size),
        "quantityPrecision": symbols.places(instrument.lot_size),
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "triggerProtect": "0.0500",
        "liquidationFee": symbols.fixed(parameters.liquidation_fee_bps / units.BPS_PER_ONE, 6),
        "marketTakeBound": symbols.fixed(band(desk, instrument.instrument_id), 2),
        "maxMoveOrderLimit": 10_000,
        "filters": _filters(desk, instrument),
        "orderTypes": ORDER_TYPES,
        "timeInForce": TIMES_IN_FORCE,
        "permissionSets": ["GRID"],
    }


def _exchange_info(desk: Desk, _call: Call) -> object:
    return {
        "timezone": "UTC",
        "serverTime": desk.now_ms(),
        "futuresType": "U_MARGINED",
        "rateLimits": desk.usage.limits.rows(),
        "exchangeFilters": [],
        "assets": [{"asset": CURRENCY, "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [instrument_row(desk, desk.instrument(each)) for each in desk.listed],
    }


def _ping(_desk: Desk, _call: Call) -> object:
    return {}


def _time(desk: Desk, _call: Call) -> object:
    return {"serverTime": desk.now_ms()}


def _premium_row(desk: Desk, instrument_id: str) -> Row:
    venue = desk.venue
    funding = venue.exchange.funding(instrument_id)
    return {
        "symbol": instrument_id,
        "markPrice": symbols.fixed(venue.display.mark(instrument_id), MARK_PLACES),
        "indexPrice": symbols.fixed(venue.display.index(instrument_id), MARK_PLACES),
        "estimatedSettlePrice": symbols.fixed(venue.display.index(instrument_id), MARK_PLACES),
        "lastFundingRate": symbols.fixed(funding.rate, 8),
        "interestRate": symbols.fixed(INTEREST, 8),
        "nextFundingTime": symbols.milliseconds(funding.funding_ns),
        "time": symbols.milliseconds(venue.exchange.now_ns),
    }


def _premium_index(desk: Desk, call: Call) -> object:
    return one_or_all(call, [_premium_row(desk, each) for each in instruments_of(desk, call)])


def _unseen_fundings(desk: Desk, instrument_id: str) -> list[FundingRow]:
    # Nobody was charged before the process saw it: the rate of a market without a premium, which
    # is the interest part, at the mark of the instant.
    exchange = desk.venue.exchange
    state = exchange.funding(instrument_id)
    interval_ns = state.interval_hours * units.NS_PER_HOUR
    seen = desk.tape.fundings(instrument_id)
    until_ns = seen[0].funding_ns if seen else state.funding_ns
    bars = exchange.candles(instrument_id, state.interval_hours * 3_600, 0, until_ns, kind="mark")
    rate = INTEREST * interval_ns / INTEREST_NS
    return [
        FundingRow(instrument_id=instrument_id, rate=rate, mark=bar.open, funding_ns=bar.open_ns)
        for bar in bars
    ]


def _funding_rate(desk: Desk, call: Call) -> object:
    rows = [
        each
        for instrument_id in instruments_of(desk, call)
        for each in (*_unseen_fundings(desk, instrument_id), *desk.tape.fundings(instrument_id))
        if call.within(each.funding_ns)
    ]
    rows.sort(key=lambda each: each.funding_ns)
    return [
        {
            "symbol": each.instrument_id,
            "fundingTime": symbols.milliseconds(each.funding_ns),
            "fundingRate": symbols.fixed(each.rate, 8),
            "markPrice": symbols.fixed(each.mark, MARK_PLACES),
            "rateType": "Regular",
        }
        for each in clip(call, rows, 1_000, 100)
    ]


def _funding_info(desk: Desk, _call: Call) -> object:
    # The real list has only contracts that differ from eight hours; here all of them are told.
    rows: list[Row] = []
    for instrument_id, parameters in desk.listed.items():
        highest = parameters.funding_rate_cap or desk.venue.exchange.parameters.funding_rate_max
        lowest = parameters.funding_rate_floor
        rows.append(
            {
                "symbol": instrument_id,
                "adjustedFundingRateCap": symbols.fixed(highest, 8),
                "adjustedFundingRateFloor": symbols.fixed(
                    -highest if lowest is None else lowest, 8
                ),
                "fundingIntervalHours": desk.venue.exchange.funding(instrument_id).interval_hours,
                "disclaimer": False,
            }
        )
    return rows


def _adl_risk(desk: Desk, call: Call) -> object:
    rows = [
        {"symbol": each, "adlRisk": "low", "updateTime": desk.now_ms()}
        for each in instruments_of(desk, call)
    ]
    return one_or_all(call, rows)


def _system_status(_desk: Desk, _call: Call) -> object:
    return {"status": 0, "msg": "normal"}


ROUTES: Final[Routes] = {
    ("GET", "/fapi/v1/ping"): Route(handler=_ping),
    ("GET", "/fapi/v1/time"): Route(handler=_time),
    ("GET", "/fapi/v1/exchangeInfo"): Route(handler=_exchange_info),
    ("GET", "/fapi/v1/premiumIndex"): Route(handler=_premium_index),
    ("GET", "/fapi/v1/fundingRate"): Route(handler=_funding_rate),
    ("GET", "/fapi/v1/fundingInfo"): Route(handler=_funding_info, weight=0),
    ("GET", "/fapi/v1/symbolAdlRisk"): Route(handler=_adl_risk),
    ("GET", "/sapi/v1/system/status"): Route(handler=_system_status),
}
