"""Intent -> the request Binance gets, and its answer -> what happened. Nothing is sent twice."""

import asyncio
import time
from decimal import Decimal

import pytest
from aiohttp import web

from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    PriceRefused,
    StampRefused,
    StartRefused,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.domain.orders import OrderState, Side, TimeInForce
from counterpoise.domain.units import NS_PER_MS
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.orders import BinanceVenue
from counterpoise.venues.throttle import Lane

ORDER = "POST /fapi/v1/order"
#: What changes from one request to the next.
STAMPS = {"timestamp", "signature", "recvWindow"}


def taken(fields):
    return {
        "orderId": 77,
        "clientOrderId": fields["newClientOrderId"],
        "status": "NEW",
        "updateTime": 1_767_225_600_000,
    }


def request_of(stub):
    (fields,) = stub.sent(ORDER)
    return {name: value for name, value in fields.items() if name not in STAMPS}


COMMON = {
    "symbol": "BTCUSDT",
    "newClientOrderId": "cp0123456789abcdef0123456789abcd",
    "newOrderRespType": "ACK",
}


@pytest.mark.parametrize(
    ("given", "request_fields"),
    [
        (
            {"quantity": "0.125", "price": "100000"},
            {
                "side": "BUY", "type": "LIMIT", "quantity": "0.125", "price": "100000",
                "timeInForce": "IOC",
            },
        ),
        (
            {
                "quantity": "0.5", "price": "99999.90", "side": Side.SELL,
                "time_in_force": TimeInForce.FOK,
            },
            {
                "side": "SELL", "type": "LIMIT", "quantity": "0.5", "price": "99999.9",
                "timeInForce": "FOK",
            },
        ),
        (
            {"quantity": "1", "price": "95000", "post_only": True},
            {
                "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "95000",
                "timeInForce": "GTX",
            },
        ),
        (
            {"quantity": "2", "price": None, "side": Side.SELL, "reduce_only": True},
            {"side": "SELL", "type": "MARKET", "quantity": "2", "reduceOnly": "true"},
        ),
        # Cut to the lot, moved inside its own limit: a reduction always goes out.
        (
            {"quantity": "0.0019999", "price": "100000.07", "side": Side.SELL, "reduce_only": True},
            {
                "side": "SELL", "type": "LIMIT", "quantity": "0.001", "price": "100000.1",
                "timeInForce": "IOC", "reduceOnly": "true",
            },
        ),
    ],
)  # fmt: skip
async def test_an_intent_is_sent_digit_for_digit(venue, stub, journal_order, given, request_fields):
    stub.answers[ORDER] = taken
    update = await venue.submit(await journal_order(**given))
    assert request_of(stub) == COMMON | request_fields
    assert (update.state, update.venue_order_id) == (OrderState.ACCEPTED, "77")
    assert update.event_ns == 1_767_225_600_000_000_000


async def test_an_increase_carries_the_end_of_its_approval_and_a_reduction_all_the_time(
    venue, stub, journal_order
):
    stub.answers[ORDER] = taken
    increase = await journal_order(quantity="1")
    await venue.submit(increase)
    await venue.submit(await journal_order(quantity="1", side=Side.SELL, reduce_only=True))
    first, second = stub.sent(ORDER)
    deadline_ms = int(first["timestamp"]) + int(first["recvWindow"])
    assert deadline_ms == pytest.approx(increase.approved.expires_ns // 10**6, abs=50)
    assert second["recvWindow"] == "60000"
    over_ns = (int(second["timestamp"]) + int(second["recvWindow"])) * NS_PER_MS
    assert over_ns == pytest.approx(time.time_ns() + venue.reduction_valid_ns, abs=10**9)
    # Behind the venue's clock, which refuses what is a second ahead of it.
    assert int(second["timestamp"]) == pytest.approx(time.time() * 1_000 - 5_000, abs=900)


async def test_stamps_follow_the_venues_clock(venue, stub, journal_order):
    stub.ahead_ms = 90_000
    assert await venue.clock_offset_ns() == pytest.approx(90 * 10**9, abs=10**9)
    stub.answers[ORDER] = taken
    await venue.submit(await journal_order(quantity="1", side=Side.SELL, reduce_only=True))
    (fields,) = stub.sent(ORDER)
    assert int(fields["timestamp"]) == pytest.approx(time.time() * 1_000 + 85_000, abs=900)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"quantity": "0.0009"}, "BELOW_LOT_SIZE"),
        ({"quantity": "1", "price": "100000.07"}, "OFF_TICK"),
        ({"quantity": "1", "instrument_id": "NOSUCHUSDT"}, "INSTRUMENT_UNKNOWN"),
    ],
)
async def test_what_cannot_be_right_is_not_sent(venue, stub, journal_order, given, code):
    with pytest.raises(VenueRejected) as refusal:
        await venue.submit(await journal_order(**given))
    assert refusal.value.code == code
    assert stub.sent(ORDER) == []


def too_early(stub):
    """Refuses a stamp that is a second ahead of the stub's clock, as Binance does."""

    def answer(fields):
        venue_ms = time.time() * 1_000 + stub.ahead_ms
        if int(fields["timestamp"]) >= venue_ms + 1_000:
            return web.json_response({"code": -1021, "msg": "ahead"}, status=400)
        return taken(fields) if "newClientOrderId" in fields else {"status": "CANCELED"}

    return answer


async def test_what_lowers_risk_survives_a_step_of_our_clock(venue, stub, journal_order):
    stub.ahead_ms = -30_000
    stub.answers[ORDER] = stub.answers["DELETE /fapi/v1/order"] = too_early(stub)
    with pytest.raises(VenueRejected) as refusal:
        await venue.submit(await journal_order(quantity="1"))
    assert refusal.value.code == "-1021"
    assert len(stub.sent(ORDER)) == 1
    reduction = await journal_order(quantity="1", side=Side.SELL, reduce_only=True)
    with pytest.raises(StampRefused):
        await venue.submit(reduction)
    # Measured once, right from then on.
    assert (await venue.submit(reduction)).state is OrderState.ACCEPTED
    assert len(stub.sent(ORDER)) == 3
    await venue.cancel("BTCUSDT", "cp1")
    assert len(stub.sent("DELETE /fapi/v1/order")) == 1


async def test_a_reductions_clock_is_measured_while_reads_are_closed(venue, stub, journal_order):
    stub.ahead_ms = -30_000
    stub.answers[ORDER] = too_early(stub)
    venue._opened.lanes.close(30, Lane.READS)
    reduction = await journal_order(quantity="1", side=Side.SELL, reduce_only=True)
    async with asyncio.timeout(5):
        with pytest.raises(StampRefused):
            await venue.submit(reduction)
        assert (await venue.submit(reduction)).state is OrderState.ACCEPTED
    assert len(stub.sent(ORDER)) == 2


@pytest.mark.parametrize(
    ("path", "ask"),
    [
        ("DELETE /fapi/v1/order", BinanceVenue.cancel),
        ("DELETE /fapi/v1/algoOrder", BinanceVenue.cancel_trigger),
    ],
)
async def test_a_cancel_refused_for_its_stamp_measures_the_clock(venue, stub, path, ask):
    stub.ahead_ms = -30_000
    stub.answers[path] = too_early(stub)
    with pytest.raises(StampRefused):
        await ask(venue, "BTCUSDT", "cp1")
    await ask(venue, "BTCUSDT", "cp1")
    assert len(stub.sent(path)) == 2


def refused(code: int, status: int = 400, words: str = "words"):
    def answer(_fields):
        return web.json_response({"code": code, "msg": words}, status=status)

    return answer


def raw(status: int, text: str):
    return lambda _fields: web.Response(status=status, text=text)


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (refused(-2019), VenueRejected),
        (refused(-2022), PositionDoubtful),
        (refused(-4118), PositionDoubtful),
        (refused(-4016), PriceRefused),
        (refused(-4024), PriceRefused),
        (refused(-4131), PriceRefused),
        (refused(-4164), VenueRejected),
        (refused(-1008, 503), VenueRejected),
        (refused(-1021), VenueRejected),
        (refused(-1003, 429), VenueRejected),
        (refused(-1003, 418), VenueRejected),
        (refused(-1015, 429), VenueRejected),
        (refused(-1007, 408), OutcomeUnknown),
        (refused(-1006), OutcomeUnknown),
        (refused(-1001), OutcomeUnknown),
        (refused(-1000), OutcomeUnknown),
        # A code nobody documented proves nothing.
        (refused(-9999), OutcomeUnknown),
        (
            raw(503, "Unknown error, please check your request or try again later."),
            OutcomeUnknown,
        ),
        (raw(503, "Service Unavailable."), OutcomeUnknown),
        (raw(502, "<html>Bad Gateway</html>"), OutcomeUnknown),
        (raw(403, "<html>blocked</html>"), OutcomeUnknown),
        (raw(200, ""), OutcomeUnknown),
        (raw(200, "<html></html>"), OutcomeUnknown),
        (raw(200, "{"), OutcomeUnknown),
        (lambda _fields: {"orderId": 7, "clientOrderId": "another"}, OutcomeUnknown),
        (lambda _fields: {"clientOrderId": "cp0123456789abcdef0123456789abcd"}, OutcomeUnknown),
    ],
)
async def test_an_answer_is_a_refusal_only_if_it_says_so(
    venue, stub, journal_order, answer, meaning
):
    stub.answers[ORDER] = answer
    with pytest.raises((VenueRejected, OutcomeUnknown, VenueUnreachable)) as found:
        await venue.submit(await journal_order(quantity="1"))
    assert type(found.value) is meaning, found.value
    assert len(stub.sent(ORDER)) == 1


async def test_a_venue_that_is_gone_was_not_reached(stub, clock, journal_order):
    venue = BinanceVenue(
        BinanceEndpoints.loopback(stub.port),
        BinanceCredentials(api_key="k", secret="s"),
        clock,
        timeout_ms=500,
    )
    await venue.open()
    order = await journal_order(quantity="1")
    # A port nobody listens on: the same client, another address.
    for client in (venue._session.orders, venue._session.reads):
        client.urls["api"] = {
            name: url.replace(f":{stub.port}", ":9") for name, url in client.urls["api"].items()
        }
    with pytest.raises(VenueUnreachable):
        await venue.submit(order)
    await venue.close()


async def test_cancel_takes_over_for_an_answer_and_nothing_else(venue, stub):
    stub.answers["DELETE /fapi/v1/order"] = refused(-2011)
    await venue.cancel("BTCUSDT", "cp1")
    (sent,) = stub.sent("DELETE /fapi/v1/order")
    assert (sent["symbol"], sent["origClientOrderId"]) == ("BTCUSDT", "cp1")
    stub.answers["DELETE /fapi/v1/order"] = refused(-1007, 408)
    with pytest.raises(OutcomeUnknown):
        await venue.cancel("BTCUSDT", "cp1")


async def test_leverage_comes_with_cross_margin_whether_or_not_it_was(venue, stub):
    stub.answers["POST /fapi/v1/marginType"] = refused(-4046)
    stub.answers["POST /fapi/v1/leverage"] = {"symbol": "BTCUSDT", "leverage": 3}
    await venue.set_leverage("BTCUSDT", Decimal("3.0"))
    (kind,), (setting,) = (
        stub.sent(name) for name in ("POST /fapi/v1/marginType", "POST /fapi/v1/leverage")
    )
    assert (kind["marginType"], setting["leverage"]) == ("CROSSED", "3")
    stub.answers["POST /fapi/v1/marginType"] = refused(-4048)
    with pytest.raises(VenueRejected):
        await venue.set_leverage("BTCUSDT", Decimal(3))


async def test_the_countdown_is_armed_in_every_market_that_is_followed(venue, stub):
    stub.answers["POST /fapi/v1/countdownCancelAll"] = {"countdownTime": "60000"}
    for instrument_id in ("BTCUSDT", "ETHUSDT"):
        venue.venue_symbol(instrument_id)
    assert await venue.arm_dead_man(60) is True
    sent = stub.sent("POST /fapi/v1/countdownCancelAll")
    assert sorted((each["symbol"], each["countdownTime"]) for each in sent) == [
        ("BTCUSDT", "60000"),
        ("ETHUSDT", "60000"),
    ]


@pytest.mark.parametrize("code", [-2014, -2015, -1022])
async def test_a_key_at_fault_refuses_the_start_with_its_remedy(stub, clock, code):
    stub.answers["GET /fapi/v3/balance"] = refused(code, 401)
    venue = BinanceVenue(
        BinanceEndpoints.loopback(stub.port),
        BinanceCredentials(api_key="KEYTEXT", secret="SECRETTEXT"),
        clock,
    )
    with pytest.raises(StartRefused) as refusal:
        await venue.open()
    assert str(code) in str(refusal.value)
    assert "TEXT" not in str(refusal.value)
