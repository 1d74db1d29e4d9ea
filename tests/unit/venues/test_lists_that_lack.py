"""A list of markets says what is listed; whether an order goes out in a known one is not its say."""

import time
from decimal import Decimal

import pytest

from carried_requests import ROWS, VENUES, carried
from counterpoise.domain.errors import StartRefused, VenueError
from counterpoise.domain.orders import OrderState, Side
from stamped_orders import journaled
from venue_rigs import WallClock

UNREADABLE = {
    "okx": {"lotSz": "x"},
    "binance": {"filters": [{"filterType": "LOT_SIZE", "stepSize": "x"}]},
    "bybit": {"lotSizeFilter": {"qtyStep": "x"}},
}
LISTS = {
    "nothing": lambda _name: [],
    "another market alone": lambda name: [ROWS[name]("ETH")],
    "an unreadable row": lambda name: [ROWS[name]("BTC", **UNREADABLE[name]), ROWS[name]("ETH")],
    "rows that are none": lambda _name: [None, 7, {}],
}


async def sells(clock, instrument_id="BTCUSDT"):
    return await journaled(
        clock, quantity="0.05", side=Side.SELL, price="100000.07", reduce_only=True,
        instrument_id=instrument_id,
    )  # fmt: skip


@pytest.mark.parametrize("told", LISTS)
@pytest.mark.parametrize("name", VENUES)
async def test_what_a_list_lacks_is_still_reduced(name, told, monkeypatch):
    clock = WallClock()
    async with carried(name, clock, time.time_ns, monkeypatch) as (carrier, venue):
        size, symbol = venue.contract_size("BTCUSDT"), venue.venue_symbol("BTCUSDT")
        assert (await venue.submit(await sells(clock))).state is OrderState.ACCEPTED
        carrier.markets = LISTS[told](name)
        with pytest.raises((StartRefused, VenueError)):
            await venue.instruments(("BTCUSDT",))
        assert (await venue.submit(await sells(clock))).state is OrderState.ACCEPTED
        # An increase is for the gate to refuse, and leaves by the same way.
        increase = await journaled(clock, quantity="0.05")
        assert (await venue.submit(increase)).state is OrderState.ACCEPTED
        before, after, _ = carrier.orders
        assert before.told() == after.told()
        assert (venue.contract_size("BTCUSDT"), venue.venue_symbol("BTCUSDT")) == (size, symbol)


@pytest.mark.parametrize("base", ["AE", "BEAM", "WIN", "YOYO"])
@pytest.mark.parametrize("name", VENUES)
async def test_a_market_has_the_venues_name_whatever_ccxt_calls_its_currency(
    name, base, monkeypatch
):
    clock = WallClock()
    async with carried(name, clock, time.time_ns, monkeypatch) as (carrier, venue):
        carrier.markets.append(ROWS[name](base))
        await venue.close()
        await venue.open()
        order = await sells(clock, f"{base}USDT")
        assert (await venue.submit(order)).state is OrderState.ACCEPTED
        (sent,) = carrier.orders
        symbol = f"{base}-USDT-SWAP" if name == "okx" else f"{base}USDT"
        assert symbol in {sent.fields.get("symbol"), sent.fields.get("instId")}


@pytest.mark.parametrize("name", VENUES)
async def test_a_grid_finer_than_a_float_is_sent_as_it_is(name, monkeypatch):
    clock = WallClock()
    fine = {
        "okx": {"ctVal": "0.00000001", "lotSz": "0.00000001", "minSz": "0.00000001"},
        "binance": {
            "filters": [
                {"filterType": "PRICE_FILTER", "tickSize": "0.0000000001"},
                {
                    "filterType": "LOT_SIZE",
                    "stepSize": "0.0000001",
                    "minQty": "0.0000001",
                    "maxQty": "1000000",
                },
                {"filterType": "MIN_NOTIONAL", "notional": "5"},
            ]
        },
        "bybit": {"lotSizeFilter": {"qtyStep": "0.0000001", "minOrderQty": "0.0000001"}},
    }[name]
    async with carried(name, clock, time.time_ns, monkeypatch) as (carrier, venue):
        carrier.markets = [ROWS[name]("BTC", **fine)]
        await venue.close()
        await venue.open()
        order = await journaled(
            clock, quantity="912345.1234567", side=Side.SELL, price=None, reduce_only=True
        )
        await venue.submit(order)
        (sent,) = carrier.orders
        told = next(sent.fields[each] for each in ("sz", "qty", "quantity") if each in sent.fields)
        assert Decimal(told) * venue.contract_size("BTCUSDT") == Decimal("912345.1234567")
        assert "E" not in told.upper()
