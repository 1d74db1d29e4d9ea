"""Bybit's market data over REST: books, bars, trades and tickers."""

from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.candles import CandleKind
from counterpoise.exchange.events import TradePrinted
from counterpoise.exchange.quotes import BookLevel, CandleRow
from counterpoise.simulator.bybit.calls import Call, Desk, Handler, int_field
from counterpoise.simulator.bybit.errors import Code, Row, WireError
from counterpoise.simulator.bybit.order_rows import side_name
from counterpoise.simulator.bybit.public import funding_bounds
from counterpoise.simulator.bybit.symbols import CATEGORY, milliseconds, text
from counterpoise.simulator.bybit.tape import TRADES_MAX

#: Levels per side of a book over REST.
BOOK_LEVELS_MAX: Final = 1_000
BOOK_LEVELS_DEFAULT: Final = 25
#: Bars in one answer.
BARS_MAX: Final = 1_000
BARS_DEFAULT: Final = 200
#: Trades in one answer where none are asked for.
TRADES_DEFAULT: Final = 500
#: Open interest as a share of a day's volume; the model has no open interest of its own.
OPEN_INTEREST_OF_VOLUME: Final = Decimal("0.5")

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400

#: `interval` -> seconds; weeks and months are not modelled.
INTERVALS: Final = {
    "1": _MINUTE,
    "3": 3 * _MINUTE,
    "5": 5 * _MINUTE,
    "15": 15 * _MINUTE,
    "30": 30 * _MINUTE,
    "60": _HOUR,
    "120": 2 * _HOUR,
    "240": 4 * _HOUR,
    "360": 6 * _HOUR,
    "720": 12 * _HOUR,
    "D": _DAY,
}


def level(each: BookLevel) -> list[str]:
    """Return a book level: price, base quantity ("0" = gone)."""
    return [text(each[0]), text(each[1])]


def _orderbook(desk: Desk, call: Call) -> Row:
    symbol = call.one(desk)
    deep = call.rows_max(BOOK_LEVELS_DEFAULT, BOOK_LEVELS_MAX)
    book = desk.venue.display.book(symbol)
    now_ms = desk.venue.clock.told_ns() // units.NS_PER_MS
    return {
        "s": symbol,
        "b": [level(each) for each in book.bids[:deep]],
        "a": [level(each) for each in book.asks[:deep]],
        "ts": now_ms,
        "u": desk.tape.book_number(symbol),
        "seq": desk.tape.book_number(symbol),
        "cts": book.event_ns // units.NS_PER_MS,
    }


class Statistics:
    """The last day of each instrument, counted anew when it is older than a second."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._days: dict[str, tuple[int, Row]] = {}

    def day(self, symbol: str) -> Row:
        """Return what a ticker says of the last 24 h, without its present prices."""
        now_ns = self._desk.venue.exchange.now_ns
        kept = self._days.get(symbol)
        if kept is not None and now_ns - kept[0] < units.NS_PER_SECOND:
            return kept[1]
        row = self._counted(symbol, now_ns)
        self._days[symbol] = (now_ns, row)
        return row

    def _counted(self, symbol: str, now_ns: int) -> Row:
        exchange = self._desk.venue.exchange
        bars = exchange.candles(
            symbol, _HOUR, now_ns - _DAY * units.NS_PER_SECOND, now_ns, kind="last"
        )
        last = exchange.last(symbol)
        volume = sum((bar.volume for bar in bars), Decimal(0))
        turnover = sum((_turnover(bar) for bar in bars), Decimal(0))
        open_price = bars[0].open if bars else last
        return {
            "price24hPcnt": text(((last - open_price) / open_price).quantize(Decimal("0.000001"))),
            "prevPrice24h": text(open_price),
            "highPrice24h": text(max((bar.high for bar in bars), default=last)),
            "lowPrice24h": text(min((bar.low for bar in bars), default=last)),
            "prevPrice1h": text(bars[-1].open if bars else last),
            "openInterest": text((volume * OPEN_INTEREST_OF_VOLUME).quantize(Decimal("0.001"))),
            "turnover24h": text(turnover.quantize(Decimal("0.0001"))),
            "volume24h": text(volume),
        }


def _turnover(bar: CandleRow) -> Decimal:
    return bar.volume * (bar.high + bar.low + bar.close) / 3


def ticker_row(desk: Desk, symbol: str, day: Row) -> Row:
    """Return a ticker with the prices of now and the figures of the day."""
    exchange, display = desk.venue.exchange, desk.venue.display
    book, funding = display.book(symbol), exchange.funding(symbol)
    mark = display.mark(symbol)
    interest = Decimal(str(day["openInterest"])) * mark
    row: Row = {
        "symbol": symbol,
        "tickDirection": desk.tape.direction(symbol),
        **day,
        "lastPrice": text(exchange.last(symbol)),
        "markPrice": text(mark),
        "indexPrice": text(display.index(symbol)),
        "openInterestValue": text(interest.quantize(Decimal("0.01"))),
        "fundingIntervalHour": str(funding.interval_hours),
        "fundingCap": text(funding_bounds(desk, symbol)[0]),
        "nextFundingTime": milliseconds(funding.funding_ns),
        "fundingRate": text(funding.rate),
        "preOpenPrice": "",
        "preQty": "",
        "curPreListingPhase": "",
    }
    for side, levels in (("bid1", book.bids), ("ask1", book.asks)):
        row[f"{side}Price"] = text(levels[0][0]) if levels else ""
        row[f"{side}Size"] = text(levels[0][1]) if levels else ""
    return row


def _tickers(desk: Desk, call: Call) -> Row:
    statistics = Statistics(desk)
    rows = [
        {
            **ticker_row(desk, symbol, statistics.day(symbol)),
            "predictedDeliveryPrice": "",
            "basisRate": "",
            "basis": "",
            "basisRateYear": "",
            "deliveryFeeRate": "",
            "deliveryTime": "0",
        }
        for symbol in call.wanted(desk)
    ]
    return {"category": call.query.get("category", CATEGORY), "list": rows}


def trade_id(event: TradePrinted) -> str:
    """Return the id of a public trade, unique over all instruments."""
    return f"{event.instrument_id}-{event.trade_sequence}"


def _recent_trades(desk: Desk, call: Call) -> Row:
    symbol = call.one(desk)
    rows: list[Row] = [
        {
            "execId": trade_id(each),
            "symbol": symbol,
            "price": text(each.price),
            "size": text(each.quantity),
            "side": side_name(each.side),
            "time": milliseconds(each.event_ns),
            "isBlockTrade": False,
            "isRPITrade": False,
            "seq": str(each.trade_sequence),
        }
        for each in desk.tape.trades(symbol)[: call.rows_max(TRADES_DEFAULT, TRADES_MAX)]
    ]
    return {"category": CATEGORY, "list": rows}


def _bars(desk: Desk, call: Call, *, mark: bool) -> tuple[str, list[CandleRow]]:
    # Newest first; `start` and `end` bound the opening. A `start` alone shows the first `limit`
    # bars from there, so that a client can walk on; otherwise the newest are shown.
    symbol = call.one(desk)
    step_seconds = INTERVALS.get(call.query.get("interval", ""))
    if step_seconds is None:
        raise WireError(Code.PARAMETER, "Invalid period!")
    start, end = (int_field(call.query.get(name), name) for name in ("start", "end"))
    limit = call.rows_max(BARS_DEFAULT, BARS_MAX)
    step_ns = step_seconds * units.NS_PER_SECOND
    until_ns = desk.venue.exchange.now_ns + 1
    if end is not None:
        until_ns = min(until_ns, end * units.NS_PER_MS + 1)
    since_ns = ((until_ns - 1) // step_ns - limit + 1) * step_ns
    if start is not None and end is None:
        since_ns = start * units.NS_PER_MS
        until_ns = min(until_ns, -(-since_ns // step_ns) * step_ns + (limit - 1) * step_ns + 1)
    elif start is not None:
        since_ns = max(since_ns, start * units.NS_PER_MS)
    kind: CandleKind = "mark" if mark else "last"
    rows = desk.venue.exchange.candles(symbol, step_seconds, since_ns, until_ns, kind=kind)
    return symbol, list(reversed(rows))[:limit]


def _prices(row: CandleRow) -> list[str]:
    figures = (row.open, row.high, row.low, row.close)
    return [milliseconds(row.open_ns), *map(text, figures)]


def _kline(desk: Desk, call: Call) -> Row:
    symbol, rows = _bars(desk, call, mark=False)
    shown = [[*_prices(row), text(row.volume), text(_turnover(row))] for row in rows]
    return {"symbol": symbol, "category": CATEGORY, "list": shown}


def _mark_kline(desk: Desk, call: Call) -> Row:
    symbol, rows = _bars(desk, call, mark=True)
    return {"symbol": symbol, "category": CATEGORY, "list": [_prices(row) for row in rows]}


def kline_push(row: CandleRow, interval: str, now_ns: int) -> Row:
    """Return a bar as the kline topic pushes it."""
    start_ms = row.open_ns // units.NS_PER_MS
    return {
        "start": start_ms,
        "end": start_ms + INTERVALS[interval] * 1_000 - 1,
        "interval": interval,
        "open": text(row.open),
        "close": text(row.close),
        "high": text(row.high),
        "low": text(row.low),
        "volume": text(row.volume),
        "turnover": text(_turnover(row)),
        "confirm": row.confirmed,
        "timestamp": now_ns // units.NS_PER_MS,
    }


#: Path -> handler of GET requests that need no key. Bars of the index are those of the mark.
ROUTES: Final[dict[str, Handler]] = {
    "/v5/market/orderbook": _orderbook,
    "/v5/market/tickers": _tickers,
    "/v5/market/recent-trade": _recent_trades,
    "/v5/market/kline": _kline,
    "/v5/market/mark-price-kline": _mark_kline,
    "/v5/market/index-price-kline": _mark_kline,
}
