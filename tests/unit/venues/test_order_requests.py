"""Every kind of order as it leaves, byte for byte. `UPDATE=1` rewrites; the diff is the review."""

import os
import time
from pathlib import Path

import pytest

from carried_requests import VENUES, carried
from counterpoise.domain.orders import Side, TimeInForce
from stamped_orders import journaled
from venue_rigs import WallClock

GOLDEN = Path(__file__).parents[2] / "golden"

ORDERS = {
    "market increase": {"quantity": "1.5", "price": None},
    "limit increase, in part or not at all": {"quantity": "0.125", "price": "100000.1"},
    "limit increase, whole or not at all": {
        "quantity": "12", "price": "99999.90", "side": Side.SELL,
        "time_in_force": TimeInForce.FOK,
    },
    "limit increase that rests": {
        "quantity": "0.01", "price": "95000", "time_in_force": TimeInForce.GTC,
    },
    "limit increase that must rest": {"quantity": "1", "price": "95000", "post_only": True},
    "market reduction": {
        "quantity": "2", "price": None, "side": Side.SELL, "reduce_only": True,
    },
    # Cut to the lot, moved inside its own limit.
    "limit reduction off the grid": {
        "quantity": "0.0019999", "price": "100000.07", "side": Side.SELL, "reduce_only": True,
    },
    # Beyond what a float tells apart.
    "reduction of many digits": {
        "quantity": "654321.987", "price": "123456789012345.1", "side": Side.SELL,
        "reduce_only": True,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", VENUES)
async def test_an_order_leaves_as_it_always_did(name, monkeypatch):
    clock = WallClock()
    lines = []
    async with carried(name, clock, time.time_ns, monkeypatch) as (carrier, venue):
        for kind, given in ORDERS.items():
            await venue.submit(await journaled(clock, **given))
            lines.append(f"{kind}: {carrier.orders[-1].told()}")
        assert len(carrier.orders) == len(ORDERS)
    path = GOLDEN / name / "orders.requests.txt"
    if os.environ.get("UPDATE"):
        path.write_text("\n".join(lines) + "\n")
    assert lines == path.read_text().splitlines()
