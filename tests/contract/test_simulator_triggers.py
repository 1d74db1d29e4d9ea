"""Stops that rest at the venue, by each venue's unmodified ccxt class and on its raw stream.

A daemon that dies leaves them behind: they must open, move, end and close a position exactly as
the venue's documents say, and the truth must say the same as the wire.
"""

from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from ccxt_venues import ROWS, SEED, WALLET, Desk, pointed_at
from trigger_venues import TRIGGER_ROWS, StopStream, TriggerRow
from venue_process import VenueProcess, venue_process

BTC = "BTC/USDT:USDT"

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


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def stream(opened: Desk) -> AsyncIterator[StopStream]:
    row = TRIGGER_ROWS[opened.process.venue]
    async with aiohttp.ClientSession() as session:
        socket = await row.open_stream(opened, session)
        heard = StopStream(row, socket)
        await heard.read()
        yield heard
        await socket.close()


@pytest_asyncio.fixture(loop_scope="module")
async def stops(opened: Desk) -> AsyncIterator["Stops"]:
    desk = Stops(opened, TRIGGER_ROWS[opened.process.venue])
    yield desk
    for order in await desk.open():
        await desk.cancel(order["id"])
    await opened.flatten([BTC])
    # Order entry of a second is counted at some venues.
    opened.process.advance(2)


class Stops:
    """Stops of one account, in base units."""

    def __init__(self, desk: Desk, row: TriggerRow) -> None:
        self.desk = desk
        self.row = row

    @property
    def mark(self) -> Decimal:
        return Decimal(self.desk.process.truth()["markets"]["BTCUSDT"]["mark"])

    def under(self, fraction: str) -> Decimal:
        """A price on the grid, a fraction under the mark."""
        tick = self.desk.tick(BTC)
        return self.mark * (1 - Decimal(fraction)) // tick * tick

    async def place(self, price: Decimal, lots: int, **more: Any) -> tuple[str, str]:
        """Rest a reduce-only market stop under a long; return the venue's id and the client's."""
        desk = self.desk
        client_id = more.pop("client_id", None) or desk.client_id()
        quantity = lots * desk.lot(BTC) / desk.contract_size(BTC)
        wanted = {"stopLossPrice": str(price), self.row.client_id_name: client_id}
        made = await desk.exchange.create_order(
            BTC, "market", "sell", str(quantity.normalize()), None,
            wanted | self.row.placing | more,
        )  # fmt: skip
        assert made["id"]
        return made["id"], client_id

    async def open(self) -> list[dict[str, Any]]:
        return await self.desk.exchange.fetch_open_orders(BTC, None, None, dict(self.row.listing))

    async def cancel(self, order_id: str) -> None:
        await self.desk.exchange.cancel_order(order_id, BTC, dict(self.row.canceling))

    async def cancel_named(self, client_id: str) -> None:
        named = {self.row.cancel_name: client_id}
        await self.desk.exchange.cancel_order(None, BTC, self.row.canceling | named)

    def truth(self, order_id: str) -> dict[str, Any]:
        state = self.desk.process.state()
        (found,) = (e for e in state["trigger_orders"] if e["trigger_order_id"] == order_id)
        return found

    def position(self) -> Decimal:
        return Decimal(self.desk.process.state()["positions"].get(BTC, "0"))

    def fall(self, fraction: str) -> None:
        """Let the mark fall at once and stay there."""
        desk = self.desk
        desk.process.shock(desk.exchange.market(BTC)["id"], -Decimal(fraction), 0)
        desk.process.advance(0.5)


async def test_a_stop_rests_moves_and_ends(stops: Stops, stream: StopStream) -> None:
    desk, price = stops.desk, stops.under("0.02")
    await desk.place(BTC, "buy", 50 * desk.lot(BTC))
    margin = desk.process.truth()["initial_margin"]
    order_id, client_id = await stops.place(price, 50)
    assert desk.process.truth()["initial_margin"] == margin

    (told,) = await stops.open()
    assert (told["id"], told["status"], told["side"]) == (order_id, "open", "sell")
    assert told["reduceOnly"] is True
    assert Decimal(str(told["triggerPrice"] or told["stopLossPrice"])) == price
    assert desk.base(BTC, told["amount"]) == 50 * desk.lot(BTC)
    truth = stops.truth(order_id)
    assert (truth["state"], truth["source"], truth["client_order_id"]) == (
        "live",
        "mark",
        client_id,
    )
    assert (Decimal(truth["trigger_price"]), truth["direction"]) == (price, "falling")
    assert desk.process.truth()["open_orders"] == []

    with pytest.raises(stops.row.duplicate_error[0], match=stops.row.duplicate_error[1]):
        await stops.place(price, 50, client_id=client_id)
    assert [each["id"] for each in await stops.open()] == [order_id]

    if stops.row.amend is not None:
        lower = price - 100 * desk.tick(BTC)
        await stops.row.amend(desk, BTC, order_id, lower)
        (moved,) = await stops.open()
        assert moved["id"] == order_id
        assert Decimal(str(moved["triggerPrice"] or moved["stopLossPrice"])) == lower
        assert Decimal(stops.truth(order_id)["trigger_price"]) == lower

    await stops.cancel(order_id)
    assert await stops.open() == []
    assert (stops.truth(order_id)["state"], stops.truth(order_id)["cancel_cause"]) == (
        "canceled",
        "client",
    )
    with pytest.raises(stops.row.over_error[0], match=stops.row.over_error[1]):
        await stops.cancel(order_id)
    assert stops.position() == 50 * desk.lot(BTC)

    await stream.read()
    first, *middle, last = stream.states(order_id)
    assert [first, last] == stops.row.canceled_states
    # An amendment is told as what it still is.
    assert middle == [first] * (stops.row.amend is not None)


async def test_a_stop_is_canceled_by_its_clients_name(stops: Stops) -> None:
    desk = stops.desk
    await desk.place(BTC, "buy", 50 * desk.lot(BTC))
    order_id, client_id = await stops.place(stops.under("0.03"), 50)
    other_id, _ = await stops.place(stops.under("0.04"), 20)
    await stops.cancel_named(client_id)
    assert [each["id"] for each in await stops.open()] == [other_id]
    assert stops.truth(order_id)["state"] == "canceled"


async def test_a_stop_on_the_wrong_side_is_refused(stops: Stops) -> None:
    desk = stops.desk
    await desk.place(BTC, "buy", 50 * desk.lot(BTC))
    before = desk.process.state()["trigger_orders"]
    with pytest.raises(stops.row.at_once_error[0], match=stops.row.at_once_error[1]):
        await stops.place(stops.under("-0.01"), 50)
    assert desk.process.state()["trigger_orders"] == before
    assert stops.position() == 50 * desk.lot(BTC)


async def test_a_mark_that_crosses_closes_the_position(stops: Stops, stream: StopStream) -> None:
    desk, lot = stops.desk, stops.desk.lot(BTC)
    await desk.place(BTC, "buy", 50 * lot)
    near_id, near_name = await stops.place(stops.under("0.01"), 30)
    # Larger than what the first leaves: cut to that when it is reached.
    far_id, _ = await stops.place(stops.under("0.03"), 50)
    desk.process.advance(1)
    assert {stops.truth(each)["state"] for each in (near_id, far_id)} == {"live"}

    stops.fall("0.015")
    truth = stops.truth(near_id)
    assert (truth["state"], truth["failure"]) == ("triggered", None)
    assert stops.truth(far_id)["state"] == "live"
    assert stops.position() == 20 * lot
    state = desk.process.state()
    (child,) = (each for each in state["orders"] if each["order_id"] == truth["order_id"])
    fills = [each for each in state["fills"] if each["order_id"] == truth["order_id"]]
    assert (child["trigger_order_id"], child["state"], child["side"]) == (near_id, "filled", "sell")
    assert sum(Decimal(each["quantity"]) for each in fills) == 30 * lot
    assert child["client_order_id"] == (near_name if stops.row.child_named else None)
    assert (child["order_id"] == near_id) is stops.row.child_same

    told = await desk.exchange.fetch_my_trades(BTC, None, 20)
    assert sum(desk.base(BTC, e["amount"]) for e in told if e["order"] == child["order_id"]) == (
        30 * lot
    )
    (held,) = await desk.exchange.fetch_positions([BTC])
    assert desk.base(BTC, held["contracts"]) == 20 * lot
    assert [each["id"] for each in await stops.open()] == [far_id]

    stops.fall("0.03")
    assert stops.position() == 0
    far = stops.truth(far_id)
    (cut,) = (e for e in desk.process.state()["orders"] if e["order_id"] == far["order_id"])
    assert Decimal(cut["filled_quantity"]) == 20 * lot
    assert await stops.open() == []
    await stream.read()
    assert stream.states(near_id) == stops.row.filled_states


async def test_a_stop_without_its_position_fails_and_opens_nothing(
    stops: Stops, stream: StopStream
) -> None:
    desk, lot = stops.desk, stops.desk.lot(BTC)
    await desk.place(BTC, "buy", 50 * lot)
    order_id, _ = await stops.place(stops.under("0.01"), 50)
    await desk.place(BTC, "sell", 50 * lot, reduceOnly=True)
    assert stops.truth(order_id)["state"] == "live"
    orders = len(desk.process.state()["orders"])
    stops.fall("0.02")
    truth = stops.truth(order_id)
    assert (truth["state"], truth["failure"]) == ("failed", "reduce_only_no_position")
    assert (stops.position(), len(desk.process.state()["orders"])) == (0, orders)
    assert await stops.open() == []
    await stream.read()
    assert stream.states(order_id) == stops.row.failed_states


async def test_one_for_all_that_is_held_closes_it_or_ends_with_it(
    stops: Stops, stream: StopStream
) -> None:
    desk, lot = stops.desk, stops.desk.lot(BTC)
    for fallen in (True, False):
        await desk.place(BTC, "buy", 50 * lot)
        await stops.row.place_closing(desk, BTC, stops.under("0.01"))
        placed = desk.process.state()["trigger_orders"][-1]
        assert (placed["closes_position"], placed["with_position"]) == (True, True)
        await desk.place(BTC, "buy", 7 * lot)
        if fallen:
            stops.fall("0.02")
        else:
            await desk.place(BTC, "sell", 57 * lot, reduceOnly=True)
        assert stops.position() == 0
        truth = stops.truth(placed["trigger_order_id"])
        if fallen:
            assert truth["state"] == "triggered"
            orders = desk.process.state()["orders"]
            (child,) = (each for each in orders if each["order_id"] == truth["order_id"])
            assert Decimal(child["filled_quantity"]) == 57 * lot
        else:
            assert (truth["state"], truth["cancel_cause"]) == ("canceled", "position_gone")
            await stream.read()
            told = stream.states(placed["trigger_order_id"])
            assert told[-1] == stops.row.gone_state
        assert await stops.open() == []
