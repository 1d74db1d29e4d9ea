"""Modes, leverage, money movements and funding over Bybit's REST by ccxt."""

from decimal import Decimal

import ccxt
import pytest

from bybit_rehearsal import opened
from counterpoise.exchange.accounts import BillKind
from counterpoise.simulator.faults import Fault, FaultKind

BTC, ETH = "BTC/USDT:USDT", "ETH/USDT:USDT"
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_funding_is_settled_paid_and_listed(rehearsal, bybit):
    due_ns = rehearsal.exchange.funding("BTCUSDT").funding_ns
    rehearsal.grant((due_ns - rehearsal.exchange.now_ns) / 1e9 - 1)
    await bybit.create_order(BTC, "market", "sell", 0.1)
    rehearsal.grant(1.5)
    bills = rehearsal.exchange.bills(rehearsal.key.account_id, 0)
    (bill,) = [each for each in bills if each.kind is BillKind.FUNDING]
    (settled,) = await bybit.fetch_funding_rate_history(BTC)
    assert settled["timestamp"] == due_ns // 1_000_000
    assert Decimal(settled["info"]["fundingRate"]) == bill.funding_rate
    (paid,) = await bybit.fetch_funding_history(BTC)
    row = paid["info"]
    assert (row["execType"], row["side"], Decimal(row["execQty"])) == (
        "Funding",
        "Sell",
        Decimal("0.1"),
    )
    assert Decimal(row["execFee"]) == -bill.change
    assert Decimal(row["feeRate"]) == bill.funding_rate
    entry = next(each for each in await bybit.fetch_ledger() if each["info"]["funding"])
    assert entry["info"]["type"] == "SETTLEMENT"
    assert Decimal(entry["info"]["change"]) == bill.change
    assert Decimal(entry["info"]["cashBalance"]) == bill.wallet_balance


async def test_the_ledger_adds_up_to_the_wallet(rehearsal, bybit):
    await bybit.create_order(ETH, "market", "buy", 0.5)
    rows, cursor = [], ""
    while True:
        _, body = await rehearsal.get(
            "/v5/account/transaction-log", "accountType=UNIFIED&limit=2" + cursor
        )
        rows += body["result"]["list"]
        if not body["result"]["nextPageCursor"]:
            break
        cursor = f"&cursor={body['result']['nextPageCursor']}"
    assert sum(Decimal(row["change"]) for row in rows) == rehearsal.account.wallet_balance
    assert rows[0]["type"] == "TRADE"
    assert rows[-1]["type"] == "TRANSFER_IN"
    assert rows[0]["orderId"] == rehearsal.fills[-1].order_id
    trade = rehearsal.fills[-1]
    assert Decimal(rows[0]["cashFlow"]) - Decimal(rows[0]["fee"]) == Decimal(rows[0]["change"])
    assert Decimal(rows[0]["fee"]) == trade.fee


async def test_leverage_is_set_once(rehearsal, bybit):
    await bybit.set_leverage(7, BTC)
    assert rehearsal.exchange.leverage_setting(rehearsal.key.account_id, "BTCUSDT") == 7
    assert (await bybit.fetch_leverage(BTC))["longLeverage"] == 7
    with pytest.raises(ccxt.BadRequest, match="110043"):
        await bybit.set_leverage(7, BTC)
    with pytest.raises(ccxt.BadRequest, match="110013"):
        await bybit.set_leverage(1_000, BTC)
    _, body = await rehearsal.post(
        "/v5/position/set-leverage",
        {"category": "linear", "symbol": "BTCUSDT", "buyLeverage": "2", "sellLeverage": "3"},
    )
    assert body["retCode"] == 10001
    await bybit.set_leverage(3, BTC)


async def test_hedge_mode_holds_two_positions(rehearsal, bybit):
    await bybit.set_position_mode(True, BTC)
    try:
        with pytest.raises(ccxt.NoChange, match="110025"):
            await bybit.set_position_mode(True, BTC)
        await bybit.create_order(BTC, "market", "buy", 0.02, None, {"hedged": True})
        await bybit.create_order(BTC, "market", "sell", 0.01, None, {"hedged": True})
        rows = await bybit.fetch_positions([BTC])
        assert {(each["side"], each["contracts"], each["hedged"]) for each in rows} == {
            ("long", 0.02, True),
            ("short", 0.01, True),
        }
        assert {each["info"]["positionIdx"] for each in rows} == {1, 2}
        with pytest.raises(ccxt.BadRequest, match="110024"):
            await bybit.set_position_mode(False, BTC)
        with pytest.raises(ccxt.BadRequest, match="position idx not match"):
            await bybit.create_order(BTC, "market", "buy", 0.01)
        await bybit.create_order(
            BTC, "market", "sell", 0.02, None, {"hedged": True, "reduceOnly": True}
        )
        assert [each["side"] for each in await bybit.fetch_positions([BTC])][-1] == "short"
        trade = (await bybit.fetch_my_trades(BTC))[-1]
        assert (trade["side"], trade["amount"]) == ("sell", 0.02)
    finally:
        rehearsal.flatten()
        await bybit.set_position_mode(False, BTC)


async def test_an_open_order_holds_the_position_mode(rehearsal, bybit):
    price = float((rehearsal.exchange.mark("BTCUSDT") * Decimal("0.99")).quantize(Decimal(1)))
    await bybit.create_order(BTC, "limit", "buy", 0.01, price)
    with pytest.raises(ccxt.BadRequest, match="110028"):
        await bybit.set_position_mode(True, BTC)


async def test_margin_is_cross_and_stays_so(bybit):
    assert (await bybit.fetch_margin_mode(BTC))["marginMode"] == "cross"
    await bybit.set_margin_mode("cross")
    with pytest.raises(ccxt.ExchangeError, match="110073"):
        await bybit.set_margin_mode("isolated")


async def test_fees_and_the_key_are_told(rehearsal, bybit):
    fee = await bybit.fetch_trading_fee(BTC)
    tier = rehearsal.exchange.fee_tier(rehearsal.key.account_id)
    assert (Decimal(str(fee["maker"])), Decimal(str(fee["taker"]))) == (
        tier.maker_fee_bps / 10_000,
        tier.taker_fee_bps / 10_000,
    )
    assert len(await bybit.fetch_trading_fees()) == len(rehearsal.floor.listed)
    key = (await bybit.privateGetV5UserQueryApi())["result"]
    assert (key["readOnly"], key["uta"], key["ips"]) == (0, 1, ["127.0.0.1"])
    assert key["permissions"]["ContractTrade"] == ["Order", "Position"]
    assert key["permissions"]["Wallet"] == []


async def test_a_client_that_looks_for_itself_finds_a_unified_account(rehearsal):
    client = rehearsal.client(
        options={"defaultType": "swap", "fetchMarkets": {"types": ["linear"]}}
    )
    assert await client.is_unified_enabled() == [False, True]
    assert (await client.fetch_balance())["USDT"]["total"] == float(
        rehearsal.account.wallet_balance
    )


async def test_what_the_venue_closes_is_told_with_its_execution(tmp_path):
    async with opened(tmp_path / "liquidated", wallet=Decimal(1_000)) as rehearsal:
        bybit = rehearsal.client()
        await bybit.load_markets()
        await bybit.set_leverage(50, BTC)
        await bybit.create_order(BTC, "market", "buy", 0.3)
        async with rehearsal.private("order", "execution", "position", "wallet") as stream:
            rehearsal.floor.venue.shock("BTCUSDT", -0.1, 0.5)
            rehearsal.grant(3)
            await stream.settled()
            assert rehearsal.account.positions == {}
            forced = [each for each in rehearsal.fills if each.trade_sequence < 0]
            rows = stream.rows("execution")
            assert [row["execType"] for row in rows] == ["BustTrade"] * len(forced)
            assert [Decimal(row["execQty"]) for row in rows] == [each.quantity for each in forced]
            assert {row["createType"] for row in stream.rows("order")} == {"CreateByLiq"}
            assert stream.rows("position")[-1]["size"] == "0"
            wallet = stream.rows("wallet")[-1]["totalWalletBalance"]
            assert Decimal(wallet) == rehearsal.account.wallet_balance
        (lost, *_) = await bybit.fetch_my_liquidations(BTC)
        assert Decimal(lost["info"]["execPrice"]) == forced[0].price


async def test_auto_deleveraging_comes_as_an_execution_without_a_request(rehearsal, bybit):
    await bybit.create_order(BTC, "market", "buy", 0.04)
    async with rehearsal.private("execution", "position") as stream:
        rehearsal.floor.faults.add(Fault(kind=FaultKind.FORCE_REDUCE, value="0.03"), "BTCUSDT")
        rehearsal.grant(0.5)
        await stream.settled()
    (row,) = stream.rows("execution")
    assert (row["execType"], row["createType"]) == ("AdlTrade", "CreateByAdl_PassThrough")
    assert (row["side"], row["execQty"]) == ("Sell", "0.03")
    assert stream.rows("position")[-1]["size"] == "0.01"
    assert Decimal(row["execPrice"]) == rehearsal.fills[-1].price


async def test_faults_empty_what_is_shown_of_positions_and_margins(rehearsal, bybit):
    await bybit.create_order(BTC, "market", "buy", 0.01)
    faults = rehearsal.floor.faults
    faults.add(Fault(kind=FaultKind.EMPTY_MARGINS, duration_seconds=60.0))
    _, body = await rehearsal.get("/v5/position/list", "category=linear&settleCoin=USDT")
    assert body["result"]["list"][0]["positionMM"] == ""
    assert body["result"]["list"][0]["size"] == "0.01"
    _, body = await rehearsal.get("/v5/account/wallet-balance", "accountType=UNIFIED")
    row = body["result"]["list"][0]
    assert (row["totalMaintenanceMargin"], row["accountMMRate"]) == ("", "")
    assert Decimal(row["totalEquity"]) == rehearsal.account.equity
    faults.clear()
    faults.add(Fault(kind=FaultKind.EMPTY_POSITIONS, duration_seconds=60.0))
    assert await bybit.fetch_positions() == []
    faults.clear()
    assert [each["contracts"] for each in await bybit.fetch_positions()] == [0.01]


async def test_disconnect_protection_is_for_those_it_was_enabled_for(rehearsal, bybit):
    with pytest.raises(ccxt.PermissionDenied, match="10005"):
        await bybit.cancel_all_orders_after(10_000)
    _, body = await rehearsal.get("/v5/account/query-dcp-info")
    assert body["result"] == {"dcpInfos": []}
    async with rehearsal.stream("/v5/private") as opened:
        await opened.send(rehearsal.auth_frame())
        await opened.send({"op": "subscribe", "args": ["dcp.future"]})
        refused = await opened.until(lambda frame: frame["op"] == "subscribe")
    assert (refused["success"], refused["ret_msg"]) == (
        False,
        "DCP is not enabled for this account",
    )
