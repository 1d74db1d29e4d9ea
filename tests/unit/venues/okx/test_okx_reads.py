import time
from decimal import Decimal

import pytest
from aiohttp import web

from counterpoise.domain.account import OpenOrder, Position
from counterpoise.domain.errors import StartRefused, VenueRejected, VenueUnreachable
from counterpoise.domain.orders import Liquidity, OrderState, Side
from counterpoise.domain.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND
from counterpoise.venues.okx import attest

POSITIONS = "/api/v5/account/positions"
BALANCE = "/api/v5/account/balance"
PENDING = "/api/v5/trade/orders-pending"

BALANCE_ROW = {
    "uTime": "1744499648556",
    "details": [
        {"ccy": "BTC", "eq": "1", "cashBal": "1", "uTime": "5"},
        {
            "ccy": "USDT",
            "eq": "99.5",
            "cashBal": "100.25",
            "availEq": "90",
            "imr": "9",
            "mmr": "",
            "uTime": "1744498994783",
        },
    ],
}

POSITION_ROW = {
    "instId": "ETH-USDT-SWAP",
    "instType": "SWAP",
    "mgnMode": "cross",
    "posSide": "net",
    "pos": "-12.5",
    "avgPx": "2500.5",
    "upl": "-3.25",
    "liqPx": "",
    "uTime": "1744498994000",
}

ORDER_ROW = {
    "instId": "BTC-USDT-SWAP",
    "ordId": "9",
    "clOrdId": "cpx",
    "state": "partially_filled",
    "side": "sell",
    "sz": "3",
    "accFillSz": "1.5",
    "avgPx": "101",
    "ordType": "limit",
    "px": "101.5",
    "reduceOnly": "true",
    "uTime": "1744498994001",
    "cTime": "1",
}


async def test_the_account_in_base_units(venue, stub):
    stub.rows |= {
        BALANCE: [BALANCE_ROW],
        POSITIONS: [POSITION_ROW, POSITION_ROW | {"instId": "BTC-USDT-SWAP", "pos": "0"}],
        PENDING: [ORDER_ROW],
    }
    snapshot = await venue.account()
    assert snapshot.account_id == "4242"
    assert snapshot.event_ns == 1744499648556 * NS_PER_MS
    balance = snapshot.balance
    assert (balance.wallet_balance, balance.equity) == (Decimal("100.25"), Decimal("99.5"))
    assert (balance.available_margin, balance.initial_margin) == (90, 9)
    assert balance.maintenance_margin is None
    assert snapshot.positions == (
        Position(
            instrument_id="ETHUSDT",
            quantity=Decimal("-1.25"),
            entry_price=Decimal("2500.5"),
            unrealised_pnl=Decimal("-3.25"),
            liquidation_price=None,
            event_ns=1744498994000 * NS_PER_MS,
        ),
    )
    assert snapshot.open_orders == (
        OpenOrder(
            client_order_id="cpx",
            venue_order_id="9",
            instrument_id="BTCUSDT",
            side=Side.SELL,
            quantity=Decimal("0.03"),
            filled_quantity=Decimal("0.015"),
            price_limit=Decimal("101.5"),
            reduce_only=True,
            state=OrderState.PARTIALLY_FILLED,
        ),
    )


async def test_an_account_that_never_held_the_currency_has_nothing(venue, stub):
    stub.rows[BALANCE] = [{"uTime": "7", "details": []}]
    balance = (await venue.account()).balance
    assert (balance.equity, balance.wallet_balance, balance.event_ns) == (0, 0, 7 * NS_PER_MS)


async def test_positions_without_a_balance_are_half_an_answer(venue, stub):
    stub.rows |= {BALANCE: [{"uTime": "7", "details": []}], POSITIONS: [POSITION_ROW]}
    with pytest.raises(VenueUnreachable, match="positions and no balance in USDT"):
        await venue.account()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"instId": "BTC-USD-SWAP"}, "FOREIGN_POSITION"),
        ({"instId": "BTC-USDT-250627", "instType": "FUTURES"}, "FOREIGN_POSITION"),
    ],
)
async def test_exposure_that_cannot_be_counted_is_not_hidden(venue, stub, changes, code):
    stub.rows |= {BALANCE: [BALANCE_ROW], POSITIONS: [POSITION_ROW | changes]}
    with pytest.raises(VenueRejected) as refusal:
        await venue.account()
    assert refusal.value.code == code


async def test_both_sides_of_one_instrument_are_not_one_way(venue, stub):
    both = [POSITION_ROW | {"posSide": side, "pos": "1"} for side in ("long", "short")]
    stub.rows |= {BALANCE: [BALANCE_ROW], POSITIONS: both}
    with pytest.raises(VenueRejected) as refusal:
        await venue.account()
    assert refusal.value.code == "NOT_ONE_WAY"


async def test_a_row_without_its_fields_is_no_answer(venue, stub):
    stub.rows |= {BALANCE: [{"details": []}]}
    with pytest.raises(VenueUnreachable, match="cannot read"):
        await venue.account()


async def test_open_orders_are_read_page_by_page(venue, stub):
    rows = [ORDER_ROW | {"ordId": str(1000 - n), "clOrdId": f"cp{n}"} for n in range(130)]
    stub.rows[BALANCE] = [BALANCE_ROW]

    async def pending(request, query):
        newer = [
            row for row in rows if "after" not in query or int(row["ordId"]) < int(query["after"])
        ]
        return web.json_response({"code": "0", "msg": "", "data": newer[: int(query["limit"])]})

    stub.answers[PENDING] = pending
    found = (await venue.account()).open_orders
    assert {order.venue_order_id for order in found} == {str(1000 - n) for n in range(130)}


async def test_an_order_is_found_by_our_id(venue, stub):
    stub.rows["/api/v5/trade/order"] = [ORDER_ROW | {"state": "canceled", "cancelSource": "14"}]
    update = await venue.find_order("BTCUSDT", "cpx")
    assert update is not None
    assert (update.state, update.filled_quantity, update.average_price) == (
        OrderState.CANCELED,
        Decimal("0.015"),
        101,
    )
    assert (update.message, update.order) == ("cancelSource 14", None)
    assert stub.sent("/api/v5/trade/order") == [{"instId": "BTC-USDT-SWAP", "clOrdId": "cpx"}]


async def test_an_order_the_venue_does_not_know(venue, stub):
    async def unknown(request, query):
        return web.json_response({"code": "51603", "msg": "Order does not exist", "data": []})

    stub.answers["/api/v5/trade/order"] = unknown
    assert await venue.find_order("BTCUSDT", "cpx") is None


@pytest.mark.parametrize(
    ("code", "expected"),
    [("51001", VenueRejected), ("50011", VenueUnreachable), ("50026", VenueUnreachable)],
)
async def test_any_other_refusal_is_no_evidence_of_absence(venue, stub, code, expected):
    async def refuse(request, query):
        return web.json_response({"code": code, "msg": "no", "data": []})

    stub.answers["/api/v5/trade/order"] = refuse
    with pytest.raises(expected):
        await venue.find_order("BTCUSDT", "cpx")


async def test_an_answer_about_another_order_is_no_evidence(venue, stub):
    stub.rows["/api/v5/trade/order"] = [ORDER_ROW]
    assert await venue.find_order("BTCUSDT", "cpother") is None


async def test_an_order_state_we_do_not_know_is_no_answer(venue, stub):
    stub.rows["/api/v5/trade/order"] = [ORDER_ROW | {"state": "paused"}]
    with pytest.raises(VenueUnreachable, match="paused"):
        await venue.find_order("BTCUSDT", "cpx")


def fill_row(number, event_ms, **changes):
    return {
        "instId": "BTC-USDT-SWAP",
        "tradeId": str(number),
        "ordId": "9",
        "billId": str(5000 + number),
        "clOrdId": "cpx",
        "fillPx": "100",
        "fillSz": "2",
        "side": "buy",
        "execType": "T",
        "fee": "-0.01",
        "feeCcy": "USDT",
        "fillPnl": "1.5",
        "ts": str(event_ms + 5),
        "fillTime": str(event_ms),
    } | changes


async def test_fills_are_read_from_both_lists_once_and_in_order(venue, stub):
    now_ms = time.time_ns() // NS_PER_MS
    since_ms = now_ms - 5 * NS_PER_DAY // NS_PER_MS
    recent = [fill_row(11, now_ms - 10), fill_row(10, now_ms - 20), fill_row(9, now_ms - 20)]
    older = [
        fill_row(9, now_ms - 20),
        fill_row(3, since_ms + 1, instId="ETH-USDT-SWAP", execType="M", fee="0.002", side="sell"),
        fill_row(2, since_ms - 1),
        fill_row(4, now_ms, execType="X"),
        fill_row(5, now_ms, instId="BTC-USD-SWAP"),
    ]
    stub.rows["/api/v5/trade/fills"] = recent
    stub.rows["/api/v5/trade/fills-history"] = older
    fills = await venue.fills_since(since_ms * NS_PER_MS)
    assert [fill.fill_id for fill in fills] == ["3", "9", "10", "11"]
    first, last = fills[0], fills[-1]
    assert (first.instrument_id, first.signed_quantity, first.fee, first.liquidity) == (
        "ETHUSDT",
        Decimal("-0.2"),
        Decimal("-0.002"),
        Liquidity.MAKER,
    )
    assert (last.quantity, last.fee, last.fee_currency, last.realised_pnl) == (
        Decimal("0.02"),
        Decimal("0.01"),
        "USDT",
        Decimal("1.5"),
    )
    assert last.event_ns == (now_ms - 10) * NS_PER_MS


async def test_recent_fills_do_not_ask_the_history(venue, stub):
    await venue.fills_since(time.time_ns() - NS_PER_HOUR)
    assert stub.sent("/api/v5/trade/fills-history") == []


async def test_an_execution_of_a_stop_is_named_once_okx_answers_for_its_order(venue, stub):
    known = []

    async def order(_request, _body):
        if not known:
            return web.json_response({"code": "51603", "msg": "Order does not exist", "data": []})
        row = ORDER_ROW | {"clOrdId": "", "algoClOrdId": "cpstop"}
        return web.json_response({"code": "0", "msg": "", "data": [row]})

    stub.answers["/api/v5/trade/order"] = order
    now_ms = time.time_ns() // NS_PER_MS
    stub.rows["/api/v5/trade/fills"] = [fill_row(11, now_ms, clOrdId="")]
    since_ns = time.time_ns() - NS_PER_HOUR
    assert [fill.client_order_id for fill in await venue.fills_since(since_ns)] == [None]
    known.append(True)
    assert [fill.client_order_id for fill in await venue.fills_since(since_ns)] == ["cpstop"]
    await venue.fills_since(since_ns)
    assert len(stub.sent("/api/v5/trade/order")) == 2


async def test_funding_payments(venue, stub):
    stub.rows["/api/v5/account/bills"] = [
        {"billId": "2", "instId": "BTC-USDT-SWAP", "balChg": "-0.5", "ts": "2000"},
        {"billId": "1", "instId": "ETH-USDT-SWAP", "balChg": "0.25", "ts": "1000"},
    ]
    paid = await venue.funding_since(time.time_ns() - 5 * NS_PER_DAY)
    assert stub.sent("/api/v5/account/bills-archive") == []
    assert [(each.payment_id, each.instrument_id, each.payment) for each in paid] == [
        ("1", "ETHUSDT", Decimal("0.25")),
        ("2", "BTCUSDT", Decimal("-0.5")),
    ]


@pytest.mark.parametrize("what", ["funding", "transfers"])
async def test_payments_of_longer_ago_than_a_week_are_in_the_archive(venue, stub, what):
    since_ns = time.time_ns() - 9 * NS_PER_DAY
    row = {"instId": "BTC-USDT-SWAP", "balChg": "-0.5", "ts": "1000", "ccy": "USDT"}
    stub.rows["/api/v5/account/bills"] = [row | {"billId": "2"}]
    stub.rows["/api/v5/account/bills-archive"] = [row | {"billId": "1"}, row | {"billId": "2"}]
    ask = venue.funding_since if what == "funding" else venue.transfers_since
    told = [getattr(each, "payment_id", None) or each.transfer_id for each in await ask(since_ns)]
    assert told == ["1", "2"]
    (asked,) = stub.sent("/api/v5/account/bills-archive")
    assert asked["begin"] == str(since_ns // NS_PER_MS)
    wanted = {"type": "8", "instType": "SWAP"} if what == "funding" else {"type": "1"}
    assert asked.items() >= wanted.items()


async def test_the_attestation(venue, stub):
    stub.rows |= {
        "/api/v5/account/leverage-info": [{"lever": "3", "mgnMode": "cross"}],
        "/api/v5/account/trade-fee": [
            {"taker": "-0.001", "takerU": "-0.0005", "makerU": "0.0001", "level": "Lv3"}
        ],
        "/api/v5/public/funding-rate": [
            {"fundingTime": "1700006400000", "nextFundingTime": "1700020800000"}
        ],
        "/api/v5/public/position-tiers": [
            {"tier": "2", "maxSz": "", "mmr": "0.005", "imr": "0.02"},
            {"tier": "1", "maxSz": "1000", "mmr": "0.004", "imr": "0.01"},
        ],
        POSITIONS: [POSITION_ROW],
    }
    found = await venue.attest(["BTCUSDT", "ETHUSDT"])
    assert (found.account_id, found.one_way, found.cross_margin) == ("4242", True, True)
    assert found.leverage_settings == {"BTCUSDT": Decimal(3), "ETHUSDT": Decimal(3)}
    assert found.permissions == ("read_only", "trade")
    assert (found.taker_fee_bps, found.maker_fee_bps, found.fee_tier) == (5, -1, "Lv3")
    assert abs(found.clock_offset_ms) < 100
    assert (found.account_mode, found.account_mode_fault, found.multi_asset) == ("2", "", False)
    assert found.ip_bound is None
    assert found.funding_interval_hours == {"BTCUSDT": 4, "ETHUSDT": 4}
    assert found.tier_quantities == {"BTCUSDT": (10, None), "ETHUSDT": (100, None)}


@pytest.mark.parametrize(("address", "bound"), [("", False), ("10.0.0.1", True)])
async def test_a_key_that_works_from_anywhere_shows(venue, stub, address, bound):
    row = {"uid": "1", "acctLv": "2", "posMode": "net_mode", "perm": "trade", "ip": address}
    stub.rows["/api/v5/account/config"] = [row]
    assert (await venue.attest([])).ip_bound is bound


async def test_an_instrument_taken_off_the_list_stays_readable(venue, stub):
    listing = stub.rows["/api/v5/public/instruments"]
    stub.rows["/api/v5/public/instruments"] = [
        row for row in listing if row["instId"] != "ETH-USDT-SWAP"
    ]
    assert await venue.instruments([]) == ()
    assert venue.venue_symbol("ETHUSDT") == "ETH-USDT-SWAP"
    with pytest.raises(StartRefused, match="ETHUSDT"):
        await venue.instruments(["ETHUSDT"])


async def test_an_isolated_position_or_hedge_mode_shows(venue, stub):
    stub.rows[POSITIONS] = [POSITION_ROW | {"mgnMode": "isolated"}]
    stub.rows["/api/v5/account/config"] = [
        {"uid": "4242", "acctLv": "3", "posMode": "long_short_mode", "perm": "trade,withdraw"}
    ]
    found = await venue.attest([])
    assert (found.one_way, found.cross_margin) == (False, False)
    assert "withdraw" in found.permissions


@pytest.mark.parametrize("level", ["1", "4"])
async def test_an_account_mode_without_reduce_only_swaps_is_a_fault(venue, stub, level):
    stub.rows["/api/v5/account/config"] = [
        {"uid": "4242", "acctLv": level, "posMode": "net_mode", "perm": "trade"}
    ]
    found = await venue.attest([])
    assert found.account_mode == level
    assert found.account_mode_fault.endswith("switch the account to Futures mode")


async def test_the_clock_offset_is_measured(venue, stub, clock):
    clock.ahead_ns = 3 * NS_PER_SECOND
    found = await venue.attest([])
    assert -3_100 < found.clock_offset_ms < -2_900


async def test_instruments_in_base_units_with_tiers_by_notional(venue, stub):
    stub.rows |= {
        "/api/v5/public/position-tiers": [
            {"tier": "2", "minSz": "1000", "maxSz": "5000", "mmr": "0.005", "imr": "0.02"},
            {"tier": "1", "minSz": "0", "maxSz": "1000", "mmr": "0.004", "imr": "0.01"},
        ],
        "/api/v5/public/mark-price": [{"instId": "BTC-USDT-SWAP", "markPx": "50000"}],
    }
    (found,) = await venue.instruments(["BTCUSDT"])
    assert (found.lot_size, found.quantity_min, found.tick_size) == (
        Decimal("0.0001"),
        Decimal("0.0001"),
        Decimal("0.1"),
    )
    assert (found.market_quantity_max, found.limit_quantity_max) == (120, 1_000_000)
    assert [(tier.notional_max, tier.maintenance_margin_fraction) for tier in found.tiers] == [
        (Decimal(500_000), Decimal("0.004")),
        (Decimal(2_500_000), Decimal("0.005")),
    ]


def test_a_tier_without_an_end():
    (tier,) = attest.margin_tiers(
        [{"tier": "1", "maxSz": "", "mmr": "0.1", "imr": "0.2"}], Decimal(1), Decimal(1)
    )
    assert tier.notional_max is None
