"""Faults of books, marks and the clock, by stream and by REST of each venue."""

import itertools
import time
from decimal import Decimal

import pytest

from fault_venues import STEP_SECONDS, FaultDesk, Frame, Socket

BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def updates(
    desk: FaultDesk, socket: Socket, seconds: float = 3.0, *, least: int = 1
) -> list[Frame]:
    """Let the market run and return the book updates it pushed, at least so many."""
    for _ in range(round(seconds / STEP_SECONDS)):
        desk.process.advance(STEP_SECONDS)
    return [frame for frame in await socket.waiting(least) if desk.faulty.chain(frame) is not None]


def breaks(desk: FaultDesk, frames: list[Frame]) -> list[int]:
    """Return the places at which the numbers of updates do not follow each other."""
    chain = [desk.faulty.chain(frame) for frame in frames]
    places = []
    for place, (before, after) in enumerate(itertools.pairwise(chain), 1):
        assert before is not None
        assert after is not None
        if before[1] != after[0]:
            places.append(place)
    return places


@pytest.mark.parametrize("kind", ["gap_books", "wrong_sequence_books"])
async def test_a_chain_of_book_updates_breaks_once(desk: FaultDesk, kind: str) -> None:
    async with desk.books(BTC) as socket, desk.books(ETH) as other:
        whole = await updates(desk, socket, least=4)
        assert len(whole) > 3
        assert breaks(desk, whole) == []
        await other.waiting()
        desk.fault(kind, symbol="BTCUSDT")
        broken = await updates(desk, socket, least=4)
        # The first update belongs to the last one before the fault.
        assert len(breaks(desk, [whole[-1], *broken])) == 1
        untouched = [each for each in await other.waiting() if desk.faulty.chain(each)]
        assert len(untouched) > 3
        assert breaks(desk, untouched) == []


async def test_a_crossed_book(desk: FaultDesk) -> None:
    async with desk.books(BTC) as socket:
        desk.fault("crossed_book", symbol="BTCUSDT", duration_seconds=30)
        book = await desk.exchange.fetch_order_book(BTC, 20)
        assert Decimal(str(book["bids"][0][0])) > Decimal(str(book["asks"][0][0]))
        bids = [row for frame in await updates(desk, socket, 0.5)
                for row in desk.faulty.levels(frame)[0]]  # fmt: skip
        best_ask = (await desk.book(BTC))["asks"][0][0]
        assert max(Decimal(row[0]) for row in bids if Decimal(row[1])) > best_ask
        other = await desk.book(ETH)
        assert other["bids"][0][0] < other["asks"][0][0]
    desk.process.advance(31)
    mended = await desk.book(BTC)
    assert mended["bids"][0][0] < mended["asks"][0][0]


async def test_an_empty_book(desk: FaultDesk) -> None:
    async with desk.books(BTC) as socket:
        await updates(desk, socket, 0.5)
        desk.fault("empty_book", symbol="BTCUSDT", duration_seconds=30)
        book = await desk.exchange.fetch_order_book(BTC, 20)
        assert (book["bids"], book["asks"]) == ([], [])
        told = await updates(desk, socket, 0.5)
        bids, asks = desk.faulty.levels(told[0])
        assert len(bids) > 5
        assert len(asks) > 5
        assert {Decimal(row[1]) for row in [*bids, *asks]} == {Decimal(0)}
        # What the venue shows and what it trades on are two things.
        client_id = await desk.place(BTC, "buy", 20 * desk.lot(BTC))
        assert desk.held(BTC) == 20 * desk.lot(BTC)
        assert (await desk.find(BTC, client_id))["status"] == "closed"
        desk.clear()
        refilled = desk.faulty.levels((await updates(desk, socket, 0.5))[0])
        assert min(len(refilled[0]), len(refilled[1])) > 5


async def test_a_frozen_book(desk: FaultDesk) -> None:
    async with desk.books(BTC) as socket:
        await updates(desk, socket, 0.5)
        desk.fault("freeze_book", symbol="BTCUSDT", duration_seconds=30)
        before = await desk.book(BTC)
        levels = [desk.faulty.levels(frame) for frame in await updates(desk, socket, least=0)]
        # A repeated or empty update may come; nothing in it may have changed.
        assert [each for each in levels if any(each)] == []
        assert await desk.book(BTC) == before
        desk.process.advance(30)
        assert await desk.book(BTC) != before


async def test_a_mark_that_stands_still(desk: FaultDesk) -> None:
    desk.fault("stale_mark", symbol="BTCUSDT", duration_seconds=30)
    before, other = await desk.faulty.mark(desk, BTC), await desk.faulty.mark(desk, ETH)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        desk.process.shock(symbol, Decimal("0.02"), 1)
    desk.process.advance(10)
    assert await desk.faulty.mark(desk, BTC) == before
    assert await desk.faulty.mark(desk, ETH) > other * Decimal("1.005")
    truth = Decimal(desk.process.truth()["markets"]["BTCUSDT"]["mark"])
    assert truth > before * Decimal("1.005")
    desk.process.advance(21)
    shown = await desk.faulty.mark(desk, BTC)
    assert shown == Decimal(desk.process.truth()["markets"]["BTCUSDT"]["mark"])


async def test_the_clock_jumps(desk: FaultDesk) -> None:
    error, code = desk.faulty.stamp_error
    true_ms = desk.process.state()["now_ns"] // 1_000_000
    desk.fault("clock_jump", value="120", duration_seconds=30)
    assert await desk.exchange.fetch_time() == true_ms + 120_000
    # The client's clock is right and refused all the same.
    assert abs(time.time() * 1_000 - desk.exchange.milliseconds()) < 1_000
    with pytest.raises(error, match=code):
        await desk.exchange.fetch_balance()
    desk.process.advance(31)
    assert await desk.exchange.fetch_time() == true_ms + 31_000
    assert await desk.exchange.fetch_balance()
