"""Hands the settings on to the classes of the rules, which check them."""

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any, Final

from counterpoise.app.settings import Settings
from counterpoise.app.settings_rules import RuleSettings
from counterpoise.app.venue_table import VENUES
from counterpoise.domain.rounding import quantize_up
from counterpoise.engine.execution_parameters import ExecutionParameters
from counterpoise.market.freshness import FreshnessLimits
from counterpoise.risk import ceiling
from counterpoise.risk.guard import GuardParameters
from counterpoise.risk.protection import ProtectionParameters
from counterpoise.risk.view import RiskLimits
from counterpoise.signals.parameters import SignalParameters
from counterpoise.strategy.parameters import StrategyParameters

#: What a running daemon takes from a changed configuration; the rest needs a restart. Numbers of
#: the rolling statistics and of the market's freshness are built into running state.
CHANGEABLE: Final = (RuleSettings.model_fields.keys() | {"stop_policy"}) - {
    field.name for owner in (SignalParameters, FreshnessLimits) for field in fields(owner)
}


def strategy_parameters(settings: Settings) -> StrategyParameters:
    """Return the strategy's numbers. Raises ValueError naming field, value and what is allowed."""
    return StrategyParameters(**_of_same_name(settings, StrategyParameters))


def signal_parameters(settings: Settings) -> SignalParameters:
    """Return the rolling statistics' numbers. Raises ValueError."""
    return SignalParameters(**_of_same_name(settings, SignalParameters))


def guard_parameters(settings: Settings) -> GuardParameters:
    """Return when the guard acts and where it stops. Raises ValueError."""
    return GuardParameters(**_of_same_name(settings, GuardParameters))


def protection_parameters(settings: Settings) -> ProtectionParameters | None:
    """Return where stops rest at the venue; None = switched off. Raises ValueError."""
    found = ProtectionParameters(**_of_same_name(settings, ProtectionParameters))
    return found if settings.protective_stops == "on" else None


def execution_parameters(settings: Settings) -> ExecutionParameters:
    """Return how orders are worked. Raises ValueError."""
    return ExecutionParameters(**_of_same_name(settings, ExecutionParameters))


def risk_limits(settings: Settings) -> RiskLimits:
    """Return the gate's other limits."""
    return RiskLimits(**_of_same_name(settings, RiskLimits))


def freshness_limits(settings: Settings) -> FreshnessLimits:
    """Return beyond which age an input no longer counts. Raises ValueError."""
    return FreshnessLimits(**_of_same_name(settings, FreshnessLimits))


def leverage_ceiling(settings: Settings) -> Decimal:
    """Return the ceiling in force, at most 3. Raises ValueError."""
    return ceiling.ceiling(settings.leverage_ceiling)


def leverage_setting(settings: Settings) -> Decimal:
    """Return what the venue is told: the ceiling, rounded up to a whole number as venues want."""
    return quantize_up(leverage_ceiling(settings), Decimal(1))


def endpoints(settings: Settings, venue: str) -> Any:
    """Return a venue's addresses of the environment, or the ones that replace them.

    Raises ValueError if play money is configured and an order sent to one of them could cost real
    money.
    """
    row = VENUES[venue]
    adapters = row.adapters()
    given = {
        field: value
        for field, setting in row.address_settings.items()
        if (value := getattr(settings, setting)) is not None
    }
    found = replace(adapters.endpoints(settings.environment), **given)
    if settings.environment != "production" and adapters.is_production(found):
        named = ", ".join(f"{row.address_settings[field]}={given[field]}" for field in given)
        raise ValueError(f"{named}: allowed are addresses of demo trading")
    return found


def public_endpoints(settings: Settings, venue: str) -> Any:
    """Return a venue's public addresses, or the ones that replace them; no private one."""
    row = VENUES[venue]
    given = {
        field: value
        for field, setting in row.address_settings.items()
        if field != "private_url" and (value := getattr(settings, setting)) is not None
    }
    return replace(row.public().endpoints(), **given)


def check(settings: Settings) -> None:
    """Raise ValueError for the first number a rule refuses."""
    strategy_parameters(settings)
    signal_parameters(settings)
    leverage_ceiling(settings)
    guard_parameters(settings)
    protection_parameters(settings)
    execution_parameters(settings)
    risk_limits(settings)
    freshness_limits(settings)
    for name, row in VENUES.items():
        given = any(getattr(settings, each) is not None for each in row.address_settings.values())
        if settings.environment in row.environments and (given or settings.venue == name):
            endpoints(settings, name)


def _of_same_name(settings: Settings, owner: type[Any]) -> dict[str, Any]:
    # The owner decides between float and Decimal; text in between keeps every digit.
    found: dict[str, Any] = {}
    for field in fields(owner):
        if field.name not in Settings.model_fields:
            continue
        value = getattr(settings, field.name)
        if field.type is Decimal and not isinstance(value, Decimal):
            value = Decimal(str(value))
        elif field.type is float:
            value = float(value)
        found[field.name] = value
    return found
