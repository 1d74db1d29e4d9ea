"""Streams under their own paths, with real WebSocket clients: books, market, user data."""

import asyncio
from decimal import Decimal

import aiohttp

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.exchange.orders import NewOrder
from counterpoise.simulator.binance import sockets
from counterpoise.simulator.binance.numbers import UpdateNumbers
from counterpoise.simulator.faults import Fault, FaultKind

KEY_HEADERS = "X-MBX-APIKEY"


def order(side=Side.BUY, quantity="0.01", **more):
    fields = {
        "instrument_id": "BTCUSDT",
        "side": side,
        "quantity": Decimal(quantity),
        "kind": OrderKind.MARKET,
    }
    return NewOrder(**(fields | more))


async def asked(running, method, path):
    headers = {KEY_HEADERS: running.floor.credentials.api_key}
    address = f"http://127.0.0.1:{running.port}{path}"
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, address, headers=headers) as answer,
    ):
        return await answer.json()


def test_a_snapshot_lies_within_the_next_event():
    numbers = UpdateNumbers(1_000)
    for levels in (1, 3, 40):
        before = numbers.last("BTCUSDT")
        taken = numbers.snapshot("BTCUSDT")
        first, final = numbers.following("BTCUSDT", levels)
        assert before < first <= taken <= final
        assert first != before + 1


async def test_a_book_built_by_the_venues_rules_stays_the_venues(running, stream):
    async with stream("public/ws") as socket:
        assert await socket.ask("SUBSCRIBE", "btcusdt@depth@100ms") == {"result": None, "id": 1}
        first = await socket.event("depthUpdate")
        snapshot = await asked(running, "GET", "/fapi/v1/depth?symbol=BTCUSDT&limit=1000")
        sides = {
            name: {Decimal(price): Decimal(quantity) for price, quantity in snapshot[name]}
            for name in ("bids", "asks")
        }
        held_id, previous = snapshot["lastUpdateId"], None
        frame = first
        for _ in range(6):
            if frame["u"] >= held_id:
                if previous is None:
                    assert frame["U"] <= held_id <= frame["u"]
                else:
                    assert frame["pu"] == previous
                previous = frame["u"]
                for side, name in (("b", "bids"), ("a", "asks")):
                    prices = [Decimal(price) for price, _ in frame[side]]
                    assert prices == sorted(prices)
                    for price, quantity in frame[side]:
                        sides[name][Decimal(price)] = Decimal(quantity)
            frame = await socket.event("depthUpdate")
        assert (frame["s"], frame["ps"], frame["st"]) == ("BTCUSDT", "BTCUSDT", 1)
        assert previous is not None
        # What the stream has told up to here is what a new reader is given.
        while frame["u"] < running.wire._desk.numbers.last("BTCUSDT"):
            previous = _applied(sides, frame, previous)
            frame = await socket.event("depthUpdate")
        _applied(sides, frame, previous)
        book = running.venue.exchange.book("BTCUSDT")
        assert {price: held for price, held in sides["bids"].items() if held} == dict(book.bids)
        assert {price: held for price, held in sides["asks"].items() if held} == dict(book.asks)


def _applied(sides, frame, previous):
    assert frame["pu"] == previous
    for side, name in (("b", "bids"), ("a", "asks")):
        for price, quantity in frame[side]:
            sides[name][Decimal(price)] = Decimal(quantity)
    return frame["u"]


async def test_slower_books_merge_and_keep_their_own_chain(stream):
    names = "btcusdt@depth@500ms/btcusdt@depth5@100ms/!bookTicker"
    async with stream(f"public/stream?streams={names}") as socket:
        merged = []
        while len(merged) < 2:
            frame = await socket.until(lambda each: each["stream"] == "btcusdt@depth@500ms")
            merged.append(frame["data"])
        assert merged[1]["pu"] == merged[0]["u"]
        assert merged[1]["T"] - merged[0]["T"] >= 500
        top = await socket.until(lambda each: each["stream"] == "btcusdt@depth5@100ms")
        assert (len(top["data"]["b"]), len(top["data"]["a"])) == (5, 5)
        best = await socket.until(lambda each: each["stream"] == "!bookTicker")
        assert Decimal(best["data"]["b"]) < Decimal(best["data"]["a"])


async def test_a_lost_book_update_breaks_the_chain(running, stream):
    async with stream("public/ws/btcusdt@depth@100ms") as socket:
        before = await socket.event("depthUpdate")
        running.floor.faults.add(Fault(kind=FaultKind.GAP_BOOKS, symbol="BTCUSDT"), "BTCUSDT")
        after = await socket.event("depthUpdate")
        while after["pu"] == before["u"]:
            before, after = after, await socket.event("depthUpdate")
        assert after["pu"] > before["u"]
        assert running.floor.faults.armed() == []


async def test_market_streams_in_one_combined_connection(running, stream):
    names = ["aggTrade", "markPrice@1s", "kline_1m", "miniTicker", "ticker"]
    path = "market/stream?streams=" + "/".join(f"btcusdt@{name}" for name in names)
    async with stream(path) as socket:
        running.venue.place("7", [order()])
        got = {}
        for name in names:
            frame = await socket.until(lambda each, n=name: each["stream"] == f"btcusdt@{n}")
            got[name] = frame["data"]
        fill = running.venue.exchange.fills("7", 0)[0]
        trade = got["aggTrade"]
        if trade["a"] != fill.trade_sequence:
            trade = (
                await socket.until(
                    lambda each: (
                        each["stream"] == "btcusdt@aggTrade"
                        and each["data"]["a"] == fill.trade_sequence
                    )
                )
            )["data"]
        assert (Decimal(trade["p"]), Decimal(trade["q"]), trade["m"]) == (
            fill.price,
            fill.quantity,
            False,
        )
        mark = got["markPrice@1s"]
        funding = running.venue.exchange.funding("BTCUSDT")
        assert (mark["e"], Decimal(mark["r"]), mark["T"]) == (
            "markPriceUpdate",
            funding.rate,
            funding.funding_ns // 1_000_000,
        )
        assert (got["kline_1m"]["k"]["i"], got["kline_1m"]["k"]["s"]) == ("1m", "BTCUSDT")
        assert got["miniTicker"]["e"] == "24hrMiniTicker"
        assert {"p", "P", "w", "Q", "O", "C", "n"} <= set(got["ticker"])


async def test_the_wrong_path_is_silence(running, stream):
    async with (
        stream("market/ws") as market,
        stream("public/ws/btcusdt@markPrice@1s") as public,
        stream("ws/btcusdt@depth@100ms") as legacy,
        stream("private/ws?listenKey=invented") as private,
    ):
        assert await market.ask("SUBSCRIBE", "btcusdt@depth@100ms") == {"result": None, "id": 1}
        listed = await market.ask("LIST_SUBSCRIPTIONS", number=2)
        assert listed["result"] == ["btcusdt@depth@100ms"]
        running.venue.place("7", [order()])
        quiet = await asyncio.gather(*(each.silent(1.2) for each in (market, public, legacy,
                                                                     private)))  # fmt: skip
        assert quiet == [True, True, True, True]
        unknown = await market.ask("SHOUT", number=3)
        assert unknown["error"]["code"] == 2


async def test_user_data_of_a_fill(running, stream):
    key = (await asked(running, "POST", "/fapi/v1/listenKey"))["listenKey"]
    async with (
        stream(f"private/ws?listenKey={key}") as socket,
        stream(f"private/stream?streams={key}&events=ORDER_TRADE_UPDATE") as narrow,
    ):
        running.venue.place("7", [order(client_order_id="u1")])
        new = await socket.event("ORDER_TRADE_UPDATE")
        assert (new["o"]["x"], new["o"]["X"], new["o"]["c"]) == ("NEW", "NEW", "u1")
        done = await socket.until(
            lambda each: each["e"] == "ORDER_TRADE_UPDATE" and each["o"]["X"] == "FILLED"
        )
        fill = running.venue.exchange.fills("7", 0)[-1]
        told = done["o"]
        assert (told["x"], told["t"], Decimal(told["L"]), Decimal(told["n"])) == (
            "TRADE",
            fill.trade_sequence,
            fill.price,
            fill.fee,
        )
        lite = await socket.event("TRADE_LITE")
        assert lite["i"] == told["i"]
        account = running.account()
        update = await socket.until(
            lambda each: (
                each["e"] == "ACCOUNT_UPDATE"
                and Decimal(each["a"]["B"][0]["wb"]) == account.wallet_balance
            )
        )
        assert update["a"]["m"] == "ORDER"
        (position,) = update["a"]["P"]
        assert (position["s"], position["pa"], position["ps"]) == ("BTCUSDT", "0.01", "BOTH")
        # The filter is strict: nothing but what it names.
        first = await narrow.until(bool)
        assert first["stream"] == key
        await narrow.until(lambda each: each["data"]["o"]["X"] == "FILLED")
        assert {each["data"]["e"] for each in narrow.frames} <= {"ORDER_TRADE_UPDATE"}


async def test_user_data_of_a_resting_order_and_an_unrecorded_one(running, stream):
    key = (await asked(running, "POST", "/fapi/v1/listenKey"))["listenKey"]
    book = running.venue.exchange.book("BTCUSDT")
    low = (book.bids[0][0] * Decimal("0.97")).quantize(Decimal("0.1"))
    limit = {"kind": OrderKind.LIMIT, "quantity": Decimal("0.001")}
    async with stream(f"private/ws/{key}") as socket:
        crossing = order(post_only=True, price_limit=book.asks[-1][0], **limit)
        (refused,) = running.venue.place("7", [crossing])
        resting = order(price_limit=low, client_order_id="r1", **limit)
        (placed,) = running.venue.place("7", [resting])
        running.venue.amend("7", placed.order_id, None, quantity=Decimal("0.002"), price_limit=low)
        running.venue.cancel("7", placed.order_id, None)
        told = [(await socket.event("ORDER_TRADE_UPDATE"))["o"] for _ in range(3)]
        assert [(each["x"], each["X"], each["q"]) for each in told] == [
            ("NEW", "NEW", "0.001"),
            ("AMENDMENT", "NEW", "0.002"),
            ("CANCELED", "CANCELED", "0.002"),
        ]
        assert {each["c"] for each in told} == {"r1"}
        assert refused.order_id not in {str(each["i"]) for each in told}


async def test_settings_liquidation_and_the_end_of_a_key(running, stream):
    key = (await asked(running, "POST", "/fapi/v1/listenKey"))["listenKey"]
    async with (
        stream(f"private/ws?listenKey={key}") as socket,
        stream("market/ws/!forceOrder@arr") as market,
    ):
        await asyncio.sleep(0.3)
        running.venue.set_leverage("7", "BTCUSDT", Decimal(50))
        setting = await socket.event("ACCOUNT_CONFIG_UPDATE")
        assert setting["ac"] == {"s": "BTCUSDT", "l": 50}
        (placed,) = running.venue.place("7", [order(quantity="9")])
        assert placed.quantity == 9, placed
        running.venue.shock("BTCUSDT", -0.15, 0.1)
        closed = await socket.until(
            lambda each: each["e"] == "ORDER_TRADE_UPDATE" and each["o"]["x"] == "CALCULATED", 8
        )
        assert closed["o"]["c"].startswith("autoclose-")
        assert (closed["o"]["o"], closed["o"]["f"], closed["o"]["S"]) == ("LIMIT", "IOC", "SELL")
        forced = await market.event("forceOrder")
        assert (forced["o"]["s"], forced["o"]["S"]) == ("BTCUSDT", "SELL")
        running.wire._desk.listen_keys.expire()
        ended = await socket.event("listenKeyExpired")
        assert ended["listenKey"] == key
        socket.frames.clear()
        running.venue.place("7", [order(quantity="0.001")])
        assert await socket.silent(0.3)


async def test_too_many_frames_end_a_connection(stream):
    async with stream("public/ws") as socket:
        for number in range(sockets.INCOMING_PER_SECOND_MAX * 2 + 1):
            await socket.socket.send(
                f'{{"method":"GET_PROPERTY","params":["combined"],"id":{number}}}'
            )
        await socket.socket.wait_closed()
        assert socket.socket.close_code == 1008


async def test_pings_and_the_end_of_the_day(running, stream, monkeypatch):
    async with stream("public/ws") as pinged:
        session = next(iter(running.wire._sessions._sessions))
        session.pinged -= sockets.PING_SECONDS
        await asyncio.sleep(0.2)
        assert session.pinged > session.opened
        session.opened -= sockets.LIFETIME_SECONDS
        await asyncio.wait_for(pinged.socket.wait_closed(), 3)
        assert pinged.socket.close_code == 1001


async def test_troubles_in_the_venues_words(running):
    from counterpoise.simulator.wire import Trouble

    def made(trouble):
        answer = running.wire.trouble(trouble, None, seconds=30)
        return answer.status, answer.text

    assert made(Trouble.UNKNOWN_OUTCOME)[0] == 408
    assert '"code":-1007' in made(Trouble.UNKNOWN_OUTCOME)[1]
    assert made(Trouble.UNAVAILABLE) == (503, "Service Unavailable.")
    assert made(Trouble.RATE_LIMITED)[0] == 429
    assert made(Trouble.BANNED)[0] == 418
    assert made(Trouble.MAINTENANCE)[0] == 503
    assert running.wire.instrument_of("btcusdt") == "BTCUSDT"
    assert running.wire.instrument_of("BTC-USDT-SWAP") is None
