"""Who may ask: the venue's own signature vector, windows, codes; and what use is counted."""

import time

import aiohttp
import pytest

from counterpoise.simulator.binance import auth
from counterpoise.simulator.binance.errors import WireError
from counterpoise.simulator.binance.limits import BAN_NS, WARNINGS_MAX, Limits, Usage
from counterpoise.simulator.binance.listen_keys import VALID_NS, ListenKeys
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.keys import Credentials

#: The example of Binance's "SIGNED Endpoint Examples for POST /fapi/v1/order".
SECRET = "2b5eb11e18796d12d88f13dc27dbbd02c2cc51ff7059765ed9821957d82bb4d9"
PAYLOAD = (
    "symbol=BTCUSDT&side=BUY&type=LIMIT&quantity=1&price=9000&timeInForce=GTC"
    "&recvWindow=5000&timestamp=1591702613943"
)
SIGNATURE = "3c661234138461fcc7a7d8746c6558c9842d4e10870d2ecbedf7777cad694af9"
NOW_NS = 1_800_000_000_000_000_000


def test_the_venues_own_vector():
    assert auth.signature(SECRET, PAYLOAD) == SIGNATURE
    auth.check_signature(SECRET, query="", body=f"{PAYLOAD}&signature={SIGNATURE}")
    auth.check_signature(SECRET, query=f"{PAYLOAD}&signature={SIGNATURE}", body="")


def test_query_and_body_are_joined_without_a_separator():
    query, body = PAYLOAD.split("&quantity", 1)
    joined = auth.signature(SECRET, f"{query}quantity{body}")
    auth.check_signature(SECRET, query=query, body=f"quantity{body}&signature={joined}")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (PAYLOAD, -1102),
        (f"{PAYLOAD}&signature={SIGNATURE[:-1]}0", -1022),
        (f"{PAYLOAD.replace('9000', '9001')}&signature={SIGNATURE}", -1022),
    ],
)
def test_what_was_not_signed_so_is_refused(body, code):
    with pytest.raises(WireError) as refused:
        auth.check_signature(SECRET, query="", body=body)
    assert (refused.value.code, refused.value.status) == (code, 400)


@pytest.mark.parametrize(
    ("offset_ms", "window", "code"),
    [
        (-4_500, None, None),
        (-5_500, None, -1021),
        (-5_500, "10000", None),
        (900, None, None),
        (1_500, None, -1021),
        (0, "60001", -1131),
        (0, "soon", -1102),
    ],
)
def test_a_stamp_holds_for_its_window(offset_ms, window, code):
    fields = {"timestamp": str(int(time.time() * 1_000) + offset_ms)}
    if window is not None:
        fields["recvWindow"] = window
    if code is None:
        auth.check_stamp(fields, Clock())
        return
    with pytest.raises(WireError) as refused:
        auth.check_stamp(fields, Clock())
    assert refused.value.code == code


def test_a_fast_market_takes_stamps_of_either_clock():
    clock = Clock(speed=10, opened_ns=NOW_NS)
    auth.check_stamp({"timestamp": str(int(time.time() * 1_000))}, clock)
    auth.check_stamp({"timestamp": str(NOW_NS // 1_000_000)}, clock)


def test_keys_of_wrong_form_and_wrong_keys():
    known = Credentials(api_key="abc1", secret="s", passphrase="", account_id="1")
    auth.check_key(known, {"X-MBX-APIKEY": "abc1"})
    for headers, code in (({}, -2014), ({"X-MBX-APIKEY": "a-b"}, -2014),
                          ({"X-MBX-APIKEY": "abc2"}, -2015)):  # fmt: skip
        with pytest.raises(WireError) as refused:
            auth.check_key(known, headers)
        assert (refused.value.code, refused.value.status) == (code, 401)


def test_weight_is_counted_per_minute_refused_and_then_banned():
    usage = Usage(Limits(weight_minute=10))
    usage.spend(10, NOW_NS)
    assert usage.headers(NOW_NS, orders=False, refused=False) == {"X-MBX-USED-WEIGHT-1M": "10"}
    for _ in range(WARNINGS_MAX + 1):
        with pytest.raises(WireError) as refused:
            usage.spend(1, NOW_NS)
        assert (refused.value.code, refused.value.status) == (-1003, 429)
    with pytest.raises(WireError) as banned:
        usage.spend(1, NOW_NS)
    assert banned.value.status == 418
    assert usage.headers(NOW_NS, orders=False, refused=True)["Retry-After"] == "121"
    usage.spend(1, NOW_NS + BAN_NS)
    used = usage.headers(NOW_NS + BAN_NS, orders=False, refused=False)
    assert used == {"X-MBX-USED-WEIGHT-1M": "1"}


def test_orders_are_counted_in_two_windows():
    usage = Usage(Limits(orders_ten_seconds=2, orders_minute=3))
    usage.order(1, NOW_NS)
    usage.order(1, NOW_NS)
    with pytest.raises(WireError) as refused:
        usage.order(1, NOW_NS)
    assert (refused.value.code, refused.value.status) == (-1015, 429)
    assert usage.headers(NOW_NS, orders=True, refused=True) == {
        "X-MBX-USED-WEIGHT-1M": "0",
        "X-MBX-ORDER-COUNT-10S": "3",
        "X-MBX-ORDER-COUNT-1M": "3",
        "Retry-After": "11",
    }


def test_a_listen_key_lives_an_hour_from_its_last_keepalive():
    now = [NOW_NS]
    keys = ListenKeys("1", lambda: now[0])
    key = keys.start()
    assert keys.is_valid(key)
    now[0] += VALID_NS - 1
    assert keys.keep_alive() == keys.start() == key
    now[0] += VALID_NS
    assert not keys.is_valid(key)
    assert (keys.expired(), keys.expired()) == ([key], [])
    with pytest.raises(WireError, match="-1125"):
        keys.keep_alive()
    assert keys.start() != key


async def test_headers_and_codes_over_http(running):
    root = f"http://127.0.0.1:{running.port}"
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{root}/fapi/v1/depth?symbol=BTCUSDT&limit=1000") as answer:
            assert answer.headers["X-MBX-USED-WEIGHT-1M"] == "20"
            assert sorted(await answer.json()) == [
                "E", "T", "asks", "bids", "lastUpdateId",
            ]  # fmt: skip
        async with session.get(f"{root}/fapi/v2/balance") as answer:
            assert (answer.status, (await answer.json())["code"]) == (401, -2014)
        headers = {"X-MBX-APIKEY": running.floor.credentials.api_key}
        async with session.post(f"{root}/fapi/v1/order?symbol=BTCUSDT", headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, -1102)
            assert answer.headers["X-MBX-ORDER-COUNT-10S"] == "0"
        async with session.put(f"{root}/fapi/v1/listenKey", headers=headers) as answer:
            assert (await answer.json())["code"] == -1125
