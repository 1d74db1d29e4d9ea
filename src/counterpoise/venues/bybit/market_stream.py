"""Bybit's public streams: books on one socket; marks, funding and liquidations on another.

A mark behind a burst of depth would arrive late, and the guard lives on marks.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Final

import msgspec
import structlog

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    Event,
    FundingRate,
    LiquidationPrinted,
    MarkPrice,
    StreamName,
    TradedVolume,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.ports import Clock, Feed
from counterpoise.venues import capture, plausible
from counterpoise.venues.bybit import frames
from counterpoise.venues.bybit.book_sync import BookSequence, Verdict
from counterpoise.venues.bybit.convert import SIDES
from counterpoise.venues.bybit.endpoints import BybitEndpoints
from counterpoise.venues.bybit.recorded import levels
from counterpoise.venues.connection import Conversation, Heartbeat, StreamSocket, Timing
from counterpoise.venues.figures import ns_from_ms
from counterpoise.venues.sharding import ShardedStream, shards
from counterpoise.venues.silence import Rhythm, SilenceWatch

_log = structlog.get_logger(__name__)

#: Our instrument id -> Bybit's symbol and base units per contract, which is 1.
Symbols = Mapping[str, tuple[str, Decimal]]

#: Levels per side of the books we keep; pushed every 100 ms.
BOOK_DEPTH: Final = 200

#: Topics in one request; one wrong name refuses all of them.
ARGUMENTS_MAX: Final = 10

#: Instruments of one connection; its topics may have 21,000 characters in all.
BOOKS_PER_CONNECTION: Final = 100
MARKS_PER_CONNECTION: Final = 100

#: Bybit wants to hear from us every 20 s, whatever it says itself.
HEARTBEAT: Final = Heartbeat(ping='{"op":"ping"}', every_seconds=10.0)

#: Tickers and books are pushed when they change, which a market that lives does all the time.
#: The account says nothing while nothing happens.
RHYTHM: Final = Rhythm(mark=30.0, funding=0.0, book=300.0, account=0.0)

#: An awaited snapshot is asked for again after this, doubled each time, seconds.
SNAPSHOT_WITHIN_SECONDS: Final = 10
SNAPSHOT_WITHIN_SECONDS_MAX: Final = 640

#: A mark that did not change is told again with the next ticker after this, ns; so is a rate.
MARK_AGAIN_NS: Final = 1 * NS_PER_SECOND
FUNDING_AGAIN_NS: Final = 30 * NS_PER_SECOND

#: A volume, which changes with every trade, is told this often, ns.
VOLUME_AGAIN_NS: Final = 60 * NS_PER_SECOND

#: Where a ticker does not tell the interval.
FUNDING_HOURS: Final = Decimal(8)


@dataclass(slots=True)
class _Awaited:
    """When a book's snapshot was asked for, and how long to wait before asking again."""

    since_ns: int
    seconds: int = SNAPSHOT_WITHIN_SECONDS


class PublicConversation:
    """What both public sockets have in common: subscribing and the frames that are no data."""

    def __init__(self, url: str, stream: StreamName) -> None:
        self.url = url
        self.stream = stream
        self.heartbeat = HEARTBEAT
        self.requests: list[bytes] = []
        self.established = True
        self._asked: dict[str, tuple[str, ...]] = {}
        self._number = 0

    def restart(self) -> None:
        """Forget what was asked for, on a new connection."""
        self._asked.clear()

    def ask(self, operation: str, topics: Sequence[str]) -> None:
        """Leave requests of bounded length."""
        for start in range(0, len(topics), ARGUMENTS_MAX):
            part = tuple(topics[start : start + ARGUMENTS_MAX])
            self._number += 1
            name = str(self._number)
            if operation == "subscribe":
                self._asked[name] = part
            self.requests.append(frames.request(operation, part, name))

    def control(self, frame: frames.Frame) -> Sequence[Event] | None:
        """Take a frame that is no data; () = a sign of life, None = nothing."""
        topics = self._asked.pop(str(frame.req_id), ())
        if frame.op in {"ping", "pong"}:
            return ()
        if frame.success is False:
            _log.warning(
                "stream.refused",
                stream=self.stream.value,
                message=frame.ret_msg,
                topics=",".join(topics),
            )
            if len(topics) > 1:
                # One of them is refused; the others must not go without.
                for topic in topics:
                    self.ask("subscribe", [topic])
        return None


class BookConversation(PublicConversation):
    """Topic `orderbook.200` of every instrument, with its sequence checked one by one."""

    def __init__(
        self, endpoints: BybitEndpoints, symbols: Symbols, rhythm: Rhythm | None = None
    ) -> None:
        super().__init__(endpoints.public_url, StreamName.BOOKS)
        self._rhythm = rhythm or RHYTHM
        self._silence = SilenceWatch()
        self._instruments = {
            _book_topic(symbol): (instrument_id, unit)
            for instrument_id, (symbol, unit) in symbols.items()
        }
        self._sequences = {topic: BookSequence() for topic in self._instruments}
        self._awaited: dict[str, _Awaited] = {}

    @property
    def complete(self) -> bool:
        """True once every book has come."""
        return not self._awaited

    def begin(self, now_ns: int) -> None:
        """Subscribe every book."""
        self.restart()
        for sequence in self._sequences.values():
            sequence.reset()
        self._awaited = {topic: _Awaited(now_ns) for topic in self._instruments}
        self._silence.expect("orderbook", self._instruments, self._rhythm.book, now_ns)
        self.ask("subscribe", list(self._instruments))

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return snapshot, delta or gap."""
        message = frames.FRAME.decode(frame)
        if not message.topic:
            return self.control(message)
        topic = message.topic
        if topic not in self._instruments:
            return None
        self._silence.hear("orderbook", topic, received_ns, self._rhythm.book)
        try:
            row = frames.BOOK.decode(message.data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            # The missing message would show as a gap with the next one; ask at once.
            self._resubscribe(topic, received_ns)
            raise
        event = self._book_event(message, row, received_ns)
        return () if event is None else (event,)

    def watch(self, now_ns: int) -> None:
        """Ask again for a snapshot that does not come; drop a connection that lost a book."""
        self._silence.look(now_ns)
        for topic, awaited in list(self._awaited.items()):
            if now_ns - awaited.since_ns >= awaited.seconds * NS_PER_SECOND:
                longer = min(awaited.seconds * 2, SNAPSHOT_WITHIN_SECONDS_MAX)
                self._resubscribe(topic, now_ns)
                self._awaited[topic].seconds = longer

    def _book_event(
        self, message: frames.Frame, row: frames.BookRow, received_ns: int
    ) -> Event | None:
        topic = message.topic
        instrument_id, unit = self._instruments[topic]
        sequence = self._sequences[topic]
        expected = sequence.last
        verdict = sequence.hear(message.type, row.u, row.seq)
        if verdict is Verdict.SNAPSHOT:
            self._awaited.pop(topic, None)
            return BookSnapshot(
                instrument_id=instrument_id,
                bids=levels(row.b),
                asks=levels(row.a),
                quantity_unit=unit,
                sequence=row.u,
                event_ns=ns_from_ms(message.ts),
                received_ns=received_ns,
            )
        if verdict is Verdict.DELTA:
            return BookDelta(
                instrument_id=instrument_id,
                bids=levels(row.b),
                asks=levels(row.a),
                sequence=row.u,
                event_ns=ns_from_ms(message.ts),
                received_ns=received_ns,
            )
        if verdict is Verdict.GAP:
            assert expected is not None, "a gap needs something to follow"
            self._resubscribe(topic, received_ns)
            return BookGap(
                instrument_id=instrument_id,
                expected=expected + 1,
                found=row.u,
                received_ns=received_ns,
            )
        return None

    def _resubscribe(self, topic: str, now_ns: int) -> None:
        # A snapshot comes in answer to a subscription.
        self._sequences[topic].reset()
        self._awaited[topic] = _Awaited(now_ns)
        self.ask("unsubscribe", [topic])
        self.ask("subscribe", [topic])


@dataclass(slots=True)
class _Prices:
    """What the messages of one ticker add up to."""

    mark: Decimal | None = None
    index: Decimal | None = None
    rate: Decimal | None = None
    funding_ns: int = 0
    interval_hours: Decimal = FUNDING_HOURS
    mark_told_ns: int = 0
    funding_told_ns: int = 0
    volume: Decimal | None = None
    volume_told_ns: int = 0

    def take(self, row: frames.PricesRow) -> tuple[bool, bool]:
        """Take what a message has; return whether a price and whether the funding changed.

        Nothing is taken of a message with a figure nobody means: it would stay.
        """
        mark = plausible.figure(row.mark_price) if row.mark_price else self.mark
        index = plausible.figure(row.index_price) if row.index_price else self.index
        rate = plausible.figure(row.funding_rate) if row.funding_rate else self.rate
        hours = row.funding_interval_hour
        interval_hours = plausible.figure(hours) if hours else self.interval_hours
        volume = plausible.figure(row.turnover) if row.turnover else self.volume
        if row.next_funding_time:
            self.funding_ns = ns_from_ms(row.next_funding_time)
        self.mark, self.index = mark, index
        self.rate, self.interval_hours, self.volume = rate, interval_hours, volume
        return (
            bool(row.mark_price or row.index_price),
            bool(row.funding_rate or row.next_funding_time or hours),
        )


class MarkConversation(PublicConversation):
    """Topics tickers and allLiquidation of every instrument."""

    def __init__(
        self, endpoints: BybitEndpoints, symbols: Symbols, rhythm: Rhythm | None = None
    ) -> None:
        super().__init__(endpoints.public_url, StreamName.MARKS)
        self._rhythm = rhythm or RHYTHM
        self._silence = SilenceWatch()
        self._instruments = {symbol: ours for ours, (symbol, _) in symbols.items()}
        self._prices: dict[str, _Prices] = {}

    @property
    def complete(self) -> bool:
        """True once every mark and funding rate has come."""
        return len(self._prices) == len(self._instruments)

    def begin(self, now_ns: int) -> None:
        """Subscribe everything."""
        self.restart()
        self._prices.clear()
        self._silence.expect("tickers", self._instruments, self._rhythm.mark, now_ns)
        self.ask("subscribe", [f"tickers.{symbol}" for symbol in self._instruments])
        self.ask("subscribe", [f"allLiquidation.{symbol}" for symbol in self._instruments])

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return marks, funding rates and liquidations."""
        message = frames.FRAME.decode(frame)
        if not message.topic:
            return self.control(message)
        channel, _, symbol = message.topic.partition(".")
        instrument_id = self._instruments.get(symbol)
        if instrument_id is None:
            return None
        if channel == "tickers":
            row = frames.PRICES.decode(message.data)
            self._silence.hear("tickers", symbol, received_ns, self._rhythm.mark)
            if message.type == "snapshot":
                self._prices[symbol] = _Prices()
            return self._told(instrument_id, symbol, row, ns_from_ms(message.ts), received_ns)
        if channel == "allLiquidation":
            return _liquidations(
                frames.LIQUIDATIONS.decode(message.data), instrument_id, received_ns
            )
        return None

    def watch(self, now_ns: int) -> None:
        """Drop a connection that lost a ticker."""
        self._silence.look(now_ns)

    def _told(
        self,
        instrument_id: str,
        symbol: str,
        row: frames.PricesRow,
        event_ns: int,
        received_ns: int,
    ) -> list[Event]:
        known = self._prices.get(symbol)
        if known is None:
            # A change of what we never had.
            return []
        price, funding = known.take(row)
        events: list[Event] = []
        again = received_ns - known.mark_told_ns >= MARK_AGAIN_NS
        if known.mark is not None and (price or again):
            known.mark_told_ns = received_ns
            events.append(
                MarkPrice(
                    instrument_id=instrument_id,
                    mark=known.mark,
                    index=known.index,
                    event_ns=event_ns,
                    received_ns=received_ns,
                )
            )
        again = received_ns - known.funding_told_ns >= FUNDING_AGAIN_NS
        if known.rate is not None and known.funding_ns and (funding or again):
            known.funding_told_ns = received_ns
            events.append(
                FundingRate(
                    instrument_id=instrument_id,
                    rate=known.rate,
                    funding_ns=known.funding_ns,
                    interval_hours=known.interval_hours,
                    event_ns=event_ns,
                    received_ns=received_ns,
                )
            )
        again = received_ns - known.volume_told_ns >= VOLUME_AGAIN_NS
        if known.volume is not None and again:
            known.volume_told_ns = received_ns
            events.append(
                TradedVolume(
                    instrument_id=instrument_id,
                    volume_quote=known.volume,
                    event_ns=event_ns,
                    received_ns=received_ns,
                )
            )
        return events


class BybitMarketStream:
    """Books, marks and liquidations of some instruments; implements `ports.MarketFeed`."""

    def __init__(
        self,
        endpoints: BybitEndpoints,
        symbols: Symbols,
        clock: Clock,
        *,
        timing: Timing | None = None,
        rhythm: Rhythm | None = None,
        tap: capture.Tap | None = None,
    ) -> None:
        """`tap` is shown every frame as it was received."""

        def book(part: Symbols) -> Conversation:
            return BookConversation(endpoints, part, rhythm)

        def mark(part: Symbols) -> Conversation:
            return MarkConversation(endpoints, part, rhythm)

        self._streams = tuple(
            ShardedStream(
                [
                    (
                        dict(part),
                        StreamSocket(
                            make(dict(part)),
                            clock,
                            timing,
                            successor=partial(make, dict(part)),
                            tap=tap,
                        ),
                    )
                    for part in shards(symbols.items(), per_connection)
                ]
            )
            for make, per_connection in (
                (book, BOOKS_PER_CONNECTION),
                (mark, MARKS_PER_CONNECTION),
            )
        )

    @property
    def malformed_frames(self) -> int:
        """Frames skipped because they could not be read, since the start."""
        return sum(stream.malformed_frames for stream in self._streams)

    async def run(self, feed: Feed) -> None:
        """Stream until cancelled."""
        async with asyncio.TaskGroup() as group:
            for stream in self._streams:
                group.create_task(stream.run(feed))


def _book_topic(symbol: str) -> str:
    return f"orderbook.{BOOK_DEPTH}.{symbol}"


def _liquidations(
    found: Sequence[frames.LiquidationRow], instrument_id: str, received_ns: int
) -> list[Event]:
    # Bybit names the position that was closed; the order that closed it is on the other side.
    return [
        LiquidationPrinted(
            instrument_id=instrument_id,
            side=SIDES[row.S].opposite,
            quantity=Decimal(row.v),
            price=Decimal(row.p),
            event_ns=ns_from_ms(row.T),
            received_ns=received_ns,
        )
        for row in found
    ]
