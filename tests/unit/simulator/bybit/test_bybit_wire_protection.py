"""Disconnect protection of an account it was enabled for."""

import pytest

from counterpoise.domain.orders import Side
from counterpoise.exchange.orders import NewOrder
from counterpoise.simulator.bybit.errors import WireError
from counterpoise.simulator.bybit.protection import Protection

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def resting(rehearsal):
    mark = rehearsal.exchange.mark("ETHUSDT")
    instrument = rehearsal.exchange.instrument("ETHUSDT")
    order = NewOrder(
        instrument_id="ETHUSDT",
        side=Side.BUY,
        quantity=instrument.lot_size * 100,
        price_limit=mark * 95 // 100 // instrument.tick_size * instrument.tick_size,
    )
    rehearsal.floor.venue.place(rehearsal.key.account_id, [order])
    assert len(rehearsal.account.open_orders) == 1
    return rehearsal


async def test_orders_go_when_the_last_stream_is_gone_for_the_window(resting):
    protection = Protection(resting.floor.venue, resting.key.account_id, enabled=True)
    protection.set_window(3)
    protection.join()
    protection.join()
    protection.leave()
    resting.grant(4)
    assert len(resting.account.open_orders) == 1
    protection.leave()
    resting.grant(2.75)
    assert len(resting.account.open_orders) == 1
    resting.grant(0.5)
    assert resting.account.open_orders == ()


async def test_a_stream_that_is_back_in_time_keeps_them(resting):
    protection = Protection(resting.floor.venue, resting.key.account_id, enabled=True)
    protection.set_window(3)
    protection.join()
    protection.leave()
    resting.grant(2)
    protection.join()
    resting.grant(3)
    assert len(resting.account.open_orders) == 1


@pytest.mark.parametrize(("enabled", "seconds", "code"), [(False, 10, 10005), (True, 2, 10001)])
async def test_a_window_needs_leave_and_bounds(rehearsal, enabled, seconds, code):
    protection = Protection(rehearsal.floor.venue, rehearsal.key.account_id, enabled=enabled)
    with pytest.raises(WireError) as refused:
        protection.set_window(seconds)
    assert refused.value.code == code
