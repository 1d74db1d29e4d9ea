"""Who may ask, how often, and what the frame says to everybody else."""

import pytest
from aiohttp import web

from counterpoise.simulator.bybit.auth import KeyRules
from counterpoise.simulator.bybit.limits import ADDRESS_MAX, Limits
from counterpoise.simulator.bybit.sockets import idle_bound
from counterpoise.simulator.bybit.wire import BybitWire
from counterpoise.simulator.wire import Trouble

#: Asynchronous tests share the module's venue and loop.
module_loop = pytest.mark.asyncio(loop_scope="module")


@module_loop
@pytest.mark.parametrize(
    ("signed", "code"),
    [
        ({}, 0),
        ({"key": "wrong"}, 10003),
        ({"secret": "wrong"}, 10004),
        ({"stamp_ms": 1}, 10002),
        ({"window": "x"}, 10001),
    ],
)
async def test_a_request_is_checked_by_its_headers(venue, signed, code):
    _, body = await venue.get("/v5/account/info", **signed)
    assert body["retCode"] == code


@module_loop
async def test_a_stamp_ahead_of_the_server_is_refused(venue):
    ahead = venue.floor.venue.clock.told_ns() // 1_000_000 + 1_500
    _, body = await venue.get("/v5/account/info", stamp_ms=ahead)
    assert body["retCode"] == 10002
    _, body = await venue.get("/v5/account/info", stamp_ms=ahead - 600)
    assert body["retCode"] == 0


@module_loop
@pytest.mark.parametrize(
    ("rules", "code"),
    [
        (KeyRules(expires_ns=1), 33004),
        (KeyRules(addresses=("10.0.0.1",)), 10010),
        (KeyRules(read_only=True), 10005),
    ],
)
async def test_a_key_may_do_what_its_rules_say(venue, rules, code):
    application = web.Application()
    BybitWire(venue.floor, rules=rules).add_routes(application)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port, venue.port = venue.port, runner.addresses[0][1]
    try:
        _, body = await venue.post(
            "/v5/account/set-margin-mode", {"setMarginMode": "REGULAR_MARGIN"}
        )
        assert body["retCode"] == code
        if code == 10005:
            _, body = await venue.get("/v5/user/query-api")
            assert body["result"]["readOnly"] == 1
    finally:
        venue.port = port
        await runner.cleanup()


@module_loop
async def test_limits_are_told_and_kept(venue):
    left = []
    for _ in range(6):
        answer, body = await venue.get("/v5/account/query-dcp-info")
        left.append((body["retCode"], int(answer.headers["X-Bapi-Limit-Status"])))
    assert answer.headers["X-Bapi-Limit"] == "5"
    assert left == [(0, 4), (0, 3), (0, 2), (0, 1), (0, 0), (10006, 0)]
    reset_ms = int(answer.headers["X-Bapi-Limit-Reset-Timestamp"])
    assert 0 < reset_ms - venue.floor.venue.clock.told_ns() // 1_000_000 <= 1_000


def test_a_limit_rolls_on_with_the_second():
    now = [0.0]
    limits = Limits(lambda: now[0])
    taken = [limits.account("/v5/order/create", 0).granted for _ in range(11)]
    assert taken == [True] * 10 + [False]
    assert limits.account("/v5/order/cancel", 0).granted
    now[0] = 0.999
    assert not limits.account("/v5/order/create", 0).granted
    now[0] = 1.0
    assert limits.account("/v5/order/create", 0, weight=10).left == 0


def test_an_address_is_shut_out_while_it_sends_too_much():
    now = [0.0]
    limits = Limits(lambda: now[0])
    assert all(limits.address("a") for _ in range(ADDRESS_MAX))
    assert not limits.address("a")
    assert limits.address("b")
    now[0] = 5.1
    assert limits.address("a")


@module_loop
async def test_what_is_not_there_is_not_found(venue):
    answer, _ = await venue.get("/v5/market/none")
    assert answer.status == 404


@module_loop
async def test_a_body_that_is_no_object_is_a_parameter_error(venue):
    _, body = await venue.post("/v5/order/create", [1])
    assert body["retCode"] == 10001


@module_loop
@pytest.mark.parametrize(
    ("trouble", "status", "words"),
    [
        (Trouble.UNKNOWN_OUTCOME, 200, b'"retCode":10000'),
        (Trouble.UNAVAILABLE, 503, b'"retCode":10016'),
        (Trouble.RATE_LIMITED, 200, b'"retCode":10006'),
        (Trouble.BANNED, 403, b"access too frequent"),
        (Trouble.MAINTENANCE, 503, b'"retCode":10016'),
    ],
)
async def test_troubles_are_bybits(venue, trouble, status, words):
    answer = BybitWire(venue.floor).trouble(trouble, None, seconds=1.0)
    assert answer.status == status
    assert words in answer.body


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("", 600.0), ("45s", 45.0), ("1m", 60.0), ("5s", 30.0), ("99m", 600.0), ("x", 600.0)],
)
def test_a_client_may_ask_to_be_cut_sooner(asked, seconds):
    assert idle_bound(asked) == seconds
