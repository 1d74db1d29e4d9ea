"""What the venue does to a position is told as its doing, and where it stands in the ADL queue."""

import time

import pytest

from counterpoise.domain.events import FillReported, LiquidationPrinted
from counterpoise.domain.orders import FillCause, Side
from counterpoise.domain.units import NS_PER_SECOND

CORE, OTHER = "BTCUSDT", "ETHUSDT"


@pytest.fixture
async def paid_back(desk):
    """Give back what a liquidation took: the account is the whole suite's."""
    before = (await desk.venue.account()).balance.wallet_balance
    yield
    lost = before - (await desk.venue.account()).balance.wallet_balance
    desk.rig.fault("transfer", value=str(lost))


async def causes(desk, since_ns: int) -> dict[str | None, FillCause | None]:
    """Return whose doing the executions of CORE were by REST, by our order's id if it is ours."""
    fills = await desk.venue.fills_since(since_ns)
    return {
        fill.client_order_id if fill.cause is FillCause.ORDER else fill.cause.value: fill.cause
        for fill in fills
        if fill.instrument_id == CORE and fill.cause is not None
    }


async def test_a_deleveraged_part_is_told_as_adl(desk, running):
    since_ns = time.time_ns() - NS_PER_SECOND
    order = await desk.order(CORE, Side.BUY, 40, price_bps=100)
    await desk.venue.submit(order)
    ours = await desk.account.until(lambda event: isinstance(event, FillReported))
    assert ours.fill.cause is FillCause.ORDER
    (held,) = (await desk.venue.account()).positions
    assert held.adl_rank in {1, 2, 3, 4, 5}
    desk.account.clear()
    quantity = 10 * desk.lot(CORE)
    desk.rig.fault("force_reduce", symbol=CORE, value=str(quantity))
    found = await causes(desk, since_ns)
    assert found[order.intent.client_order_id] is FillCause.ORDER
    assert found["adl"] is FillCause.ADL
    (left,) = (await desk.venue.account()).positions
    assert left.quantity == held.quantity - quantity
    if running.name != "okx":
        # OKX pushes the position alone.
        told = await desk.account.until(lambda event: isinstance(event, FillReported))
        assert (told.fill.cause, told.fill.quantity) == (FillCause.ADL, quantity)


async def test_a_liquidation_is_told_as_one_and_printed_in_public(desk, paid_back):
    since_ns = time.time_ns() - NS_PER_SECOND
    await desk.venue.submit(await desk.order(CORE, Side.BUY, 40, price_bps=100))
    (held,) = (await desk.venue.account()).positions
    desk.market.clear()
    desk.rig.fault("liquidate")
    printed = await desk.market.until(
        lambda event: isinstance(event, LiquidationPrinted) and event.instrument_id == CORE
    )
    assert (printed.side, printed.quantity) == (Side.SELL, held.quantity)
    assert printed.price > 0
    assert (await causes(desk, since_ns))["liquidation"] is FillCause.LIQUIDATION
    assert (await desk.venue.account()).positions == ()
