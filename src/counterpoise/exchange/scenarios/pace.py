"""A scenario in less time, or in more: the same moves and faults, closer together."""

from dataclasses import replace

from counterpoise.exchange.scenarios.script import Conditions, Phase, Scenario, ScenarioFault


def paced(scenario: Scenario, pace: float) -> Scenario:
    """Return the scenario with every span of its own divided by `pace`, 1 = as it is.

    Spans are those of phases, faults, recovering books and lagging marks. Market time itself is
    not touched, nor are funding intervals, real bars, or how late an answer is. ScenarioInvalid:
    a span becomes shorter or longer than is allowed.
    """
    if pace == 1:
        return scenario
    phases: list[Phase] = []
    for each in scenario.phases:
        # Rounded to the last bit, a phase must not begin before the one before has ended.
        ended = phases[-1].end_seconds if phases else 0.0
        phases.append(_phase(each, pace, from_seconds=ended))
    return replace(
        scenario,
        resilience_seconds=scenario.resilience_seconds / pace,
        phases=tuple(phases),
        faults=tuple(_fault(each, pace) for each in scenario.faults),
    )


def _phase(phase: Phase, pace: float, *, from_seconds: float) -> Phase:
    return replace(
        phase,
        start_seconds=max(phase.start_seconds / pace, from_seconds),
        seconds=phase.seconds / pace,
        markets=tuple((name, _conditions(each, pace)) for name, each in phase.markets),
    )


def _conditions(conditions: Conditions, pace: float) -> Conditions:
    return replace(conditions, mark_lag_seconds=conditions.mark_lag_seconds / pace)


def _fault(fault: ScenarioFault, pace: float) -> ScenarioFault:
    lasts = fault.duration_seconds
    return replace(
        fault,
        at_seconds=fault.at_seconds / pace,
        duration_seconds=None if lasts is None else lasts / pace,
    )
