from decimal import Decimal

import pytest

from counterpoise.app import configuration
from counterpoise.domain.errors import SettingsError


@pytest.fixture(autouse=True)
def _own_profile(tmp_path, monkeypatch):
    (tmp_path / "demo.toml").write_text('hedge_candidates = ["ETHUSDT"]\n')
    monkeypatch.setenv("COUNTERPOISE_CONFIG_DIR", str(tmp_path))


REFUSALS = {
    "core_leverage=4": "COUNTERPOISE_CORE_LEVERAGE=4.0: allowed is 2.0 to 3.0",
    "core_leverage=1.5": "COUNTERPOISE_CORE_LEVERAGE=1.5: allowed is 2.0 to 3.0",
    "core_allocation=0.7": "COUNTERPOISE_CORE_ALLOCATION=0.7: allowed is 0.4 to 0.6",
    "core_allocation=x": "COUNTERPOISE_CORE_ALLOCATION=x: allowed is a number (from env)",
    "core_instrument=btc-usdt": "allowed is capital letters and digits, such as BTCUSDT",
    "core_side=up": "COUNTERPOISE_CORE_SIDE=up: allowed is 'long' or 'short' (from env)",
    "cycle_seconds=7": "COUNTERPOISE_CYCLE_SECONDS=7: allowed are divisors of 86400",
    "cycle_seconds=1": "COUNTERPOISE_CYCLE_SECONDS=1: allowed is 5 to 86400 (from env)",
    "cycle_seconds=9.5": "COUNTERPOISE_CYCLE_SECONDS=9.5: allowed is a whole number (from env)",
    "drawdown_limit=inf": "COUNTERPOISE_DRAWDOWN_LIMIT=inf: allowed is a finite number (from env)",
    "entry_scale=0": "COUNTERPOISE_ENTRY_SCALE=0.0: allowed is more than 0 and at most 1",
    "entry_scale=1.1": "COUNTERPOISE_ENTRY_SCALE=1.1: allowed is 0.0 to 1.0",
    "environment=production": "COUNTERPOISE_ENVIRONMENT=production: allowed is demo",
    "fresh=maybe": "COUNTERPOISE_FRESH=maybe: allowed is true or false (from env)",
    "hedge_candidates=BTCUSDT,ETHUSDT": "allowed is a list without the core's own",
    "hedge_candidates=ETHUSDT,ETHUSDT": "allowed is each instrument once",
    "leverage_ceiling=3.01": "COUNTERPOISE_LEVERAGE_CEILING=3.01: allowed is more than 0 and at most",
    "leverage_ceiling=nan": "COUNTERPOISE_LEVERAGE_CEILING=nan: allowed is a finite number",
    "leverage_trigger=3": "COUNTERPOISE_LEVERAGE_TRIGGER=3: allowed is less than "
    "COUNTERPOISE_LEVERAGE_CEILING=3",
    "leverage_target=2.9": "COUNTERPOISE_LEVERAGE_TARGET=2.9: allowed is less than "
    "COUNTERPOISE_LEVERAGE_TRIGGER=2.9",
    "leverage_soft=2.9": "COUNTERPOISE_LEVERAGE_SOFT=2.9: allowed is less than "
    "COUNTERPOISE_LEVERAGE_TRIGGER=2.9",
    "leverage_target=0": "COUNTERPOISE_LEVERAGE_TARGET=0: allowed is more than 0",
    "net_beta_target=0": "COUNTERPOISE_NET_BETA_TARGET=0: allowed is more than 0",
    "net_beta_target=2.0": "COUNTERPOISE_NET_BETA_TARGET=2.0: allowed is less than "
    "COUNTERPOISE_NET_BETA_TRIGGER=2.0",
    "net_beta_target=0.9": "COUNTERPOISE_CORE_UNHEDGED_MAX=1.0: allowed is at most "
    "COUNTERPOISE_NET_BETA_TARGET=0.9, or raise that; else the guard takes off what",
    "core_unhedged_max=1.81": "COUNTERPOISE_CORE_UNHEDGED_MAX=1.81: allowed is",
    "distance_trigger=0": "COUNTERPOISE_DISTANCE_TRIGGER=0: allowed is more than 0",
    "distance_trigger=0.20": "COUNTERPOISE_DISTANCE_TRIGGER=0.20: allowed is less than "
    "COUNTERPOISE_DISTANCE_TARGET=0.20",
    "distance_target=0.26": "COUNTERPOISE_DISTANCE_TARGET=0.26: allowed is at most "
    "COUNTERPOISE_LIQUIDATION_DISTANCE_MIN=0.25, or raise that; else the guard takes off what",
    "liquidation_distance_min=0.19": "COUNTERPOISE_DISTANCE_TARGET=0.20: allowed is at most "
    "COUNTERPOISE_LIQUIDATION_DISTANCE_MIN=0.19",
    "slippage_bps_increase=101": "COUNTERPOISE_SLIPPAGE_BPS_INCREASE=101: allowed is at most "
    "COUNTERPOISE_SLIPPAGE_BPS_MAX=100, or raise that; else the gate denies every increase",
    "slippage_bps_stressed=101": "COUNTERPOISE_SLIPPAGE_BPS_STRESSED=101: allowed is at most "
    "COUNTERPOISE_SLIPPAGE_BPS_MAX=100",
    "slippage_bps_max=10000": "COUNTERPOISE_SLIPPAGE_BPS_MAX=10000: allowed is more than 0 to 500",
    "mark_ms_max=1000000000": "COUNTERPOISE_MARK_MS_MAX=1000000000: allowed is 1 to 60000",
    "book_ms_max=600001": "COUNTERPOISE_BOOK_MS_MAX=600001: allowed is 1 to 600000",
    "account_ms_max=60001": "COUNTERPOISE_ACCOUNT_MS_MAX=60001: allowed is 1 to 60000",
    "latency_ms_max=30001": "COUNTERPOISE_LATENCY_MS_MAX=30001: allowed is 1 to 30000",
    "clock_offset_ms_max=5001": "COUNTERPOISE_CLOCK_OFFSET_MS_MAX=5001: allowed is 1 to 5000",
    "dead_man_seconds=5": "COUNTERPOISE_DEAD_MAN_SECONDS=5: allowed is 0 (off) or 10 to 120",
    "clock_seconds=1": "COUNTERPOISE_CLOCK_SECONDS=1: allowed is 5 to 240 (from env)",
    "foreign=keep": "COUNTERPOISE_FOREIGN=keep: allowed is 'refuse', 'adopt' or 'ignore'",
    "heartbeat_url=ftp://hidden": "COUNTERPOISE_HEARTBEAT_URL=***: allowed is an address that",
    "okx_rest_url=http://127.0.0.1:None": "COUNTERPOISE_OKX_REST_URL=http://127.0.0.1:None: allowed "
    "is an address such as https://host:port",
    "bybit_public_url=https://host/x": "COUNTERPOISE_BYBIT_PUBLIC_URL=https://host/x: allowed is an "
    "address such as wss://host:port",
    "binance_stream_url=wss://": "COUNTERPOISE_BINANCE_STREAM_URL=wss://: allowed is an address",
    "live_trading=123": "COUNTERPOISE_LIVE_TRADING=123: allowed is unset",
    "mode=dry": "COUNTERPOISE_MODE=dry: allowed is 'trade' or 'observe' (from env)",
    "database_url=mysql://me:hidden@host/x": "COUNTERPOISE_DATABASE_URL=***: allowed is postgresql",
    "database_url=postgresql://me:s%zthidden@127.0.0.1:5999/x": "COUNTERPOISE_DATABASE_URL=***: it cannot "
    "be read as",
    "database_url=postgresql://me:s#t@hidden@127.0.0.1:5999/x": "COUNTERPOISE_DATABASE_URL=***: it cannot "
    "be read as",
    "database_url=postgresql://me:1234/hidden@127.0.0.1:5999/x": "COUNTERPOISE_DATABASE_URL=***: it cannot "
    "be read as",
    "database_url=postgresql://me:s?hidden@127.0.0.1:5999/x": "COUNTERPOISE_DATABASE_URL=***: it cannot "
    "be read as",
    "database_url=postgresql://me:s@hidden@127.0.0.1:5999/x": "COUNTERPOISE_DATABASE_URL=***: it cannot "
    "be read as",
    "simulator_wallet=0": "COUNTERPOISE_SIMULATOR_WALLET=0: allowed is more than 0 to",
    "status_host=10.0.0.7": "COUNTERPOISE_STATUS_HOST=10.0.0.7: allowed is a loopback address",
    "status_host=example.org": "COUNTERPOISE_STATUS_HOST=example.org: allowed is a loopback address",
    "status_port=70000": "COUNTERPOISE_STATUS_PORT=70000: allowed is 0 to 65535 (from env)",
    "stop_policy=sell": "COUNTERPOISE_STOP_POLICY=sell: allowed is 'hold' or 'flatten' (from env)",
    "venue=kraken": "COUNTERPOISE_VENUE=kraken: allowed is 'simulator', 'okx', 'binance' or",
    "venue=okx": "COUNTERPOISE_API_KEY is not set",
}


@pytest.mark.parametrize(("given", "words"), REFUSALS.items())
def test_a_wrong_value_is_named_with_what_is_allowed(given, words, monkeypatch):
    name, _, value = given.partition("=")
    monkeypatch.setenv("COUNTERPOISE_" + name.upper(), value)
    with pytest.raises(SettingsError) as refused:
        configuration.load()
    assert words in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_limits_that_touch_are_no_contradiction(monkeypatch):
    given = {
        "NET_BETA_TARGET": "1.0",
        "CORE_UNHEDGED_MAX": "1.0",
        "DISTANCE_TARGET": "0.3",
        "LIQUIDATION_DISTANCE_MIN": "0.3",
        "SLIPPAGE_BPS_MAX": "40",
    }
    for name, value in given.items():
        monkeypatch.setenv("COUNTERPOISE_" + name, value)
    settings = configuration.load()
    assert settings.net_beta_target == settings.core_unhedged_max == 1
    assert settings.slippage_bps_max == settings.slippage_bps_stressed == 40


def test_every_wrong_value_is_named_at_once(monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_VENUE", "x")
    monkeypatch.setenv("COUNTERPOISE_MODE", "y")
    with pytest.raises(SettingsError) as refused:
        configuration.load()
    assert [line.split("=")[0] for line in str(refused.value).splitlines()] == [
        "COUNTERPOISE_VENUE",
        "COUNTERPOISE_MODE",
    ]


def test_text_becomes_the_field_s_type(monkeypatch, tmp_path):
    given = {
        "HEDGE_CANDIDATES": " ETHUSDT, SOLUSDT ,",
        "LEVERAGE_CEILING": "2.95",
        "LEVERAGE_TRIGGER": "2.8",
        "CORE_SIDE": "short",
        "STATE_DIR": str(tmp_path / "state"),
        "STATUS_HOST": "0.0.0.0",
        "FRESH": "1",
    }
    for name, value in given.items():
        monkeypatch.setenv("COUNTERPOISE_" + name, value)
    settings = configuration.load()
    assert settings.hedge_candidates == ("ETHUSDT", "SOLUSDT")
    assert settings.leverage_ceiling == Decimal("2.95")
    assert settings.core_side == "short"
    assert settings.state_dir == tmp_path / "state"
    assert settings.status_host == "0.0.0.0"
    assert settings.fresh is True


def test_fresh_is_refused_away_from_the_built_in_venue(monkeypatch):
    for name in ("API_KEY", "API_SECRET", "API_PASSPHRASE"):
        monkeypatch.setenv("COUNTERPOISE_" + name, "x")
    monkeypatch.setenv("COUNTERPOISE_VENUE", "okx")
    with pytest.raises(SettingsError, match="COUNTERPOISE_FRESH=true: allowed is false"):
        configuration.load(fresh=True)


def okx_keys(monkeypatch):
    for name in ("API_KEY", "API_SECRET", "API_PASSPHRASE"):
        monkeypatch.setenv("COUNTERPOISE_" + name, "x")
    monkeypatch.setenv("COUNTERPOISE_VENUE", "okx")


def test_production_wants_the_account_named(monkeypatch):
    okx_keys(monkeypatch)
    monkeypatch.setenv("COUNTERPOISE_ENVIRONMENT", "production")
    with pytest.raises(SettingsError, match="COUNTERPOISE_LIVE_TRADING is not set"):
        configuration.load()
    monkeypatch.setenv("COUNTERPOISE_LIVE_TRADING", "4242")
    assert configuration.load().live_trading == "4242"
    monkeypatch.setenv("COUNTERPOISE_ENVIRONMENT", "demo")
    with pytest.raises(SettingsError, match="unset unless COUNTERPOISE_ENVIRONMENT=production"):
        configuration.load()


def test_demo_trading_refuses_addresses_of_production(monkeypatch):
    okx_keys(monkeypatch)
    monkeypatch.setenv("COUNTERPOISE_OKX_PRIVATE_URL", "wss://ws.okx.com/ws/v5/private")
    with pytest.raises(SettingsError, match="allowed are addresses of demo trading"):
        configuration.load()


def test_settings_cannot_be_changed_once_read():
    settings = configuration.load()
    with pytest.raises(ValueError, match="frozen"):
        settings.leverage_ceiling = Decimal(2)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cr%40t%2F%3F%25@127.0.0.1:5999/x",
        "postgresql://me:a#b[c:d@127.0.0.1:5999/x",
        "postgres://owner@/x?host=/run/postgresql&port=5432",
        "postgresql+psycopg://127.0.0.1/x?sslmode=require",
        "postgresql://me:secret@[::1]:5999/x",
    ],
)
def test_an_address_of_a_database_that_can_be_read_is_taken(url, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_DATABASE_URL", url)
    assert configuration.load().database_url.get_secret_value() == url
