"""Takes a changed configuration over while running, whole or not at all.

A looser limit needs a restart: a person should have to stop and look before more is risked.
"""

from dataclasses import fields, replace

import structlog

from counterpoise.app import parameters, recording
from counterpoise.app.configuration import looser_than, reload
from counterpoise.app.settings import Settings
from counterpoise.domain.errors import SettingsError
from counterpoise.engine import reconfiguring
from counterpoise.engine.state import State
from counterpoise.market.freshness import FreshnessLimits
from counterpoise.ports import Clock, Journal
from counterpoise.signals.parameters import SignalParameters

#: Numbers that are built into running statistics.
_FIXED = frozenset(
    field.name for owner in (SignalParameters, FreshnessLimits) for field in fields(owner)
)

log = structlog.get_logger(__name__)


class Reloader:
    """Answers SIGHUP."""

    def __init__(self, settings: Settings, state: State, journal: Journal, clock: Clock) -> None:
        self._settings = settings
        self._state = state
        self._journal = journal
        self._clock = clock

    def reload(self) -> None:
        """Read the configuration again; refuse it with one reason or use it from now on."""
        try:
            settings, changed = reload(self._settings)
            looser = looser_than(self._settings, settings)
            if looser:
                raise SettingsError(f"looser limits need a restart: {', '.join(sorted(looser))}")
            fixed = sorted(set(changed) & _FIXED)
            if fixed:
                raise SettingsError(f"these need a restart: {', '.join(fixed)}")
        except SettingsError as error:
            log.error("configuration.refused", reason=str(error))
            return
        if not changed:
            log.info("configuration.unchanged")
            return
        reconfiguring.reconfigure(
            self._state,
            strategy=parameters.strategy_parameters(settings),
            guard=parameters.guard_parameters(settings),
            run=replace(
                self._state.run,
                slippage_bps_increase=settings.slippage_bps_increase,
                slippage_bps_reduction=settings.slippage_bps_reduction,
                leverage_ceiling=parameters.leverage_ceiling(settings),
                flatten_on_stop=settings.stop_policy == "flatten",
                limits=parameters.risk_limits(settings),
                execution=parameters.execution_parameters(settings),
                protection=(
                    parameters.protection_parameters(settings)
                    if self._state.run.has_triggers
                    else None
                ),
            ),
        )
        self._settings = settings
        now_ns = self._clock.now_ns()
        record = recording.configuration_used(settings, self._state.run.run_id, now_ns)
        self._journal.append(record)
        log.info("configuration.reloaded", changed=sorted(changed))
