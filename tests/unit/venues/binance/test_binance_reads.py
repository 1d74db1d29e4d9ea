"""What Binance's lists become: pages, weeks, markets, names, and an account that is set up wrong."""

import itertools
import time
from decimal import Decimal

import pytest
from aiohttp import web

from counterpoise.domain.errors import StartRefused, VenueRejected, VenueUnreachable
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.units import NS_PER_DAY, NS_PER_MS
from counterpoise.venues.binance.convert import listing_from_row, margin_tier
from counterpoise.venues.binance.endpoints import BinanceEndpoints, is_production

TRADES = "GET /fapi/v1/userTrades"
ALL_ORDERS = "GET /fapi/v1/allOrders"
INCOME = "GET /fapi/v1/income"


def order_row(order_id: int, name: str, **changes):
    return {
        "symbol": "BTCUSDT", "orderId": order_id, "clientOrderId": name, "status": "FILLED",
        "side": "BUY", "type": "LIMIT", "origQty": "1", "executedQty": "1", "price": "100",
        "avgPrice": "100", "reduceOnly": False, "time": 1, "updateTime": 2,
    } | changes  # fmt: skip


def trade_row(trade_id: int, order_id: int, time_ms: int, symbol: str = "BTCUSDT"):
    return {
        "symbol": symbol, "id": trade_id, "orderId": order_id, "side": "BUY", "price": "100",
        "qty": "1", "realizedPnl": "0", "commission": "0.05", "commissionAsset": "USDT",
        "time": time_ms, "maker": False,
    }  # fmt: skip


def income_row(kind: str, amount: str, time_ms: int, number: int, symbol: str = ""):
    return {
        "symbol": symbol, "incomeType": kind, "income": amount, "asset": "USDT", "info": "",
        "time": time_ms, "tranId": number, "tradeId": "",
    }  # fmt: skip


async def test_executions_of_followed_and_of_other_markets_come_with_their_names(venue, stub):
    now_ms = time.time_ns() // NS_PER_MS
    venue.venue_symbol("BTCUSDT")
    stub.answers[INCOME] = lambda fields: (
        [income_row("COMMISSION", "-0.1", now_ms, 1, "ETHUSDT")]
        if fields["incomeType"] == "COMMISSION"
        else []
    )
    stub.answers[TRADES] = lambda fields: (
        [trade_row(8, 71, now_ms - 5), trade_row(9, 70, now_ms - 6)]
        if fields["symbol"] == "BTCUSDT"
        else [trade_row(3, 90, now_ms - 11_000, "ETHUSDT")]
    )

    def orders(fields):
        if fields["symbol"] == "ETHUSDT":
            return []
        if "orderId" in fields:
            return [order_row(71, "cpolder")] if fields["orderId"] == "71" else []
        return [order_row(70, "cpnewer")]

    stub.answers[ALL_ORDERS] = orders
    fills = await venue.fills_since((now_ms - 20_000) * NS_PER_MS)
    assert [(fill.instrument_id, fill.fill_id, fill.client_order_id) for fill in fills] == [
        ("ETHUSDT", "3", None),
        ("BTCUSDT", "9", "cpnewer"),
        ("BTCUSDT", "8", "cpolder"),
    ]
    assert (fills[0].fee, fills[0].side) == (Decimal("0.05"), Side.BUY)
    asked = len(stub.sent(ALL_ORDERS))
    await venue.fills_since((now_ms - 20_000) * NS_PER_MS)
    # A name once learnt, or known to be lost, is not asked for again.
    assert len(stub.sent(ALL_ORDERS)) == asked


async def test_an_execution_whose_order_is_not_listed_yet_is_not_told_without_its_name(venue, stub):
    now_ms = time.time_ns() // NS_PER_MS
    venue.venue_symbol("BTCUSDT")
    stub.answers[TRADES] = lambda _fields: [trade_row(9, 70, now_ms - 50)]
    stub.answers[ALL_ORDERS] = []
    with pytest.raises(VenueUnreachable, match="order 70 in BTCUSDT"):
        await venue.fills_since((now_ms - 1_000) * NS_PER_MS)
    stub.answers[ALL_ORDERS] = [order_row(70, "cpours")]
    (fill,) = await venue.fills_since((now_ms - 1_000) * NS_PER_MS)
    assert fill.client_order_id == "cpours"


async def test_a_market_that_ended_does_not_hide_the_executions_of_the_others(venue, stub):
    now_ms = time.time_ns() // NS_PER_MS
    venue.venue_symbol("BTCUSDT")
    stub.answers[INCOME] = lambda fields: (
        [income_row("COMMISSION", "-0.1", now_ms, 1, "LTCUSDT")]
        if fields["incomeType"] == "COMMISSION"
        else []
    )
    refusals = iter(["-1121", "-1121", "-2015"])
    stub.answers[ALL_ORDERS] = [order_row(70, "cpours")]
    stub.answers[TRADES] = lambda fields: (
        [trade_row(9, 70, now_ms - 6)]
        if fields["symbol"] == "BTCUSDT"
        else web.json_response({"code": int(next(refusals)), "msg": "no"}, status=400)
    )
    for _ in range(2):
        (fill,) = await venue.fills_since((now_ms - 1_000) * NS_PER_MS)
        assert (fill.instrument_id, fill.client_order_id) == ("BTCUSDT", "cpours")
    with pytest.raises(VenueRejected, match="-2015"):
        await venue.fills_since((now_ms - 1_000) * NS_PER_MS)


async def test_a_long_time_is_asked_for_week_by_week(venue, stub):
    now_ns = time.time_ns()
    stub.answers[ALL_ORDERS] = []
    since_ns = now_ns - 20 * NS_PER_DAY
    assert await venue.find_ended("BTCUSDT", "cp1", since_ns) is None
    spans = [(int(f["startTime"]), int(f["endTime"])) for f in stub.sent(ALL_ORDERS)]
    assert spans[0][0] == since_ns // NS_PER_MS
    assert spans[-1][1] * NS_PER_MS > now_ns
    assert len(spans) == 3
    assert all(end - start < 7 * 86_400_000 for start, end in spans)
    assert all(after[0] == before[1] + 1 for before, after in itertools.pairwise(spans))


async def test_a_full_page_is_followed_by_the_next_ones(venue, stub):
    rows = [order_row(number, f"cp{number}") for number in range(1, 2_301)]

    def page(fields):
        first = int(fields.get("orderId", 0))
        return [row for row in rows if row["orderId"] >= first][: int(fields["limit"])]

    stub.answers[ALL_ORDERS] = page
    found = await venue.find_ended("BTCUSDT", "cp2300", time.time_ns() - NS_PER_DAY)
    assert found is not None
    assert found.venue_order_id == "2300"
    assert [f.get("orderId") for f in stub.sent(ALL_ORDERS)] == [None, "1001", "2001"]


async def test_only_ended_orders_are_found_among_those_that_ended(venue, stub):
    stub.answers[ALL_ORDERS] = [
        order_row(1, "cp1", status="NEW", executedQty="0"),
        order_row(2, "cp2", status="EXPIRED", executedQty="0"),
    ]
    since_ns = time.time_ns() - NS_PER_DAY
    assert await venue.find_ended("BTCUSDT", "cp1", since_ns) is None
    found = await venue.find_ended("BTCUSDT", "cp2", since_ns)
    assert found is not None
    assert (found.state, found.filled_quantity) == (OrderState.CANCELED, 0)


async def test_income_is_read_page_by_page_and_told_once(venue, stub):
    rows = [income_row("TRANSFER", str(n), 10_000 + n // 3, n) for n in range(1, 1_501)]
    asked = []

    def page(fields):
        if fields["incomeType"] != "TRANSFER":
            return []
        asked.append(int(fields["startTime"]))
        return [row for row in rows if row["time"] >= asked[-1]][:1_000]

    stub.answers[INCOME] = page
    found = await venue.transfers_since(0)
    assert sorted(int(each.transfer_id) for each in found) == list(range(1, 1_501))
    assert sum(each.transfer for each in found) == 1_500 * 1_501 // 2
    assert asked == [0, 10_000 + 1_000 // 3]


async def test_funding_has_its_sign_and_its_market(venue, stub):
    stub.answers[INCOME] = [income_row("FUNDING_FEE", "-1.25", 5_000, 77, "ETHUSDT")]
    (paid,) = await venue.funding_since(0)
    assert (paid.instrument_id, paid.payment, paid.payment_id) == (
        "ETHUSDT",
        Decimal("-1.25"),
        "77",
    )
    assert paid.event_ns == 5_000 * NS_PER_MS


def account(stub, **asset):
    row = {
        "asset": "USDT", "walletBalance": "1000", "marginBalance": "990.5",
        "availableBalance": "900", "initialMargin": "20", "maintMargin": "5",
        "updateTime": 1_767_225_600_000,
    }  # fmt: skip
    stub.answers["GET /fapi/v3/account"] = {"assets": [row | asset]}
    stub.answers["GET /fapi/v1/openOrders"] = []
    stub.answers["GET /fapi/v3/positionRisk"] = []


def held(symbol: str, quantity: str, **changes):
    return {
        "symbol": symbol, "positionSide": "BOTH", "positionAmt": quantity, "entryPrice": "100",
        "markPrice": "101", "unRealizedProfit": "-9.5", "liquidationPrice": "0", "adl": 4,
        "updateTime": 9,
    } | changes  # fmt: skip


async def test_the_account_is_told_in_the_venues_own_figures(venue, stub):
    account(stub)
    stub.answers["GET /fapi/v3/positionRisk"] = [held("ETHUSDT", "-1.5"), held("BTCUSDT", "0.000")]
    snapshot = await venue.account()
    assert (snapshot.account_id, snapshot.balance.wallet_balance) == ("AbCd", 1_000)
    assert (snapshot.balance.equity, snapshot.balance.available_margin) == (Decimal("990.5"), 900)
    assert snapshot.balance.event_ns == 1_767_225_600_000 * NS_PER_MS
    (position,) = snapshot.positions
    assert (position.instrument_id, position.quantity) == ("ETHUSDT", Decimal("-1.5"))
    # Binance counts from 0; our 5 is the next to be reduced.
    assert (position.adl_rank, position.liquidation_price) == (5, None)


@pytest.mark.parametrize(
    ("rows", "error", "code"),
    [
        ([held("BTCUSDC", "1")], VenueRejected, "FOREIGN_POSITION"),
        ([held("BTCUSDT", "1", positionSide="LONG")], VenueRejected, "NOT_ONE_WAY"),
        ([held("BTCUSDT", "")], VenueUnreachable, None),
        ([{"symbol": "BTCUSDT"}], VenueUnreachable, None),
    ],
)
async def test_an_account_that_cannot_be_counted_is_not_told(venue, stub, rows, error, code):
    account(stub)
    stub.answers["GET /fapi/v3/positionRisk"] = rows
    with pytest.raises(error) as found:
        await venue.account()
    assert found.value.code == code


@pytest.mark.parametrize("blank", [{"walletBalance": ""}, {"asset": "BUSD"}])
async def test_a_balance_without_figures_is_no_balance(venue, stub, blank):
    account(stub, **blank)
    with pytest.raises(VenueUnreachable):
        await venue.account()


def set_up(stub):
    stub.answers |= {
        "GET /fapi/v1/positionSide/dual": {"dualSidePosition": False},
        "GET /fapi/v1/multiAssetsMargin": {"multiAssetsMargin": False},
        "GET /fapi/v1/symbolConfig": [
            {"symbol": "BTCUSDT", "marginType": "CROSSED", "leverage": 3},
            {"symbol": "ETHUSDT", "marginType": "ISOLATED", "leverage": 20},
        ],
        "GET /fapi/v3/positionRisk": [],
        "GET /fapi/v1/accountConfig": {"feeTier": 2, "canTrade": True},
        "GET /fapi/v1/fundingInfo": [{"symbol": "ETHUSDT", "fundingIntervalHours": 4}],
        "GET /fapi/v1/commissionRate": {
            "makerCommissionRate": "-0.000100", "takerCommissionRate": "0.000400",
        },
        "GET /sapi/v1/account/apiRestrictions": {
            "ipRestrict": True, "enableReading": True, "enableFutures": True,
            "enableWithdrawals": False, "enableInternalTransfer": False,
            "permitsUniversalTransfer": False,
        },
    }  # fmt: skip


async def test_the_set_up_is_attested_and_an_isolated_market_wants_to_be_set(venue, stub):
    set_up(stub)
    found = await venue.attest(["BTCUSDT", "ETHUSDT"])
    assert (found.account_id, found.one_way, found.cross_margin) == ("AbCd", True, True)
    assert found.leverage_settings == {"BTCUSDT": Decimal(3), "ETHUSDT": None}
    assert (found.permissions, found.taker_fee_bps) == (("read_only", "trade"), Decimal(4))
    assert (found.maker_fee_bps, found.fee_tier, found.ip_bound) == (-1, "2", True)
    assert (found.account_mode, found.account_mode_fault) == ("single-asset", "")
    # What fundingInfo leaves out is charged every eight hours.
    assert found.funding_interval_hours == {"BTCUSDT": 8, "ETHUSDT": 4}


async def test_what_is_set_up_wrong_is_seen(venue, stub):
    set_up(stub)
    stub.answers["GET /fapi/v3/positionRisk"] = [held("ETHUSDT", "1")]
    assert (await venue.attest(["ETHUSDT"])).cross_margin is False
    stub.answers["GET /fapi/v1/positionSide/dual"] = {"dualSidePosition": True}
    assert (await venue.attest(["ETHUSDT"])).one_way is False
    stub.answers["GET /sapi/v1/account/apiRestrictions"] = {
        "enableWithdrawals": True,
        "permitsUniversalTransfer": True,
    }
    assert (await venue.attest(["ETHUSDT"])).permissions == ("withdraw", "transfer")
    stub.answers["GET /fapi/v1/multiAssetsMargin"] = {"multiAssetsMargin": True}
    found = await venue.attest(["ETHUSDT"])
    assert (found.multi_asset, found.account_mode) == (True, "multi-assets")
    assert found.account_mode_fault.endswith("switch it off (single-asset mode)")


async def test_a_market_taken_off_the_list_stays_readable(venue, stub):
    stub.answers["GET /fapi/v1/exchangeInfo"]["symbols"].pop(1)
    with pytest.raises(StartRefused, match="ETHUSDT"):
        await venue.instruments(["ETHUSDT"])
    assert venue.venue_symbol("ETHUSDT") == "ETHUSDT"


async def test_a_listing_that_cannot_be_read_hides_no_other(venue, stub):
    rows = stub.answers["GET /fapi/v1/exchangeInfo"]["symbols"]
    rows[0]["filters"] = rows[0]["filters"][:1]
    rows.append(dict(rows[1], symbol="ETHUSDT_260327", contractType="CURRENT_QUARTER"))
    states = await venue.instrument_states(["ETHUSDT"])
    assert states == {"ETHUSDT": InstrumentState.LIVE}
    with pytest.raises(VenueUnreachable, match="BTCUSDT cannot be read"):
        await venue.instrument_states(["BTCUSDT", "ETHUSDT"])
    rows[1]["status"] = "SETTLING"
    states = await venue.instrument_states(["ETHUSDT"])
    assert states == {"ETHUSDT": InstrumentState.SUSPENDED}
    with pytest.raises(StartRefused, match="BTCUSDT"):
        await venue.instruments(["BTCUSDT"])


def test_the_strictest_of_both_lot_filters_counts(stub):
    row = stub.answers["GET /fapi/v1/exchangeInfo"]["symbols"][0]
    row["filters"][2] |= {"stepSize": "0.010", "minQty": "0.020"}
    listing = listing_from_row(row, "USDT")
    assert listing is not None
    assert (listing.lot_size, listing.quantity_min) == (Decimal("0.010"), Decimal("0.020"))
    assert (listing.market_quantity_max, listing.limit_quantity_max) == (120, 1_000)
    assert listing.notional_min == 100


def test_a_bracket_is_a_tier():
    row = {"notionalCap": 50_000, "maintMarginRatio": 0.0065, "cum": 16.5, "initialLeverage": 20}
    tier = margin_tier(row)
    assert (tier.notional_max, tier.maintenance_margin_fraction) == (50_000, Decimal("0.0065"))
    assert (tier.initial_margin_fraction, tier.maintenance_margin_deduction) == (
        Decimal("0.05"),
        Decimal("16.5"),
    )
    assert margin_tier(row | {"notionalCap": 9_223_372_036_854_775_807}).notional_max is None


@pytest.mark.parametrize(
    ("endpoints", "real"),
    [
        (BinanceEndpoints.production(), True),
        (BinanceEndpoints.demo(), False),
        (BinanceEndpoints.testnet(), False),
        (BinanceEndpoints.loopback(7), False),
        (
            BinanceEndpoints(
                rest_url="https://demo-fapi.binance.com",
                stream_url="wss://fstream.binance.com",
                wallet_url=None,
                play_money=True,
            ),
            True,
        ),
        (
            BinanceEndpoints(
                rest_url="https://proxy.example",
                stream_url="wss://fstream.binancefuture.com",
                wallet_url=None,
                play_money=True,
            ),
            True,
        ),
    ],
)
def test_whatever_could_cost_money_is_production(endpoints, real):
    assert is_production(endpoints) is real
