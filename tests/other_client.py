"""Somebody else on the daemon's account at the built-in venue: orders and trades by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

from counterpoise.app import venue_table
from counterpoise.app.clock import SystemClock
from counterpoise.domain import rounding
from counterpoise.simulator import client
from daemon_process import Daemon


def rest_an_order(made: Daemon, client_order_id: str) -> None:
    """Leave a limit order in the core's book, so far away that it never fills."""
    price = (_mark(made, "BTCUSDT") * Decimal("0.985")).quantize(Decimal("0.1"))
    asyncio.run(
        _send(made, "BTCUSDT", "buy", Decimal("0.01"), price=price, client_order_id=client_order_id)
    )


def trade(made: Daemon, instrument_id: str, side: str, notional: int) -> None:
    """Buy or sell so much quote of a market, rounded down to a lot."""
    asyncio.run(_send(made, instrument_id, side, notional / _mark(made, instrument_id)))


def close(made: Daemon, instrument_id: str, side: str, quantity: Decimal) -> None:
    """Close base units of what is held at market, reduce-only."""
    asyncio.run(_send(made, instrument_id, side, quantity, reduce_only=True))


def _mark(made: Daemon, instrument_id: str) -> Decimal:
    return Decimal(str(made.venue()["markets"][instrument_id]["mark"]))


@asynccontextmanager
async def _connected(made: Daemon) -> AsyncIterator[Any]:
    # The daemon's own adapter knows how to reach the venue; the orders are sent past it.
    port = client.read_port(made.simulator_dir)
    assert port is not None
    key = client.credentials(made.simulator_dir)
    adapters = venue_table.VENUES[made.variables["simulator_venue"]].adapters()
    credentials = adapters.credentials(key.api_key, key.secret, key.passphrase)
    venue: Any = adapters.venue(adapters.loopback(port), credentials, SystemClock())
    await venue.open()
    try:
        yield venue
    finally:
        await venue.close()


async def _send(
    made: Daemon,
    instrument_id: str,
    side: str,
    quantity: Decimal,
    *,
    price: Decimal | None = None,
    client_order_id: str | None = None,
    reduce_only: bool = False,
) -> None:
    async with _connected(made) as venue:
        (rules,) = await venue.instruments((instrument_id,))
        on_grid = rounding.quantize_toward_zero(quantity, rules.lot_size)
        contracts = on_grid / venue.contract_size(instrument_id)
        more: dict[str, Any] = {"tdMode": "cross"} if venue.name == "okx" else {}
        if client_order_id is not None:
            more["clientOrderId"] = client_order_id
        if reduce_only:
            more["reduceOnly"] = True
        symbol = f"{rules.base}/{rules.quote}:{rules.settle}"
        orders = venue._opened.orders
        await orders.load_markets()
        kind = "market" if price is None else "limit"
        at = None if price is None else float(price)
        answer = await orders.create_order(symbol, kind, side, float(contracts), at, more)
        assert answer["id"], answer
