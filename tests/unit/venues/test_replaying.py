"""Recordings made by hand, and the real ones where they are at hand."""

import json
import os
from pathlib import Path

import pytest

from counterpoise.venues import capture
from counterpoise.venues.binance.recorded import BinanceRecording
from counterpoise.venues.bybit.recorded import BybitRecording
from counterpoise.venues.capture import CapturedFrame
from counterpoise.venues.okx.checksum import checksum
from counterpoise.venues.okx.recorded import OkxRecording
from counterpoise.venues.replaying import replay

DATA = Path(os.environ.get("COUNTERPOISE_DATA", Path(__file__).parents[4] / "shared" / "data"))
CAPTURES = DATA.parent / "captures"


def ws(body, url="wss://somewhere"):
    text = body if isinstance(body, str) else json.dumps(body)
    return CapturedFrame(received_ns=1, kind="ws", url=url, frame=text)


def bybit(kind, u, *, b=(), a=(), topic="orderbook.200.BTCUSDT"):
    data = {"s": topic.rpartition(".")[2], "b": b, "a": a, "u": u, "seq": 100 + u}
    return ws({"topic": topic, "type": kind, "ts": 5, "data": data, "cts": 4})


def okx(action, previous, sequence, *, bids=(), asks=(), channel="books", **more):
    row = {"bids": bids, "asks": asks, "ts": "5", "seqId": sequence, "prevSeqId": previous} | more
    arg = {"channel": channel, "instId": "BTC-USDT-SWAP"}
    return ws({"arg": arg, "action": action, "data": [row]})


def old_okx(action, *, bids=(), asks=(), told):
    row = {"bids": bids, "asks": asks, "ts": "5", "checksum": told}
    arg = {"channel": "books", "instId": "BTC-USDT"}
    return ws({"arg": arg, "action": action, "data": [row]})


def told(recording, *rows):
    return replay(rows, recording).instruments


def counts(figures):
    names = ("messages", "snapshots", "applied", "gaps", "resyncs", "crossed")
    return tuple(figures[name] for name in names)


WHOLE = {"b": [["100.10", "3"], ["100.0", "2.50"]], "a": [["100.20", "1"]]}


def test_snapshot_and_deltas_make_a_book_in_the_venues_own_text():
    found = told(
        BybitRecording(),
        bybit("snapshot", 7, **WHOLE),
        bybit("delta", 8, b=[["100.10", "0"], ["99.90", "4.0"]], a=[["100.15", "9"]]),
    )
    assert found == {
        "BTCUSDT": {
            "messages": 2,
            "snapshots": 1,
            "applied": 1,
            "gaps": 0,
            "resyncs": 0,
            "crossed": 0,
            "bids": [["100.0", "2.50"], ["99.90", "4.0"]],
            "asks": [["100.15", "9"], ["100.20", "1"]],
        }
    }


def test_after_a_gap_there_is_no_book_until_the_next_snapshot():
    rows = [
        bybit("snapshot", 7, **WHOLE),
        bybit("delta", 9, b=[["1", "1"]]),
        bybit("delta", 10, b=[["2", "1"]]),
    ]
    lost = told(BybitRecording(), *rows)["BTCUSDT"]
    assert counts(lost) == (3, 1, 0, 1, 0, 0)
    assert (lost["bids"], lost["asks"]) == ([], [])
    whole = told(BybitRecording(), *rows, bybit("snapshot", 20, **WHOLE), bybit("delta", 21))
    assert counts(whole["BTCUSDT"]) == (5, 2, 1, 1, 1, 0)
    assert whole["BTCUSDT"]["bids"] == WHOLE["b"]


def test_deltas_before_the_first_snapshot_are_no_gap():
    found = told(BybitRecording(), bybit("delta", 6), bybit("snapshot", 7, **WHOLE))
    assert counts(found["BTCUSDT"]) == (2, 1, 0, 0, 0, 0)


def test_a_restart_of_the_service_replaces_the_book():
    found = told(
        BybitRecording(),
        bybit("snapshot", 7, **WHOLE),
        bybit("snapshot", 1, b=[["90", "1"]], a=[["91", "1"]]),
        bybit("delta", 2, b=[["90", "2"]]),
    )
    assert counts(found["BTCUSDT"]) == (3, 2, 1, 0, 0, 0)
    assert found["BTCUSDT"]["bids"] == [["90", "2"]]


def test_messages_that_leave_the_book_crossed_are_counted():
    found = told(
        BybitRecording(),
        bybit("snapshot", 7, **WHOLE),
        bybit("delta", 8, b=[["100.20", "1"]]),
        bybit("delta", 9, b=[["100.30", "1"]]),
        bybit("delta", 10, b=[["100.20", "0"], ["100.30", "0"]]),
    )
    assert found["BTCUSDT"]["crossed"] == 2


def test_a_depth_message_that_cannot_be_read_is_a_gap():
    broken = ws({"topic": "orderbook.200.BTCUSDT", "type": "delta", "data": {"u": "eight"}})
    nonsense = bybit("delta", 8, b=[["a price", "1"]])
    for bad in (broken, nonsense):
        found = told(BybitRecording(), bybit("snapshot", 7, **WHOLE), bad, bybit("delta", 9))
        assert counts(found["BTCUSDT"]) == (3, 1, 0, 1, 0, 0) or bad is nonsense
        assert found["BTCUSDT"]["gaps"] == 1
        assert found["BTCUSDT"]["bids"] == []


def test_of_several_depths_the_deepest_is_told():
    found = told(
        BybitRecording(),
        bybit("snapshot", 3, b=[["5", "5"]], a=[["6", "6"]], topic="orderbook.1.BTCUSDT"),
        bybit("snapshot", 7, **WHOLE, topic="orderbook.50.BTCUSDT"),
        bybit("snapshot", 3, b=[["5", "5"]], a=[["6", "6"]], topic="orderbook.1.BTCUSDT"),
    )
    assert counts(found["BTCUSDT"]) == (1, 1, 0, 0, 0, 0)
    assert found["BTCUSDT"]["bids"] == WHOLE["b"]


def test_level_one_repeats_itself():
    level = bybit("snapshot", 3, b=[["5", "5"]], a=[["6", "6"]], topic="orderbook.1.BTCUSDT")
    found = told(BybitRecording(), level, level, level)
    assert counts(found["BTCUSDT"]) == (3, 3, 0, 0, 0, 0)


def test_frames_about_something_else_and_unreadable_ones_change_nothing():
    rows = [
        ws({"success": True, "ret_msg": "", "op": "subscribe", "conn_id": "x"}),
        ws({"topic": "a.channel.of.tomorrow", "data": [1]}),
        ws("{"),
        ws("[[[["),
        ws("null"),
        ws({"topic": "orderbook.deep.BTCUSDT", "type": "delta", "data": {}}),
        CapturedFrame(kind="http", url="https://x/v5/market/time", frame="{}"),
        bybit("snapshot", 7, **WHOLE),
        bybit("snapshot", 7, **WHOLE, topic="orderbook.200.ETHUSDT"),
    ]
    result = replay(rows, BybitRecording())
    assert list(result.instruments) == ["BTCUSDT", "ETHUSDT"]
    assert (result.rows, result.other, result.malformed) == (9, 3, 4)
    assert counts(result.instruments["BTCUSDT"]) == (1, 1, 0, 0, 0, 0)


OKX_WHOLE = {"bids": [["100.1", "3", "0", "1"]], "asks": [["100.2", "5", "0", "2"]]}


def test_okx_books_follow_their_sequence():
    found = told(
        OkxRecording(),
        ws("pong"),
        ws({"event": "subscribe", "arg": {"channel": "books", "instId": "BTC-USDT-SWAP"}}),
        okx("snapshot", -1, 10, **OKX_WHOLE, checksum=0),
        okx("update", 10, 15, bids=[["100.0", "7", "0", "1"]]),
        okx("update", 15, 15),
        okx("update", 15, 3, asks=[["100.2", "0", "0", "0"], ["100.3", "1", "0", "1"]]),
        okx("update", 4, 9),
        okx("snapshot", -1, 20, **OKX_WHOLE),
    )
    assert counts(found["BTC-USDT-SWAP"]) == (6, 2, 2, 1, 1, 0)
    assert found["BTC-USDT-SWAP"]["bids"] == [["100.1", "3"]]


def test_whole_books_of_okx_are_taken_as_they_come():
    found = told(OkxRecording(), okx("", 0, 10, **OKX_WHOLE, channel="books5"))
    assert counts(found["BTC-USDT-SWAP"]) == (1, 1, 0, 0, 0, 0)


def test_old_books_of_okx_are_held_against_their_checksum():
    bids, asks = (("100.1", "3"),), (("100.2", "5"),)
    start = old_okx("snapshot", **OKX_WHOLE, told=checksum(bids, asks))
    right = checksum((("100.1", "3"), ("100.0", "7")), asks)
    change = [["100.0", "7", "0", "1"]]
    good = told(OkxRecording(), start, old_okx("update", bids=change, told=right))["BTC-USDT"]
    assert counts(good) == (2, 1, 1, 0, 0, 0)
    wrong = old_okx("update", bids=change, told=right + 1)
    later = old_okx("update", bids=change, told=right)
    bad = told(OkxRecording(), start, wrong, later)["BTC-USDT"]
    assert counts(bad)[:1] + counts(bad)[3:] == (3, 1, 0, 0)
    assert bad["bids"] == []
    again = told(OkxRecording(), start, wrong, later, start)["BTC-USDT"]
    assert again["resyncs"] == 1
    assert again["bids"] == [["100.1", "3"]]


def test_a_checksum_of_zero_is_none():
    found = told(
        OkxRecording(),
        old_okx("snapshot", **OKX_WHOLE, told=0),
        old_okx("update", bids=[["100.0", "7", "0", "1"]], told=0),
    )
    assert counts(found["BTC-USDT"]) == (2, 1, 1, 0, 0, 0)


def binance(first, final, previous, *, b=(), a=(), stream="btcusdt@depth@100ms"):
    data = {"e": "depthUpdate", "E": 6, "T": 5, "s": "BTCUSDT", "U": first, "u": final}
    return ws({"stream": stream, "data": data | {"pu": previous, "b": b, "a": a}})


def depth(last, *, bids=(), asks=(), url="https://x/fapi/v1/depth?symbol=BTCUSDT&limit=1000"):
    body = json.dumps({"lastUpdateId": last, "E": 6, "T": 5, "bids": bids, "asks": asks})
    return CapturedFrame(received_ns=1, kind="http", url=url, frame=body)


SEED = {"bids": [["100.10", "3"]], "asks": [["100.20", "1"]]}


def test_binance_books_are_seeded_by_the_answer_and_what_it_has_already_is_left_out():
    stream = [
        binance(90, 99, 80, b=[["1", "1"]]),
        binance(100, 105, 99, b=[["100.0", "7"]]),
        binance(107, 110, 105, b=[["100.10", "0"]]),
    ]
    # Whether the answer stands before or among the messages it covers is the recorder's business.
    for rows in ([depth(103, **SEED), *stream], [*stream[:2], depth(103, **SEED), stream[2]]):
        found = told(BinanceRecording(), *rows)["BTCUSDT"]
        assert counts(found) == (3, 1, 2, 0, 0, 0)
        assert found["bids"] == [["100.0", "7"]]
        assert found["asks"] == [["100.20", "1"]]


def test_a_binance_book_that_missed_a_message_waits_for_the_next_answer():
    rows = [
        depth(103, **SEED),
        binance(100, 105, 99),
        binance(120, 125, 119),
        binance(126, 130, 125, b=[["99", "2"]]),
    ]
    lost = told(BinanceRecording(), *rows)["BTCUSDT"]
    assert counts(lost) == (3, 1, 1, 1, 0, 0)
    assert lost["bids"] == []
    whole = told(BinanceRecording(), *rows, depth(127, **SEED), binance(131, 140, 130))["BTCUSDT"]
    assert counts(whole) == (4, 2, 3, 1, 1, 0)
    assert whole["bids"] == [["100.10", "3"], ["99", "2"]]


def test_an_answer_that_came_just_before_the_gap_was_seen_mends_it():
    found = told(
        BinanceRecording(),
        depth(103, **SEED),
        binance(100, 105, 99),
        depth(122, bids=[["98", "1"]], asks=[["99", "1"]]),
        binance(120, 125, 119, b=[["97", "1"]]),
    )["BTCUSDT"]
    assert counts(found) == (2, 2, 2, 1, 1, 0)
    assert found["bids"] == [["98", "1"], ["97", "1"]]


def test_partial_books_of_binance_are_whole_and_lose_against_the_full_one():
    partial = binance(1, 2, 0, b=[["5", "5"]], a=[["6", "6"]], stream="btcusdt@depth5")
    assert counts(told(BinanceRecording(), partial, partial)["BTCUSDT"]) == (2, 2, 0, 0, 0, 0)
    both = told(BinanceRecording(), partial, depth(103, **SEED), binance(100, 105, 99))["BTCUSDT"]
    assert counts(both) == (1, 1, 1, 0, 0, 0)
    assert both["bids"] == [["100.10", "3"]]


def test_what_is_no_depth_of_binance_is_something_else():
    rows = [
        depth(1, url="https://x/fapi/v1/exchangeInfo"),
        depth(1, url="https://x/fapi/v1/depth"),
        ws({"stream": "btcusdt@bookTicker", "data": {"e": "bookTicker", "u": 1}}),
        ws({"result": None, "id": 1}),
        ws({"e": "depthUpdate", "s": "BTCUSDT"}),
        CapturedFrame(kind="http", url="https://x/fapi/v1/depth?symbol=B", frame="<html>"),
    ]
    result = replay(rows, BinanceRecording())
    assert (result.instruments, result.other, result.malformed) == ({}, 4, 2)


@pytest.mark.skipif(not CAPTURES.is_dir(), reason=f"no recordings in {CAPTURES}")
def test_the_real_recordings():
    def real(name, recording):
        skipped = capture.Skipped()
        result = replay(capture.read(CAPTURES / name, skipped), recording)
        assert (skipped, result.malformed) == (capture.Skipped(), 0)
        return result.instruments

    found = real("bybit_linear_opening_20260809.jsonl.zst", BybitRecording())
    assert {name: counts(each) for name, each in found.items()} == {
        "BTCUSDT": (19, 1, 18, 0, 0, 0),
        "DOGEUSDT": (22, 1, 21, 0, 0, 0),
        "ETHUSDT": (22, 1, 21, 0, 0, 0),
        "SOLUSDT": (8, 1, 7, 0, 0, 0),
    }
    assert found["BTCUSDT"]["bids"][0] == ["65114.20", "10.074"]
    found = real("okx_opening_20220513.jsonl.zst", OkxRecording())
    assert {name: counts(each) for name, each in found.items()} == dict.fromkeys(
        ("BTC-USD-220527", "BTC-USDT", "UNI-USD-SWAP"), (9, 1, 8, 0, 0, 0)
    )
    assert found["BTC-USDT"]["asks"][0] == ["30251", "0.01"]
    found = real("binance_usdm_20210722.jsonl.zst", BinanceRecording())
    assert {name: counts(each) for name, each in found.items()} == {
        "AKROUSDT": (189, 1, 188, 0, 0, 0),
        "CTKUSDT": (185, 1, 180, 0, 0, 0),
        "KEEPUSDT": (135, 1, 132, 0, 0, 0),
        "SUSHIUSDT": (255, 1, 252, 0, 0, 0),
    }
    assert found["SUSHIUSDT"]["bids"][0] == ["7.6120", "303"]
