"""Faults of what a venue says of key, account and rules: what an attestation must notice."""

from decimal import Decimal

import pytest

from attested_terms import READ, Terms
from fault_venues import FaultDesk

BTC = "BTC/USDT:USDT"
#: One whose tick is not taken back.
SOL = "SOL/USDT:USDT"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def told(desk: FaultDesk) -> Terms:
    return await READ[desk.process.venue][0](desk, BTC)


async def test_the_key_is_said_to_be_allowed_more_or_less(desk: FaultDesk) -> None:
    before = await told(desk)
    assert (before.trade, before.withdraw, before.transfer, before.bound) == (
        True,
        False,
        False,
        True,
    )
    desk.fault("key_permission", value="withdraw")
    assert (await told(desk)).withdraw
    desk.fault("clear")
    desk.fault("key_permission", value="transfer")
    assert (await told(desk)).transfer
    desk.fault("clear")
    desk.fault("key_permission", value="read_only")
    assert not (await told(desk)).trade
    desk.fault("clear")
    desk.fault("key_unbound")
    assert await told(desk) == before._replace(bound=False)
    desk.process.advance(11)
    assert await told(desk) == before
    status, answer = desk.process.attempt("/_control", {"kind": "key_permission", "value": "x"})
    assert (status, "withdraw, transfer or read_only" in answer["error"]) == (400, True)


async def test_mode_and_fee_are_said_to_be_others(desk: FaultDesk) -> None:
    before = await told(desk)
    mode = READ[desk.process.venue][1]
    desk.fault("account_mode", value=mode)
    assert await told(desk) == before._replace(mode=mode)
    desk.fault("clear")
    desk.fault("fee", value="7.5")
    assert await told(desk) == before._replace(taker_bps=Decimal("7.5"))
    desk.fault("clear")
    assert await told(desk) == before
    assert desk.process.attempt("/_control", {"kind": "fee"})[0] == 400


async def test_the_tick_size_changes(desk: FaultDesk) -> None:
    tick = desk.tick(SOL)
    desk.fault("tick_size", symbol="SOLUSDT", value=str(5 * tick))
    fresh = await desk.exchange.fetch_markets()
    (market,) = (each for each in fresh if each["symbol"] == SOL)
    assert Decimal(str(market["precision"]["price"])) == 5 * tick


async def test_the_contract_size_is_listed_otherwise(desk: FaultDesk) -> None:
    kind = "contract_size"
    if kind in desk.faulty.absent:
        status, answer = desk.process.attempt("/_control", {"kind": kind, "value": "10"})
        assert (status, f"order {desk.faulty.absent[kind]}" in answer["error"]) == (400, True)
        return
    before = desk.contract_size(BTC)
    desk.fault(kind, symbol="BTCUSDT", value="10")
    fresh = {each["symbol"]: each for each in await desk.exchange.fetch_markets()}
    assert Decimal(str(fresh[BTC]["contractSize"])) == 10 * before
    assert Decimal(str(fresh[SOL]["contractSize"])) == desk.contract_size(SOL)
