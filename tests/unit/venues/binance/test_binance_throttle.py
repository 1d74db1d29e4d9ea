"""What Binance tells of its limits and of what is used, and what becomes of our lanes."""

import time
from decimal import Decimal

import pytest
from aiohttp import web

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.orders import Side
from counterpoise.venues.binance import throttle
from counterpoise.venues.binance.throttle import DOCUMENTED, UNCOUNTED, Allowance
from counterpoise.venues.throttle import Lane, Lanes

INFO = "GET /fapi/v1/exchangeInfo"
ACCOUNT = "GET /fapi/v3/account"
ORDER = "POST /fapi/v1/order"


def limit_row(kind: str, interval: str, count: object, limit: object) -> dict[str, object]:
    return {"rateLimitType": kind, "interval": interval, "intervalNum": count, "limit": limit}


@pytest.mark.parametrize(
    ("rows", "allowed"),
    [
        ([], DOCUMENTED),
        (
            [
                limit_row("REQUEST_WEIGHT", "MINUTE", 1, 6_000),
                limit_row("ORDERS", "SECOND", 10, 500),
                limit_row("ORDERS", "MINUTE", 1, 2_000),
            ],
            Allowance(weight_minute=6_000, orders_ten_seconds=500, orders_minute=2_000),
        ),
        # An account's own row alone, and rows of windows or kinds we do not count by.
        (
            [
                limit_row("ORDERS", "SECOND", 10, 10_000),
                limit_row("ORDERS", "DAY", 1, 7),
                limit_row("RAW_REQUESTS", "MINUTE", 1, 9),
            ],
            Allowance(orders_ten_seconds=10_000),
        ),
        # What cannot be read changes nothing.
        (
            [
                limit_row("REQUEST_WEIGHT", "MINUTE", 1, None),
                limit_row("REQUEST_WEIGHT", "MINUTE", "x", 5),
                limit_row("ORDERS", "SECOND", 10, -3),
                {},
            ],
            DOCUMENTED,
        ),
    ],
)
def test_what_the_rows_of_limits_allow(rows, allowed):
    assert DOCUMENTED.told(rows) == allowed


def test_the_shares_of_the_documents_limits_and_of_others():
    lanes = DOCUMENTED.account_lanes()
    assert (lanes.reads, lanes.candles, lanes.increases, lanes.cancels) == (1_920, 500, 150, 60)
    assert lanes.reads_at_once == 240
    streams = DOCUMENTED.stream_lanes()
    assert (streams.reads, streams.snapshots) == (240, 500)
    # A minute of the account's reads, begun with all it may have at once, closes no lane of reads;
    # candles and books, which are closed first, are not asked for meanwhile. What the cancels of
    # six windows weigh besides is free even then.
    assert throttle.READS_UNTIL * DOCUMENTED.weight_minute > 1_920 + 240
    assert throttle.PATIENT_UNTIL < throttle.READS_UNTIL
    # On a quiet day reads weigh 366: then both streams and candles have all of theirs.
    assert DOCUMENTED.weight_minute >= 366 + 500 + 6 * 60 + 240 + 500
    # The tighter of the two limits of orders rules; half, or a quarter, is kept for reductions.
    tight = Allowance(weight_minute=1_200, orders_ten_seconds=300, orders_minute=60)
    assert tight.account_lanes().increases == 7
    assert tight.account_lanes().reads == 960
    # The heaviest call passes the narrowest lane.
    assert Allowance(weight_minute=10).account_lanes().reads == 40
    assert Allowance(weight_minute=10).account_lanes().reads_at_once == 40


@pytest.mark.parametrize(
    ("headers", "closed"),
    [
        ({"X-MBX-USED-WEIGHT-1M": "1799"}, {}),
        ({"x-mbx-used-weight-1m": "1800"}, {Lane.CANDLES: 46, Lane.SNAPSHOTS: 46}),
        (
            {"X-MBX-USED-WEIGHT-1M": "2208"},
            {Lane.CANDLES: 46, Lane.SNAPSHOTS: 46, Lane.READS: 46},
        ),
        ({"X-MBX-USED-WEIGHT-1M": "many"}, {}),
        ({"X-MBX-ORDER-COUNT-10S": "179", "X-MBX-ORDER-COUNT-1M": "959"}, {}),
        ({"X-MBX-ORDER-COUNT-10S": "180"}, {Lane.INCREASES: 6}),
        ({"X-MBX-ORDER-COUNT-1M": "960"}, {Lane.INCREASES: 46}),
    ],
)
def test_what_is_used_closes_lanes_until_the_window_of_binances_clock_ends(headers, closed):
    lanes = Lanes(DOCUMENTED.account_lanes())
    # Fifteen seconds into a minute, and five into ten seconds.
    throttle.heed(lanes, DOCUMENTED, 200, headers, "{}", 60 * 1_000_000 + 15)
    for lane in Lane:
        assert lanes.closed_seconds(lane) == pytest.approx(closed.get(lane, 0), abs=0.5)


@pytest.mark.parametrize(
    ("status", "headers", "body", "closed"),
    [
        (
            429, {"Retry-After": "9"}, '{"code": -1003, "msg": "too many"}',
            {Lane.READS: 9, Lane.CANDLES: 9, Lane.SNAPSHOTS: 9, Lane.INCREASES: 9},
        ),
        (429, {}, "", {Lane.READS: 1, Lane.CANDLES: 1, Lane.SNAPSHOTS: 1, Lane.INCREASES: 1}),
        (429, {"Retry-After": "4"}, '{"code":-1015,"msg":"orders"}', {Lane.INCREASES: 4}),
        (
            418, {"retry-after": "130"}, "",
            {Lane.READS: 130, Lane.CANDLES: 130, Lane.SNAPSHOTS: 130, Lane.INCREASES: 130},
        ),
        (503, {"Retry-After": "9"}, "", {}),
    ],
)  # fmt: skip
def test_an_answer_that_asks_for_less_closes_what_it_means_and_never_cancels(
    status, headers, body, closed
):
    lanes = Lanes(DOCUMENTED.account_lanes())
    throttle.heed(lanes, DOCUMENTED, status, headers, body, 0.0)
    for lane in Lane:
        assert lanes.closed_seconds(lane) == pytest.approx(closed.get(lane, 0), abs=0.5)


async def test_the_lanes_follow_what_exchange_info_and_the_account_say(venue, stub):
    session = venue._session
    assert session.lanes.limits == UNCOUNTED.account_lanes()
    stub.answers[INFO]["rateLimits"] = [
        limit_row("REQUEST_WEIGHT", "MINUTE", 1, 1_200),
        limit_row("ORDERS", "SECOND", 10, 300),
        limit_row("ORDERS", "MINUTE", 1, 1_200),
    ]
    await venue.instrument_states(["BTCUSDT"])
    assert session.allowed == Allowance(weight_minute=1_200)
    assert session.lanes.limits == Allowance(weight_minute=1_200).account_lanes()


async def test_limits_of_orders_that_the_account_has_of_its_own_stay(venue, stub):
    session = venue._session
    session.allow([limit_row("ORDERS", "SECOND", 10, 10_000)], of_account=True)
    stub.answers[INFO]["rateLimits"] = [
        limit_row("REQUEST_WEIGHT", "MINUTE", 1, 1_200),
        limit_row("ORDERS", "SECOND", 10, 300),
    ]
    await venue.instrument_states(["BTCUSDT"])
    assert session.allowed.weight_minute == 1_200
    assert session.allowed.orders_ten_seconds == 10_000


async def test_a_weight_that_others_used_up_makes_reads_wait_and_no_reduction(
    venue, stub, journal_order
):
    told = {"X-MBX-USED-WEIGHT-1M": "2399"}
    venue._session.allowed = DOCUMENTED
    stub.answers["GET /fapi/v1/positionSide/dual"] = lambda _: web.json_response({}, headers=told)
    await venue._session.row("fapiPrivateGetPositionSideDual")
    left = venue._session.lanes.closed_seconds(Lane.READS)
    assert 0 < left <= 61
    assert time.time() % 60 + left == pytest.approx(61, abs=1)

    stub.answers[ORDER] = lambda fields: {
        "orderId": 1, "clientOrderId": fields["newClientOrderId"], "updateTime": 1,
    }  # fmt: skip
    reduction = await journal_order(quantity="1", side=Side.SELL, reduce_only=True)
    await venue.submit(reduction)
    assert len(stub.sent(ORDER)) == 1
    stub.answers["DELETE /fapi/v1/order"] = {"orderId": 1}
    await venue.cancel("BTCUSDT", "cp1")
    assert stub.sent("DELETE /fapi/v1/order")[0]["origClientOrderId"] == "cp1"


async def test_an_address_that_is_banned_asks_nothing_more_and_still_reduces(
    venue, stub, journal_order
):
    banned = {"Retry-After": "300"}
    stub.answers[ACCOUNT] = lambda _: web.json_response(
        {"code": -1003, "msg": "banned"}, status=418, headers=banned
    )
    with pytest.raises(VenueUnreachable, match="-1003"):
        await venue.account()
    asked = len(stub.sent(ACCOUNT))
    with pytest.raises(VenueUnreachable, match="nothing was sent"):
        await venue.account()
    assert len(stub.sent(ACCOUNT)) == asked
    stub.answers[ORDER] = lambda fields: {
        "orderId": 1, "clientOrderId": fields["newClientOrderId"], "updateTime": 1,
    }  # fmt: skip
    increase = await journal_order(quantity="1")
    with pytest.raises(VenueUnreachable, match="nothing was sent"):
        await venue.submit(increase)
    reduction = await journal_order(quantity="1", side=Side.SELL, reduce_only=True)
    await venue.submit(reduction)
    (sent,) = stub.sent(ORDER)
    assert (sent["side"], Decimal(sent["quantity"])) == ("SELL", 1)
