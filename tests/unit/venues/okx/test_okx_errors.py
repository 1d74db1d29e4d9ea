import json

import aiohttp
import pytest
from ccxt.base import errors as ccxt_errors

from counterpoise.domain.errors import (
    OutcomeUnknown,
    PositionDoubtful,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.venues.okx import errors


def answer(code, s_code="", words=""):
    row = {"ordId": "", "sCode": s_code, "sMsg": words}
    return "okx " + json.dumps({"code": code, "msg": "outer", "data": [row]})


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("51008", VenueRejected),
        ("51121", VenueRejected),
        ("51016", OutcomeUnknown),
        ("50071", OutcomeUnknown),
        ("51065", OutcomeUnknown),
        ("51068", OutcomeUnknown),
        ("51169", PositionDoubtful),
        ("51170", PositionDoubtful),
        ("54031", VenueRejected),
        ("51149", OutcomeUnknown),
        ("51054", OutcomeUnknown),
        ("99999", OutcomeUnknown),
    ],
)
def test_the_code_of_the_order_decides(code, expected):
    # ccxt's class is the same for all of them here: it must not matter.
    found = errors.classify(ccxt_errors.ExchangeError(answer("1", code, "why")), placing=True)
    assert type(found) is expected
    assert found.code == code
    assert "why" in str(found)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("50004", OutcomeUnknown),
        ("50026", OutcomeUnknown),
        ("50001", OutcomeUnknown),
        ("50013", OutcomeUnknown),
        ("50011", VenueRejected),
        ("50061", VenueRejected),
        ("50102", VenueRejected),
        ("50036", VenueRejected),
    ],
)
def test_the_code_of_the_request_decides_where_the_order_has_none(code, expected):
    text = "okx " + json.dumps({"code": code, "msg": "outer", "data": []})
    found = errors.classify(ccxt_errors.RequestTimeout(text), placing=True)
    assert (type(found), found.code) == (expected, code)


def test_reads_have_no_unknown_outcome():
    for code in ("50004", "50026", "50011", "99999"):
        found = errors.classify(ccxt_errors.ExchangeError(answer(code)), placing=False)
        assert type(found) is VenueUnreachable
    refused = errors.classify(ccxt_errors.ExchangeError(answer("51001")), placing=False)
    assert type(refused) is VenueRejected


def raised_from(exception, cause):
    try:
        raise exception from cause
    except type(exception) as caught:
        return caught


def connector_error(kind=aiohttp.ClientConnectorError):
    key = aiohttp.client_reqrep.ConnectionKey("h", 1, False, True, None, None, None)
    return kind(key, OSError(111, "refused"))


@pytest.mark.parametrize("kind", [aiohttp.ClientConnectorError, aiohttp.ClientConnectorDNSError])
def test_no_connection_means_not_sent(kind):
    exception = raised_from(ccxt_errors.ExchangeNotAvailable("x"), connector_error(kind))
    assert type(errors.classify(exception, placing=True)) is VenueUnreachable


@pytest.mark.parametrize(
    ("exception", "cause"),
    [
        (ccxt_errors.ExchangeNotAvailable("x"), aiohttp.ServerDisconnectedError()),
        (ccxt_errors.ExchangeNotAvailable("x"), aiohttp.ClientOSError(104, "reset")),
        (ccxt_errors.RequestTimeout("x"), TimeoutError()),
        (ccxt_errors.ExchangeError("x"), aiohttp.ClientPayloadError("cut")),
        (ccxt_errors.ExchangeError("okx <html>{broken"), None),
        (ccxt_errors.AuthenticationError("okx POST 401 Unauthorized <html>"), None),
    ],
)
def test_anything_else_on_an_order_is_unknown(exception, cause):
    assert type(errors.classify(raised_from(exception, cause), placing=True)) is OutcomeUnknown
    assert type(errors.classify(raised_from(exception, cause), placing=False)) is VenueUnreachable


def test_a_refusal_of_ccxt_itself_was_never_sent():
    found = errors.classify(ccxt_errors.InvalidOrder("okx amount too small"), placing=True)
    assert (type(found), found.code) == (VenueRejected, "LOCAL")


def test_a_closed_client_sends_nothing():
    closed = ccxt_errors.ExchangeClosedByUser("okx instance was closed by the user")
    assert type(errors.classify(closed, placing=True)) is VenueUnreachable


def test_key_errors_have_a_remedy():
    refusal = errors.start_refusal(VenueRejected("x", code="50105"))
    assert refusal is not None
    assert "passphrase" in str(refusal)
    assert errors.start_refusal(VenueRejected("x", code="51008")) is None
    assert errors.start_refusal(VenueRejected("x")) is None


def test_every_key_error_of_rest_is_a_definite_refusal():
    rest_codes = {code for code in errors.KEY_REMEDIES if not code.startswith("600")}
    assert {errors.CODES[code] for code in rest_codes} == {VenueRejected}
