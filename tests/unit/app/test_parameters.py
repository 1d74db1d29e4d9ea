from dataclasses import MISSING, fields
from decimal import Decimal

import pytest

from counterpoise.app import configuration, parameters
from counterpoise.app.settings import Settings
from counterpoise.app.settings_rules import RuleSettings
from counterpoise.domain.errors import SettingsError
from counterpoise.engine.execution_parameters import ExecutionParameters
from counterpoise.market.freshness import FreshnessLimits
from counterpoise.risk.ceiling import LEVERAGE_MAX
from counterpoise.risk.guard import GuardParameters
from counterpoise.risk.protection import ProtectionParameters
from counterpoise.risk.view import RiskLimits
from counterpoise.signals.parameters import SignalParameters
from counterpoise.strategy.parameters import StrategyParameters

OWNERS = (
    StrategyParameters,
    GuardParameters,
    ProtectionParameters,
    RiskLimits,
    SignalParameters,
    FreshnessLimits,
    ExecutionParameters,
)

#: Sizes of windows that nobody has a reason to set.
FIXED = {
    "known_seconds_min",
    "volatility_rising_seconds",
    "correlation_days",
    "correlation_day_seconds_min",
    "absorption_components",
}


@pytest.mark.parametrize("owner", OWNERS)
def test_each_number_of_a_rule_is_a_setting_with_the_same_default(owner):
    for field in fields(owner):
        if field.name in FIXED or field.name not in RuleSettings.model_fields:
            known = FIXED | {
                "core_instrument",
                "core_side",
                "hedge_candidates",
                "policy",
                "rules_off",
                # Of the run: a setting, and no number that a running daemon takes.
                "cycle_seconds",
            }
            assert field.name in known, f"{owner.__name__}.{field.name} is no setting"
            continue
        default = Settings.model_fields[field.name].default
        assert field.default is not MISSING
        assert Decimal(str(default)) == Decimal(str(field.default)), field.name


def test_each_number_among_the_settings_belongs_to_a_rule():
    owned = {field.name for owner in OWNERS for field in fields(owner)}
    of_the_run = {"leverage_ceiling", "slippage_bps_increase", "slippage_bps_reduction"}
    assert (
        RuleSettings.model_fields.keys() == (owned & RuleSettings.model_fields.keys()) | of_the_run
    )


def test_each_limit_that_can_loosen_is_a_setting():
    assert configuration.LOOSER.keys() <= RuleSettings.model_fields.keys()


def test_settings_reach_the_rules_unchanged():
    settings = configuration.load(
        "demo",
        core_side="short",
        hedge_legs=2,
        leverage_trigger="2.85",
        latency_ms_max=150,
        half_life_fast_hours=2,
        mark_ms_max=9_000,
    )
    strategy = parameters.strategy_parameters(settings)
    assert (strategy.core_instrument, strategy.side, strategy.hedge_legs) == ("BTCUSDT", -1, 2)
    assert strategy.latency_ms_max == 150.0
    assert parameters.guard_parameters(settings).leverage_trigger == Decimal("2.85")
    assert parameters.risk_limits(settings).latency_ms_max == Decimal(150)
    assert parameters.signal_parameters(settings).half_life_fast_hours == 2.0
    assert parameters.freshness_limits(settings).mark_ms_max == 9_000


def test_the_policy_reaches_the_strategy():
    settings = configuration.load("demo", policy="static_hedge", hold_less_fraction=0.4)
    strategy = parameters.strategy_parameters(settings)
    assert (strategy.policy, strategy.hold_less_fraction) == ("static_hedge", 0.4)
    assert parameters.strategy_parameters(configuration.load("demo")).policy == "counterpoise"
    with pytest.raises(SettingsError, match=r"COUNTERPOISE_POLICY='best': allowed is counterpoise"):
        configuration.load("demo", policy="best")


def test_decimals_stay_decimals():
    guard = parameters.guard_parameters(configuration.load("demo", core_unhedged_max=0.9))
    assert guard.core_unhedged_max == Decimal("0.9")


@pytest.mark.parametrize(
    ("ceiling", "setting"), [("3", "3"), ("2.95", "3"), ("2", "2"), ("1.5", "2")]
)
def test_the_leverage_setting_is_the_ceiling_rounded_up(ceiling, setting):
    settings = configuration.load(
        "demo",
        leverage_ceiling=ceiling,
        leverage_trigger="1.4",
        leverage_target="1.3",
        leverage_soft=1.2,
    )
    assert parameters.leverage_ceiling(settings) == Decimal(ceiling) <= LEVERAGE_MAX
    assert parameters.leverage_setting(settings) == Decimal(setting)


def test_addresses_default_to_demo_trading():
    found = parameters.endpoints(configuration.load("demo"), "okx")
    assert found.simulated_trading is True
    assert found.private_url.startswith("wss://wspap.")


def test_an_address_of_real_money_is_refused():
    with pytest.raises(SettingsError, match=r"COUNTERPOISE_OKX_PRIVATE_URL=wss://ws\.okx\.com"):
        configuration.load("demo", okx_private_url="wss://ws.okx.com/ws/v5/private")
