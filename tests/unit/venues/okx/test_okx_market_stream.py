import asyncio
import json
from decimal import Decimal

import pytest
from websockets.asyncio.server import serve

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    FundingRate,
    MarkPrice,
    StreamAlive,
    StreamDown,
    StreamName,
)
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.connection import Dropped, Timing
from counterpoise.venues.okx import market_stream
from counterpoise.venues.okx.endpoints import OkxEndpoints
from counterpoise.venues.okx.market_stream import (
    BookConversation,
    MarkConversation,
    OkxMarketStream,
)

ENDPOINTS = OkxEndpoints.loopback(1)
QUICK = Timing(
    ping_after=0.2,
    pong_within=0.2,
    watch_every=0.05,
    retry_first=0.02,
    retry_max=0.1,
    alive_every=0.1,
)


def frame(channel, inst_id, data, action=None):
    body = {"arg": {"channel": channel, "instId": inst_id}, "data": data}
    return json.dumps(body | ({"action": action} if action else {})).encode()


def book(action, previous, sequence, *, bids=(), asks=(), inst_id="BTC-USDT-SWAP"):
    row = {
        "bids": list(bids),
        "asks": list(asks),
        "ts": "1597026383085",
        "checksum": 0,
        "prevSeqId": previous,
        "seqId": sequence,
    }
    return frame("books", inst_id, [row], action)


SNAPSHOT = book(
    "snapshot", -1, 10, bids=[["100.1", "3", "0", "1"]], asks=[["100.2", "5", "0", "2"]]
)


@pytest.fixture
def books(symbols):
    conversation = BookConversation(ENDPOINTS, symbols)
    conversation.begin(0)
    conversation.requests.clear()
    return conversation


def requests(conversation):
    found = [json.loads(request) for request in conversation.requests]
    conversation.requests.clear()
    return found


def test_a_snapshot_and_what_follows(books):
    (snapshot,) = books.hear(SNAPSHOT, 7)
    assert snapshot == BookSnapshot(
        instrument_id="BTCUSDT",
        bids=(("100.1", "3"),),
        asks=(("100.2", "5"),),
        quantity_unit=Decimal("0.01"),
        sequence=10,
        event_ns=1_597_026_383_085_000_000,
        received_ns=7,
    )
    (delta,) = books.hear(book("update", 10, 15, bids=[["100.1", "0", "0", "0", "new"]]), 8)
    assert delta == BookDelta(
        instrument_id="BTCUSDT",
        bids=(("100.1", "0"),),
        asks=(),
        sequence=15,
        event_ns=1_597_026_383_085_000_000,
        received_ns=8,
    )
    assert list(books.hear(book("update", 15, 15), 9)) == []
    (reset,) = books.hear(book("update", 15, 3, asks=[["100.3", "1", "0", "1"]]), 10)
    assert reset.sequence == 3
    assert books.requests == []


def test_a_gap_asks_for_this_book_again_and_no_other(books):
    books.hear(SNAPSHOT, 1)
    books.hear(book("snapshot", -1, 4, inst_id="ETH-USDT-SWAP"), 1)
    (gap,) = books.hear(book("update", 11, 12), 2)
    assert gap == BookGap(instrument_id="BTCUSDT", expected=10, found=11, received_ns=2)
    argument = {"channel": "books", "instId": "BTC-USDT-SWAP"}
    assert requests(books) == [
        {"op": "unsubscribe", "args": [argument]},
        {"op": "subscribe", "args": [argument]},
    ]
    assert list(books.hear(book("update", 12, 13), 3)) == []
    (other,) = books.hear(book("update", 4, 5, inst_id="ETH-USDT-SWAP"), 3)
    assert other.instrument_id == "ETHUSDT"
    assert isinstance(books.hear(SNAPSHOT, 4)[0], BookSnapshot)


def test_a_book_that_cannot_be_read_is_asked_for_again(books):
    books.hear(SNAPSHOT, 1)
    with pytest.raises(ValueError, match="asks"):
        books.hear(frame("books", "BTC-USDT-SWAP", [{"bids": []}], "update"), 2)
    assert [request["op"] for request in requests(books)] == ["unsubscribe", "subscribe"]


def test_a_snapshot_that_does_not_come_is_asked_for_ever_more_slowly(books):
    books.hear(book("snapshot", -1, 4, inst_id="ETH-USDT-SWAP"), 1)
    asked = []
    for second in range(100):
        books.watch(second * NS_PER_SECOND)
        asked += [(second, request["args"]) for request in requests(books)]
    argument = [{"channel": "books", "instId": "BTC-USDT-SWAP"}]
    assert asked == [(s, argument) for s in (10, 10, 30, 30, 70, 70)]


def test_subscriptions_of_a_connection_are_rationed(books, monkeypatch):
    monkeypatch.setattr(market_stream, "SUBSCRIPTIONS_MAX", 4)
    books.hear(SNAPSHOT, 1)
    books.hear(book("update", 1, 2), 1)
    books.hear(SNAPSHOT, 1)
    with pytest.raises(Dropped, match="too many"):
        books.hear(book("update", 1, 2), 1)


def test_requests_are_of_bounded_length():
    many = {f"C{n}USDT": (f"C{n}-USDT-SWAP", Decimal(1)) for n in range(120)}
    conversation = MarkConversation(ENDPOINTS, many)
    conversation.begin(0)
    asked = requests(conversation)
    assert max(len(request["args"]) for request in asked) == market_stream.ARGUMENTS_MAX
    # Three of each instrument, and the liquidations of all.
    assert sum(len(request["args"]) for request in asked) == 361


def test_an_upgrade_notice_leaves_at_once(books):
    with pytest.raises(Dropped) as dropped:
        books.hear(b'{"event":"notice","code":"64008","msg":"soon"}', 1)
    assert dropped.value.at_once


def test_frames_that_are_no_data(books):
    assert books.hear(b'{"event":"subscribe","arg":{"channel":"books"},"connId":"a"}', 1) is None
    assert books.hear(b'{"event":"error","code":"60018","msg":"no"}', 1) is None
    assert books.hear(frame("trades", "BTC-USDT-SWAP", []), 1) is None
    assert books.hear(frame("books", "DOGE-USDT-SWAP", []), 1) is None


@pytest.fixture
def marks(symbols):
    conversation = MarkConversation(ENDPOINTS, symbols)
    conversation.begin(0)
    return conversation


def test_everything_a_mark_needs_is_subscribed(marks):
    (request,) = requests(marks)
    assert {(each["channel"], each.get("instId")) for each in request["args"]} == {
        ("mark-price", "BTC-USDT-SWAP"),
        ("index-tickers", "BTC-USDT"),
        ("funding-rate", "BTC-USDT-SWAP"),
        ("mark-price", "ETH-USDT-SWAP"),
        ("index-tickers", "ETH-USDT"),
        ("funding-rate", "ETH-USDT-SWAP"),
        ("liquidation-orders", None),
    }


def mark(inst_id, price, ts="1700000000000"):
    row = {"instType": "SWAP", "instId": inst_id, "markPx": price, "ts": ts}
    return frame("mark-price", inst_id, [row])


def index(inst_id, price):
    return frame("index-tickers", inst_id, [{"instId": inst_id, "idxPx": price, "ts": "1"}])


def test_a_mark_carries_the_last_index(marks):
    (first,) = marks.hear(mark("BTC-USDT-SWAP", "100.5"), 1)
    assert first == MarkPrice(
        instrument_id="BTCUSDT",
        mark=Decimal("100.5"),
        index=None,
        event_ns=1_700_000_000_000_000_000,
        received_ns=1,
    )
    assert list(marks.hear(index("BTC-USDT", "100.25"), 2)) == []
    (second,) = marks.hear(mark("BTC-USDT-SWAP", "100.6"), 3)
    assert second.index == Decimal("100.25")
    (other,) = marks.hear(mark("ETH-USDT-SWAP", "7"), 3)
    assert (other.instrument_id, other.index) == ("ETHUSDT", None)
    (later,) = marks.hear(mark("BTC-USDT-SWAP", "101"), 3 + 31 * NS_PER_SECOND)
    assert later.index is None


def test_funding_has_its_interval(marks):
    row = {
        "instId": "BTC-USDT-SWAP",
        "fundingRate": "-0.0001",
        "fundingTime": "1744590349506",
        "nextFundingTime": "1744604749506",
        "ts": "1744590000000",
    }
    (found,) = marks.hear(frame("funding-rate", "BTC-USDT-SWAP", [row]), 5)
    assert found == FundingRate(
        instrument_id="BTCUSDT",
        rate=Decimal("-0.0001"),
        funding_ns=1_744_590_349_506_000_000,
        interval_hours=Decimal(4),
        event_ns=1_744_590_000_000_000_000,
        received_ns=5,
    )
    del row["nextFundingTime"]
    (without,) = marks.hear(frame("funding-rate", "BTC-USDT-SWAP", [row]), 5)
    assert without.interval_hours == 8


class StubStreams:
    """A websocket server that answers subscriptions as a test tells it to."""

    def __init__(self):
        self.connections = []
        self.asked = []
        self.pings = 0
        self.answer_pings = True
        self.on_subscribe = lambda _arguments: []

    async def handle(self, socket):
        self.connections.append(socket)
        async for message in socket:
            if message == "ping":
                self.pings += 1
                if self.answer_pings:
                    await socket.send("pong")
                continue
            request = json.loads(message)
            self.asked.append(request)
            if request["op"] == "subscribe":
                for part in self.on_subscribe(request["args"]):
                    await socket.send(part.decode())


@pytest.fixture
async def streams():
    stub = StubStreams()
    async with serve(stub.handle, "127.0.0.1", 0) as server:
        stub.port = server.sockets[0].getsockname()[1]
        yield stub


async def eventually(condition, seconds=30):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what is waited for is another task's doing
            await asyncio.sleep(0.005)


class Heard(list):
    """A feed that can be waited on."""

    async def until(self, wanted, seconds=30):
        await eventually(lambda: any(wanted(event) for event in self), seconds)
        return next(event for event in self if wanted(event))

    def of(self, kind, stream=None):
        return [
            event
            for event in self
            if isinstance(event, kind) and (stream is None or event.stream is stream)
        ]


@pytest.fixture
async def heard(streams, symbols, clock):
    events = Heard()
    stream = OkxMarketStream(OkxEndpoints.loopback(streams.port), symbols, clock, timing=QUICK)
    events.stream = stream
    task = asyncio.create_task(stream.run(events.append))
    yield events
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def snapshots(arguments):
    return [
        book("snapshot", -1, 10, bids=[["1", "1", "0", "1"]], inst_id=each["instId"])
        for each in arguments
        if each["channel"] == "books"
    ]


async def test_books_and_marks_have_a_socket_each(streams, heard):
    streams.on_subscribe = snapshots
    await heard.until(lambda event: isinstance(event, BookSnapshot))
    await eventually(lambda: len(streams.asked) == 2)
    channels = sorted(
        sorted({argument["channel"] for argument in request["args"]}) for request in streams.asked
    )
    assert channels == [
        ["books"],
        ["funding-rate", "index-tickers", "liquidation-orders", "mark-price"],
    ]
    assert len(streams.connections) == 2


async def test_life_is_told_by_data_and_then_by_pongs(streams, heard):
    streams.on_subscribe = snapshots
    await heard.until(lambda event: isinstance(event, StreamAlive))
    assert heard.of(StreamAlive)[0].stream is StreamName.BOOKS
    # The marks' socket has no data: it lives by its pongs.
    await heard.until(lambda e: isinstance(e, StreamAlive) and e.stream is StreamName.MARKS)
    assert streams.pings > 0
    assert heard.of(StreamDown) == []


async def test_a_mute_server_is_left(streams, heard):
    streams.answer_pings = False
    down = await heard.until(lambda event: isinstance(event, StreamDown))
    assert "no pong" in down.reason
    await eventually(lambda: len(streams.connections) >= 4)
    # One outage is told once, however often it is tried again.
    told = [event.stream for event in heard.of(StreamDown)]
    assert sorted(told) == [StreamName.BOOKS, StreamName.MARKS]


async def test_a_cut_is_told_and_mended(streams, heard):
    streams.on_subscribe = snapshots
    await heard.until(lambda event: isinstance(event, BookSnapshot))
    heard.clear()
    for connection in streams.connections:
        connection.transport.abort()
    await heard.until(lambda e: isinstance(e, StreamDown) and e.stream is StreamName.BOOKS)
    await heard.until(lambda event: isinstance(event, BookSnapshot))
    kinds = [
        type(event)
        for event in heard
        if getattr(event, "stream", StreamName.BOOKS) is StreamName.BOOKS
    ]
    assert kinds.index(StreamDown) < kinds.index(StreamAlive) < kinds.index(BookSnapshot)


async def test_a_malformed_frame_costs_nothing_but_itself(streams, heard):
    broken = [b"{", b"null", b'{"arg":3}']
    streams.on_subscribe = lambda arguments: broken + snapshots(arguments)
    await heard.until(lambda event: isinstance(event, BookSnapshot))
    await eventually(lambda: heard.stream.malformed_frames == 2 * len(broken))
    assert heard.of(StreamDown) == []
    assert len(streams.connections) == 2


async def test_a_gap_is_mended_on_the_same_socket(streams, heard):
    streams.on_subscribe = snapshots
    await heard.until(lambda event: isinstance(event, BookSnapshot))
    first = len(heard.of(BookSnapshot))
    for each in streams.connections:
        await each.send(book("update", 98, 99).decode())
    await heard.until(lambda event: isinstance(event, BookGap))
    await eventually(lambda: len(heard.of(BookSnapshot)) > first)
    assert len(streams.connections) == 2
    assert heard.of(StreamDown) == []


async def test_an_upgrade_notice_moves_to_a_new_connection(streams, heard):
    streams.on_subscribe = snapshots
    await heard.until(lambda event: isinstance(event, BookSnapshot))
    for each in list(streams.connections):
        await each.send('{"event":"notice","code":"64008","msg":"upgrade"}')
    down = await heard.until(lambda event: isinstance(event, StreamDown))
    assert "upgrade" in down.reason
    await eventually(lambda: len(streams.connections) >= 4)


async def test_a_server_that_is_not_there_is_tried_again(symbols, clock):
    events = Heard()
    stream = OkxMarketStream(OkxEndpoints.loopback(1), symbols, clock, timing=QUICK)
    task = asyncio.create_task(stream.run(events.append))
    await events.until(lambda event: isinstance(event, StreamDown))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert sorted(event.stream for event in events) == [StreamName.BOOKS, StreamName.MARKS]


async def test_an_error_of_the_feed_is_not_swallowed(streams, symbols, clock):
    streams.on_subscribe = snapshots

    def feed(event):
        raise RuntimeError("the engine is broken")

    stream = OkxMarketStream(OkxEndpoints.loopback(streams.port), symbols, clock, timing=QUICK)
    with pytest.raises(ExceptionGroup, match="unhandled errors"):
        async with asyncio.timeout(3):
            await stream.run(feed)
