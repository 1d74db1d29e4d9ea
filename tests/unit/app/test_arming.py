"""Real money is traded only with the account the operator named."""

import pytest

from counterpoise.app import configuration, parameters, wiring
from counterpoise.app.settings import Settings
from counterpoise.domain.errors import StartRefused
from counterpoise.venues.okx.endpoints import is_production


def armed(monkeypatch: pytest.MonkeyPatch, tmp_path: object, **variables: str) -> Settings:
    given = {
        "state_dir": str(tmp_path),
        "venue": "okx",
        "environment": "production",
        "live_trading": "4242",
        "api_key": "k",
        "api_secret": "s",
        "api_passphrase": "p",
        **variables,
    }
    for name, value in given.items():
        monkeypatch.setenv("COUNTERPOISE_" + name.upper(), value)
    return configuration.load("demo")


def test_the_named_account_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    settings = armed(monkeypatch, tmp_path)
    wiring.check_armed(settings, "4242")
    assert is_production(parameters.endpoints(settings, "okx"))


@pytest.mark.parametrize("account_id", ["4243", "42421", "", " 4242"])
def test_any_other_account_is_refused_with_variable_value_and_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object, account_id: str
) -> None:
    settings = armed(monkeypatch, tmp_path)
    with pytest.raises(StartRefused) as refused:
        wiring.check_armed(settings, account_id)
    words = str(refused.value)
    assert "COUNTERPOISE_LIVE_TRADING=4242" in words
    assert f"opens account {account_id}" in words


def test_an_unarmed_start_on_unknown_addresses_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path))
    settings = configuration.load("demo")
    with pytest.raises(StartRefused, match="COUNTERPOISE_LIVE_TRADING is not set"):
        wiring.check_armed(settings, "4242")
