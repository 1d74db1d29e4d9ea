"""Faults of requests and orders, as each venue's ccxt class meets them; the truth beside it."""

import time
from typing import Any

import ccxt.async_support as ccxt
import pytest

from fault_venues import FaultDesk

BTC = "BTC/USDT:USDT"

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def buy(desk: FaultDesk, lots: int = 20, **more: Any) -> str:
    return await desk.place(BTC, "buy", lots * desk.lot(BTC), **more)


@pytest.mark.parametrize("stage", ["answer", "request"])
async def test_a_connection_ends_without_an_answer(desk: FaultDesk, stage: str) -> None:
    desk.fault("drop_after_read", method="POST", stage=stage)
    client_id = desk.client_id()
    with pytest.raises(ccxt.ExchangeNotAvailable):
        await buy(desk, client_id=client_id)
    assert desk.known(client_id) is (stage == "answer")
    await buy(desk)


async def test_an_order_is_taken_and_the_answer_never_comes(desk: FaultDesk) -> None:
    # It strikes order entry alone: reading stays possible, and finds the order.
    desk.fault("accept_then_timeout", seconds=3)
    assert await desk.exchange.fetch_balance()
    client_id = desk.client_id()
    desk.exchange.timeout = 400
    with pytest.raises(ccxt.RequestTimeout):
        await buy(desk, client_id=client_id)
    desk.exchange.timeout = 10_000
    told = await desk.find(BTC, client_id)
    assert (told["status"], told["id"]) == ("closed", desk.order_of(client_id)["order_id"])
    assert desk.held(BTC) == await desk.told_held(BTC) == 20 * desk.lot(BTC)


async def test_an_empty_answer_is_no_refusal(desk: FaultDesk) -> None:
    desk.fault("http_200_empty", path_contains=desk.faulty.order_path, method="POST")
    client_id = desk.client_id()
    # Every class returns an order that knows nothing.
    with pytest.raises(AssertionError, match="is answered with its id"):
        await buy(desk, client_id=client_id)
    assert desk.exchange.last_http_response == ""
    assert desk.held(BTC) == 20 * desk.lot(BTC)
    assert desk.known(client_id)


@pytest.mark.parametrize("stage", ["answer", "request"])
async def test_an_answer_comes_late(desk: FaultDesk, stage: str) -> None:
    desk.fault("delay", path_contains=desk.faulty.order_path, seconds=0.3, stage=stage)
    began = time.monotonic()
    client_id = await buy(desk)
    assert time.monotonic() - began >= 0.3
    assert desk.known(client_id)


async def refused(desk: FaultDesk, kind: str, **details: Any) -> str:
    """Order a trouble of order entry, meet it, and return the client id of the order."""
    error, _, words = desk.faulty.troubles[kind]
    desk.fault(kind, path_contains=desk.faulty.order_path, **details)
    client_id = desk.client_id()
    with pytest.raises(error):
        await buy(desk, client_id=client_id)
    assert words in str(desk.exchange.last_http_response)
    return client_id


@pytest.mark.parametrize("stage", ["request", "answer"])
@pytest.mark.parametrize(
    "kind", ["unavailable", "rate_limited", "banned", "maintenance", "unknown_outcome"]
)
async def test_a_trouble_in_the_venues_words(desk: FaultDesk, kind: str, stage: str) -> None:
    # What the client reads is the same before and after acceptance: that is the trouble.
    client_id = await refused(desk, kind, stage=stage)
    assert desk.known(client_id) is (stage == "answer")
    assert desk.held(BTC) == (20 * desk.lot(BTC) if stage == "answer" else 0)


@pytest.mark.parametrize(
    ("kind", "accepted"),
    [
        ("unavailable", 0),
        ("rate_limited", 0),
        ("banned", 0),
        ("maintenance", 0),
        ("unknown_outcome", 1),
    ],
)
async def test_whether_a_trouble_comes_before_acceptance(
    desk: FaultDesk, kind: str, accepted: int
) -> None:
    before = len(desk.process.state()["orders"])
    await refused(desk, kind)
    assert len(desk.process.state()["orders"]) == before + accepted


@pytest.mark.parametrize(
    "kind", ["unavailable", "unknown_outcome", "rate_limited", "banned", "maintenance"]
)
async def test_the_status_line_of_a_trouble(desk: FaultDesk, kind: str) -> None:
    _, status, words = desk.faulty.troubles[kind]
    desk.fault(kind, path_contains=desk.faulty.time_path, seconds=7)
    session = desk.exchange.session
    address = f"{desk.process.ready['rest']}{_path(desk)}"
    async with session.get(address) as answer:
        assert answer.status == status
        assert words in await answer.text()
        if desk.process.venue == "binance" and kind in ("rate_limited", "banned"):
            assert answer.headers["Retry-After"] == "7"
        if desk.process.venue == "bybit" and kind == "rate_limited":
            assert answer.headers["X-Bapi-Limit-Status"] == "0"
    async with session.get(address) as answer:
        assert answer.status == 200


def _path(desk: FaultDesk) -> str:
    path = desk.faulty.time_path
    return f"/api/v5{path}" if desk.process.venue == "okx" else path


async def test_a_trouble_of_reads_spares_orders(desk: FaultDesk) -> None:
    error, _, _ = desk.faulty.troubles["rate_limited"]
    desk.fault("rate_limited", method="GET", count=0, duration_seconds=60)
    client_id = await buy(desk)
    with pytest.raises(error):
        await desk.exchange.fetch_positions([BTC])
    assert desk.known(client_id)
    desk.process.advance(61)
    assert await desk.told_held(BTC) == 20 * desk.lot(BTC)


async def test_a_chance_strikes_now_and_then(desk: FaultDesk) -> None:
    error, _, _ = desk.faulty.troubles["rate_limited"]
    desk.fault(
        "rate_limited",
        path_contains=desk.faulty.time_path,
        count=0,
        duration_seconds=60,
        probability=0.5,
    )
    outcomes = []
    for _ in range(24):
        try:
            await desk.exchange.fetch_time()
        except error:
            outcomes.append(False)
        else:
            outcomes.append(True)
    assert 4 <= sum(outcomes) <= 20


async def test_the_older_name_of_a_trouble(desk: FaultDesk) -> None:
    if "reject_50026" not in desk.faulty.absent:
        assert not desk.known(await refused(desk, "reject_50026"))
    else:
        is_refused(desk, "reject_50026")


def is_refused(desk: FaultDesk, kind: str) -> None:
    status, answer = desk.process.attempt("/_control", {"kind": kind})
    assert status == 400
    assert f"{kind} does not exist at {desk.process.venue}: " in answer["error"]
    assert f"order {desk.faulty.absent[kind]}" in answer["error"]
    assert desk.process.ask("/_control")["faults"] == []


# --- orders ---------------------------------------------------------------------------------


async def test_increases_alone_are_refused(desk: FaultDesk) -> None:
    await buy(desk, 40)
    desk.fault("reject_increases", count=2, symbol="BTCUSDT")
    error, code = desk.row.margin_error
    client_id = desk.client_id()
    with pytest.raises(error, match=code):
        await buy(desk, client_id=client_id)
    assert not desk.known(client_id)
    await desk.place(BTC, "sell", 20 * desk.lot(BTC), reduceOnly=True)
    await desk.place(BTC, "sell", 10 * desk.lot(BTC))
    assert desk.held(BTC) == 10 * desk.lot(BTC)
    with pytest.raises(error, match=code):
        await desk.place(BTC, "sell", 60 * desk.lot(BTC))
    await buy(desk)
    assert desk.held(BTC) == await desk.told_held(BTC) == 30 * desk.lot(BTC)


async def test_a_client_id_is_said_to_exist(desk: FaultDesk) -> None:
    desk.fault("duplicate_client_id")
    error, code = desk.row.duplicate_error
    client_id = desk.client_id()
    with pytest.raises(error, match=code):
        await buy(desk, client_id=client_id)
    assert not desk.known(client_id)
    assert desk.held(BTC) == 0


async def test_an_order_fills_in_part(desk: FaultDesk) -> None:
    desk.fault("partial_fill", value="0.25")
    client_id = await buy(desk, 80)
    told = await desk.find(BTC, client_id)
    assert told["status"] in desk.row.unfilled
    assert desk.base(BTC, told["filled"]) == 20 * desk.lot(BTC)
    assert desk.base(BTC, told["amount"]) == 80 * desk.lot(BTC)
    assert desk.held(BTC) == await desk.told_held(BTC) == 20 * desk.lot(BTC)
