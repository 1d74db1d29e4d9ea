"""OKX's public REST: what is listed, its prices, books and funding (docs-v5 "Public Data")."""

from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.rounding import quantize_down, quantize_up
from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.okx.calls import Answer, Call, Desk, Handler, contract_of, page
from counterpoise.simulator.okx.errors import Code, Row, WireError
from counterpoise.simulator.okx.fundings import KEPT_MAX
from counterpoise.simulator.okx.symbols import (
    BY_FAMILY,
    BY_INSTRUMENT,
    Contract,
    milliseconds,
    text,
)

#: Deepest book REST gives, levels per side.
BOOK_LEVELS_MAX: Final = 400
_STATES: Final = {
    InstrumentState.LIVE: "live",
    InstrumentState.POST_ONLY: "post_only",
    # As ever, with the time it goes offline.
    InstrumentState.CLOSING: "live",
    InstrumentState.SUSPENDED: "suspend",
}
#: When the venue says its swaps were listed, ms.
_LISTED_MS: Final = "1573557408000"
#: When a swap that is announced to end goes offline, ms; the simulator's never do by themselves.
_OFFLINE_MS: Final = "4102444800000"
#: OKX's largest leverage setting where the first tier allows more.
LEVERAGE_SETTING_MAX: Final = Decimal(100)


def leverage_max(instrument: Instrument) -> Decimal:
    """Return the largest leverage setting of an instrument."""
    return min(
        LEVERAGE_SETTING_MAX, 1 / instrument.tiers[0].initial_margin_fraction
    ).to_integral_value()


def instrument_row(contract: Contract, instrument: Instrument) -> Row:
    """Return a swap as public/instruments lists it."""
    market_max = instrument.market_quantity_max
    limit_max = instrument.limit_quantity_max
    market_text = "" if market_max is None else text(contract.contracts(market_max))
    limit_text = "" if limit_max is None else text(contract.contracts(limit_max))
    return {
        "alias": "",
        "auctionEndTime": "",
        "baseCcy": "",
        "category": "1",
        "contTdSwTime": "",
        "ctMult": "1",
        "ctType": "linear",
        "ctVal": text(contract.contract_size),
        "ctValCcy": contract.base,
        "expTime": _OFFLINE_MS if instrument.state is InstrumentState.CLOSING else "",
        "floatPxLmtPct": "",
        "futureSettlement": False,
        "groupId": "1",
        "initPxLmtPct": "",
        "instCategory": "1",
        "instFamily": contract.family,
        "instId": contract.symbol,
        "instIdCode": contract.code,
        "instType": "SWAP",
        "lever": text(leverage_max(instrument)),
        "listTime": _LISTED_MS,
        "lotSz": text(contract.contracts(instrument.lot_size)),
        "maxIcebergSz": limit_text,
        "maxLmtAmt": "20000000",
        "maxLmtSz": limit_text,
        "maxMktAmt": "",
        "maxMktSz": market_text,
        "maxPlatOICoinLmt": "",
        "maxPlatOILmt": "",
        "maxPxLmtPct": "",
        "maxStopSz": market_text,
        "maxTriggerSz": limit_text,
        "maxTwapSz": limit_text,
        "minSz": text(contract.contracts(instrument.quantity_min)),
        "openType": "",
        "optType": "",
        "posLmtAmt": "",
        "posLmtPct": "",
        "preMktSwTime": "",
        "quoteCcy": "",
        "ruleType": "normal",
        "settleCcy": instrument.settle,
        "state": _STATES[instrument.state],
        "stk": "",
        "tickSz": text(instrument.tick_size),
        "tradeQuoteCcyList": [],
        "uly": contract.family,
        "upcChg": [],
    }


def _asked(desk: Desk, call: Call) -> list[Contract]:
    # The contracts `instId`, `instFamily` or `uly` leave, all listed ones if none is given.
    named = call.query.get("instId", "ANY")
    if named != "ANY":
        return [contract_of(named)]
    family = call.query.get("instFamily") or call.query.get("uly")
    if not call.only_swaps():
        return []
    if family is not None:
        return [BY_FAMILY[family]] if family in BY_FAMILY else []
    return [BY_INSTRUMENT[instrument_id] for instrument_id in desk.listed]


def _instruments(desk: Desk, call: Call) -> Answer:
    if "instType" not in call.query:
        raise WireError(Code.PARAMETER, "Parameter instType can not be empty")
    return [
        instrument_row(contract, desk.rules[contract.instrument_id]) | _said(desk, contract)
        for contract in _asked(desk, call)
        if contract.instrument_id in desk.rules
    ]


def _said(desk: Desk, contract: Contract) -> Row:
    fault = desk.faults.takes(FaultKind.CONTRACT_SIZE, contract.instrument_id)
    return {} if fault is None else {"ctVal": text(contract.contract_size * Decimal(fault.value))}


def _time(desk: Desk, _call: Call) -> Answer:
    return [{"ts": milliseconds(desk.venue.clock.told_ns())}]


def _status(_desk: Desk, _call: Call) -> Answer:
    return []


def _mark_price(desk: Desk, call: Call) -> Answer:
    exchange = desk.venue.exchange
    return [
        {
            "instId": contract.symbol,
            "instType": "SWAP",
            "markPx": text(desk.venue.display.mark(contract.instrument_id)),
            "ts": milliseconds(exchange.now_ns),
        }
        for contract in _asked(desk, call)
    ]


def _index_tickers(desk: Desk, call: Call) -> Answer:
    family = call.query.get("instId")
    families = list(BY_FAMILY) if family is None else [family]
    if any(each not in BY_FAMILY for each in families):
        raise WireError(Code.INSTRUMENT)
    return [index_row(desk, BY_FAMILY[each]) for each in families]


def index_row(desk: Desk, contract: Contract) -> Row:
    """Return a row of market/index-tickers."""
    exchange = desk.venue.exchange
    return {
        "high24h": "",
        "idxPx": text(desk.venue.display.index(contract.instrument_id)),
        "instId": contract.family,
        "low24h": "",
        "open24h": "",
        "sodUtc0": "",
        "sodUtc8": "",
        "ts": milliseconds(exchange.now_ns),
    }


def funding_row(desk: Desk, contract: Contract) -> Row:
    """Return the next funding as public/funding-rate and its channel have it."""
    exchange = desk.venue.exchange
    funding = exchange.funding(contract.instrument_id)
    interval_ns = funding.interval_hours * units.NS_PER_HOUR
    return {
        "formulaType": "withRate",
        "fundingRate": text(funding.rate),
        "fundingTime": milliseconds(funding.funding_ns),
        "impactValue": "",
        "instId": contract.symbol,
        "instType": "SWAP",
        "interestRate": "",
        "maxFundingRate": "0.0075",
        "method": "current_period",
        "minFundingRate": "-0.0075",
        "nextFundingRate": "",
        "nextFundingTime": milliseconds(funding.funding_ns + interval_ns),
        "premium": "",
        "prevFundingTime": milliseconds(funding.funding_ns - interval_ns),
        "settFundingRate": "",
        "settState": "settled",
        "ts": milliseconds(exchange.now_ns),
    }


def _funding_rate(desk: Desk, call: Call) -> Answer:
    if "instId" not in call.query:
        raise WireError(Code.PARAMETER, "Parameter instId can not be empty")
    return [funding_row(desk, contract) for contract in _asked(desk, call)]


def _funding_rate_history(desk: Desk, call: Call) -> Answer:
    contract = call.contract()
    if contract is None:
        raise WireError(Code.PARAMETER, "Parameter instId can not be empty")
    rows = [
        {
            "formulaType": "withRate",
            "fundingRate": text(each.rate),
            "fundingTime": milliseconds(each.funding_ns),
            "instId": contract.symbol,
            "instType": "SWAP",
            "method": "current_period",
            "realizedRate": text(each.rate),
        }
        for each in desk.fundings.charged(contract.instrument_id)
    ]
    return page(rows, call, key=lambda row: row["fundingTime"], most=KEPT_MAX)


def _position_tiers(desk: Desk, call: Call) -> Answer:
    # OKX states tiers in contracts that stand still; the model's are in notional, so the price at
    # the market's opening divides them.
    rows: list[Row] = []
    for contract in _asked(desk, call):
        instrument = desk.rules[contract.instrument_id]
        mark = desk.listed[contract.instrument_id].price_start
        floor = "0"
        for number, tier in enumerate(instrument.tiers, start=1):
            if tier.notional_max is None:
                ceiling = "10000000000"
            else:
                ceiling = text(contract.contracts(tier.notional_max / mark).quantize(Decimal(1)))
            rows.append(
                {
                    "baseMaxLoan": "",
                    "imr": text(tier.initial_margin_fraction),
                    "instFamily": contract.family,
                    "instId": "",
                    "maxLever": text((1 / tier.initial_margin_fraction).quantize(Decimal("0.01"))),
                    "maxSz": ceiling,
                    "minSz": floor,
                    "mmr": text(tier.maintenance_margin_fraction),
                    "optMgnFactor": "0",
                    "quoteMaxLoan": "",
                    "tier": str(number),
                    "uly": contract.family,
                }
            )
            floor = ceiling
    return rows


def _price_limit(desk: Desk, call: Call) -> Answer:
    exchange = desk.venue.exchange
    rules = desk.rules
    bands = {
        contract: exchange.price_band(contract.instrument_id)
        for contract in _asked(desk, call)
        if contract.instrument_id in rules
    }
    return [
        {
            "buyLmt": text(quantize_down(band.buy_max, rules[contract.instrument_id].tick_size)),
            "enabled": True,
            "instId": contract.symbol,
            "instType": "SWAP",
            "sellLmt": text(quantize_up(band.sell_min, rules[contract.instrument_id].tick_size)),
            "ts": milliseconds(exchange.now_ns),
        }
        for contract, band in bands.items()
    ]


#: Path -> handler of GET requests that need no key.
ROUTES: Final[dict[str, Handler]] = {
    "/api/v5/public/instruments": _instruments,
    "/api/v5/public/time": _time,
    "/api/v5/public/mark-price": _mark_price,
    "/api/v5/public/funding-rate": _funding_rate,
    "/api/v5/public/funding-rate-history": _funding_rate_history,
    "/api/v5/public/position-tiers": _position_tiers,
    "/api/v5/public/price-limit": _price_limit,
    "/api/v5/market/index-tickers": _index_tickers,
    "/api/v5/system/status": _status,
}
