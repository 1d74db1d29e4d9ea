"""Somebody else on the daemon's account at the built-in venue: orders and trades by hand."""

import asyncio
from decimal import Decimal
from typing import Any

from counterpoise.simulator import client
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.session import OkxSession
from daemon_process import Daemon


def other_client(made: Daemon) -> OkxSession:
    """Return a session of its own with the account's key."""
    port = client.read_port(made.simulator_dir)
    assert port is not None
    key = client.credentials(made.simulator_dir)
    return OkxSession(
        OkxEndpoints.loopback(port),
        OkxCredentials(api_key=key.api_key, secret=key.secret, passphrase=key.passphrase),
        timeout_ms=3_000,
    )


def rest_an_order(made: Daemon, client_order_id: str) -> None:
    """Leave a limit order in the core's book, so far away that it never fills."""

    async def body(session: OkxSession) -> dict[str, Any]:
        mark = await _mark(session, "BTC-USDT-SWAP")
        price = (mark * Decimal("0.985")).quantize(Decimal("0.1"))
        order = {"ordType": "limit", "px": str(price), "sz": "1", "clOrdId": client_order_id}
        return {"instId": "BTC-USDT-SWAP", "side": "buy", **order}

    asyncio.run(_send(made, body))


def trade(made: Daemon, symbol: str, side: str, notional: int) -> None:
    """Buy or sell so much quote of a swap at market, rounded down to a contract."""

    async def body(session: OkxSession) -> dict[str, Any]:
        mark = await _mark(session, symbol)
        (rules,) = await session.read("publicGetPublicInstruments", instType="SWAP", instId=symbol)
        contracts = int(notional / (mark * Decimal(rules["ctVal"])))
        return {"instId": symbol, "side": side, "ordType": "market", "sz": str(contracts)}

    asyncio.run(_send(made, body))


def close(made: Daemon, symbol: str, side: str, contracts: Decimal) -> None:
    """Close what is held of a swap at market, reduce-only."""

    async def body(_session: OkxSession) -> dict[str, Any]:
        size = {"sz": str(contracts), "reduceOnly": True}
        return {"instId": symbol, "side": side, "ordType": "market", **size}

    asyncio.run(_send(made, body))


async def _mark(session: OkxSession, symbol: str) -> Decimal:
    marks = await session.read("publicGetPublicMarkPrice", instType="SWAP", instId=symbol)
    return Decimal(marks[0]["markPx"])


async def _send(made: Daemon, body: Any) -> None:
    session = other_client(made)
    try:
        order = {"tdMode": "cross", **await body(session)}
        answer = await session.change(lambda: session.orders.privatePostTradeOrder(order))
        assert answer["data"][0]["sCode"] == "0", answer
    finally:
        await session.close()
