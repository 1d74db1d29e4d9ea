"""Public pushes: books, trades, tickers, bars, liquidations and price limits.

Each depth of a book is a stream of its own with its own `u`, which grows by one per push. The
first snapshot after the process began has `u` 1, which Bybit documents as "service restarted".
Level 1 has snapshots only and repeats the last one, same `u`, after 3 s without change.
"""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.events import (
    BookChanged,
    ExchangeEvent,
    Liquidated,
    LiquidationPrinted,
    MarkChanged,
    TradePrinted,
)
from counterpoise.exchange.quotes import BookLevel
from counterpoise.simulator.bybit import market
from counterpoise.simulator.bybit.calls import Desk
from counterpoise.simulator.bybit.errors import Row, encoded
from counterpoise.simulator.bybit.order_rows import side_name
from counterpoise.simulator.bybit.public import price_limit_row
from counterpoise.simulator.bybit.sockets import Sessions
from counterpoise.simulator.bybit.symbols import text
from counterpoise.simulator.bybit.topics import Topic
from counterpoise.simulator.faults import FaultKind
from counterpoise.simulator.forced import Forced

#: Level 1 is repeated after this long without a change, ns.
REPEAT_NS: Final = 3 * units.NS_PER_SECOND
#: Tickers are pushed at most this often, ns.
TICKER_NS: Final = 100 * units.NS_PER_MS
#: Forming bars and price limits are pushed at most this often, ns.
BAR_NS: Final = units.NS_PER_SECOND

_Levels = dict[Decimal, Decimal]

_MARKET_EVENTS: Final = (BookChanged, MarkChanged, TradePrinted, Liquidated, LiquidationPrinted)


class _Depth:
    # What the clients of one book topic hold.

    def __init__(self) -> None:
        self.bids: _Levels = {}
        self.asks: _Levels = {}
        self.number = 0
        self.sequence = 0
        self.pushed_ns = 0
        self.changed_ns = 0


class _News:
    # What happened to one instrument since the last push.

    def __init__(self) -> None:
        self.trades: list[TradePrinted] = []
        self.liquidations: list[Forced] = []

    def take(self, event: BookChanged | MarkChanged | TradePrinted | Forced) -> None:
        if isinstance(event, TradePrinted):
            self.trades.append(event)
        elif isinstance(event, Liquidated | LiquidationPrinted):
            self.liquidations.append(event)


class MarketStreams:
    """Pushes of the public topics; hears the venue and is driven by the tick."""

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self._desk = desk
        self._sessions = sessions
        self._statistics = market.Statistics(desk)
        self._depths: dict[Topic, _Depth] = {}
        self._tickers: dict[Topic, tuple[int, Row]] = {}
        self._bars: dict[Topic, tuple[int, int]] = {}

    def opening(self, topic: Topic) -> Sequence[bytes]:
        """Return what a new subscriber gets at once; trades and liquidations give nothing."""
        match topic.channel:
            case "orderbook":
                return [self._book_opening(topic)]
            case "tickers":
                return [self._ticker_opening(topic)]
            case "kline":
                return self._bar_frames(topic, forced=True)
            case "priceLimit":
                return [self._price_limit(topic)]
            case _:
                return []

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened; several changes of one book become one frame."""
        topics = self._sessions.listening("orderbook", "publicTrade", "tickers", "allLiquidation")
        if not topics:
            return
        news: dict[str, _News] = {}
        for event in events:
            if isinstance(event, _MARKET_EVENTS):
                news.setdefault(event.instrument_id, _News()).take(event)
        for topic in topics:
            if topic.symbol in news:
                self._tell(topic, news[topic.symbol])

    def _tell(self, topic: Topic, news: _News) -> None:
        match topic.channel:
            case "orderbook":
                self._push_book(topic)
            case "tickers":
                self._push_ticker(topic)
            case "publicTrade" if news.trades:
                self._push_trades(topic, news.trades)
            case "allLiquidation" if news.liquidations:
                self._push_liquidations(topic, news.liquidations)

    def tick(self) -> None:
        """Push what is due by the clock alone."""
        now_ns = self._desk.venue.exchange.now_ns
        for topic in self._sessions.listening("orderbook", "tickers", "kline", "priceLimit"):
            if topic.channel == "orderbook":
                self._repeat(topic, now_ns)
            elif topic.channel == "tickers":
                self._push_ticker(topic)
            elif topic.channel == "kline":
                for frame in self._bar_frames(topic, forced=False):
                    self._sessions.push(topic, frame)
            elif now_ns - self._bars.get(topic, (0, 0))[1] >= BAR_NS:
                self._sessions.push(topic, self._price_limit(topic))

    def _now_ms(self) -> int:
        return self._desk.venue.clock.told_ns() // units.NS_PER_MS

    def _shown(self, topic: Topic) -> tuple[_Levels, _Levels, int]:
        book, deep = self._desk.venue.display.book(topic.symbol), int(topic.detail)
        return dict(book.bids[:deep]), dict(book.asks[:deep]), book.event_ns

    def _book_opening(self, topic: Topic) -> bytes:
        depth = self._depths.setdefault(topic, _Depth())
        if self._sessions.count(topic) == 1:
            # Nobody held it until now, so there is nothing it must continue.
            self._take(topic, depth, 1)
        return self._book_frame(topic, depth, "snapshot", depth.bids.items(), depth.asks.items())

    def _take(self, topic: Topic, depth: _Depth, numbers: int) -> None:
        depth.bids, depth.asks, event_ns = self._shown(topic)
        depth.number += numbers
        depth.sequence = self._desk.tape.book_number(topic.symbol)
        depth.pushed_ns = self._desk.venue.exchange.now_ns
        depth.changed_ns = event_ns

    def _push_book(self, topic: Topic) -> None:
        depth = self._depths.setdefault(topic, _Depth())
        bids, asks, _ = self._shown(topic)
        bid_changes = _changes(depth.bids, bids, best_first=-1)
        ask_changes = _changes(depth.asks, asks, best_first=1)
        if not bid_changes and not ask_changes:
            return
        faults = self._desk.faults
        skips = faults.takes(FaultKind.WRONG_SEQUENCE_BOOKS, topic.symbol) is not None
        self._take(topic, depth, 2 if skips else 1)
        if faults.takes(FaultKind.GAP_BOOKS, topic.symbol) is not None:
            return
        if topic.detail == "1":
            kind, bid_changes, ask_changes = "snapshot", [*bids.items()], [*asks.items()]
        else:
            kind = "delta"
        self._sessions.push(topic, self._book_frame(topic, depth, kind, bid_changes, ask_changes))

    def _repeat(self, topic: Topic, now_ns: int) -> None:
        depth = self._depths.get(topic)
        if topic.detail != "1" or depth is None or now_ns - depth.pushed_ns < REPEAT_NS:
            return
        depth.pushed_ns = now_ns
        frame = self._book_frame(topic, depth, "snapshot", depth.bids.items(), depth.asks.items())
        self._sessions.push(topic, frame)

    def _book_frame(
        self, topic: Topic, depth: _Depth, kind: str,
        bids: Iterable[BookLevel], asks: Iterable[BookLevel],
    ) -> bytes:  # fmt: skip
        # The order of `ts` and `type` differs between level 1 and the others, as at Bybit.
        stamp: Row = {"ts": self._now_ms()}
        head = {**stamp, "type": kind} if topic.detail == "1" else {"type": kind, **stamp}
        return encoded(
            {
                "topic": topic.name,
                **head,
                "data": {
                    "s": topic.symbol,
                    "b": [market.level(each) for each in bids],
                    "a": [market.level(each) for each in asks],
                    "u": depth.number,
                    "seq": depth.sequence,
                },
                "cts": depth.changed_ns // units.NS_PER_MS,
            }
        )

    def _push_trades(self, topic: Topic, trades: Sequence[TradePrinted]) -> None:
        rows = [
            {
                "T": each.event_ns // units.NS_PER_MS,
                "s": topic.symbol,
                "S": side_name(each.side),
                "v": text(each.quantity),
                "p": text(each.price),
                "L": self._desk.tape.direction(topic.symbol),
                "i": market.trade_id(each),
                "BT": False,
                "RPI": False,
                "seq": each.trade_sequence,
            }
            for each in trades
        ]
        body = {"topic": topic.name, "type": "snapshot", "ts": self._now_ms(), "data": rows}
        self._sessions.push(topic, encoded(body))

    def _push_liquidations(self, topic: Topic, ends: Sequence[Forced]) -> None:
        # `S` is the side of the position that was closed.
        rows = [
            {
                "T": each.event_ns // units.NS_PER_MS,
                "s": topic.symbol,
                "S": side_name(each.side.opposite),
                "v": text(each.quantity),
                "p": text(each.price),
            }
            for each in ends
        ]
        body = {"topic": topic.name, "type": "snapshot", "ts": self._now_ms(), "data": rows}
        self._sessions.push(topic, encoded(body))

    def _ticker(self, symbol: str) -> Row:
        return market.ticker_row(self._desk, symbol, self._statistics.day(symbol))

    def _ticker_opening(self, topic: Topic) -> bytes:
        if self._sessions.count(topic) == 1 or topic not in self._tickers:
            self._tickers[topic] = (self._desk.venue.exchange.now_ns, self._ticker(topic.symbol))
        return self._ticker_frame(topic, "snapshot", self._tickers[topic][1])

    def _push_ticker(self, topic: Topic) -> None:
        now_ns = self._desk.venue.exchange.now_ns
        pushed_ns, before = self._tickers.get(topic, (0, {}))
        if now_ns - pushed_ns < TICKER_NS:
            return
        row = self._ticker(topic.symbol)
        changes = {name: value for name, value in row.items() if before.get(name) != value}
        # Both figures of a side come together.
        for side in ("bid1", "ask1"):
            pair = {f"{side}Price", f"{side}Size"}
            if pair & changes.keys():
                changes |= {name: row[name] for name in pair}
        if not changes:
            return
        self._tickers[topic] = (now_ns, row)
        self._sessions.push(
            topic, self._ticker_frame(topic, "delta", {"symbol": topic.symbol, **changes})
        )

    def _ticker_frame(self, topic: Topic, kind: str, row: Row) -> bytes:
        number = self._desk.tape.book_number(topic.symbol)
        return encoded(
            {"topic": topic.name, "type": kind, "data": row, "cs": number, "ts": self._now_ms()}
        )

    def _bar_frames(self, topic: Topic, *, forced: bool) -> list[bytes]:
        # The bars since the one pushed last, so that each is told once more when it is over.
        now_ns = self._desk.venue.exchange.now_ns
        step_seconds = market.INTERVALS[topic.detail]
        step_ns = step_seconds * units.NS_PER_SECOND
        open_ns, pushed_ns = self._bars.get(topic, (now_ns // step_ns * step_ns, 0))
        if not forced and now_ns - pushed_ns < BAR_NS:
            return []
        rows = self._desk.venue.exchange.candles(
            topic.symbol, step_seconds, open_ns, now_ns + 1, kind="last"
        )
        if not rows:
            return []
        self._bars[topic] = (rows[-1].open_ns, now_ns)
        stamp = self._now_ms()
        return [
            encoded(
                {
                    "topic": topic.name,
                    "data": [market.kline_push(row, topic.detail, now_ns)],
                    "ts": stamp,
                    "type": "snapshot",
                }
            )
            for row in rows
        ]

    def _price_limit(self, topic: Topic) -> bytes:
        self._bars[topic] = (0, self._desk.venue.exchange.now_ns)
        row = price_limit_row(self._desk, topic.symbol)
        del row["ts"]
        return encoded({"topic": topic.name, "data": row, "ts": self._now_ms()})


def _changes(before: _Levels, after: _Levels, *, best_first: int) -> list[BookLevel]:
    # Changed and new levels with their quantity, gone ones with 0, best price first.
    levels = [(price, each) for price, each in after.items() if before.get(price) != each]
    levels += [(price, Decimal(0)) for price in before if price not in after]
    return sorted(levels, key=lambda each: best_first * each[0])
