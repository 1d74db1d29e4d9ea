"""Faults of what an account holds and of an instrument's rules, as each venue shows them."""

from decimal import Decimal

import pytest

from fault_venues import FaultDesk

BTC = "BTC/USDT:USDT"
#: An instrument for each change that is not taken back.
LTC, DOGE, XRP = "LTC/USDT:USDT", "DOGE/USDT:USDT", "XRP/USDT:USDT"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def buy(desk: FaultDesk, lots: int = 40) -> str:
    return await desk.place(BTC, "buy", lots * desk.lot(BTC))


async def bid(desk: FaultDesk, symbol: str = BTC) -> str:
    best, tick = (await desk.book(symbol))["bids"][0][0], desk.tick(symbol)
    price = best * Decimal("0.98") // tick * tick
    lots = -(-Decimal(200) // (price * desk.lot(symbol)))
    return await desk.place(symbol, "buy", lots * desk.lot(symbol), price)


# --- what is shown --------------------------------------------------------------------------


async def test_position_lists_are_empty(desk: FaultDesk) -> None:
    await buy(desk)
    assert await desk.told_held(BTC) == 40 * desk.lot(BTC)
    desk.fault("empty_positions", duration_seconds=30)
    assert await desk.told_held(BTC) == 0
    assert desk.held(BTC) == 40 * desk.lot(BTC)
    desk.process.advance(31)
    assert await desk.told_held(BTC) == 40 * desk.lot(BTC)


async def test_margin_figures_are_empty_strings(desk: FaultDesk) -> None:
    await buy(desk)
    assert all(Decimal(figure) > 0 for figure in await desk.faulty.margins(desk, BTC))
    desk.fault("empty_margins", duration_seconds=30)
    assert set(await desk.faulty.margins(desk, BTC)) == {""}
    desk.process.advance(31)
    assert all(Decimal(figure) > 0 for figure in await desk.faulty.margins(desk, BTC))


# --- what somebody else does ----------------------------------------------------------------


async def test_a_position_shrinks_without_an_order(desk: FaultDesk) -> None:
    await buy(desk)
    desk.process.advance(1)
    async with desk.orders() as socket:
        done = desk.fault("force_reduce", symbol="BTCUSDT", value=str(10 * desk.lot(BTC)))
        assert done["reduced"] == ["BTCUSDT"]
        assert desk.held(BTC) == await desk.told_held(BTC) == 30 * desk.lot(BTC)
        ours = {order["client_order_id"] for order in desk.process.state()["orders"]}
        told = await socket.orders()
    # OKX says nothing of an order; the others name one that is the venue's own.
    assert not ours & {client_id for client_id, _ in told if client_id}
    fill = desk.process.state()["fills"][-1]
    assert (fill["side"], Decimal(fill["quantity"])) == ("sell", 10 * desk.lot(BTC))
    trade = (await desk.exchange.fetch_my_trades(BTC, params=desk.faulty.seized[0]))[-1]
    assert (trade["side"], Decimal(str(trade["price"]))) == ("sell", Decimal(fill["price"]))
    assert desk.base(BTC, trade["amount"]) == 10 * desk.lot(BTC)


async def test_a_position_is_liquidated(desk: FaultDesk) -> None:
    client_id = await bid(desk)
    await buy(desk)
    desk.process.advance(1)
    desk.fault("liquidate")
    assert desk.held(BTC) == await desk.told_held(BTC) == 0
    assert desk.order_of(client_id)["state"] == "canceled"
    fill = desk.process.state()["fills"][-1]
    trade = (await desk.exchange.fetch_my_trades(BTC, params=desk.faulty.seized[1]))[-1]
    assert (trade["side"], Decimal(str(trade["price"]))) == ("sell", Decimal(fill["price"]))
    assert desk.base(BTC, trade["amount"]) == Decimal(fill["quantity"]) == 40 * desk.lot(BTC)


async def test_an_order_is_canceled_behind_its_back(desk: FaultDesk) -> None:
    kept, canceled = await bid(desk, XRP), await bid(desk)
    async with desk.orders() as socket:
        done = desk.fault("cancel_behind", symbol=desk.named(BTC))
        assert done["canceled"] == [desk.order_of(canceled)["order_id"]]
        assert await socket.orders(1) == [(canceled, desk.faulty.states[1])]
    assert (await desk.find(BTC, canceled))["status"] == "canceled"
    assert (await desk.find(XRP, kept))["status"] == "open"
    desk.fault("cancel_behind")
    assert await desk.exchange.fetch_open_orders(XRP) == []


async def test_cash_comes_and_goes(desk: FaultDesk) -> None:
    before = desk.row.figures((await desk.exchange.fetch_balance())["info"])[1]
    desk.fault("transfer", value="250.5")
    desk.fault("transfer", value="-50.25")
    told = desk.row.figures((await desk.exchange.fetch_balance())["info"])[1]
    assert told - before == Decimal("200.25")
    assert told == Decimal(desk.process.state()["wallet_balance"])
    status, answer = desk.process.attempt("/_control", {"kind": "transfer", "value": "a lot"})
    assert (status, answer["error"]) == (400, "transfer: value='a lot'; a number")


async def test_leverage_changes_behind_the_back(desk: FaultDesk) -> None:
    before = await desk.faulty.leverage(desk, BTC)
    desk.fault("leverage", symbol="BTCUSDT", value="9")
    assert await desk.faulty.leverage(desk, BTC) == 9 != before
    truth = desk.process.truth()["markets"]
    assert Decimal(truth["BTCUSDT"]["leverage_setting"]) == 9
    assert Decimal(truth["ETHUSDT"]["leverage_setting"]) == before
    desk.fault("leverage", symbol="BTCUSDT", value=str(before))
    assert await desk.faulty.leverage(desk, BTC) == before


async def test_the_position_mode_changes_behind_the_back(desk: FaultDesk) -> None:
    assert await desk.row.hedged(desk.exchange, BTC) is False
    desk.fault("position_mode", value="hedge")
    assert await desk.row.hedged(desk.exchange, BTC) is True
    lots = 20 * desk.lot(BTC)
    await desk.place(BTC, "buy", lots, **desk.faulty.hedge_long)
    assert desk.held(BTC) == await desk.told_held(BTC) == lots
    status, _ = desk.process.attempt("/_control", {"kind": "position_mode", "value": "one_way"})
    assert status == 400
    await desk.place(BTC, "sell", lots, **desk.faulty.hedge_long)
    desk.fault("position_mode", value="one_way")
    assert await desk.row.hedged(desk.exchange, BTC) is False


# --- the rules ------------------------------------------------------------------------------


async def test_an_instrument_stops_trading_and_is_gone(desk: FaultDesk) -> None:
    lots = 100 * desk.lot(LTC)
    error, code = desk.faulty.state_error
    for state in ("suspend", "live", "post_only"):
        desk.fault("instrument_state", symbol="LTCUSDT", value=state)
        assert await desk.faulty.state(desk, LTC) == desk.faulty.state_words[state]
        if state == "live":
            await desk.place(LTC, "buy", lots)
            await desk.place(LTC, "sell", lots, reduceOnly=True)
            continue
        with pytest.raises(error, match=code if state == "post_only" else None):
            await desk.place(LTC, "buy", lots)
    desk.fault("instrument_state", symbol="LTCUSDT", value="live")
    resting = await bid(desk, LTC)
    await desk.place(LTC, "buy", lots)
    desk.fault("instrument_state", symbol="LTCUSDT", value="delisted")
    assert await desk.faulty.state(desk, LTC) in (None, "Closed", "SETTLING")
    assert desk.order_of(resting)["state"] == "canceled"
    assert desk.held(LTC) == 0
    with pytest.raises(Exception, match=desk.process.venue):
        await desk.place(LTC, "buy", lots)


async def test_the_lot_size_changes(desk: FaultDesk) -> None:
    lot = desk.lot(DOGE)
    desk.fault("lot_size", symbol="DOGEUSDT", value=str(7 * lot))
    error, code = desk.faulty.lot_error
    with pytest.raises(error, match=code):
        await desk.place(DOGE, "buy", 71 * lot)
    fresh = await desk.exchange.fetch_markets()
    (market,) = (each for each in fresh if each["symbol"] == DOGE)
    assert Decimal(market["precision"]["amount"]) * desk.contract_size(DOGE) == 7 * lot
    client_id = await desk.place(DOGE, "buy", 70 * lot)
    assert desk.fills_of(client_id) != []
    await desk.place(DOGE, "sell", 70 * lot, reduceOnly=True)


async def test_the_funding_interval_changes(desk: FaultDesk) -> None:
    assert await desk.faulty.funding_hours(desk, DOGE) == 8
    desk.fault("funding_interval", symbol="DOGEUSDT", value="1")
    assert await desk.faulty.funding_hours(desk, DOGE) == 1
    assert await desk.faulty.funding_hours(desk, XRP) == 8


async def test_margin_tiers_change(desk: FaultDesk) -> None:
    before = await desk.faulty.maintenance(desk, DOGE)
    other = await desk.faulty.maintenance(desk, XRP)
    desk.fault("tiers", symbol="DOGEUSDT", value="2")
    assert await desk.faulty.maintenance(desk, DOGE) == 2 * before
    assert await desk.faulty.maintenance(desk, XRP) == other


# --- orders for trouble ---------------------------------------------------------------------


async def test_what_waits_is_told_and_forgotten(desk: FaultDesk) -> None:
    desk.fault("transfer", value="5", after_seconds=10)
    desk.fault("empty_positions", duration_seconds=60)
    kinds = [each["kind"] for each in desk.process.ask("/_control")["faults"]]
    assert kinds == ["transfer", "empty_positions"]
    before = Decimal(desk.process.state()["wallet_balance"])
    desk.process.advance(9)
    assert Decimal(desk.process.state()["wallet_balance"]) == before
    desk.fault("clear")
    assert desk.process.ask("/_control")["faults"] == []
    desk.process.advance(5)
    assert Decimal(desk.process.state()["wallet_balance"]) == before


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "meteor"}, "meteor"),
        ({"kind": "lot_size", "symbol": "BTCUSDT", "value": "many"}, "value='many'"),
        ({"kind": "gap_books", "symbol": "MOONUSDT"}, "symbol='MOONUSDT' is not listed"),
        ({"kind": "partial_fill", "value": "2"}, "value='2'"),
        ({"kind": "instrument_state", "symbol": "BTCUSDT", "value": "gone"}, "value='gone'"),
        ({"kind": "leverage", "symbol": "BTCUSDT", "value": "9000"}, "leverage"),
    ],
)
async def test_a_wrong_order_for_trouble_is_refused(
    desk: FaultDesk, body: dict[str, object], words: str
) -> None:
    status, answer = desk.process.attempt("/_control", body)
    assert status == 400
    assert words in answer["error"]
