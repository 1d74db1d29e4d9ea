"""Binance's public streams: books under /public; marks, funding and liquidations under /market.

A mark behind a burst of depth would arrive late, and the guard lives on marks: Binance keeps the
two on paths of their own as well.
"""

import asyncio
import weakref
from collections.abc import Mapping, Sequence
from decimal import Decimal
from functools import partial
from typing import Any, Final

import structlog

from counterpoise.domain.events import Event, FundingRate, LiquidationPrinted, MarkPrice, StreamName
from counterpoise.domain.orders import Side
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.ports import Clock, Feed
from counterpoise.venues import capture, volumes
from counterpoise.venues.binance import frames, reads
from counterpoise.venues.binance.books import BookConversation, PublicConversation, Symbols
from counterpoise.venues.binance.endpoints import BinanceEndpoints
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.binance.snapshots import SnapshotDesk, funding_intervals
from counterpoise.venues.binance.throttle import Allowance
from counterpoise.venues.connection import Conversation, StreamSocket, Timing
from counterpoise.venues.figures import ns_from_ms, optional_decimal, positive_decimal
from counterpoise.venues.sharding import ShardedStream, shards
from counterpoise.venues.silence import Rhythm, SilenceWatch

_log = structlog.get_logger(__name__)

#: Instruments of one connection: a book is one stream, marks and liquidations are two; Binance
#: takes 1,024 streams.
BOOKS_PER_CONNECTION: Final = 100
MARKS_PER_CONNECTION: Final = 250

#: Marks are repeated every second, with the funding rate in them. A book says nothing while nothing
#: changes, and so does the account; five minutes without one change are taken for a lost stream.
RHYTHM: Final = Rhythm(mark=15.0, funding=0.0, book=300.0, account=0.0)

#: A funding rate that does not change is repeated to us once in this many seconds, not each second.
FUNDING_EVERY_NS: Final = 30 * NS_PER_SECOND

#: One request of the streams' own, ms.
TIMEOUT_MS: Final = 5_000

_SIDES: Final[Mapping[str, Side]] = {"BUY": Side.BUY, "SELL": Side.SELL}


class MarkConversation(PublicConversation):
    """Streams markPrice@1s and forceOrder of every instrument."""

    def __init__(
        self,
        endpoints: BinanceEndpoints,
        symbols: Symbols,
        intervals: Mapping[str, Decimal],
        rhythm: Rhythm | None = None,
    ) -> None:
        """`intervals`: hours from one funding to the next by symbol; filled while we stream."""
        super().__init__(f"{endpoints.stream_url}/market/ws", StreamName.MARKS, symbols)
        self._rhythm = rhythm or RHYTHM
        self._silence = SilenceWatch()
        self._intervals = intervals
        #: Last funding told by symbol: rate, its time, and when we told it.
        self._fundings: dict[str, tuple[str, int, int]] = {}

    @property
    def complete(self) -> bool:
        """True once every mark has come."""
        return self._silence.all_heard

    def begin(self, now_ns: int) -> None:
        """Subscribe everything."""
        self._silence.expect("markPrice", self.instruments, self._rhythm.mark, now_ns)
        self._fundings.clear()
        self.subscribe(
            f"{symbol.lower()}@{name}"
            for symbol in self.instruments
            for name in ("markPrice@1s", "forceOrder")
        )

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return marks, funding rates and liquidations."""
        try:
            message = frames.MARKET.decode(frame)
        except ValueError:
            self.control(frame)
            return None
        if isinstance(message, frames.ForceOrder):
            return self._liquidation(message, received_ns)
        return self._mark(message, received_ns)

    def watch(self, now_ns: int) -> None:
        """Drop a connection that lost a mark."""
        self._silence.look(now_ns)

    def _mark(self, row: frames.MarkUpdate, received_ns: int) -> list[Event] | None:
        instrument_id = self.instruments.get(row.symbol)
        if instrument_id is None:
            return None
        self._silence.hear("markPrice", row.symbol, received_ns, self._rhythm.mark)
        events: list[Event] = [
            MarkPrice(
                instrument_id=instrument_id,
                mark=Decimal(row.mark),
                index=positive_decimal(row.index),
                event_ns=ns_from_ms(row.event_ms),
                received_ns=received_ns,
            )
        ]
        hours = self._intervals.get(row.symbol)
        rate = optional_decimal(row.rate)
        if hours is not None and rate is not None and self._funding_due(row, received_ns):
            events.append(
                FundingRate(
                    instrument_id=instrument_id,
                    rate=rate,
                    funding_ns=ns_from_ms(row.funding_ms),
                    interval_hours=hours,
                    event_ns=ns_from_ms(row.event_ms),
                    received_ns=received_ns,
                )
            )
        return events

    def _funding_due(self, row: frames.MarkUpdate, now_ns: int) -> bool:
        rate, funding_ms, told_ns = self._fundings.get(row.symbol, ("", 0, 0))
        same = (rate, funding_ms) == (row.rate, row.funding_ms)
        if same and now_ns - told_ns < FUNDING_EVERY_NS:
            return False
        self._fundings[row.symbol] = (row.rate, row.funding_ms, now_ns)
        return True

    def _liquidation(self, message: frames.ForceOrder, received_ns: int) -> list[Event] | None:
        row = message.order
        instrument_id = self.instruments.get(row.symbol)
        quantity = positive_decimal(row.filled) or positive_decimal(row.quantity)
        price = positive_decimal(row.average) or positive_decimal(row.price)
        if instrument_id is None or quantity is None or price is None:
            return None
        return [
            LiquidationPrinted(
                instrument_id=instrument_id,
                side=_SIDES[row.side],
                quantity=quantity,
                price=price,
                event_ns=ns_from_ms(row.traded_ms or message.event_ms),
                received_ns=received_ns,
            )
        ]


class BinanceMarketStream:
    """Books, marks, funding and liquidations of instruments; implements `ports.MarketFeed`."""

    def __init__(
        self,
        endpoints: BinanceEndpoints,
        symbols: Symbols,
        clock: Clock,
        *,
        timing: Timing | None = None,
        rhythm: Rhythm | None = None,
        tap: capture.Tap | None = None,
    ) -> None:
        """`tap` is shown every frame as it was received, and every book REST answers."""
        self._tap = tap
        self._endpoints = endpoints
        self._symbols = symbols
        self._clock = clock
        self._intervals: dict[str, Decimal] = {}
        #: Every conversation that may want a book; those that are over fall out by themselves.
        self._books: weakref.WeakSet[BookConversation] = weakref.WeakSet()

        def book(part: Symbols) -> Conversation:
            made = BookConversation(endpoints, part, rhythm or RHYTHM)
            self._books.add(made)
            return made

        def mark(part: Symbols) -> Conversation:
            return MarkConversation(endpoints, part, self._intervals, rhythm)

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
            for make, per_connection in ((book, BOOKS_PER_CONNECTION), (mark, MARKS_PER_CONNECTION))
        )

    @property
    def malformed_frames(self) -> int:
        """Frames skipped because they could not be read, since the start."""
        return sum(stream.malformed_frames for stream in self._streams)

    async def run(self, feed: Feed) -> None:
        """Stream until cancelled."""
        session = BinanceSession(
            self._endpoints, None, self._clock, Allowance.stream_lanes, timeout_ms=TIMEOUT_MS
        )
        symbols = [symbol for symbol, _ in self._symbols.values()]
        desk = SnapshotDesk(session, self._books, self._clock, books=len(symbols), tap=self._tap)
        try:
            async with asyncio.TaskGroup() as group:
                for stream in self._streams:
                    group.create_task(stream.run(feed))
                group.create_task(desk.run())
                group.create_task(funding_intervals(session, symbols, self._intervals))
                group.create_task(reads.follow_limits(session))
                group.create_task(self._tell_volumes(session, feed))
        finally:
            await session.close()

    async def _tell_volumes(self, session: BinanceSession, feed: Feed) -> None:
        ours = {symbol: instrument_id for instrument_id, (symbol, _) in self._symbols.items()}
        await volumes.follow(
            partial(session.rows, "fapiPublicGetTicker24hr"), _volume, ours, feed, self._clock
        )


def _volume(row: Mapping[str, Any]) -> tuple[str, str, int]:
    return str(row["symbol"]), str(row["quoteVolume"]), ns_from_ms(row["closeTime"])
