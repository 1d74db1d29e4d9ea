"""Same seed, same scenario: the same market and the same day, byte for byte."""

import asyncio
import contextlib
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from ccxt_venues import ROWS, Desk, pointed_at
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.market_log import market_log
from counterpoise.simulator.scenarios import load_scenario, scenario_names
from counterpoise.simulator.venues import VenueName, parameters
from venue_process import VenueProcess, venue_process

BTC = "BTC/USDT:USDT"
ETH = "ETH/USDT:USDT"
OPENED_NS = 1_767_225_600 * NS_PER_SECOND


def logged(scenario: str, seed: int, pieces: list[float]) -> str:
    """The market log of a venue nobody trades on, its time granted in pieces of seconds."""
    made = parameters(VenueName.OKX, demo=False)(seed)
    exchange = Exchange.create(made, OPENED_NS, load_scenario(scenario))
    log = ""
    for seconds in pieces:
        log += market_log(exchange.advance(exchange.now_ns + round(seconds * NS_PER_SECOND)))
    return log


@pytest.mark.parametrize("scenario", scenario_names())
def test_a_market_is_decided_by_its_seed_and_scenario(scenario: str) -> None:
    log = logged(scenario, 5, [16.0])
    assert log == logged(scenario, 5, [0.1, 0.7, 4.0, 0.25, 3.33, 5.0, 2.62])
    assert log != logged(scenario, 6, [16.0])
    first = msgspec.json.decode(log.partition("\n")[0])
    assert first["event_ns"] == OPENED_NS + NS_PER_SECOND // 4


@contextlib.contextmanager
def pair(venue: str, directory: Path) -> Iterator[list[VenueProcess]]:
    """Two processes that differ in nothing but their log."""
    options = {"speed": 0, "port": 0, "wallet": 2_000_000, "scenario": "squeeze"}
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                venue_process(
                    venue,
                    directory / f"{place}.log",
                    seed=9,
                    event_log=directory / f"{place}.jsonl",
                    **options,
                )
            )
            for place in (0, 1)
        ]


async def trade_a_day(process: VenueProcess) -> None:
    """A client that never acts on its own clock: it trades, waits and grants time in turn."""
    row = ROWS[process.venue]
    exchange = pointed_at(process, row.class_name, row.options)
    try:
        await exchange.load_markets()
        desk = Desk(process, exchange, row)
        lot = desk.lot(BTC)
        book = await desk.book(BTC)
        tick = desk.tick(BTC)
        resting = [
            await desk.place(BTC, "buy", 30 * lot, book["bids"][0][0] - at * tick, client_id=name)
            for at, name in enumerate(("bidone", "bidtwo", "bidthree"))
        ]
        await desk.place(BTC, "buy", 200 * lot, client_id="core")
        process.advance(2.0)
        await desk.place(ETH, "sell", 500 * desk.lot(ETH), client_id="hedge")
        process.advance(0.4)
        with contextlib.suppress(row.over_error[0]):
            await desk.cancel(BTC, resting[2])
        process.fault("partial_fill", symbol="BTCUSDT", probability=0.5, count=2)
        process.advance(3.0)
        await desk.place(BTC, "sell", 150 * lot, client_id="out", reduceOnly=True)
        process.advance(5.0)
    finally:
        await exchange.close()


@pytest.mark.parametrize("venue", list(ROWS))
async def test_a_day_with_a_lock_step_client_is_the_same_day_again(
    venue: str, tmp_path: Path
) -> None:
    with pair(venue, tmp_path) as processes:
        await asyncio.gather(*map(trade_a_day, processes))
        states = [process.state() for process in processes]
    first, second = ((tmp_path / f"{place}.jsonl").read_bytes() for place in (0, 1))
    assert first == second
    assert states[0] == states[1]
    assert {fill["client_order_id"] for fill in states[0]["fills"]} >= {"core", "hedge", "out"}
    assert Decimal(states[0]["positions"][BTC]) > 0
    kinds = {msgspec.json.decode(line)["event"] for line in first.splitlines()}
    assert kinds >= {
        "BookChanged",
        "MarkChanged",
        "OrderChanged",
        "PositionChanged",
        "TradePrinted",
        "WalletChanged",
    }
