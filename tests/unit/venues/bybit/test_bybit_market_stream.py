import json
from decimal import Decimal

import pytest

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    FundingRate,
    LiquidationPrinted,
    MarkPrice,
    TradedVolume,
)
from counterpoise.domain.orders import Side
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.bybit.endpoints import BybitEndpoints
from counterpoise.venues.bybit.market_stream import BookConversation, MarkConversation
from counterpoise.venues.connection import Dropped

ENDPOINTS = BybitEndpoints.loopback(1)
NOW_NS = 1_780_000_000_000_000_000
NOW_MS = 1_780_000_000_000


def frame(topic, data, kind="snapshot"):
    return json.dumps({"topic": topic, "type": kind, "ts": NOW_MS, "data": data}).encode()


def book(kind, u, *, b=(), a=(), symbol="BTCUSDT", seq=100):
    data = {"s": symbol, "b": list(b), "a": list(a), "u": u, "seq": seq + u}
    return frame(f"orderbook.200.{symbol}", data, kind)


def asked(conversation):
    found = [json.loads(request) for request in conversation.requests]
    conversation.requests.clear()
    return [(request["op"], request["args"], request["req_id"]) for request in found]


@pytest.fixture
def books(symbols):
    made = BookConversation(ENDPOINTS, symbols)
    made.begin(NOW_NS)
    return made


@pytest.fixture
def marks(symbols):
    made = MarkConversation(ENDPOINTS, symbols)
    made.begin(NOW_NS)
    made.requests.clear()
    return made


def test_books_are_subscribed_ten_to_a_request():
    names = [f"X{number}USDT" for number in range(23)]
    conversation = BookConversation(ENDPOINTS, {name: (name, Decimal(1)) for name in names})
    conversation.begin(NOW_NS)
    requests = asked(conversation)
    assert [len(args) for _, args, _ in requests] == [10, 10, 3]
    topics = [topic for _, args, _ in requests for topic in args]
    assert topics == [f"orderbook.200.{name}" for name in names]


def test_snapshot_delta_and_gap(books):
    asked(books)
    (whole,) = books.hear(book("snapshot", 7, b=[["100.10", "3"]], a=[["100.2", "5"]]), NOW_NS)
    assert isinstance(whole, BookSnapshot)
    assert (whole.instrument_id, whole.bids, whole.quantity_unit) == (
        "BTCUSDT",
        (("100.10", "3"),),
        1,
    )
    (delta,) = books.hear(book("delta", 8, b=[["100.10", "0"]]), NOW_NS)
    assert isinstance(delta, BookDelta)
    assert (delta.bids, delta.sequence) == ((("100.10", "0"),), 8)
    (gap,) = books.hear(book("delta", 10), NOW_NS)
    assert isinstance(gap, BookGap)
    assert (gap.expected, gap.found) == (9, 10)
    topic = ["orderbook.200.BTCUSDT"]
    assert [request[:2] for request in asked(books)] == [
        ("unsubscribe", topic),
        ("subscribe", topic),
    ]
    assert books.hear(book("delta", 11), NOW_NS) == ()
    assert isinstance(books.hear(book("snapshot", 30), NOW_NS)[0], BookSnapshot)


def test_it_is_complete_once_every_book_has_come(books):
    assert not books.complete
    books.hear(book("snapshot", 7), NOW_NS)
    assert not books.complete
    books.hear(book("snapshot", 3, symbol="ETHUSDT"), NOW_NS)
    assert books.complete


def test_a_snapshot_that_does_not_come_is_asked_for_again_ever_later(books):
    books.hear(book("snapshot", 3, symbol="ETHUSDT"), NOW_NS)
    asked(books)
    books.watch(NOW_NS + 9 * NS_PER_SECOND)
    assert asked(books) == []
    books.watch(NOW_NS + 10 * NS_PER_SECOND)
    assert len(asked(books)) == 2
    books.watch(NOW_NS + 25 * NS_PER_SECOND)
    assert asked(books) == []
    books.watch(NOW_NS + 31 * NS_PER_SECOND)
    assert len(asked(books)) == 2


def test_a_book_that_falls_silent_costs_the_connection(books):
    books.hear(book("snapshot", 7), NOW_NS)
    books.hear(book("snapshot", 3, symbol="ETHUSDT"), NOW_NS)
    books.watch(NOW_NS + 299 * NS_PER_SECOND)
    with pytest.raises(Dropped, match=r"orderbook\.200"):
        books.watch(NOW_NS + 301 * NS_PER_SECOND)


def test_a_book_message_that_cannot_be_read_asks_for_the_book_again(books):
    books.hear(book("snapshot", 7), NOW_NS)
    asked(books)
    with pytest.raises(ValueError, match="Expected"):
        books.hear(frame("orderbook.200.BTCUSDT", {"s": "BTCUSDT", "u": "8"}, "delta"), NOW_NS)
    assert len(asked(books)) == 2
    assert books.hear(book("delta", 9), NOW_NS) == ()


def test_of_topics_that_are_refused_together_each_is_asked_for_alone(marks):
    marks.begin(NOW_NS)
    (_, tickers, name), _ = asked(marks)
    refusal = {"success": False, "ret_msg": "handler not found", "op": "subscribe", "req_id": name}
    assert marks.hear(json.dumps(refusal).encode(), NOW_NS) is None
    again = asked(marks)
    assert [args for _, args, _ in again] == [[topic] for topic in tickers]
    # One that is refused alone stays refused.
    refusal["req_id"] = again[0][2]
    assert marks.hear(json.dumps(refusal).encode(), NOW_NS) is None
    assert asked(marks) == []


TICKER = {
    "symbol": "BTCUSDT",
    "markPrice": "100.15",
    "indexPrice": "100.3",
    "fundingRate": "0.0001",
    "nextFundingTime": str(NOW_MS + 28_800_000),
    "fundingIntervalHour": "4",
}


def test_a_ticker_is_a_snapshot_and_what_changed(marks):
    mark, funding = marks.hear(frame("tickers.BTCUSDT", TICKER), NOW_NS)
    assert isinstance(mark, MarkPrice)
    assert (mark.mark, mark.index) == (Decimal("100.15"), Decimal("100.3"))
    assert isinstance(funding, FundingRate)
    assert (funding.rate, funding.interval_hours) == (Decimal("0.0001"), 4)
    assert funding.funding_ns == NOW_NS + 28_800 * NS_PER_SECOND
    changed = {"symbol": "BTCUSDT", "markPrice": "100.20"}
    (mark,) = marks.hear(frame("tickers.BTCUSDT", changed, "delta"), NOW_NS)
    assert (mark.mark, mark.index) == (Decimal("100.20"), Decimal("100.3"))
    changed = {"symbol": "BTCUSDT", "fundingRate": "0.0002"}
    (funding,) = marks.hear(frame("tickers.BTCUSDT", changed, "delta"), NOW_NS)
    assert (funding.rate, funding.interval_hours) == (Decimal("0.0002"), 4)


def test_what_did_not_change_is_told_again_while_the_ticker_speaks(marks):
    marks.hear(frame("tickers.BTCUSDT", TICKER), NOW_NS)
    volume = frame("tickers.BTCUSDT", {"symbol": "BTCUSDT", "volume24h": "7"}, "delta")
    assert marks.hear(volume, NOW_NS + NS_PER_SECOND // 2) == []
    (mark,) = marks.hear(volume, NOW_NS + NS_PER_SECOND)
    assert mark.mark == Decimal("100.15")
    mark, funding = marks.hear(volume, NOW_NS + 31 * NS_PER_SECOND)
    assert (mark.mark, funding.rate) == (Decimal("100.15"), Decimal("0.0001"))


def test_a_change_of_what_we_never_had_is_nothing(marks):
    changed = {"symbol": "BTCUSDT", "markPrice": "100.20"}
    assert marks.hear(frame("tickers.BTCUSDT", changed, "delta"), NOW_NS) == []


def test_a_figure_nobody_means_leaves_nothing_behind(marks):
    marks.hear(frame("tickers.BTCUSDT", TICKER), NOW_NS)
    bad = {"symbol": "BTCUSDT", "markPrice": "1", "indexPrice": "NaN"}
    with pytest.raises(ValueError, match="NaN"):
        marks.hear(frame("tickers.BTCUSDT", bad, "delta"), NOW_NS)
    volume = {"symbol": "BTCUSDT", "volume24h": "7"}
    (mark,) = marks.hear(frame("tickers.BTCUSDT", volume, "delta"), NOW_NS + NS_PER_SECOND)
    assert (mark.mark, mark.index) == (Decimal("100.15"), Decimal("100.3"))


def test_a_liquidated_long_is_a_sale(marks):
    rows = [
        {"T": NOW_MS - 5, "s": "BTCUSDT", "S": "Buy", "v": "0.3", "p": "99.1"},
        {"T": NOW_MS - 4, "s": "BTCUSDT", "S": "Sell", "v": "0.2", "p": "101"},
    ]
    long, short = marks.hear(frame("allLiquidation.BTCUSDT", rows), NOW_NS)
    assert isinstance(long, LiquidationPrinted)
    assert (long.side, long.quantity, long.price) == (Side.SELL, Decimal("0.3"), Decimal("99.1"))
    assert short.side is Side.BUY


def test_pongs_are_signs_of_life_and_other_topics_are_not(marks, books):
    pong = b'{"success":true,"ret_msg":"pong","conn_id":"x","req_id":"","op":"ping"}'
    assert marks.hear(pong, NOW_NS) == ()
    assert books.hear(pong, NOW_NS) == ()
    assert marks.hear(frame("kline.1.BTCUSDT", []), NOW_NS) is None
    assert books.hear(book("snapshot", 7, symbol="XRPUSDT"), NOW_NS) is None


def test_a_ticker_that_falls_silent_costs_the_connection(marks):
    marks.hear(frame("tickers.BTCUSDT", TICKER), NOW_NS + 20 * NS_PER_SECOND)
    with pytest.raises(Dropped, match="ETHUSDT"):
        marks.watch(NOW_NS + 31 * NS_PER_SECOND)


def test_the_volume_of_a_day_is_told_once_a_minute(marks):
    whole = TICKER | {"turnover24h": "2352.94950046"}
    told = marks.hear(frame("tickers.BTCUSDT", whole), NOW_NS)
    (first,) = [event for event in told if isinstance(event, TradedVolume)]
    assert (first.instrument_id, first.volume_quote) == ("BTCUSDT", Decimal("2352.94950046"))

    def after(seconds: int, **changed: str) -> list[Decimal]:
        row = frame("tickers.BTCUSDT", {"symbol": "BTCUSDT", **changed}, "delta")
        events = marks.hear(row, NOW_NS + seconds * NS_PER_SECOND)
        return [each.volume_quote for each in events if isinstance(each, TradedVolume)]

    assert after(30, turnover24h="2400") == []
    # What stayed is left out and told all the same.
    assert after(60) == [Decimal(2400)]
    assert after(119) == []
