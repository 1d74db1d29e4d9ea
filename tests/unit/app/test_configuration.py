from decimal import Decimal

import pytest

from counterpoise.app import configuration
from counterpoise.domain.errors import SettingsError


@pytest.fixture
def profile(tmp_path, monkeypatch):
    """A writable demo profile that nothing else stands beside."""
    path = tmp_path / "config" / "demo.toml"
    path.parent.mkdir()
    path.write_text("cycle_seconds = 60\nvolatility_target = 0.5\n")
    monkeypatch.setenv("COUNTERPOISE_CONFIG_DIR", str(path.parent))
    return path


def test_command_line_beats_environment_beats_profile_beats_default(profile, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_CYCLE_SECONDS", "300")
    monkeypatch.setenv("COUNTERPOISE_MODE", "trade")
    settings = configuration.load("demo", mode="observe")
    said = configuration.sources(settings)
    assert (settings.mode, said["mode"]) == ("observe", "command line")
    assert (settings.cycle_seconds, said["cycle_seconds"]) == (300, "env")
    assert (settings.volatility_target, said["volatility_target"]) == (0.5, "profile demo.toml")
    assert (settings.hedge_ratio, said["hedge_ratio"]) == (1.2, "default")
    assert (settings.profile, said["profile"]) == ("demo", "command line")


def test_a_number_keeps_every_digit_of_the_profile(profile):
    profile.write_text("leverage_ceiling = 2.9900000000000000001\n")
    assert configuration.load().leverage_ceiling == Decimal("2.9900000000000000001")


def test_an_empty_variable_counts_as_unset(profile, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_DATABASE_URL", "")
    monkeypatch.setenv("COUNTERPOISE_CYCLE_SECONDS", "")
    settings = configuration.load()
    assert settings.database_url is None
    assert settings.cycle_seconds == 60


def test_a_secret_comes_from_a_file_and_is_never_shown(profile, tmp_path, monkeypatch):
    secret = tmp_path / "url"
    secret.write_text("postgresql://me:hidden@host/db\n")
    monkeypatch.setenv("COUNTERPOISE_DATABASE_URL_FILE", str(secret))
    settings = configuration.load()
    assert settings.database_url.get_secret_value() == "postgresql://me:hidden@host/db"
    assert configuration.sources(settings)["database_url"] == "file"
    assert configuration.shown(settings)["database_url"] == "***"
    assert "hidden" not in repr(settings)
    assert "hidden" not in str(settings.model_dump(mode="json"))


def test_a_secret_from_two_places_is_refused(profile, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_API_KEY", "a")
    monkeypatch.setenv("COUNTERPOISE_API_KEY_FILE", "b")
    with pytest.raises(SettingsError, match="COUNTERPOISE_API_KEY_FILE are both set"):
        configuration.load()


def test_a_missing_secret_file_is_named(profile, tmp_path, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_API_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match=r"COUNTERPOISE_API_KEY_FILE=.*none: allowed is a read"):
        configuration.load()


def test_a_secret_in_a_profile_is_refused(profile):
    profile.write_text('api_secret = "x"\n')
    with pytest.raises(SettingsError, match="use COUNTERPOISE_API_SECRET_FILE"):
        configuration.load()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("COUNTERPOISE_LEVERAGE_CEILNG", "COUNTERPOISE_LEVERAGE_CEILING"),
        ("COUNTERPOISE_DATABASE_URI", "COUNTERPOISE_DATABASE_URL"),
        ("counterpoise_mode", None),
    ],
)
def test_an_unknown_variable_is_refused(profile, monkeypatch, name, near):
    monkeypatch.setenv(name, "1")
    with pytest.raises(SettingsError) as refused:
        configuration.load()
    assert f"{name} (environment) is no setting" in str(refused.value)
    if near is not None:
        assert f"did you mean {near}?" in str(refused.value)


def test_an_unknown_key_of_a_profile_is_refused(profile):
    profile.write_text("hedge_leg = 2\n")
    with pytest.raises(
        SettingsError, match=r"hedge_leg .demo\.toml. is no setting; did you mean he"
    ):
        configuration.load()


def test_a_profile_that_is_not_toml_is_refused(profile):
    profile.write_text("a = = 1\n")
    with pytest.raises(SettingsError, match=r"demo\.toml cannot be read"):
        configuration.load()


@pytest.mark.parametrize("name", ["nothing", "../demo", "demo.toml"])
def test_an_unknown_profile_is_refused_with_those_there_are(profile, name):
    with pytest.raises(SettingsError, match="allowed is one of demo "):
        configuration.load(name)


def test_the_profile_is_named_by_its_variable(profile, monkeypatch):
    (profile.parent / "other.toml").write_text("cycle_seconds = 3600\n")
    monkeypatch.setenv("COUNTERPOISE_PROFILE", "other")
    settings = configuration.load()
    assert (settings.profile, settings.cycle_seconds) == ("other", 3600)
    assert configuration.load("demo").cycle_seconds == 60


# -- reload ----------------------------------------------------------------------------------


def test_where_the_record_is_is_known_with_settings_that_no_start_takes(
    profile, tmp_path, monkeypatch
):
    profile.write_text(
        'venue = "okx"\nleverage_trigger = 9\nhedge_rato = 1.0\napi_key = "no"\n'
        f'state_dir = "{tmp_path}/here"\nstatus_host = "::1"\n'
    )
    monkeypatch.setenv("COUNTERPOISE_VOLATILITY_TARGET", "much")
    monkeypatch.setenv("COUNTERPOISE_TYPO", "1")
    monkeypatch.setenv("COUNTERPOISE_API_SECRET_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError):
        configuration.load()
    place = configuration.place()
    assert (place.state_dir, place.status_host) == (tmp_path / "here", "::1")
    assert place.database_url is None
    secret = tmp_path / "url"
    secret.write_text("postgresql://me:hidden@host/db\n")
    monkeypatch.setenv("COUNTERPOISE_DATABASE_URL_FILE", str(secret))
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path / "there"))
    place = configuration.place("demo")
    assert place.database_url.get_secret_value() == "postgresql://me:hidden@host/db"
    assert place.state_dir == tmp_path / "there"
    assert "hidden" not in repr(place)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("DATABASE_URL", "mysql://host", "COUNTERPOISE_DATABASE_URL=.*: allowed is postgresql://"),
        ("STATUS_HOST", "10.0.0.7", "COUNTERPOISE_STATUS_HOST=10.0.0.7: allowed is a loopback"),
        ("DATABASE_URL_FILE", "/none", "COUNTERPOISE_DATABASE_URL_FILE=/none: allowed is"),
        ("DATABSE_URL", "x", "DATABSE_URL .* did you mean COUNTERPOISE_DATABASE_URL"),
        ("DATABASE_URLFILE", "x", "did you mean COUNTERPOISE_DATABASE_URL_FILE"),
        ("STATEDIR", "x", "did you mean COUNTERPOISE_STATE_DIR"),
    ],
)
def test_where_the_record_is_is_checked_as_ever(profile, monkeypatch, name, value, words):
    monkeypatch.setenv(f"COUNTERPOISE_{name}", value)
    with pytest.raises(SettingsError, match=words):
        configuration.place()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('database_url = "postgresql://host/db"', "database_url .* is a secret"),
        ('state_dirs = "x"', "state_dirs .* did you mean state_dir"),
        ("not toml", "cannot be read"),
    ],
)
def test_where_the_record_is_in_a_profile_is_checked_as_ever(profile, text, words):
    profile.write_text(text + "\n")
    with pytest.raises(SettingsError, match=words):
        configuration.place()


def test_a_tighter_limit_is_taken_over(profile):
    settings = configuration.load(mode="observe")
    profile.write_text("cycle_seconds = 60\nvolatility_target = 0.4\n")
    new, changed = configuration.reload(settings)
    assert changed == ("volatility_target",)
    assert new.volatility_target == 0.4
    # What was said on the command line is still said.
    assert new.mode == "observe"


def test_nothing_changed_is_said_so(profile):
    settings = configuration.load()
    new, changed = configuration.reload(settings)
    assert changed == ()
    assert new.model_dump() == settings.model_dump()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "cycle_seconds = 60\nvolatility_target = 0.6\n",
            "VOLATILITY_TARGET=0.6 is looser than 0.5",
        ),
        (
            "cycle_seconds = 30\nvolatility_target = 0.5\n",
            "CYCLE_SECONDS changed and needs a resta",
        ),
        ("cycle_seconds = 60\nvolatility_target = 99\n", "VOLATILITY_TARGET=99.0: allowed is"),
        (
            'cycle_seconds = 60\nvolatility_target = 0.5\nnet_beta_target = "0.5"\n',
            "CORE_UNHEDGED_MAX=1.0: allowed is at most COUNTERPOISE_NET_BETA_TARGET=0.5",
        ),
        (
            "half_life_fast_hours = 2.0\ncycle_seconds = 60\nvolatility_target = 0.5",
            "FAST_HOURS ch",
        ),
    ],
)
def test_a_reload_is_refused_whole(profile, text, words):
    settings = configuration.load()
    profile.write_text(text)
    with pytest.raises(SettingsError, match=words):
        configuration.reload(settings)


def test_looser_is_in_the_sense_of_each_limit(profile):
    tight = configuration.load()
    loose = configuration.load(
        liquidation_distance_min=0.2, drawdown_limit=0.3, leverage_ceiling="3", leverage_soft=2.6
    )
    assert configuration.looser_than(tight, loose) == (
        "drawdown_limit",
        "liquidation_distance_min",
    )
    assert configuration.looser_than(loose, tight) == ("leverage_soft",)


# -- the profiles that ship ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "venue", "environment"), [("demo", "simulator", "demo"), ("paper", "okx", "paper")]
)
def test_a_shipped_profile_without_a_key_is_sound(name, venue, environment):
    settings = configuration.load(name)
    assert (settings.venue, settings.environment) == (venue, environment)
    assert settings.core_instrument == "BTCUSDT"
    assert len(settings.hedge_candidates) == 5


@pytest.mark.parametrize("venue", ["simulator", "okx", "binance", "bybit"])
def test_a_paper_account_of_every_venue_needs_no_key(venue):
    settings = configuration.load("demo", venue=venue, environment="paper", fresh=True)
    assert (settings.paper_equity, settings.paper_latency_ms) == (Decimal(10_000), 50)


def test_a_paper_account_is_not_armed():
    with pytest.raises(SettingsError, match="COUNTERPOISE_LIVE_TRADING=7: allowed is unset unless"):
        configuration.load("paper", live_trading="7")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("paper_equity", "0"),
        ("paper_latency_ms", "-1"),
        ("paper_latency_ms", "10001"),
        ("paper_taker_fee_bps", "101"),
        ("paper_maker_fee_bps", "-11"),
    ],
)
def test_what_a_paper_account_is_made_of_has_bounds(field, value):
    with pytest.raises(SettingsError, match=f"COUNTERPOISE_{field.upper()}={value}: allowed is"):
        configuration.load("paper", **{field: value})


def test_only_the_built_in_venue_and_paper_start_from_nothing():
    with pytest.raises(SettingsError, match="COUNTERPOISE_FRESH=true: allowed is false unless"):
        configuration.load("testnet", fresh=True)


def test_the_shipped_okx_profile_wants_a_demo_key(monkeypatch):
    with pytest.raises(SettingsError, match="OKX needs a demo-trading key"):
        configuration.load("testnet")
    for name in ("API_KEY", "API_SECRET", "API_PASSPHRASE"):
        monkeypatch.setenv("COUNTERPOISE_" + name, "x")
    assert configuration.load("testnet").environment == "demo"


def test_the_shipped_live_profile_is_refused_until_it_is_armed():
    with pytest.raises(SettingsError, match="COUNTERPOISE_LIVE_TRADING is not set"):
        configuration.load("live")
