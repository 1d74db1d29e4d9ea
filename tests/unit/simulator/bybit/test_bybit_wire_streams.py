"""A plain WebSocket client and ccxt.pro on Bybit's streams, against what the exchange says."""

import asyncio
import itertools
import time
from decimal import Decimal

import pytest
from ccxt.pro.bybit import bybit as streaming_bybit

from counterpoise.simulator.faults import Fault, FaultKind

BTC = "BTC/USDT:USDT"
pytestmark = pytest.mark.asyncio(loop_scope="module")


def far(rehearsal, fraction="0.992"):
    return str((rehearsal.exchange.mark("BTCUSDT") * Decimal(fraction)).quantize(Decimal("0.1")))


def order(rehearsal, **changes):
    return {
        "category": "linear", "symbol": "BTCUSDT", "side": "Buy", "orderType": "Limit",
        "qty": "0.01", "price": far(rehearsal),
    } | changes  # fmt: skip


def rebuilt(frames):
    """The book a client keeps: snapshot, then deltas in a chain without gap."""
    bids, asks, number = {}, {}, None
    for frame in frames:
        data = frame["data"]
        if frame["type"] == "snapshot":
            bids, asks = {}, {}
        else:
            assert data["u"] == number + 1
        number = data["u"]
        for side, rows in ((bids, data["b"]), (asks, data["a"])):
            for price, quantity in rows:
                side[Decimal(price)] = Decimal(quantity)
                if quantity == "0":
                    del side[Decimal(price)]
    return sorted(bids.items(), reverse=True), sorted(asks.items())


async def moved(rehearsal, stream, seconds=2.0):
    for _ in range(int(seconds * 4)):
        rehearsal.grant(0.25)
        await asyncio.sleep(0)
    await stream.settled()


@pytest.mark.parametrize("depth", [50, 200, 1_000])
async def test_a_book_rebuilt_from_deltas_is_the_exchanges(rehearsal, depth):
    topic = f"orderbook.{depth}.BTCUSDT"
    async with rehearsal.public(topic) as stream:
        await moved(rehearsal, stream)
        frames = stream.pushed(topic)
        assert [frame["type"] for frame in frames[:2]] == ["snapshot", "delta"]
        assert list(frames[1]) == ["topic", "type", "ts", "data", "cts"]
        truth = rehearsal.exchange.book("BTCUSDT")
        bids, asks = rebuilt(frames)
        assert bids == list(truth.bids[:depth])
        assert asks == list(truth.asks[:depth])
        # Who comes later holds the same book and goes on with the same numbers.
        async with rehearsal.public(topic) as later:
            await moved(rehearsal, later, 0.5)
            assert rebuilt(later.pushed(topic)) == (
                list(rehearsal.exchange.book("BTCUSDT").bids[:depth]),
                list(rehearsal.exchange.book("BTCUSDT").asks[:depth]),
            )
            assert later.pushed(topic)[0]["data"]["u"] == frames[-1]["data"]["u"]


async def test_a_lost_delta_leaves_a_gap_in_the_numbers(rehearsal):
    topic = "orderbook.50.ETHUSDT"
    async with rehearsal.public(topic) as stream:
        await moved(rehearsal, stream, 0.5)
        rehearsal.floor.faults.add(Fault(kind=FaultKind.GAP_BOOKS), "ETHUSDT")
        await moved(rehearsal, stream, 1)
        numbers = [frame["data"]["u"] for frame in stream.pushed(topic)]
        steps = [after - before for before, after in itertools.pairwise(numbers)]
        assert sorted(set(steps)) == [1, 2]
        assert steps.count(2) == 1


async def test_level_one_is_replaced_whole_and_repeated_when_still(rehearsal):
    topic = "orderbook.1.BTCUSDT"
    async with rehearsal.public(topic) as stream:
        rehearsal.floor.faults.add(
            Fault(kind=FaultKind.FREEZE_BOOK, duration_seconds=8.0), "BTCUSDT"
        )
        await moved(rehearsal, stream, 7)
        rehearsal.floor.faults.clear()
        frames = stream.pushed(topic)
        assert {frame["type"] for frame in frames} == {"snapshot"}
        assert list(frames[0]) == ["topic", "ts", "type", "data", "cts"]
        assert [len(frame["data"]["b"]) for frame in frames] == [1] * len(frames)
        assert frames[-1]["data"] == frames[-2]["data"]
        assert frames[-1]["ts"] - frames[-2]["ts"] >= 3_000


async def test_tickers_come_whole_and_then_as_changes(rehearsal):
    async with rehearsal.public("tickers.BTCUSDT") as stream:
        await moved(rehearsal, stream)
        first, *later = stream.pushed("tickers.BTCUSDT")
        assert first["type"] == "snapshot"
        assert {"openInterestValue", "fundingRate", "bid1Price"} <= first["data"].keys()
        assert {frame["type"] for frame in later} == {"delta"}
        merged = dict(first["data"])
        for frame in later:
            assert len(frame["data"]) < len(first["data"])
            merged |= frame["data"]
        assert Decimal(merged["markPrice"]) == rehearsal.exchange.mark("BTCUSDT")
        best = rehearsal.exchange.book("BTCUSDT").bids[0]
        assert (Decimal(merged["bid1Price"]), Decimal(merged["bid1Size"])) == best


async def test_trades_and_bars_are_pushed(rehearsal):
    async with rehearsal.public("publicTrade.BTCUSDT", "kline.1.BTCUSDT") as stream:
        await moved(rehearsal, stream, 3)
        trades, bars = stream.rows("publicTrade.BTCUSDT"), stream.rows("kline.1.BTCUSDT")
        assert Decimal(trades[-1]["p"]) == rehearsal.exchange.last("BTCUSDT")
        assert [each["seq"] for each in trades] == sorted({each["seq"] for each in trades})
        assert Decimal(bars[-1]["close"]) == rehearsal.exchange.last("BTCUSDT")
        assert bars[-1]["end"] - bars[-1]["start"] == 59_999
        assert bars[-1]["confirm"] is False


async def test_pings_are_answered_in_each_streams_words(rehearsal):
    answers = {}
    for path in ("/v5/public/linear", "/v5/private", "/v5/trade"):
        async with rehearsal.stream(path) as stream:
            await stream.send({"op": "ping", "req_id": "7"})
            answers[path] = await stream.next()
    public, private, trade = answers.values()
    assert (public["success"], public["ret_msg"], public["op"], public["req_id"]) == (
        True, "pong", "ping", "7",
    )  # fmt: skip
    assert (private["op"], private["req_id"]) == ("pong", "7")
    assert private["args"][0].isdigit()
    assert (trade["op"], trade["retCode"]) == ("pong", 0)


async def test_wrong_topics_and_repetitions_are_refused_whole(rehearsal):
    async with rehearsal.public("orderbook.50.BTCUSDT") as stream:
        for wrong, words in (
            ("orderbook.500.BTCUSDT", "handler not found"),
            ("tickers.NOUSDT", "handler not found"),
            ("order", "handler not found"),
            ("orderbook.50.BTCUSDT", "already subscribed"),
        ):
            await stream.send(
                {"op": "subscribe", "req_id": wrong, "args": ["publicTrade.ETHUSDT", wrong]}
            )
            answer = await stream.until(lambda frame, wrong=wrong: frame.get("req_id") == wrong)
            assert answer["success"] is False
            assert words in answer["ret_msg"]
        await stream.send({"op": "unsubscribe", "args": ["orderbook.50.BTCUSDT"]})
        await stream.until(lambda frame: frame.get("op") == "unsubscribe")
        seen = len(stream.frames)
        await moved(rehearsal, stream, 1)
        assert stream.frames[seen:] == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"secret": "wrong"}, "sign"),
        ({"key": "wrong"}, "API key is invalid."),
        ({"expires_ms": 1}, "expires"),
    ],
)
async def test_a_stream_without_right_auth_hears_nothing(rehearsal, changed, words):
    async with rehearsal.stream("/v5/private") as stream:
        await stream.send(rehearsal.auth_frame(**changed))
        answer = await stream.next()
        assert answer["success"] is False
        assert words in answer["ret_msg"]
        await stream.send({"op": "subscribe", "args": ["order"]})
        assert (await stream.next())["ret_msg"] == "Request not authorized"


async def test_an_order_is_told_from_taken_to_filled(rehearsal):
    async with rehearsal.private(
        "order", "execution", "execution.fast", "position", "wallet"
    ) as stream:
        body = order(rehearsal, orderType="Market", orderLinkId="told", price=None)
        _, ack = await rehearsal.post("/v5/order/create", body)
        assert list(ack["result"]) == ["orderId", "orderLinkId"]
        await stream.settled()
        orders = stream.rows("order")
        assert orders[0]["orderStatus"] == "New"
        assert orders[-1]["orderStatus"] == "Filled"
        assert {row["orderId"] for row in orders} == {ack["result"]["orderId"]}
        fills = [each for each in rehearsal.fills if each.order_id == ack["result"]["orderId"]]
        executions = stream.rows("execution")
        assert [Decimal(row["execPrice"]) for row in executions] == [each.price for each in fills]
        assert [row["execId"] for row in stream.rows("execution.fast")] == [
            row["execId"] for row in executions
        ]
        position = stream.rows("position")[-1]
        held = rehearsal.account.positions["BTCUSDT"]
        assert (position["side"], Decimal(position["size"])) == ("Buy", held.quantity)
        assert Decimal(position["entryPrice"]) == held.entry_price
        wallet = stream.rows("wallet")[-1]
        assert Decimal(wallet["totalWalletBalance"]) == rehearsal.account.wallet_balance
        assert wallet["coin"][0]["coin"] == "USDT"


async def test_what_is_taken_may_still_be_canceled_by_the_venue(rehearsal):
    async with rehearsal.private("order.linear") as stream:
        body = order(rehearsal, timeInForce="PostOnly", price=far(rehearsal, "1.005"))
        _, ack = await rehearsal.post("/v5/order/create", body)
        assert ack["retCode"] == 0
        await stream.settled()
        last = stream.rows("order.linear")[-1]
        assert (last["orderStatus"], last["rejectReason"]) == (
            "Cancelled",
            "EC_PostOnlyWillTakeLiquidity",
        )


async def test_orders_by_the_trade_stream(rehearsal):
    header = {"X-BAPI-TIMESTAMP": str(int(time.time() * 1_000))}
    async with rehearsal.stream("/v5/trade") as stream:
        request = {
            "reqId": "a", "header": header, "op": "order.create",
            "args": [order(rehearsal, orderLinkId="by-stream")],
        }  # fmt: skip
        await stream.send(request)
        assert (await stream.next())["retCode"] == 10003
        await stream.send(rehearsal.auth_frame())
        assert (await stream.next())["retCode"] == 0
        await stream.send(request)
        answer = await stream.next()
        assert (answer["reqId"], answer["retCode"], answer["op"]) == ("a", 0, "order.create")
        assert answer["data"]["orderId"] == rehearsal.account.open_orders[0].order_id
        assert answer["header"]["X-Bapi-Limit"] == "10"
        await stream.send(request)
        assert (await stream.next())["retCode"] == 20006
        late = {"reqId": "b", "header": {"X-BAPI-TIMESTAMP": "1"}}
        await stream.send(request | late)
        assert (await stream.next())["retCode"] == 10002
        named = {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "by-stream"}
        await stream.send(
            request | {"reqId": "c", "op": "order.amend", "args": [named | {"qty": "0.02"}]}
        )
        assert (await stream.next())["retCode"] == 0
        assert rehearsal.account.open_orders[0].quantity == Decimal("0.02")
        await stream.send(request | {"reqId": "d", "op": "order.cancel", "args": [named]})
        assert (await stream.next())["retCode"] == 0
        assert rehearsal.account.open_orders == ()
        await stream.send(request | {"reqId": "e", "op": "order.move"})
        assert (await stream.next())["retCode"] == 10404


async def test_ccxt_streams_book_orders_and_fills(rehearsal):
    client = rehearsal.client(streaming_bybit)
    await client.load_markets()
    book = await client.watch_order_book(BTC, 50)
    assert Decimal(str(book["bids"][0][0])) == rehearsal.exchange.book("BTCUSDT").bids[0][0]
    orders = asyncio.ensure_future(client.watch_orders())
    fills = asyncio.ensure_future(client.watch_my_trades())
    ticker = await client.watch_ticker(BTC)
    assert Decimal(str(ticker["markPrice"])) == rehearsal.exchange.mark("BTCUSDT")
    # Nothing tells a ccxt client when its private topics are subscribed.
    await asyncio.sleep(0.3)
    placed = await client.create_order_ws(BTC, "market", "buy", 0.01)
    (told, *_) = await asyncio.wait_for(orders, 5)
    (filled, *_) = await asyncio.wait_for(fills, 5)
    assert told["id"] == filled["order"] == placed["id"] == rehearsal.fills[-1].order_id
    assert Decimal(str(filled["price"])) == rehearsal.fills[-1].price
