import asyncio
import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from aiohttp import web

from counterpoise.domain.errors import (
    OutcomeUnknown,
    StampRefused,
    StartRefused,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.events import UpdateSource
from counterpoise.domain.orders import OrderState, Side, TimeInForce
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.orders import OkxVenue
from counterpoise.venues.throttle import Lane

ORDER = "/api/v5/trade/order"
ID = "cp0123456789abcdef0123456789abcd"


def answered(*rows, code="0", status=200):
    body = {"code": code, "msg": "", "data": list(rows)}

    async def answer(request, sent):
        return web.json_response(body, status=status)

    return answer


def accepted(**changes):
    row = {"ordId": "77", "clOrdId": ID, "sCode": "0", "sMsg": "", "ts": "1700000000123"}
    return answered(row | changes)


async def test_an_increase_is_sent_digit_for_digit(venue, stub, journal_order):
    stub.answers[ORDER] = accepted()
    order = await journal_order(quantity="0.1235", price="99999.9")
    update = await venue.submit(order)
    assert stub.sent(ORDER) == [
        {
            "instId": "BTC-USDT-SWAP",
            "side": "buy",
            "ordType": "ioc",
            "sz": "12.35",
            "px": "99999.9",
            "tdMode": "cross",
            "clOrdId": ID,
        }
    ]
    headers = stub.requests[-1][1]
    deadline_ns = order.approved.expires_ns + venue.offset_ns
    assert headers["expTime"] == str(deadline_ns // NS_PER_MS)
    assert (update.state, update.venue_order_id, update.client_order_id) == (
        OrderState.ACCEPTED,
        "77",
        ID,
    )
    assert (update.event_ns, update.source) == (1_700_000_000_123 * NS_PER_MS, UpdateSource.REST)


async def test_a_reduction_says_so_and_has_no_deadline(venue, stub, journal_order):
    stub.answers[ORDER] = accepted()
    await venue.submit(
        await journal_order(
            quantity="3", side=Side.SELL, price=None, reduce_only=True, instrument_id="ETHUSDT"
        )
    )
    sent = stub.sent(ORDER)[0]
    assert sent == {
        "instId": "ETH-USDT-SWAP",
        "side": "sell",
        "ordType": "optimal_limit_ioc",
        "sz": "30",
        "tdMode": "cross",
        "reduceOnly": True,
        "clOrdId": ID,
    }
    assert "expTime" not in stub.requests[-1][1]


async def test_the_signature_covers_what_arrives(venue, stub, journal_order):
    stub.answers[ORDER] = accepted()
    await venue.submit(await journal_order(quantity="1"))
    path, headers, body = stub.requests[-1]
    text = headers["OK-ACCESS-TIMESTAMP"] + "POST" + path + json.dumps(body, separators=(",", ":"))
    digest = hmac.new(b"secret-8", text.encode(), hashlib.sha256).digest()
    assert headers["OK-ACCESS-SIGN"] == base64.b64encode(digest).decode()
    assert headers["OK-ACCESS-PASSPHRASE"] == "phrase-9"


def stamp_ns(headers):
    stamp = headers["OK-ACCESS-TIMESTAMP"].replace("Z", "+00:00")
    return int(datetime.fromisoformat(stamp).timestamp() * 1_000) * NS_PER_MS


async def test_stamps_are_made_with_the_venues_clock(venue, stub, clock, journal_order):
    stub.answers[ORDER] = accepted()
    stub.ahead_ns = 90 * NS_PER_SECOND
    assert await venue.clock_offset_ns() == pytest.approx(90 * NS_PER_SECOND, abs=NS_PER_SECOND)
    await venue.submit(await journal_order(quantity="0.5"))
    assert stamp_ns(stub.headers(ORDER)[0]) - clock.now_ns() == pytest.approx(
        90 * NS_PER_SECOND, abs=2 * NS_PER_SECOND
    )


def refused_once(stub, path, code, then):
    """Answer a path with a refusal of the stamp first."""
    answers = [answered(code=code, status=401), then]

    async def answer(request, sent):
        return await answers.pop(0)(request, sent)

    stub.answers[path] = answer


@pytest.mark.parametrize("closed", [(), (Lane.READS,)])
async def test_a_reduction_refused_for_the_clock_can_go_out_with_the_clock_measured_anew(
    venue, stub, journal_order, closed
):
    venue._opened.lanes.close(30, *closed)
    refused_once(stub, ORDER, "50102", accepted())
    stub.ahead_ns = 40 * NS_PER_SECOND
    order = await journal_order(quantity="0.5", side=Side.SELL, price=None, reduce_only=True)
    async with asyncio.timeout(5):
        with pytest.raises(StampRefused):
            await venue.submit(order)
        assert (await venue.submit(order)).venue_order_id == "77"
    first, second = stub.headers(ORDER)
    assert stamp_ns(second) - stamp_ns(first) == pytest.approx(
        40 * NS_PER_SECOND, abs=2 * NS_PER_SECOND
    )
    assert [body["clOrdId"] for body in stub.sent(ORDER)] == [ID, ID]


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("/api/v5/trade/cancel-order", OkxVenue.cancel),
        ("/api/v5/trade/cancel-algos", OkxVenue.cancel_trigger),
    ],
)
async def test_a_cancel_refused_for_the_clock_measures_it(venue, stub, path, ask):
    refused_once(stub, path, "50102", accepted())
    with pytest.raises(StampRefused):
        await ask(venue, "BTCUSDT", ID)
    await ask(venue, "BTCUSDT", ID)
    assert len(stub.sent(path)) == 2


@pytest.mark.parametrize("rows", [(), ({},), ({"ts": ""},), ({"ts": None},), ("x",)])
async def test_an_answer_that_is_no_time_is_none(venue, stub, rows):
    stub.answers["/api/v5/public/time"] = answered(*rows)
    before = venue.offset_ns
    with pytest.raises(VenueUnreachable, match="no time"):
        await venue.clock_offset_ns()
    assert venue.offset_ns == before


async def test_an_increase_refused_for_the_clock_is_not_sent_again(venue, stub, journal_order):
    stub.answers[ORDER] = answered(code="50102", status=401)
    with pytest.raises(VenueRejected) as refusal:
        await venue.submit(await journal_order(quantity="0.5"))
    assert refusal.value.code == "50102"
    assert len(stub.sent(ORDER)) == 1


async def test_a_reduction_whose_clock_cannot_be_measured_keeps_its_refusal(
    venue, stub, journal_order
):
    stub.answers[ORDER] = answered(code="50102", status=401)
    stub.answers["/api/v5/public/time"] = answered(code="50001", status=503)
    with pytest.raises(VenueRejected) as refusal:
        await venue.submit(await journal_order(quantity="1", side=Side.SELL, reduce_only=True))
    assert refusal.value.code == "50102"
    assert not isinstance(refusal.value, StampRefused)
    assert len(stub.sent(ORDER)) == 1


@pytest.mark.parametrize(
    ("time_in_force", "order_type"), [(TimeInForce.GTC, "limit"), (TimeInForce.FOK, "fok")]
)
async def test_times_in_force(venue, stub, journal_order, time_in_force, order_type):
    stub.answers[ORDER] = accepted()
    await venue.submit(await journal_order(quantity="1", time_in_force=time_in_force))
    assert stub.sent(ORDER)[0]["ordType"] == order_type


async def test_an_expired_increase_is_not_sent(venue, stub, clock, journal_order):
    order = await journal_order(quantity="1")
    clock.ahead_ns = 2_000 * NS_PER_MS
    with pytest.raises(VenueRejected) as refusal:
        await venue.submit(order)
    assert refusal.value.code == "APPROVAL_EXPIRED"
    assert stub.sent(ORDER) == []


async def test_an_expired_reduction_is_sent(venue, stub, clock, journal_order):
    stub.answers[ORDER] = accepted()
    order = await journal_order(quantity="1", side=Side.SELL, reduce_only=True)
    clock.ahead_ns = 60_000 * NS_PER_MS
    assert (await venue.submit(order)).state is OrderState.ACCEPTED


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"quantity": "0.00001"}, "BELOW_LOT_SIZE"),
        ({"quantity": "1", "price": "99999.95"}, "OFF_TICK"),
        ({"quantity": "1", "instrument_id": "NEWUSDT"}, "INSTRUMENT_UNKNOWN"),
    ],
)
async def test_what_the_venue_would_refuse_is_not_sent(venue, stub, journal_order, changes, code):
    with pytest.raises(VenueRejected) as refusal:
        await venue.submit(await journal_order(**changes))
    assert refusal.value.code == code
    assert stub.sent(ORDER) == []


async def reset(request, sent):
    request.transport.abort()
    return web.Response()


async def silent(request, sent):
    await asyncio.sleep(1)
    return web.Response()


def text(body, status=200):
    async def answer(request, sent):
        return web.Response(text=body, status=status, content_type="text/html")

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        reset,
        text(""),
        text("<html>maintenance</html>"),
        text("<html>bad gateway</html>", 502),
        text("<html>524</html>", 524),
        text("", 504),
        answered(),
        accepted(ordId=""),
        accepted(clOrdId="somebodyelses"),
        answered(code="50004", status=400),
        answered(code="50026", status=503),
        answered({"sCode": "51149", "sMsg": "timed out", "ordId": ""}, code="1", status=500),
        answered({"sCode": "77777", "sMsg": "a new code", "ordId": ""}, code="1"),
        answered({"sCode": "51149", "sMsg": "timed out", "ordId": ""}, code="2"),
    ],
)
async def test_without_proof_the_outcome_is_unknown(venue, stub, journal_order, answer):
    stub.answers[ORDER] = answer
    with pytest.raises(OutcomeUnknown):
        await venue.submit(await journal_order(quantity="1"))
    assert len(stub.sent(ORDER)) == 1


@pytest.mark.parametrize("timeout_ms", [400])
async def test_a_timeout_is_unknown_and_sent_once(venue, stub, journal_order):
    stub.answers[ORDER] = silent
    with pytest.raises(OutcomeUnknown):
        await venue.submit(await journal_order(quantity="1"))
    assert len(stub.sent(ORDER)) == 1


@pytest.mark.parametrize("envelope", ["1", "2"])
async def test_a_definite_refusal_is_one(venue, stub, journal_order, envelope):
    refused = {"sCode": "51008", "sMsg": "Insufficient USDT margin", "ordId": "", "clOrdId": ID}
    stub.answers[ORDER] = answered(refused, code=envelope)
    with pytest.raises(VenueRejected, match="Insufficient USDT margin") as refusal:
        await venue.submit(await journal_order(quantity="1"))
    assert refusal.value.code == "51008"


async def test_an_answer_in_time_may_still_be_the_wrong_one(venue, stub, journal_order):
    stub.answers[ORDER] = text('{"code":"0","msg":"","data":[{"ordId":"77","clO')
    with pytest.raises(OutcomeUnknown):
        await venue.submit(await journal_order(quantity="1"))


async def test_a_venue_that_is_not_there_was_sent_nothing(clock, credentials, journal_order, stub):
    venue = OkxVenue(OkxEndpoints.loopback(stub.port), credentials, clock, timeout_ms=400)
    await venue.open()
    try:
        venue._session.orders.urls["api"] = {"rest": "http://127.0.0.1:1"}
        with pytest.raises(VenueUnreachable):
            await venue.submit(await journal_order(quantity="1"))
    finally:
        await venue.close()


async def test_a_closed_venue_sends_nothing(venue, stub, journal_order):
    order = await journal_order(quantity="1")
    await venue.close()
    await venue.close()
    with pytest.raises(VenueUnreachable):
        await venue.submit(order)


async def test_reductions_never_wait_for_the_lane(venue, stub, journal_order):
    stub.answers[ORDER] = accepted()
    lanes = venue._session.lanes
    # The lane of increases is full for two seconds.
    lanes.allow(replace(lanes.limits, increases=1))
    async with lanes.order(reduce_only=False):
        pass
    order = await journal_order(quantity="1", side=Side.SELL, reduce_only=True)
    await asyncio.wait_for(venue.submit(order), 1.5)
    increase = await journal_order(quantity="1")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(venue.submit(increase), 0.3)
    assert len(stub.sent(ORDER)) == 1


CANCEL = "/api/v5/trade/cancel-order"


@pytest.mark.parametrize("code", ["51400", "51401", "51402", "51410"])
async def test_a_cancel_of_what_is_over_is_no_error(venue, stub, code):
    stub.answers[CANCEL] = answered({"sCode": code, "sMsg": "over", "ordId": ""}, code="1")
    await venue.cancel("BTCUSDT", ID)
    assert stub.sent(CANCEL) == [{"instId": "BTC-USDT-SWAP", "clOrdId": ID}]


async def test_a_cancel_may_be_unknown_too(venue, stub):
    stub.answers[CANCEL] = reset
    with pytest.raises(OutcomeUnknown):
        await venue.cancel("BTCUSDT", ID)


async def test_leverage_is_set_for_cross_margin(venue, stub):
    path = "/api/v5/account/set-leverage"
    stub.answers[path] = answered({"lever": "3", "mgnMode": "cross", "instId": "BTC-USDT-SWAP"})
    await venue.set_leverage("BTCUSDT", Decimal("3.0"))
    assert stub.sent(path) == [{"instId": "BTC-USDT-SWAP", "lever": "3", "mgnMode": "cross"}]


@pytest.mark.parametrize(
    ("code", "remedy"),
    [("50111", "API key is wrong"), ("50105", "passphrase is wrong"), ("50113", "secret is wrong")],
)
async def test_a_wrong_key_refuses_the_start(stub, clock, code, remedy):
    stub.answers["/api/v5/account/config"] = answered(code=code, status=401)
    wrong = OkxCredentials(api_key="key-7", secret="secret-8", passphrase="phrase-9")
    venue = OkxVenue(OkxEndpoints.loopback(stub.port), wrong, clock, timeout_ms=400)
    with pytest.raises(StartRefused, match=remedy) as refusal:
        await venue.open()
    assert not any(part in str(refusal.value) for part in ("key-7", "secret-8", "phrase-9"))


async def test_a_venue_that_does_not_answer_is_unreachable(clock, credentials):
    venue = OkxVenue(OkxEndpoints.loopback(1), credentials, clock, timeout_ms=400)
    with pytest.raises(VenueUnreachable):
        await venue.open()


async def test_an_instrument_that_is_not_listed_refuses_the_start(venue):
    with pytest.raises(StartRefused, match="NEWUSDT"):
        await venue.instruments(["NEWUSDT"])
    with pytest.raises(StartRefused, match="BTCUSD "):
        venue.venue_symbol("BTCUSD")


async def test_symbols_and_contract_sizes(venue):
    assert venue.venue_symbol("ETHUSDT") == "ETH-USDT-SWAP"
    assert venue.contract_size("ETHUSDT") == Decimal("0.1")


async def test_demo_is_marked_on_every_request(stub, clock, credentials):
    endpoints = OkxEndpoints(
        rest_url=f"http://127.0.0.1:{stub.port}",
        public_url="ws://x",
        private_url="ws://x",
        simulated_trading=True,
    )
    venue = OkxVenue(endpoints, credentials, clock)
    await venue.open()
    await venue.close()
    assert {headers.get("x-simulated-trading") for _, headers, _ in stub.requests} == {"1"}
