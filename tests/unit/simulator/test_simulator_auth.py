"""Who may ask: signatures checked against figures made with openssl."""

import pytest

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.keys import Credentials
from counterpoise.simulator.okx import auth
from counterpoise.simulator.okx.errors import WireError

CREDENTIALS = Credentials(
    api_key="key-1", secret="COUNTERPOISE-SECRET", passphrase="open sesame", account_id="1"
)
#: printf '<stamp>GET<path>' | openssl dgst -sha256 -hmac COUNTERPOISE-SECRET -binary | base64
REST_STAMP = "2026-11-22T00:00:00.000Z"
REST_SIGN = "tZaxJrk5ltR1Ym+DeYR4R25bf6EFABG67yXQEk2NgO8="
LOGIN_SIGN = "+Y8dOJf53MlTgPwqjnXylWNqxqdlgY5qwFOnYRD3v+8="
NOW_NS = 1_795_305_600 * NS_PER_SECOND


def headers(**changed):
    made = {
        "OK-ACCESS-KEY": "key-1",
        "OK-ACCESS-SIGN": REST_SIGN,
        "OK-ACCESS-TIMESTAMP": REST_STAMP,
        "OK-ACCESS-PASSPHRASE": "open sesame",
    }
    made.update({name.replace("_", "-"): value for name, value in changed.items()})
    return made


def check(sent, *, now_ns=NOW_NS, path="/api/v5/account/balance?ccy=USDT", body=""):
    clock = Clock(speed=0, opened_ns=now_ns)
    auth.check_request(CREDENTIALS, sent, method="GET", path_query=path, body=body, clock=clock)


def test_a_signed_request_passes():
    check(headers())


@pytest.mark.parametrize("skew_seconds", [-30, 30])
def test_a_clock_off_by_thirty_seconds_still_passes(skew_seconds):
    check(headers(), now_ns=NOW_NS + skew_seconds * NS_PER_SECOND)


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"OK_ACCESS_KEY": ""}, "50103"),
        ({"OK_ACCESS_PASSPHRASE": ""}, "50104"),
        ({"OK_ACCESS_SIGN": ""}, "50106"),
        ({"OK_ACCESS_TIMESTAMP": ""}, "50107"),
        ({"OK_ACCESS_TIMESTAMP": "yesterday"}, "50112"),
        ({"OK_ACCESS_TIMESTAMP": "2026-11-21T23:59:29.000Z"}, "50102"),
        ({"OK_ACCESS_KEY": "key-2"}, "50111"),
        ({"OK_ACCESS_SIGN": LOGIN_SIGN}, "50113"),
        ({"OK_ACCESS_PASSPHRASE": "open barley"}, "50105"),
    ],
)
def test_each_wrong_header_has_its_code(changed, code):
    with pytest.raises(WireError) as refused:
        check(headers(**changed))
    assert refused.value.code == code
    assert refused.value.status == 401


@pytest.mark.parametrize(
    "change", [{"path": "/api/v5/account/balance?ccy=BTC"}, {"body": '{"a":1}'}]
)
def test_a_request_that_differs_from_what_was_signed_is_refused(change):
    with pytest.raises(WireError) as refused:
        check(headers(), **change)
    assert refused.value.code == "50113"


def login(**changed):
    args = {
        "apiKey": "key-1",
        "passphrase": "open sesame",
        "timestamp": "1795305600",
        "sign": LOGIN_SIGN,
    }
    auth.check_login(CREDENTIALS, args | changed, Clock(speed=0, opened_ns=NOW_NS))


def test_a_signed_login_passes_until_one_letter_differs():
    login()
    with pytest.raises(auth.LoginRefused) as refused:
        login(sign=LOGIN_SIGN.swapcase())
    assert refused.value.code == "60007"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"timestamp": "soon"}, "60004"),
        ({"apiKey": "key-2"}, "60005"),
        ({"timestamp": "1795305560"}, "60006"),
        ({"sign": REST_SIGN}, "60007"),
        ({"passphrase": "open barley"}, "60009"),
    ],
)
def test_each_wrong_login_field_has_its_code(changed, code):
    with pytest.raises(auth.LoginRefused) as refused:
        login(**changed)
    assert refused.value.code == code
