import asyncio
from decimal import Decimal

import pytest
from aiohttp import web

from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    StampRefused,
    StartRefused,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.venues.throttle import Lane

CREATE = "/v5/order/create"
TIME = "/v5/market/time"


def instrument_row(symbol, **changes):
    lots = {"qtyStep": "0.1", "minOrderQty": "0.1", "maxOrderQty": "100", "maxMktOrderQty": "10"}
    row = {
        "symbol": symbol,
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "priceFilter": {"tickSize": "0.01"},
        "lotSizeFilter": lots,
    }
    return row | changes


def refusal(code, words="no"):
    return {"retCode": code, "retMsg": words, "result": {}, "retExtInfo": {}, "time": 1}


def listed(*rows, cursor=""):
    return {
        "retCode": 0,
        "retMsg": "OK",
        "time": 7,
        "result": {"list": list(rows), "nextPageCursor": cursor},
    }


async def test_an_increase_is_sent_digit_for_digit_and_lives_as_long_as_its_approval(
    venue, stub, journal_order
):
    order = await journal_order(quantity="0.0129", price="100000.1")
    update = await venue.submit(order)
    assert stub.sent(CREATE) == [
        {
            "category": "linear",
            "symbol": "BTCUSDT",
            "side": "Buy",
            "orderType": "Limit",
            "qty": "0.012",
            "price": "100000.1",
            "timeInForce": "IOC",
            "positionIdx": 0,
            "reduceOnly": False,
            "orderLinkId": order.intent.client_order_id,
            # Ours would trade with ours otherwise, unlike at other venues.
            "smpType": "CancelMaker",
        }
    ]
    (headers,) = stub.headers(CREATE)
    assert 1 <= int(headers["X-BAPI-RECV-WINDOW"]) <= 2_000
    assert (update.state, update.venue_order_id) == (OrderState.ACCEPTED, "venue-1")


async def test_a_reduction_at_market_has_the_usual_window(venue, stub, journal_order):
    await venue.submit(
        await journal_order(quantity="0.5", side=Side.SELL, price=None, reduce_only=True)
    )
    (fields,) = stub.sent(CREATE)
    assert (fields["orderType"], fields["timeInForce"], fields["reduceOnly"]) == (
        "Market",
        "IOC",
        True,
    )
    assert "price" not in fields
    assert stub.headers(CREATE)[0]["X-BAPI-RECV-WINDOW"] == "5000"
    assert venue.reduction_valid_ns == 5_000 * NS_PER_MS


async def test_a_post_only_order_says_so(venue, stub, journal_order):
    await venue.submit(await journal_order(quantity="0.5", post_only=True))
    assert stub.sent(CREATE)[0]["timeInForce"] == "PostOnly"


async def test_stamps_are_made_with_the_venues_clock(venue, stub, clock, journal_order):
    stub.ahead_ns = 90 * NS_PER_SECOND
    assert await venue.clock_offset_ns() == pytest.approx(90 * NS_PER_SECOND, abs=NS_PER_SECOND)
    await venue.submit(await journal_order(quantity="0.5"))
    stamp_ms = int(stub.headers(CREATE)[0]["X-BAPI-TIMESTAMP"])
    assert stamp_ms * NS_PER_MS - clock.now_ns() == pytest.approx(
        90 * NS_PER_SECOND, abs=2 * NS_PER_SECOND
    )


@pytest.mark.parametrize("closed", [(), (Lane.READS,)])
async def test_a_reduction_refused_for_the_clock_can_go_out_with_the_clock_measured_anew(
    venue, stub, journal_order, closed
):
    venue._opened.lanes.close(30, *closed)
    answers = [refusal(10002, "time window"), None]

    def create(fields):
        answer = answers.pop(0)
        return answer or {
            "retCode": 0,
            "result": {"orderId": "9", "orderLinkId": fields["orderLinkId"]},
        }

    stub.answers[CREATE] = create
    stub.ahead_ns = 30 * NS_PER_SECOND
    order = await journal_order(quantity="0.5", side=Side.SELL, price=None, reduce_only=True)
    async with asyncio.timeout(5):
        with pytest.raises(StampRefused):
            await venue.submit(order)
        assert (await venue.submit(order)).venue_order_id == "9"
    first, second = stub.headers(CREATE)
    moved_ms = int(second["X-BAPI-TIMESTAMP"]) - int(first["X-BAPI-TIMESTAMP"])
    assert moved_ms == pytest.approx(30_000, abs=2_000)
    assert len({fields["orderLinkId"] for fields in stub.sent(CREATE)}) == 1


@pytest.mark.parametrize("result", [{}, {"timeNano": ""}, {"timeNano": None}, {"timeNano": []}])
async def test_an_answer_that_is_no_time_is_none(venue, stub, result):
    stub.answers[TIME] = lambda _fields: {"retCode": 0, "result": result}
    before = venue.offset_ns
    with pytest.raises(VenueUnreachable, match="no time"):
        await venue.clock_offset_ns()
    assert venue.offset_ns == before


async def test_an_increase_refused_for_the_clock_is_not_sent_again(venue, stub, journal_order):
    stub.answers[CREATE] = refusal(10002, "time window")
    with pytest.raises(VenueRejected) as refused:
        await venue.submit(await journal_order(quantity="0.5"))
    assert refused.value.code == "10002"
    assert len(stub.sent(CREATE)) == 1


@pytest.mark.parametrize("timeout_ms", [600])
@pytest.mark.parametrize("reduce_only", [False, True])
async def test_a_timeout_is_unknown_and_sent_once(venue, stub, journal_order, reduce_only):
    async def never(_fields):
        await asyncio.sleep(1.5)
        return web.Response(text="")

    stub.answers[CREATE] = never
    with pytest.raises(OutcomeUnknown):
        await venue.submit(await journal_order(quantity="0.5", reduce_only=reduce_only))
    assert len(stub.sent(CREATE)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        refusal(10000, "Server Timeout"),
        refusal(10016, "Server error"),
        refusal(10014, "Invalid duplicate request"),
        refusal(424242, "a code of tomorrow"),
        web.Response(text="<html>gateway</html>", content_type="text/html"),
        web.Response(text=""),
        {"retCode": 0, "result": {}},
        {"retCode": 0, "result": {"orderId": "1", "orderLinkId": "another"}},
        {"retCode": 0, "result": None},
        {"something": "else"},
    ],
    ids=lambda answer: str(answer)[:40],
)
async def test_an_answer_that_names_no_order_is_unknown(venue, stub, journal_order, answer):
    def create(_fields):
        if isinstance(answer, web.Response):
            return web.Response(text=answer.text, content_type=answer.content_type)
        return answer

    stub.answers[CREATE] = create
    with pytest.raises(OutcomeUnknown):
        await venue.submit(await journal_order(quantity="0.5"))
    assert len(stub.sent(CREATE)) == 1


@pytest.mark.parametrize(
    ("code", "kind"),
    [(110007, VenueRejected), (110017, PositionDoubtful)],
)
async def test_a_refusal_is_one(venue, stub, journal_order, code, kind):
    stub.answers[CREATE] = refusal(code)
    with pytest.raises(VenueRejected) as refused:
        await venue.submit(await journal_order(quantity="0.5"))
    assert (type(refused.value), refused.value.code) == (kind, str(code))


async def test_an_address_turned_away_at_the_gate_placed_nothing(venue, stub, journal_order):
    stub.answers[CREATE] = lambda _: web.Response(status=403, text="access too frequent")
    with pytest.raises(VenueUnreachable):
        await venue.submit(await journal_order(quantity="0.5"))


async def test_less_than_the_smallest_order_is_refused_here(venue, stub, journal_order):
    with pytest.raises(VenueRejected) as refused:
        await venue.submit(await journal_order(quantity="0.0004"))
    assert refused.value.code == "BELOW_LOT_SIZE"
    assert stub.sent(CREATE) == []


@pytest.mark.parametrize("code", [110001, 110008, 110010])
async def test_a_cancel_of_what_is_over_is_no_error(venue, stub, code):
    stub.answers["/v5/order/cancel"] = refusal(code)
    await venue.cancel("BTCUSDT", "cp1")
    assert stub.sent("/v5/order/cancel") == [
        {"category": "linear", "symbol": "BTCUSDT", "orderLinkId": "cp1"}
    ]


async def test_leverage_that_is_so_already_is_no_error(venue, stub):
    stub.answers["/v5/position/set-leverage"] = refusal(110043, "leverage not modified")
    await venue.set_leverage("BTCUSDT", Decimal("3.0"))
    (fields,) = stub.sent("/v5/position/set-leverage")
    assert (fields["buyLeverage"], fields["sellLeverage"]) == ("3", "3")
    stub.answers["/v5/position/set-leverage"] = refusal(110013, "risk limit")
    with pytest.raises(VenueRejected):
        await venue.set_leverage("BTCUSDT", Decimal(3))


async def test_there_is_no_switch_and_nothing_is_asked(venue, stub):
    before = len(stub.requests)
    assert await venue.arm_dead_man(30) is False
    assert len(stub.requests) == before


async def test_only_perpetuals_of_the_settlement_currency_are_known(venue, stub):
    assert venue.venue_symbol("ETHUSDT") == "ETHUSDT"
    assert venue.contract_size("ETHUSDT") == 1
    for name in ("BTCPERP", "BTC-27MAR26", "NEWUSDT"):
        with pytest.raises(StartRefused, match=name):
            venue.venue_symbol(name)


async def test_a_market_that_is_closed_is_asked_for_by_name(venue, stub):
    stub.listed[1]["status"] = "Closed"
    stub.listed.append(instrument_row("XRPUSDT", deliveryTime="4102444800000"))
    stub.listed.append(instrument_row("SOLUSDT", status="PreLaunch", deliveryTime="0"))
    names = ["BTCUSDT", "XRPUSDT", "SOLUSDT", "ETHUSDT", "GONEUSDT"]
    assert await venue.instrument_states(names) == {
        "BTCUSDT": InstrumentState.LIVE,
        "XRPUSDT": InstrumentState.CLOSING,
        "SOLUSDT": InstrumentState.POST_ONLY,
        "ETHUSDT": InstrumentState.SUSPENDED,
        "GONEUSDT": InstrumentState.DELISTED,
    }


def position_row(symbol, side, size, **changes):
    row = {
        "symbol": symbol,
        "side": side,
        "size": size,
        "positionIdx": 0,
        "avgPrice": "100.5",
        "liqPrice": "",
        "unrealisedPnl": "-1.5",
        "updatedTime": "5",
        "adlRankIndicator": 2,
    }
    return row | changes


WALLET = {
    "totalAvailableBalance": "900",
    "totalInitialMargin": "",
    "totalMaintenanceMargin": "1.5",
    "coin": [{"coin": "USDT", "equity": "1000.5", "walletBalance": "1002"}],
}


async def test_the_account_is_read_page_by_page(venue, stub):
    def positions(fields):
        if fields.get("settleCoin") != "USDT":
            return listed()
        if "cursor" in fields:
            return listed(position_row("ETHUSDT", "Sell", "0.5"))
        flat = position_row("XRPUSDT", "", "0", avgPrice="")
        return listed(position_row("BTCUSDT", "Buy", "2"), flat, cursor="more")

    stub.answers["/v5/position/list"] = positions
    stub.answers["/v5/account/wallet-balance"] = listed(WALLET)
    order = {
        "symbol": "BTCUSDT",
        "orderId": "o1",
        "orderLinkId": "cp1",
        "side": "Buy",
        "qty": "3",
        "cumExecQty": "1",
        "price": "99.5",
        "avgPrice": "",
        "orderType": "Limit",
        "orderStatus": "PartiallyFilled",
        "reduceOnly": True,
    }
    waiting = order | {"orderId": "o2", "orderStatus": "Untriggered", "triggerPrice": "90"}
    stub.answers["/v5/order/realtime"] = listed(order, waiting)
    snapshot = await venue.account()
    assert snapshot.account_id == "4242"
    assert (snapshot.balance.wallet_balance, snapshot.balance.equity) == (1002, Decimal("1000.5"))
    assert (snapshot.balance.available_margin, snapshot.balance.initial_margin) == (900, None)
    assert snapshot.event_ns == 7 * NS_PER_MS
    held = {each.instrument_id: each.quantity for each in snapshot.positions}
    assert held == {"BTCUSDT": Decimal(2), "ETHUSDT": Decimal("-0.5")}
    assert snapshot.positions[0].adl_rank == 2
    (open_order,) = snapshot.open_orders
    assert (open_order.client_order_id, open_order.remaining) == ("cp1", 2)
    assert (open_order.price_limit, open_order.reduce_only) == (Decimal("99.5"), True)


async def test_positions_without_a_balance_are_half_an_answer(venue, stub):
    def positions(fields):
        held = fields.get("settleCoin") == "USDT"
        return listed(position_row("BTCUSDT", "Buy", "1")) if held else listed()

    stub.answers["/v5/position/list"] = positions
    stub.answers["/v5/account/wallet-balance"] = listed(WALLET | {"coin": []})
    with pytest.raises(VenueUnreachable, match="positions and no balance in USDT"):
        await venue.account()
    stub.answers["/v5/position/list"] = listed()
    assert (await venue.account()).balance.wallet_balance == 0


@pytest.mark.parametrize("where", [{"settleCoin": "USDC"}, {"category": "inverse"}])
async def test_a_position_elsewhere_in_the_account_is_refused(venue, stub, where):
    def positions(fields):
        found = where.items() <= fields.items()
        return listed(position_row("BTCUSD", "Buy", "100")) if found else listed()

    stub.answers["/v5/position/list"] = positions
    stub.answers["/v5/account/wallet-balance"] = listed(WALLET)
    with pytest.raises(VenueRejected) as refused:
        await venue.account()
    assert refused.value.code == "FOREIGN_POSITION"


async def test_both_sides_of_one_instrument_are_refused(venue, stub):
    def positions(fields):
        if fields.get("settleCoin") != "USDT":
            return listed()
        return listed(
            position_row("BTCUSDT", "Buy", "1", positionIdx=1),
            position_row("BTCUSDT", "Sell", "1", positionIdx=2),
        )

    stub.answers["/v5/position/list"] = positions
    stub.answers["/v5/account/wallet-balance"] = listed(WALLET)
    with pytest.raises(VenueRejected) as refused:
        await venue.account()
    assert refused.value.code == "NOT_ONE_WAY"


def execution(number, ms, **changes):
    row = {
        "symbol": "BTCUSDT",
        "orderId": "o1",
        "orderLinkId": "cp1",
        "execId": f"e{number}",
        "execType": "Trade",
        "side": "Buy",
        "execQty": "0.1",
        "execPrice": "100",
        "execFee": "0.0055",
        "execTime": str(ms),
        "isMaker": False,
    }
    return row | changes


async def test_executions_are_asked_for_week_by_week_and_only_trades_are_fills(venue, stub, clock):
    now_ms = clock.now_ns() // NS_PER_MS
    week_ms = 7 * 86_400_000
    since_ms = now_ms - 10 * 86_400_000

    def executions(fields):
        assert int(fields["endTime"]) - int(fields["startTime"]) <= week_ms
        if int(fields["startTime"]) > since_ms:
            return listed(execution(3, now_ms), execution(2, now_ms - 5, execType="Funding"))
        return listed(
            execution(1, since_ms, execType="AdlTrade", orderLinkId=""),
            execution(4, since_ms, execType="SomethingNew"),
        )

    stub.answers["/v5/execution/list"] = executions
    fills = await venue.fills_since(since_ms * NS_PER_MS)
    assert [(fill.fill_id, fill.client_order_id) for fill in fills] == [("e1", None), ("e3", "cp1")]
    assert len(stub.sent("/v5/execution/list")) == 2
    assert fills[1].fee == Decimal("0.0055")


def movement(number, kind, change, ms, **changes):
    row = {"id": number, "type": kind, "change": change, "transactionTime": str(ms)}
    return row | {"currency": "USDT", "symbol": ""} | changes


async def test_transfers_and_funding_are_told_apart(venue, stub, clock):
    now_ms = clock.now_ns() // NS_PER_MS
    rows = [
        movement("t1", "TRANSFER_IN", "250.5", now_ms - 30),
        movement("t2", "TRANSFER_OUT", "-40", now_ms - 20),
        movement("f1", "SETTLEMENT", "-0.25", now_ms - 10, symbol="BTCUSDT"),
    ]
    stub.answers["/v5/account/transaction-log"] = lambda fields: listed(
        *(row for row in rows if row["type"] == fields["type"])
    )
    since_ns = (now_ms - 60_000) * NS_PER_MS
    moved = await venue.transfers_since(since_ns)
    assert [(each.transfer_id, each.transfer) for each in moved] == [
        ("t1", Decimal("250.5")),
        ("t2", Decimal(-40)),
    ]
    (paid,) = await venue.funding_since(since_ns)
    assert (paid.instrument_id, paid.payment) == ("BTCUSDT", Decimal("-0.25"))


async def test_an_answer_that_cannot_be_read_is_no_answer(venue, stub):
    stub.answers["/v5/order/realtime"] = listed({"symbol": "BTCUSDT"})
    with pytest.raises(VenueUnreachable, match="cannot read"):
        await venue.find_order("BTCUSDT", "cp1")


async def test_a_wrong_key_refuses_the_start_with_the_remedy(venue, stub):
    stub.answers["/v5/user/query-api"] = refusal(10003, "API key is invalid.")
    with pytest.raises(StartRefused, match="testnet key"):
        await venue.open()
