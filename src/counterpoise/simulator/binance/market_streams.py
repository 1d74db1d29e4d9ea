"""Market pushes besides books: trades, marks, bars, tickers, liquidations."""

from collections.abc import Sequence
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.orders import Side
from counterpoise.exchange.events import (
    BookChanged,
    ExchangeEvent,
    Liquidated,
    LiquidationPrinted,
    TradePrinted,
)
from counterpoise.exchange.quotes import CandleRow
from counterpoise.simulator.binance import market, symbols
from counterpoise.simulator.binance.calls import Desk
from counterpoise.simulator.binance.depth import SEGMENT, DepthStreams
from counterpoise.simulator.binance.errors import Row
from counterpoise.simulator.binance.public import MARK_PLACES
from counterpoise.simulator.binance.sockets import Sessions
from counterpoise.simulator.binance.symbols import text
from counterpoise.simulator.forced import Forced, ForcedOrders

#: Suffix of a mark stream -> time between two of its pushes, ns.
_MARKS_NS: Final = {
    "markPrice": 3 * units.NS_PER_SECOND,
    "markPrice@1s": units.NS_PER_SECOND,
}
#: Time between two looks at bars and at tickers, ns.
_BARS_NS: Final = 250 * units.NS_PER_MS
_TICKERS_NS: Final = 500 * units.NS_PER_MS


class MarketStreams:
    """Pushes of /public and /market. A listener of the venue, and driven by the tick."""

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self._desk = desk
        self._sessions = sessions
        self._depth = DepthStreams(desk, sessions)
        self._forced = ForcedOrders()
        self._due_ns: dict[str, int] = {}
        # The bar last told per stream, to tell its end and to be silent without a change.
        self._bars: dict[str, CandleRow] = {}
        self._tickers: dict[str, Row] = {}

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened."""
        self._desk.tape.hear(events, self._desk.venue.exchange.mark)
        for event in events:
            if isinstance(event, TradePrinted):
                self._push_trade(event)
            elif isinstance(event, Liquidated | LiquidationPrinted):
                self._forced.take(event)
        self._push_forced()
        self._depth.hear([event for event in events if isinstance(event, BookChanged)])

    def tick(self) -> None:
        """Push what is due by the clock alone."""
        self._depth.tick()
        self._push_forced()
        for suffix, interval_ns in _MARKS_NS.items():
            if self._is_due(suffix, interval_ns):
                self._push_marks(suffix)
        if self._is_due("bars", _BARS_NS):
            for name in self._sessions.names("market"):
                symbol, _, rest = name.partition("@kline_")
                if symbol.upper() in self._desk.listed and rest in market.INTERVALS:
                    self._push_bars(name, symbol.upper(), rest)
        if self._is_due("tickers", _TICKERS_NS):
            self._push_tickers("miniTicker", mini=True)
            self._push_tickers("ticker", mini=False)

    def _is_due(self, what: str, interval_ns: int) -> bool:
        now_ns = self._desk.venue.exchange.now_ns
        if now_ns < self._due_ns.get(what, 0):
            return False
        self._due_ns[what] = (now_ns // interval_ns + 1) * interval_ns
        return True

    def _push_trade(self, event: TradePrinted) -> None:
        stream = event.instrument_id.lower()
        head = {
            "E": self._desk.now_ms(),
            "s": event.instrument_id,
            "ps": event.instrument_id,
            "st": SEGMENT,
        }
        if self._sessions.listened("public", f"{stream}@trade"):
            row = {
                "e": "trade",
                **head,
                "t": event.trade_sequence,
                "p": text(event.price),
                "q": text(event.quantity),
                "T": symbols.milliseconds(event.event_ns),
                "m": event.side is Side.SELL,
                "X": "MARKET",
            }
            self._sessions.push("public", f"{stream}@trade", row)
        if self._sessions.listened("market", f"{stream}@aggTrade"):
            row = {"e": "aggTrade", **head, **market.aggregate_row(event)}
            self._sessions.push("market", f"{stream}@aggTrade", row)

    def _push_forced(self) -> None:
        for event in self._forced.due(self._desk.venue.exchange.now_ns):
            self._push_liquidation(event)

    def _push_liquidation(self, event: Forced) -> None:
        row = {
            "e": "forceOrder",
            "E": self._desk.now_ms(),
            "st": SEGMENT,
            "o": {
                "s": event.instrument_id,
                "ps": event.instrument_id,
                "S": event.side.value.upper(),
                "o": "LIMIT",
                "f": "IOC",
                "q": text(event.quantity),
                "p": text(event.price),
                "ap": text(event.price),
                "X": "FILLED",
                "l": text(event.quantity),
                "z": text(event.quantity),
                "T": symbols.milliseconds(event.event_ns),
            },
        }
        for name in (f"{event.instrument_id.lower()}@forceOrder", "!forceOrder@arr"):
            self._sessions.push("market", name, row)

    def _push_marks(self, suffix: str) -> None:
        every = suffix.replace("markPrice", "!markPrice@arr")
        rows: list[object] = []
        for instrument_id in self._desk.listed:
            name = f"{instrument_id.lower()}@{suffix}"
            if self._sessions.listened("market", name) or self._sessions.listened("market", every):
                row = self._mark_row(instrument_id)
                rows.append(row)
                self._sessions.push("market", name, row)
        self._sessions.push("market", every, rows)

    def _mark_row(self, instrument_id: str) -> Row:
        venue = self._desk.venue
        funding = venue.exchange.funding(instrument_id)
        mark = symbols.fixed(venue.display.mark(instrument_id), MARK_PLACES)
        index = symbols.fixed(venue.display.index(instrument_id), MARK_PLACES)
        return {
            "e": "markPriceUpdate",
            "E": self._desk.now_ms(),
            "s": instrument_id,
            "ps": instrument_id,
            "p": mark,
            "ap": mark,
            "P": index,
            "i": index,
            "r": symbols.fixed(funding.rate, 8),
            "T": symbols.milliseconds(funding.funding_ns),
            "st": SEGMENT,
        }

    def _push_bars(self, name: str, instrument_id: str, interval: str) -> None:
        step_ns = market.INTERVALS[interval] * units.NS_PER_SECOND
        now_ns = self._desk.venue.exchange.now_ns
        before = self._bars.get(name)
        since_ns = now_ns // step_ns * step_ns if before is None else before.open_ns
        rows = self._desk.venue.exchange.candles(
            instrument_id, market.INTERVALS[interval], since_ns, now_ns + 1, kind="last"
        )
        for row in rows:
            if row != before:
                payload = self._bar_row(instrument_id, interval, row, step_ns)
                self._sessions.push("market", name, payload)
        if rows:
            self._bars[name] = rows[-1]

    def _bar_row(self, instrument_id: str, interval: str, row: CandleRow, step_ns: int) -> Row:
        turnover = market.quote_volume(row)
        return {
            "e": "kline",
            "E": self._desk.now_ms(),
            "s": instrument_id,
            "ps": instrument_id,
            "st": SEGMENT,
            "k": {
                "t": symbols.milliseconds(row.open_ns),
                "T": symbols.milliseconds(row.open_ns + step_ns) - 1,
                "s": instrument_id,
                "i": interval,
                "f": 0,
                "L": 0,
                "o": text(row.open),
                "c": text(row.close),
                "h": text(row.high),
                "l": text(row.low),
                "v": text(row.volume),
                "n": 0,
                "x": row.confirmed,
                "q": symbols.quotient(turnover),
                "V": text(row.volume / 2),
                "Q": symbols.quotient(turnover / 2),
                "B": "0",
            },
        }

    def _push_tickers(self, suffix: str, *, mini: bool) -> None:
        every = f"!{suffix}@arr"
        rows: list[object] = []
        for instrument_id in self._desk.listed:
            name = f"{instrument_id.lower()}@{suffix}"
            if not any(self._sessions.listened("market", each) for each in (name, every)):
                continue
            row = self._ticker_row(instrument_id, mini=mini)
            if self._tickers.get(name) == row:
                continue
            self._tickers[name] = row
            told = {**row, "E": self._desk.now_ms()}
            rows.append(told)
            self._sessions.push("market", name, told)
        if rows:
            self._sessions.push("market", every, rows)

    def _ticker_row(self, instrument_id: str, *, mini: bool) -> Row:
        day = market.Day(self._desk, instrument_id)
        row: Row = {
            "e": "24hrMiniTicker" if mini else "24hrTicker",
            "s": instrument_id,
            "ps": instrument_id,
            "c": text(day.last),
            "o": text(day.open),
            "h": text(day.high),
            "l": text(day.low),
            "v": text(day.volume),
            "q": symbols.quotient(day.quote_volume),
            "st": SEGMENT,
        }
        if mini:
            return row
        last_id = day.last_trade.trade_sequence if day.last_trade else 0
        return row | {
            "p": text(day.change),
            "P": day.change_hundredths,
            "w": symbols.quotient(day.average),
            "Q": text(day.last_trade.quantity) if day.last_trade else "0",
            "O": symbols.milliseconds(day.open_ns),
            "C": symbols.milliseconds(day.close_ns),
            "F": min(1, last_id),
            "L": last_id,
            "n": last_id,
        }
