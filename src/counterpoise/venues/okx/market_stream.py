"""OKX's public streams: books on one socket; marks, indexes and funding on another.

A mark behind a burst of depth would arrive late, and the guard lives on marks.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any, Final

import structlog

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    Event,
    FundingRate,
    Level,
    LiquidationPrinted,
    MarkPrice,
    StreamName,
)
from counterpoise.domain.orders import Side
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.ports import Clock, Feed
from counterpoise.venues import capture, plausible, volumes
from counterpoise.venues.connection import (
    Conversation,
    Dropped,
    Heartbeat,
    StreamSocket,
    Timing,
)
from counterpoise.venues.figures import ns_from_ms
from counterpoise.venues.okx import frames
from counterpoise.venues.okx.book_sync import BookSequence, Verdict
from counterpoise.venues.okx.convert import base_from_contracts
from counterpoise.venues.okx.endpoints import OkxEndpoints
from counterpoise.venues.okx.session import OkxSession
from counterpoise.venues.sharding import ShardedStream, shards
from counterpoise.venues.silence import Rhythm, SilenceWatch

_log = structlog.get_logger(__name__)

#: Our instrument id -> OKX's id and base units per contract.
Symbols = Mapping[str, tuple[str, Decimal]]

#: Channels in one request; a request may have 64 KB.
ARGUMENTS_MAX: Final = 50

#: Subscriptions asked for on one connection before a new one is made; OKX allows 480 an hour.
SUBSCRIPTIONS_MAX: Final = 400

#: Instruments of one connection: a book is one subscription, marks are three, and a book that is
#: asked for again is two more.
BOOKS_PER_CONNECTION: Final = 100
MARKS_PER_CONNECTION: Final = 100

#: OKX asks for this word after silence and answers in kind.
HEARTBEAT: Final = Heartbeat(ping="ping", pong=b"pong")

#: Marks are repeated every 10 s, funding rates every 30 to 90 s, a book that does not change is
#: confirmed every 60 s, balance is repeated every 5 s.
RHYTHM: Final = Rhythm(mark=30.0, funding=300.0, book=150.0, account=20.0)

#: An awaited snapshot is asked for again after this, doubled each time, seconds.
SNAPSHOT_WITHIN_SECONDS: Final = 10
SNAPSHOT_WITHIN_SECONDS_MAX: Final = 640

#: An index older than this is not put beside a mark, ns.
INDEX_AGE_MAX_NS: Final = 30 * NS_PER_SECOND

#: Where a funding message does not name the funding after the next.
FUNDING_HOURS: Final = Decimal(8)

#: Notice that the server is about to be upgraded: leave for another one.
NOTICE_UPGRADE: Final = "64008"

#: One request of the streams' own, ms.
TIMEOUT_MS: Final = 5_000

_SWAP_SUFFIX: Final = "-SWAP"


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
        self._subscriptions = 0

    def ask(self, operation: str, arguments: Sequence[dict[str, str]]) -> None:
        """Leave requests of bounded length. Raises Dropped if the connection's ration is used."""
        self._subscriptions += len(arguments)
        if self._subscriptions > max(SUBSCRIPTIONS_MAX, len(arguments)):
            raise Dropped("too many subscriptions on one connection")
        for start in range(0, len(arguments), ARGUMENTS_MAX):
            part = list(arguments[start : start + ARGUMENTS_MAX])
            self.requests.append(frames.request(operation, part))

    def control(self, frame: frames.Frame) -> None:
        """Take a frame that is no data. Raises Dropped if the server is about to go."""
        if frame.event == "notice" and frame.code == NOTICE_UPGRADE:
            raise Dropped("OKX announces an upgrade of this server", at_once=True)
        if frame.event in {"error", "notice"}:
            _log.warning(
                "stream.refused", stream=self.stream.value, code=frame.code, message=frame.msg
            )

    def restart(self) -> None:
        """Count subscriptions anew, on a new connection."""
        self._subscriptions = 0


class BookConversation(PublicConversation):
    """Channel `books` of every instrument, with its sequence checked one by one."""

    def __init__(
        self, endpoints: OkxEndpoints, symbols: Symbols, rhythm: Rhythm | None = None
    ) -> None:
        super().__init__(endpoints.public_url, StreamName.BOOKS)
        self._rhythm = rhythm or RHYTHM
        self._silence = SilenceWatch()
        self._instruments = {
            inst_id: (instrument_id, contract_size)
            for instrument_id, (inst_id, contract_size) in symbols.items()
        }
        self._sequences = {inst_id: BookSequence() for inst_id in self._instruments}
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
        self._awaited = {inst_id: _Awaited(now_ns) for inst_id in self._instruments}
        self._silence.expect("books", self._instruments, self._rhythm.book, now_ns)
        self.ask("subscribe", [_argument("books", inst_id) for inst_id in self._instruments])

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return snapshot, delta or gap."""
        message = frames.FRAME.decode(frame)
        if message.event or message.arg is None:
            self.control(message)
            return None
        inst_id = message.arg.inst_id
        if message.arg.channel != "books" or inst_id not in self._instruments:
            return None
        self._silence.hear("books", inst_id, received_ns, self._rhythm.book)
        events: list[Event] = []
        try:
            rows = frames.BOOKS.decode(message.data)
        except ValueError:
            # The missing message would show as a gap with the next one; ask at once.
            self._resubscribe(inst_id, received_ns)
            raise
        for row in rows:
            event = self._book_event(inst_id, message.action, row, received_ns)
            if event is not None:
                events.append(event)
        return events

    def watch(self, now_ns: int) -> None:
        """Ask again for a snapshot that does not come; drop a connection that lost a book."""
        self._silence.look(now_ns)
        for inst_id, awaited in list(self._awaited.items()):
            if now_ns - awaited.since_ns >= awaited.seconds * NS_PER_SECOND:
                longer = min(awaited.seconds * 2, SNAPSHOT_WITHIN_SECONDS_MAX)
                self._resubscribe(inst_id, now_ns)
                self._awaited[inst_id].seconds = longer

    def _book_event(
        self, inst_id: str, action: str, row: frames.BookRow, received_ns: int
    ) -> Event | None:
        instrument_id, contract_size = self._instruments[inst_id]
        sequence = self._sequences[inst_id]
        expected = sequence.last
        verdict = sequence.hear(
            action, row.prev_seq_id, row.seq_id, empty=not row.asks and not row.bids
        )
        if verdict is Verdict.SNAPSHOT:
            self._awaited.pop(inst_id, None)
            return BookSnapshot(
                instrument_id=instrument_id,
                bids=_levels(row.bids),
                asks=_levels(row.asks),
                quantity_unit=contract_size,
                sequence=row.seq_id,
                event_ns=ns_from_ms(row.ts),
                received_ns=received_ns,
            )
        if verdict is Verdict.DELTA:
            return BookDelta(
                instrument_id=instrument_id,
                bids=_levels(row.bids),
                asks=_levels(row.asks),
                sequence=row.seq_id,
                event_ns=ns_from_ms(row.ts),
                received_ns=received_ns,
            )
        if verdict is Verdict.GAP:
            assert expected is not None, "a gap needs something to follow"
            self._resubscribe(inst_id, received_ns)
            return BookGap(
                instrument_id=instrument_id,
                expected=expected,
                found=row.prev_seq_id,
                received_ns=received_ns,
            )
        return None

    def _resubscribe(self, inst_id: str, now_ns: int) -> None:
        # A snapshot comes only in answer to a subscription.
        self._sequences[inst_id].reset()
        self._awaited[inst_id] = _Awaited(now_ns)
        argument = _argument("books", inst_id)
        self.ask("unsubscribe", [argument])
        self.ask("subscribe", [argument])


class MarkConversation(PublicConversation):
    """Channels mark-price, index-tickers and funding-rate of every instrument, and liquidations."""

    def __init__(
        self, endpoints: OkxEndpoints, symbols: Symbols, rhythm: Rhythm | None = None
    ) -> None:
        super().__init__(endpoints.public_url, StreamName.MARKS)
        self._rhythm = rhythm or RHYTHM
        self._silence = SilenceWatch()
        self._instruments = {inst_id: ours for ours, (inst_id, _) in symbols.items()}
        self._units = dict(symbols.values())
        #: Last index by OKX's index id ("BTC-USDT") and when it arrived.
        self._indexes: dict[str, tuple[Decimal, int]] = {}

    @property
    def complete(self) -> bool:
        """True once every mark and funding rate has come."""
        return self._silence.all_heard

    def begin(self, now_ns: int) -> None:
        """Subscribe everything."""
        self.restart()
        self._silence.expect("mark-price", self._instruments, self._rhythm.mark, now_ns)
        self._silence.expect("funding-rate", self._instruments, self._rhythm.funding, now_ns)
        self._indexes.clear()
        arguments: list[dict[str, str]] = []
        for inst_id in self._instruments:
            arguments.append(_argument("mark-price", inst_id))
            arguments.append(_argument("index-tickers", _index_of(inst_id)))
            arguments.append(_argument("funding-rate", inst_id))
        # One for all swaps there are: OKX tells at most one liquidation a second of each.
        arguments.append({"channel": "liquidation-orders", "instType": "SWAP"})
        self.ask("subscribe", arguments)

    def hear(self, frame: bytes, received_ns: int) -> Sequence[Event] | None:
        """Return marks, funding rates and liquidations; an index travels with the next mark."""
        message = frames.FRAME.decode(frame)
        if message.event or message.arg is None:
            self.control(message)
            return None
        channel = message.arg.channel
        if channel == "mark-price":
            return self._marks(message.data, received_ns)
        if channel == "index-tickers":
            for row in frames.INDEXES.decode(message.data):
                self._indexes[row.inst_id] = (plausible.figure(row.idx_px), received_ns)
            return ()
        if channel == "funding-rate":
            return self._fundings(message.data, received_ns)
        if channel == "liquidation-orders":
            return self._liquidations(message.data, received_ns)
        return None

    def watch(self, now_ns: int) -> None:
        """Drop a connection that lost a mark or a funding rate.

        An index that is missing is left out beside its mark (`INDEX_AGE_MAX_NS`).
        """
        self._silence.look(now_ns)

    def _marks(self, data: bytes, received_ns: int) -> list[Event]:
        events: list[Event] = []
        for row in frames.MARKS.decode(data):
            instrument_id = self._instruments.get(row.inst_id)
            if instrument_id is None:
                continue
            self._silence.hear("mark-price", row.inst_id, received_ns, self._rhythm.mark)
            index, arrived_ns = self._indexes.get(_index_of(row.inst_id), (None, 0))
            fresh = received_ns - arrived_ns <= INDEX_AGE_MAX_NS
            events.append(
                MarkPrice(
                    instrument_id=instrument_id,
                    mark=Decimal(row.mark_px),
                    index=index if fresh else None,
                    event_ns=ns_from_ms(row.ts),
                    received_ns=received_ns,
                )
            )
        return events

    def _liquidations(self, data: bytes, received_ns: int) -> list[Event]:
        return [
            LiquidationPrinted(
                instrument_id=self._instruments[row.inst_id],
                side=Side(each.side),
                quantity=base_from_contracts(Decimal(each.sz), self._units[row.inst_id]),
                price=Decimal(each.bk_px),
                event_ns=ns_from_ms(each.ts),
                received_ns=received_ns,
            )
            for row in frames.LIQUIDATIONS.decode(data)
            if row.inst_id in self._instruments
            for each in row.details
        ]

    def _fundings(self, data: bytes, received_ns: int) -> list[Event]:
        events: list[Event] = []
        for row in frames.FUNDINGS.decode(data):
            instrument_id = self._instruments.get(row.inst_id)
            if instrument_id is None:
                continue
            self._silence.hear("funding-rate", row.inst_id, received_ns, self._rhythm.funding)
            funding_ns = ns_from_ms(row.funding_time)
            between_ns = ns_from_ms(row.next_funding_time) - funding_ns
            events.append(
                FundingRate(
                    instrument_id=instrument_id,
                    rate=Decimal(row.funding_rate),
                    funding_ns=funding_ns,
                    interval_hours=(
                        Decimal(between_ns) / NS_PER_HOUR if between_ns > 0 else FUNDING_HOURS
                    ),
                    event_ns=ns_from_ms(row.ts) or received_ns,
                    received_ns=received_ns,
                )
            )
        return events


class OkxMarketStream:
    """Books and marks of some instruments; implements `ports.MarketFeed`."""

    def __init__(
        self,
        endpoints: OkxEndpoints,
        symbols: Symbols,
        clock: Clock,
        *,
        timing: Timing | None = None,
        rhythm: Rhythm | None = None,
        tap: capture.Tap | None = None,
    ) -> None:
        """`tap` is shown every frame as it was received."""
        self._endpoints, self._symbols, self._clock = endpoints, symbols, clock

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
        session = OkxSession(self._endpoints, None, self._clock, timeout_ms=TIMEOUT_MS)
        ask = partial(session.read, "publicGetMarketTickers", instType="SWAP")
        ours = {inst_id: instrument_id for instrument_id, (inst_id, _) in self._symbols.items()}
        try:
            async with asyncio.TaskGroup() as group:
                for stream in self._streams:
                    group.create_task(stream.run(feed))
                group.create_task(volumes.follow(ask, _volume, ours, feed, self._clock))
        finally:
            await session.close()


def _volume(row: Mapping[str, Any]) -> tuple[str, str, int]:
    # Swaps tell it in contracts and in base units.
    quote = Decimal(row["volCcy24h"]) * Decimal(row["last"])
    return str(row["instId"]), str(quote), ns_from_ms(row["ts"])


def _argument(channel: str, inst_id: str) -> dict[str, str]:
    return {"channel": channel, "instId": inst_id}


def _index_of(inst_id: str) -> str:
    return inst_id.removesuffix(_SWAP_SUFFIX)


def _levels(raw: tuple[frames.RawLevel, ...]) -> tuple[Level, ...]:
    return tuple((level[0], level[1]) for level in raw)
