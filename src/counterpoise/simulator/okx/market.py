"""OKX's market data over REST: books, tickers and candles (docs-v5 "Market Data")."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Literal

from counterpoise.domain import units
from counterpoise.exchange.quotes import BookLevel, CandleRow
from counterpoise.simulator.okx.calls import Answer, Call, Desk, Handler, int_field
from counterpoise.simulator.okx.errors import Code, Row, WireError
from counterpoise.simulator.okx.public import BOOK_LEVELS_MAX
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT, Contract, milliseconds, text

#: Rows per answer: candles of trades, and everything else.
CANDLES_MAX: Final = 300
MARK_CANDLES_MAX: Final = 100
#: How far back the ticker's range looks.
_DAY_SECONDS: Final = 86_400

_MINUTE: Final = 60
_HOUR: Final = 3_600

#: OKX's `bar` -> seconds. Bars of six hours and more open at UTC only in their "utc" spelling;
#: the others would open at Hong Kong midnight and are not modelled.
BARS: Final = {
    "1m": _MINUTE,
    "3m": 3 * _MINUTE,
    "5m": 5 * _MINUTE,
    "15m": 15 * _MINUTE,
    "30m": 30 * _MINUTE,
    "1H": _HOUR,
    "2H": 2 * _HOUR,
    "4H": 4 * _HOUR,
    "6Hutc": 6 * _HOUR,
    "12Hutc": 12 * _HOUR,
    "1Dutc": 24 * _HOUR,
}


def level(contract: Contract, price_level: BookLevel) -> list[str]:
    """Return a book level as OKX writes it: price, contracts, "0", orders (0 = gone)."""
    price, quantity = price_level
    return [text(price), text(contract.contracts(quantity)), "0", "1" if quantity else "0"]


def _required(call: Call) -> Contract:
    contract = call.contract()
    if contract is None:
        raise WireError(Code.PARAMETER, "Parameter instId can not be empty")
    return contract


def _books(desk: Desk, call: Call) -> Answer:
    contract = _required(call)
    size = int_field(call.query.get("sz"), "sz") or 1
    size = max(1, min(size, BOOK_LEVELS_MAX))
    book = desk.venue.display.book(contract.instrument_id)
    return [
        {
            "asks": [level(contract, each) for each in book.asks[:size]],
            "bids": [level(contract, each) for each in book.bids[:size]],
            "ts": milliseconds(desk.venue.exchange.now_ns),
        }
    ]


def ticker_row(desk: Desk, contract: Contract) -> Row:
    """Return a row of market/tickers and of the tickers channel."""
    exchange = desk.venue.exchange
    instrument_id = contract.instrument_id
    book = desk.venue.display.book(instrument_id)
    now_ns = exchange.now_ns
    day = exchange.candles(
        instrument_id, _HOUR, now_ns - _DAY_SECONDS * units.NS_PER_SECOND, now_ns, kind="last"
    )
    last = exchange.last(instrument_id)
    volume = sum((bar.volume for bar in day), Decimal(0))
    ask = book.asks[0] if book.asks else None
    bid = book.bids[0] if book.bids else None
    return {
        "askPx": "" if ask is None else text(ask[0]),
        "askSz": "" if ask is None else text(contract.contracts(ask[1])),
        "bidPx": "" if bid is None else text(bid[0]),
        "bidSz": "" if bid is None else text(contract.contracts(bid[1])),
        "high24h": text(max((bar.high for bar in day), default=last)),
        "instId": contract.symbol,
        "instType": "SWAP",
        "last": text(last),
        "lastSz": "",
        "low24h": text(min((bar.low for bar in day), default=last)),
        "open24h": text(day[0].open if day else last),
        "sodUtc0": "",
        "sodUtc8": "",
        "ts": milliseconds(now_ns),
        "vol24h": text(contract.contracts(volume)),
        "volCcy24h": text(volume),
    }


def _ticker(desk: Desk, call: Call) -> Answer:
    return [ticker_row(desk, _required(call))]


def _tickers(desk: Desk, call: Call) -> Answer:
    if not call.only_swaps():
        return []
    return [ticker_row(desk, BY_INSTRUMENT[instrument_id]) for instrument_id in desk.listed]


CandleKind = Literal["mark", "last"]


def _window(
    desk: Desk, call: Call, *, kind: CandleKind, most: int, complete: bool
) -> tuple[Contract, list[CandleRow]]:
    # OKX's paging: `after` = opened before, `before` = opened after (both exclusive); of what is
    # left the newest `limit` bars, newest first.
    contract = _required(call)
    bar = call.query.get("bar", "1m")
    if bar not in BARS:
        raise WireError(Code.ORDER_PARAMETER, "Parameter bar error")
    step_seconds = BARS[bar]
    after = int_field(call.query.get("after"), "after")
    before = int_field(call.query.get("before"), "before")
    limit = call.rows_max(most)
    exchange = desk.venue.exchange
    step_ns = step_seconds * units.NS_PER_SECOND
    until_ns = exchange.now_ns + 1
    if after is not None:
        until_ns = min(until_ns, after * units.NS_PER_MS)
    # One bar more than asked for, since the newest may be cut off as incomplete.
    since_ns = (until_ns // step_ns - limit - 1) * step_ns
    if before is not None:
        since_ns = max(since_ns, before * units.NS_PER_MS + 1)
    rows = exchange.candles(contract.instrument_id, step_seconds, since_ns, until_ns, kind=kind)
    kept = [row for row in rows if row.confirmed or not complete]
    return contract, list(reversed(kept))[:limit]


def _prices(row: CandleRow) -> list[str]:
    return [
        milliseconds(row.open_ns),
        text(row.open),
        text(row.high),
        text(row.low),
        text(row.close),
    ]


def _confirm(row: CandleRow) -> str:
    return "1" if row.confirmed else "0"


def trade_rows(contract: Contract, rows: Sequence[CandleRow]) -> list[list[str]]:
    """Return bars of trades as OKX writes them."""
    return [
        [
            *_prices(row),
            text(contract.contracts(row.volume)),
            text(row.volume),
            text(row.volume * (row.high + row.low + row.close) / 3),
            _confirm(row),
        ]
        for row in rows
    ]


def mark_rows(rows: Sequence[CandleRow]) -> list[list[str]]:
    """Return bars of marks as OKX writes them."""
    return [[*_prices(row), _confirm(row)] for row in rows]


def _candles(desk: Desk, call: Call) -> Answer:
    return trade_rows(*_window(desk, call, kind="last", most=CANDLES_MAX, complete=False))


def _history_candles(desk: Desk, call: Call) -> Answer:
    return trade_rows(*_window(desk, call, kind="last", most=CANDLES_MAX, complete=True))


def _mark_candles(desk: Desk, call: Call) -> Answer:
    _, rows = _window(desk, call, kind="mark", most=MARK_CANDLES_MAX, complete=False)
    return mark_rows(rows)


def _history_mark_candles(desk: Desk, call: Call) -> Answer:
    _, rows = _window(desk, call, kind="mark", most=MARK_CANDLES_MAX, complete=True)
    return mark_rows(rows)


#: Path -> handler of GET requests that need no key.
ROUTES: Final[dict[str, Handler]] = {
    "/api/v5/market/books": _books,
    "/api/v5/market/ticker": _ticker,
    "/api/v5/market/tickers": _tickers,
    "/api/v5/market/candles": _candles,
    "/api/v5/market/history-candles": _history_candles,
    "/api/v5/market/mark-price-candles": _mark_candles,
    "/api/v5/market/history-mark-price-candles": _history_mark_candles,
}
