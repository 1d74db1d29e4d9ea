"""One contract for every venue the simulator plays, held by that venue's unmodified ccxt class.

The markets stand still until a test grants them time, so that figures read one after the other
belong together: what ccxt tells must equal the truth to the last digit.
"""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest
import pytest_asyncio

from ccxt_venues import ROWS, SEED, WALLET, Desk, pointed_at
from counterpoise.simulator.venues import VenueName, parameters
from venue_process import VenueProcess, venue_process

BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"
SYMBOLS = [BTC, ETH]
MINUTE_MS = 60_000

# One connection per venue: closing a ccxt instance takes a quarter of a second.
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module", params=list(ROWS))
def process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VenueProcess]:
    options = {"seed": SEED, "speed": 0, "port": 0, "wallet": WALLET}
    log_path = tmp_path_factory.mktemp(request.param) / "process.log"
    with venue_process(request.param, log_path, **options) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(process: VenueProcess) -> AsyncIterator[Desk]:
    row = ROWS[process.venue]
    exchange = pointed_at(process, row.class_name, row.options)
    try:
        await exchange.load_markets()
        yield Desk(process, exchange, row)
    finally:
        await exchange.close()


@pytest_asyncio.fixture(loop_scope="module")
async def desk(opened: Desk) -> AsyncIterator[Desk]:
    yield opened
    await opened.flatten(SYMBOLS)
    # The book was eaten into and orders were counted; a moment later it is as if nothing was.
    opened.process.advance(2)


def listed(desk: Desk) -> dict[str, Any]:
    made = parameters(VenueName(desk.process.venue), demo=False)(SEED)
    return {
        f"{each.instrument.base}/{each.instrument.quote}:{each.instrument.settle}": each
        for each in made.instruments
    }


def same(told: object, truth: Decimal) -> bool:
    """Whether a figure is the truth to the last digit it is told with, eight at the least."""
    figure = Decimal(str(told))
    exponent = min(int(figure.as_tuple().exponent), -8)
    return figure == truth or figure == truth.quantize(Decimal(1).scaleb(exponent))


# --- public ---------------------------------------------------------------------------------


async def test_markets_have_the_rules_of_the_model(desk: Desk) -> None:
    rules = listed(desk)
    assert set(desk.exchange.markets) == set(rules)
    for symbol, each in rules.items():
        market, instrument = desk.exchange.market(symbol), each.instrument
        assert (market["base"], market["quote"], market["settle"]) == (
            instrument.base,
            instrument.quote,
            instrument.settle,
        )
        assert (market["swap"], market["linear"], market["active"]) == (True, True, True)
        assert desk.tick(symbol) == instrument.tick_size
        assert desk.lot(symbol) == instrument.lot_size
        least = desk.base(symbol, market["limits"]["amount"]["min"])
        assert least == instrument.quantity_min


async def test_time_is_the_markets_own(desk: Desk) -> None:
    told = await desk.exchange.fetch_time()
    assert told == desk.process.state()["now_ns"] // 1_000_000
    desk.process.advance(1.5)
    assert await desk.exchange.fetch_time() == told + 1_500


async def test_a_book_stands_on_its_grid_around_the_mark(desk: Desk) -> None:
    for symbol in SYMBOLS:
        book = await desk.book(symbol)
        bids = [price for price, _ in book["bids"]]
        asks = [price for price, _ in book["asks"]]
        assert len(bids) == len(asks) == 20
        assert bids == sorted(set(bids), reverse=True)
        assert asks == sorted(set(asks))
        assert bids[0] < asks[0]
        tick, lot = desk.tick(symbol), desk.lot(symbol)
        for price, quantity in book["bids"] + book["asks"]:
            assert price % tick == 0
            assert quantity > 0
            assert quantity % lot == 0
        mark = Decimal(market_of(desk, symbol)["mark"])
        assert abs(bids[0] / mark - 1) < Decimal("0.003")


def market_of(desk: Desk, symbol: str) -> dict[str, Any]:
    return desk.process.truth()["markets"][listed(desk)[symbol].instrument.instrument_id]


async def test_five_minutes_are_five_bars_of_one(desk: Desk) -> None:
    now_ms = desk.process.state()["now_ns"] // 1_000_000
    since = now_ms // (5 * MINUTE_MS) * 5 * MINUTE_MS - 20 * MINUTE_MS
    ones = await desk.exchange.fetch_ohlcv(BTC, "1m", since, 20)
    fives = await desk.exchange.fetch_ohlcv(BTC, "5m", since, 4)
    assert [row[0] for row in ones] == [since + at * MINUTE_MS for at in range(20)]
    assert [row[0] for row in fives] == [since + at * 5 * MINUTE_MS for at in range(4)]
    for at, five in enumerate(fives):
        part = [[Decimal(str(cell)) for cell in row[1:]] for row in ones[5 * at : 5 * at + 5]]
        assert [Decimal(str(cell)) for cell in five[1:]] == [
            part[0][0],
            max(row[1] for row in part),
            min(row[2] for row in part),
            part[-1][3],
            sum(row[4] for row in part),
        ]


async def test_bars_of_the_mark_end_at_the_mark(desk: Desk) -> None:
    forming = desk.process.state()["now_ns"] // 1_000_000 // MINUTE_MS * MINUTE_MS
    bars = await desk.exchange.fetch_ohlcv(BTC, "1m", None, 31, {"price": "mark"})
    assert [row[0] for row in bars] == [forming - at * MINUTE_MS for at in reversed(range(31))]
    for row in bars:
        opened, high, low, closed = (Decimal(str(cell)) for cell in row[1:5])
        assert low <= min(opened, closed)
        assert max(opened, closed) <= high
    assert Decimal(str(bars[-1][4])) == Decimal(market_of(desk, BTC)["mark"])


async def test_a_funding_is_announced_charged_and_remembered(desk: Desk) -> None:
    # The suite's market opens a minute before a funding.
    exchange, process = desk.exchange, desk.process
    await desk.place(BTC, "buy", 100 * desk.lot(BTC))
    funding_ns = market_of(desk, BTC)["funding_ns"]
    left = (funding_ns - process.state()["now_ns"]) / 1_000_000_000
    assert 0 < left <= 60
    process.advance(left - 0.25)
    told = await exchange.fetch_funding_rate(BTC)
    assert Decimal(str(told["fundingRate"])) == Decimal(market_of(desk, BTC)["funding_rate"])
    assert told["fundingTimestamp"] == funding_ns // 1_000_000
    before = Decimal(process.state()["wallet_balance"])
    process.advance(1)
    paid = Decimal(process.state()["wallet_balance"]) - before
    (charged,) = await exchange.fetch_funding_history(BTC)
    assert same(charged["amount"], desk.row.funding_sign * paid)
    assert charged["timestamp"] == funding_ns // 1_000_000
    last = (await exchange.fetch_funding_rate_history(BTC, None, 10))[-1]
    assert last["timestamp"] == funding_ns // 1_000_000
    # Longs pay shorts where the rate is positive.
    assert (Decimal(str(last["fundingRate"])) > 0) == (paid < 0)
    following = await exchange.fetch_funding_rate(BTC)
    assert following["fundingTimestamp"] - told["fundingTimestamp"] == 8 * 3_600_000


# --- account settings -----------------------------------------------------------------------


async def test_the_fees_are_the_venues(desk: Desk) -> None:
    made = parameters(VenueName(desk.process.venue), demo=False)(SEED)
    fee = await desk.exchange.fetch_trading_fee(BTC)
    assert Decimal(str(fee["maker"])) == made.maker_fee_bps / 10_000
    assert Decimal(str(fee["taker"])) == made.taker_fee_bps / 10_000


async def set_leverage(desk: Desk, leverage: int) -> None:
    # Some venues refuse what changes nothing.
    if Decimal(market_of(desk, BTC)["leverage_setting"]) != leverage:
        await desk.exchange.set_leverage(leverage, BTC, dict(desk.row.leverage_parameters))


async def test_leverage_is_set_in_cross_margin(desk: Desk) -> None:
    for leverage in (7, 3):
        await desk.exchange.set_leverage(leverage, BTC, dict(desk.row.leverage_parameters))
        told = await desk.exchange.fetch_leverage(BTC, dict(desk.row.leverage_parameters))
        assert (told["longLeverage"], told["shortLeverage"]) == (leverage, leverage)
        assert Decimal(market_of(desk, BTC)["leverage_setting"]) == leverage
    assert await desk.row.margin_mode(desk.exchange, BTC) == "cross"
    with pytest.raises(ccxt.ExchangeError):
        await desk.exchange.set_leverage(500, BTC, dict(desk.row.leverage_parameters))
    assert Decimal(market_of(desk, BTC)["leverage_setting"]) == 3


async def test_position_mode_changes_and_changes_back(desk: Desk) -> None:
    exchange = desk.exchange
    assert await desk.row.hedged(exchange, BTC) is False
    await exchange.set_position_mode(True, BTC)
    try:
        assert await desk.row.hedged(exchange, BTC) is True
        lot = desk.lot(BTC)
        await desk.place(BTC, "buy", 5 * lot, hedged=True)
        await desk.place(BTC, "sell", 3 * lot, hedged=True)
        legs = {
            each["side"]: desk.base(BTC, each["contracts"])
            for each in await exchange.fetch_positions([BTC])
            if Decimal(str(each["contracts"] or 0))
        }
        assert legs == {"long": 5 * lot, "short": 3 * lot}
        assert desk.process.state()["positions"] == {BTC: str(2 * lot)}
        for side, quantity in (("sell", 5), ("buy", 3)):
            await desk.place(BTC, side, quantity * lot, hedged=True, reduceOnly=True)
        assert desk.process.state()["positions"] == {}
    finally:
        await exchange.set_position_mode(False, BTC)
    assert await desk.row.hedged(exchange, BTC) is False


# --- orders ---------------------------------------------------------------------------------


async def test_a_market_order_eats_the_book_it_was_shown(desk: Desk) -> None:
    (first, there), (second, _) = (await desk.book(BTC))["asks"][:2]
    beyond = 3 * desk.lot(BTC)
    client_id = await desk.place(BTC, "buy", there + beyond)
    assert desk.fills_of(client_id) == [(first, there), (second, beyond)]
    told = await desk.find(BTC, client_id)
    assert (told["status"], told["side"], told["type"]) == ("closed", "buy", "market")
    assert desk.base(BTC, told["filled"]) == there + beyond
    assert same(told["average"], Decimal(desk.order_of(client_id)["average_price"]))
    assert desk.process.state()["positions"] == {BTC: str(there + beyond)}


async def far_bid(desk: Desk, ticks: int = 0) -> Decimal:
    # Two hundredths under the market, on the grid.
    best = (await desk.book(BTC))["bids"][0][0]
    tick = desk.tick(BTC)
    return best * Decimal("0.98") // tick * tick - ticks * tick


async def test_a_limit_order_rests_is_amended_and_canceled(desk: Desk) -> None:
    lot, price = desk.lot(BTC), await far_bid(desk)
    client_id = await desk.place(BTC, "buy", 20 * lot, price)
    (told,) = await desk.exchange.fetch_open_orders(BTC)
    assert (told["clientOrderId"], told["status"], told["type"]) == (client_id, "open", "limit")
    assert (Decimal(str(told["price"])), desk.base(BTC, told["amount"])) == (price, 20 * lot)
    assert told["id"] == desk.order_of(client_id)["order_id"]
    assert desk.base(BTC, told["filled"]) == 0

    lower = price - 7 * desk.tick(BTC)
    contracts = str((30 * lot / desk.contract_size(BTC)).normalize())
    await desk.exchange.edit_order(told["id"], BTC, "limit", "buy", contracts, str(lower))
    amended = await desk.find(BTC, client_id)
    assert (Decimal(str(amended["price"])), desk.base(BTC, amended["amount"])) == (lower, 30 * lot)
    truth = desk.order_of(client_id)
    assert (Decimal(truth["price_limit"]), Decimal(truth["quantity"])) == (lower, 30 * lot)

    with pytest.raises(desk.row.duplicate_error[0], match=desk.row.duplicate_error[1]):
        await desk.place(BTC, "buy", 20 * lot, price, client_id=client_id)
    await desk.cancel(BTC, client_id)
    assert await desk.exchange.fetch_open_orders(BTC) == []
    ended = await desk.find(BTC, client_id)
    assert (ended["status"], desk.base(BTC, ended["filled"])) == ("canceled", 0)
    assert client_id in [each["clientOrderId"] for each in await desk.row.ended(desk.exchange, BTC)]
    with pytest.raises(desk.row.over_error[0], match=desk.row.over_error[1]):
        await desk.cancel(BTC, client_id)
    assert desk.process.state()["positions"] == {}


async def unfilled(
    desk: Desk, quantity: Decimal, price: Decimal, error: type[Exception] | None, **more: Any
) -> str:
    """A bid the venue will not fill: refused outright with an error, or accepted and canceled."""
    client_id = desk.client_id()
    if error is not None:
        with pytest.raises(error):
            await desk.place(BTC, "buy", quantity, price, client_id=client_id, **more)
        return client_id
    await desk.place(BTC, "buy", quantity, price, client_id=client_id, **more)
    told = await desk.find(BTC, client_id)
    assert (told["status"] in desk.row.unfilled, Decimal(str(told["filled"]))) == (True, 0)
    return client_id


async def test_a_post_only_order_never_takes(desk: Desk) -> None:
    book = await desk.book(BTC)
    lot = desk.lot(BTC)
    crossing = await unfilled(
        desk, lot * 20, book["asks"][2][0], desk.row.post_only_error, postOnly=True
    )
    assert desk.fills_of(crossing) == []
    resting = await desk.place(BTC, "buy", lot * 20, book["bids"][3][0], postOnly=True)
    told = await desk.find(BTC, resting)
    assert (told["status"], told["postOnly"]) == ("open", True)
    assert [each["id"] for each in await desk.exchange.fetch_open_orders(BTC)] == [told["id"]]


async def test_an_immediate_order_takes_what_is_there_and_leaves_nothing(desk: Desk) -> None:
    price, there = (await desk.book(BTC))["asks"][0]
    client_id = await desk.place(BTC, "buy", there + desk.lot(BTC), price, timeInForce="IOC")
    told = await desk.find(BTC, client_id)
    assert told["status"] in desk.row.unfilled
    assert (told["timeInForce"], desk.base(BTC, told["filled"])) == ("IOC", there)
    assert desk.fills_of(client_id) == [(price, there)]
    assert await desk.exchange.fetch_open_orders(BTC) == []


async def test_all_or_nothing_is_all_or_nothing(desk: Desk) -> None:
    price, there = (await desk.book(BTC))["asks"][0]
    nothing = await unfilled(
        desk, there + desk.lot(BTC), price, desk.row.all_or_nothing_error, timeInForce="FOK"
    )
    assert desk.fills_of(nothing) == []
    everything = await desk.place(BTC, "buy", there, price, timeInForce="FOK")
    told = await desk.find(BTC, everything)
    assert (told["status"], told["timeInForce"]) == ("closed", "FOK")
    assert desk.fills_of(everything) == [(price, there)]


async def test_a_reduction_never_opens_a_position(desk: Desk) -> None:
    lot = desk.lot(BTC)
    kind, code = desk.row.reduce_only_error
    with pytest.raises(kind, match=code):
        await desk.place(BTC, "sell", 20 * lot, reduceOnly=True)
    await desk.place(BTC, "buy", 50 * lot)
    part = await desk.place(BTC, "sell", 20 * lot, reduceOnly=True)
    assert (await desk.find(BTC, part))["reduceOnly"] is True
    assert desk.process.state()["positions"] == {BTC: str(30 * lot)}
    await desk.place(BTC, "sell", 30 * lot, reduceOnly=True)
    assert desk.process.state()["positions"] == {}
    assert [
        p for p in await desk.exchange.fetch_positions([BTC]) if float(p["contracts"] or 0)
    ] == []


async def test_an_order_beyond_the_margin_is_refused(desk: Desk) -> None:
    await set_leverage(desk, 3)
    kind, code = desk.row.margin_error
    price = await far_bid(desk)
    lot = desk.lot(BTC)
    with pytest.raises(kind, match=code):
        await desk.place(BTC, "buy", WALLET * 4 / price // lot * lot, price)
    assert await desk.exchange.fetch_open_orders(BTC) == []


async def test_a_resting_order_fills_as_maker_at_its_price(desk: Desk) -> None:
    price, there = (await desk.book(BTC))["bids"][0]
    lot = desk.lot(BTC)
    client_id = await desk.place(BTC, "buy", 40 * lot, price)
    desk.process.shock("BTCUSDT", Decimal("-0.01"), 1)
    desk.process.advance(3)
    assert there > 0
    assert {fill[0] for fill in desk.fills_of(client_id)} == {price}
    told = await desk.find(BTC, client_id)
    assert (told["status"], Decimal(str(told["average"]))) == ("closed", price)
    trades = [t for t in await desk.exchange.fetch_my_trades(BTC) if t["order"] == told["id"]]
    assert {trade["takerOrMaker"] for trade in trades} == {"maker"}
    assert sum(desk.base(BTC, trade["amount"]) for trade in trades) == 40 * lot


async def test_the_dead_mans_switch_counts_down(desk: Desk) -> None:
    if desk.row.countdown is None:
        # Institutional accounts only: the others must be told that nothing protects them.
        with pytest.raises(ccxt.PermissionDenied, match="10005"):
            await desk.exchange.cancel_all_orders_after(30_000)
        return
    price = await far_bid(desk)
    client_id = await desk.place(BTC, "buy", 20 * desk.lot(BTC), price)
    await desk.row.countdown(desk.exchange, BTC, 30)
    desk.process.advance(20)
    await desk.row.countdown(desk.exchange, BTC, 30)
    desk.process.advance(29)
    assert (await desk.find(BTC, client_id))["status"] == "open"
    desk.process.advance(1.5)
    assert (await desk.find(BTC, client_id))["status"] == "canceled"
    await desk.row.countdown(desk.exchange, BTC, 0)


# --- the books balance ----------------------------------------------------------------------


async def test_what_ccxt_tells_is_the_truth_to_the_last_digit(desk: Desk) -> None:
    exchange, process = desk.exchange, desk.process
    known = len(process.state()["fills"])
    for symbol, side, lots in (
        (BTC, "buy", 137),
        (ETH, "sell", 911),
        (BTC, "sell", 41),
        (ETH, "buy", 1_203),
    ):
        await desk.place(symbol, side, lots * desk.lot(symbol))
        process.advance(0.75)
    resting = await desk.place(BTC, "buy", 10 * desk.lot(BTC), await far_bid(desk))
    process.advance(5)
    truth, whole = process.state(), process.truth()

    # Fills, one by one and in order.
    for symbol in SYMBOLS:
        wanted = [fill for fill in truth["fills"][known:] if fill["symbol"] == symbol]
        ids = {fill["order_id"] for fill in wanted}
        trades = [each for each in await exchange.fetch_my_trades(symbol) if each["order"] in ids]
        told = [
            (
                trade["order"],
                trade["side"],
                Decimal(str(trade["price"])),
                desk.base(symbol, trade["amount"]),
                Decimal(str(trade["fee"]["cost"])),
                trade["timestamp"],
            )
            for trade in trades
        ]
        assert len({trade["id"] for trade in trades}) == len(trades)
        assert sorted(told) == sorted(
            (
                fill["order_id"],
                fill["side"],
                Decimal(fill["price"]),
                Decimal(fill["quantity"]),
                Decimal(fill["fee"]),
                fill["event_ns"] // 1_000_000,
            )
            for fill in wanted
        )

    # Positions.
    positions = {each["symbol"]: each for each in await exchange.fetch_positions()}
    assert {
        symbol: desk.base(symbol, each["contracts"]) * (1 if each["side"] == "long" else -1)
        for symbol, each in positions.items()
    } == {symbol: Decimal(text) for symbol, text in truth["positions"].items()}
    for symbol, each in positions.items():
        held = whole["positions"][listed(desk)[symbol].instrument.instrument_id]
        assert same(each["entryPrice"], Decimal(held["entry_price"]))
        assert Decimal(str(each["markPrice"])) == Decimal(held["mark"])
        assert same(each["unrealizedPnl"], Decimal(held["unrealised_pnl"]))

    # Open orders.
    (order,) = await exchange.fetch_open_orders(BTC)
    assert (order["clientOrderId"], order["id"]) == (resting, desk.order_of(resting)["order_id"])

    # Cash and equity.
    balance = await exchange.fetch_balance()
    equity, wallet, available = desk.row.figures(balance["info"])
    assert same(equity, Decimal(truth["equity"]))
    assert same(wallet, Decimal(truth["wallet_balance"]))
    assert same(available, Decimal(whole["available_margin"]))
