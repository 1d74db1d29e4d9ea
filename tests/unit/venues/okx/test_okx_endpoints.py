from dataclasses import replace

import pytest

from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints, is_production


def test_production_is_told_by_host():
    assert is_production(OkxEndpoints.production())
    assert not is_production(OkxEndpoints.demo())
    assert not is_production(OkxEndpoints.loopback(4711))


@pytest.mark.parametrize(
    "changes",
    [
        {"rest_url": "https://openapi.okx.com"},
        {"rest_url": "https://eea.okx.com"},
        {"public_url": "wss://ws.okx.com/ws/v5/public"},
        {"private_url": "wss://wseea.okx.com/ws/v5/private"},
    ],
)
def test_one_production_address_is_enough(changes):
    assert is_production(replace(OkxEndpoints.loopback(1), **changes))


@pytest.mark.parametrize("field", ["rest_url", "public_url", "private_url"])
def test_a_host_nobody_knows_may_be_a_proxy_of_the_venue(field):
    elsewhere = replace(OkxEndpoints.loopback(1), **{field: "https://proxy.example"})
    assert is_production(elsewhere)
    assert not is_production(replace(elsewhere, simulated_trading=True))


def test_the_demo_header_is_no_excuse_on_this_machine_or_needed_there():
    for simulated in (False, True):
        assert not is_production(replace(OkxEndpoints.loopback(1), simulated_trading=simulated))


def test_a_demo_key_on_a_production_stream_counts_as_production():
    mixed = replace(OkxEndpoints.demo(), private_url="wss://ws.okx.com/ws/v5/private")
    assert is_production(mixed)


def test_no_address_names_the_closed_port():
    for endpoints in (OkxEndpoints.production(), OkxEndpoints.demo()):
        assert "8443" not in endpoints.public_url + endpoints.private_url


def test_credentials_do_not_show_themselves():
    shown = repr(OkxCredentials(api_key="kkk", secret="sss", passphrase="ppp"))
    assert all(part not in shown for part in ("kkk", "sss", "ppp"))
    assert shown == "OkxCredentials()"
