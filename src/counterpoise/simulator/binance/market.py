"""Binance's market data over REST: books, trades, tickers and candles ("Market Data")."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.orders import Side
from counterpoise.exchange.candles import CandleKind
from counterpoise.exchange.events import TradePrinted
from counterpoise.exchange.quotes import BookLevel, CandleRow
from counterpoise.simulator.binance import symbols
from counterpoise.simulator.binance.calls import (
    Call,
    Desk,
    Route,
    Routes,
    clip,
    instrument_of,
    instruments_of,
    listed,
    one_or_all,
)
from counterpoise.simulator.binance.errors import Code, Row, WireError
from counterpoise.simulator.binance.symbols import text

_MINUTE: Final = 60
_HOUR: Final = 3_600
_DAY: Final = 86_400
#: Binance's `interval` -> seconds. Bars of several days and of months are not modelled.
INTERVALS: Final = {
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1h": _HOUR,
    "2h": 2 * _HOUR,
    "4h": 4 * _HOUR,
    "6h": 6 * _HOUR,
    "8h": 8 * _HOUR,
    "12h": 12 * _HOUR,
    "1d": _DAY,
}
KLINES_MAX: Final = 1_500
#: Levels REST gives.
_DEPTHS: Final = (5, 10, 20, 50, 100, 500, 1_000)


def level(desk: Desk, instrument_id: str, price_level: BookLevel) -> list[str]:
    """Return a book level as Binance writes it: price, quantity (0 = gone)."""
    instrument = desk.instrument(instrument_id)
    return written(
        price_level, symbols.places(instrument.tick_size), symbols.places(instrument.lot_size)
    )


def written(price_level: BookLevel, price_places: int, quantity_places: int) -> list[str]:
    """Return a level that lies on its grid with a grid's decimals."""
    price, quantity = price_level
    return [f"{price:.{price_places}f}", f"{quantity:.{quantity_places}f}"]


def _depth(desk: Desk, call: Call) -> object:
    instrument_id = instrument_of(desk, call)
    limit = call.whole("limit") or 500
    if limit not in _DEPTHS:
        raise WireError(Code.PARAMETER, "Data sent for parameter 'limit' is not valid.")
    book = desk.venue.display.book(instrument_id)
    return {
        "lastUpdateId": desk.numbers.snapshot(instrument_id),
        "E": desk.now_ms(),
        "T": symbols.milliseconds(book.event_ns),
        "bids": [level(desk, instrument_id, each) for each in book.bids[:limit]],
        "asks": [level(desk, instrument_id, each) for each in book.asks[:limit]],
    }


def _depth_weight(call: Call) -> int:
    limit = call.whole("limit") or 500
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def trade_row(event: TradePrinted) -> Row:
    """Return a trade as trades lists it."""
    return {
        "id": event.trade_sequence,
        "price": text(event.price),
        "qty": text(event.quantity),
        "quoteQty": text(event.price * event.quantity),
        "time": symbols.milliseconds(event.event_ns),
        "isBuyerMaker": event.side is Side.SELL,
        "isRPITrade": False,
    }


def _trades(desk: Desk, call: Call) -> object:
    trades = desk.tape.trades(instrument_of(desk, call))
    return [trade_row(each) for each in trades[-call.rows_max(1_000) :]]


def _aggregate_trades(desk: Desk, call: Call) -> object:
    first = call.whole("fromId")
    rows = [
        each
        for each in desk.tape.trades(instrument_of(desk, call))
        if call.within(each.event_ns) and (first is None or each.trade_sequence >= first)
    ]
    return [aggregate_row(each) for each in clip(call, rows, 1_000)]


def aggregate_row(event: TradePrinted) -> Row:
    """Return a trade as an aggregate of one."""
    return {
        "a": event.trade_sequence,
        "p": text(event.price),
        "q": text(event.quantity),
        "nq": text(event.quantity),
        "f": event.trade_sequence,
        "l": event.trade_sequence,
        "T": symbols.milliseconds(event.event_ns),
        "m": event.side is Side.SELL,
    }


class Day:
    """The last 24 hours of an instrument."""

    def __init__(self, desk: Desk, instrument_id: str) -> None:
        exchange = desk.venue.exchange
        now_ns = exchange.now_ns
        bars = exchange.candles(
            instrument_id, _HOUR, now_ns - _DAY * units.NS_PER_SECOND, now_ns, kind="last"
        )
        self.last = exchange.last(instrument_id)
        self.open = bars[0].open if bars else self.last
        self.high = max((bar.high for bar in bars), default=self.last)
        self.low = min((bar.low for bar in bars), default=self.last)
        self.volume = sum((bar.volume for bar in bars), Decimal(0))
        self.quote_volume = sum((quote_volume(bar) for bar in bars), Decimal(0))
        self.open_ns = bars[0].open_ns if bars else now_ns
        self.close_ns = now_ns
        trades = desk.tape.trades(instrument_id)
        self.last_trade = trades[-1] if trades else None

    @property
    def change(self) -> Decimal:
        """Quote per base from open to last."""
        return self.last - self.open

    @property
    def average(self) -> Decimal:
        """Volume-weighted price."""
        return self.quote_volume / self.volume if self.volume else self.last

    @property
    def change_hundredths(self) -> str:
        """The change in hundredths of the open, three decimals, as Binance writes it."""
        return symbols.fixed((self.change / self.open * 100).quantize(Decimal("0.001")), 3)


def _ticker_row(desk: Desk, instrument_id: str) -> Row:
    day = Day(desk, instrument_id)
    last_id = day.last_trade.trade_sequence if day.last_trade else 0
    return {
        "symbol": instrument_id,
        "priceChange": text(day.change),
        "priceChangePercent": day.change_hundredths,
        "weightedAvgPrice": symbols.quotient(day.average),
        "lastPrice": text(day.last),
        "lastQty": text(day.last_trade.quantity) if day.last_trade else "0",
        "openPrice": text(day.open),
        "highPrice": text(day.high),
        "lowPrice": text(day.low),
        "volume": text(day.volume),
        "quoteVolume": symbols.quotient(day.quote_volume),
        "openTime": symbols.milliseconds(day.open_ns),
        "closeTime": symbols.milliseconds(day.close_ns),
        "firstId": min(1, last_id),
        "lastId": last_id,
        "count": last_id,
    }


def _ticker(desk: Desk, call: Call) -> object:
    return one_or_all(call, [_ticker_row(desk, each) for each in instruments_of(desk, call)])


def _price(desk: Desk, call: Call) -> object:
    rows = [
        {
            "symbol": each,
            "price": text(desk.venue.exchange.last(each)),
            "time": symbols.milliseconds(desk.venue.exchange.now_ns),
        }
        for each in instruments_of(desk, call)
    ]
    return one_or_all(call, rows)


def _book_ticker_row(desk: Desk, instrument_id: str) -> Row:
    book = desk.venue.display.book(instrument_id)
    nothing = (Decimal(0), Decimal(0))
    bid = level(desk, instrument_id, book.bids[0] if book.bids else nothing)
    ask = level(desk, instrument_id, book.asks[0] if book.asks else nothing)
    return {
        "symbol": instrument_id,
        "bidPrice": bid[0],
        "bidQty": bid[1],
        "askPrice": ask[0],
        "askQty": ask[1],
        "time": symbols.milliseconds(book.event_ns),
        "lastUpdateId": desk.numbers.last(instrument_id),
    }


def _book_ticker(desk: Desk, call: Call) -> object:
    return one_or_all(call, [_book_ticker_row(desk, each) for each in instruments_of(desk, call)])


def quote_volume(row: CandleRow) -> Decimal:
    """Return a bar's turnover, quote: volume at its typical price, the model keeps no other."""
    return row.volume * (row.high + row.low + row.close) / 3


def step_of(interval: str) -> int:
    """Return an interval's seconds; WireError -1120."""
    if interval not in INTERVALS:
        raise WireError(Code.INTERVAL)
    return INTERVALS[interval]


def _window(desk: Desk, call: Call, instrument_id: str, kind: CandleKind) -> list[CandleRow]:
    # From a start the oldest bars, without one the newest; oldest first, the forming one last.
    step_seconds = step_of(call.text("interval"))
    step_ns = step_seconds * units.NS_PER_SECOND
    limit = call.rows_max(KLINES_MAX)
    since_ms, until_ms = call.whole("startTime"), call.whole("endTime")
    exchange = desk.venue.exchange
    until_ns = exchange.now_ns + 1
    if until_ms is not None:
        until_ns = min(until_ns, until_ms * units.NS_PER_MS + 1)
    if since_ms is None:
        since_ns = ((until_ns - 1) // step_ns - limit + 1) * step_ns
    else:
        since_ns = max(0, since_ms) * units.NS_PER_MS
        first_ns = -(-since_ns // step_ns) * step_ns
        until_ns = min(until_ns, first_ns + limit * step_ns)
    if since_ns >= until_ns:
        return []
    return exchange.candles(instrument_id, step_seconds, since_ns, until_ns, kind=kind)


def _kline_rows(rows: Sequence[CandleRow], step_seconds: int) -> list[list[object]]:
    step_ns = step_seconds * units.NS_PER_SECOND
    return [
        [
            symbols.milliseconds(row.open_ns),
            text(row.open),
            text(row.high),
            text(row.low),
            text(row.close),
            text(row.volume),
            symbols.milliseconds(row.open_ns + step_ns) - 1,
            symbols.quotient(quote_volume(row)),
            0,
            text(row.volume / 2),
            symbols.quotient(quote_volume(row) / 2),
            "0",
        ]
        for row in rows
    ]


def _klines(desk: Desk, call: Call) -> object:
    rows = _window(desk, call, instrument_of(desk, call), "last")
    return _kline_rows(rows, step_of(call.text("interval")))


def _mark_klines(desk: Desk, call: Call) -> object:
    rows = _window(desk, call, instrument_of(desk, call), "mark")
    return _kline_rows(rows, step_of(call.text("interval")))


def _index_klines(desk: Desk, call: Call) -> object:
    # The model keeps no bars of the index; it lies within some bps of the mark.
    rows = _window(desk, call, listed(desk, call.text("pair")), "mark")
    return _kline_rows(rows, step_of(call.text("interval")))


def _klines_weight(call: Call) -> int:
    limit = call.whole("limit") or 500
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1_000 else 10


class WeightRule:
    """A weight that is larger without a symbol."""

    def __init__(self, one: int, everything: int) -> None:
        self._one = one
        self._everything = everything

    def __call__(self, call: Call) -> int:
        """Return the weight of a call."""
        return self._one if "symbol" in call.fields else self._everything


ROUTES: Final[Routes] = {
    ("GET", "/fapi/v1/depth"): Route(handler=_depth, weight=_depth_weight),
    ("GET", "/fapi/v1/trades"): Route(handler=_trades, weight=5),
    ("GET", "/fapi/v1/aggTrades"): Route(handler=_aggregate_trades, weight=20),
    ("GET", "/fapi/v1/ticker/24hr"): Route(handler=_ticker, weight=WeightRule(1, 40)),
    ("GET", "/fapi/v1/ticker/price"): Route(handler=_price, weight=WeightRule(1, 2)),
    ("GET", "/fapi/v2/ticker/price"): Route(handler=_price, weight=WeightRule(1, 2)),
    ("GET", "/fapi/v1/ticker/bookTicker"): Route(handler=_book_ticker, weight=WeightRule(2, 5)),
    ("GET", "/fapi/v1/klines"): Route(handler=_klines, weight=_klines_weight),
    ("GET", "/fapi/v1/markPriceKlines"): Route(handler=_mark_klines, weight=_klines_weight),
    ("GET", "/fapi/v1/indexPriceKlines"): Route(handler=_index_klines, weight=_klines_weight),
}
