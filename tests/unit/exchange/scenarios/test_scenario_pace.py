"""A scenario in less time: the same script, its own times divided."""

import pytest

from counterpoise.exchange.scenarios.pace import paced
from counterpoise.exchange.scenarios.script import (
    Conditions,
    Phase,
    Scenario,
    ScenarioFault,
    ScenarioInvalid,
)
from counterpoise.simulator.scenarios import load_scenario

STORM = Scenario(
    name="storm",
    summary="Two gusts.",
    resilience_seconds=120,
    phases=(
        Phase(
            name="gust",
            start_seconds=300,
            seconds=60,
            markets=(("BTCUSDT", Conditions(move=-0.05, depth=0.1, mark_lag_seconds=30)),),
        ),
        Phase(name="lull", start_seconds=360, seconds=30),
    ),
    faults=(
        ScenarioFault(at_seconds=310, kind="delay", duration_seconds=90,
                      arguments=(("seconds", 8.0),)),
        ScenarioFault(at_seconds=320, kind="cut_streams", count=1),
    ),
)  # fmt: skip


def test_its_own_times_are_divided_and_nothing_else() -> None:
    hurried = paced(STORM, 20)
    assert hurried.resilience_seconds == 6
    assert [(each.name, each.start_seconds, each.seconds) for each in hurried.phases] == [
        ("gust", 15, 3),
        ("lull", 18, 1.5),
    ]
    assert hurried.phases[0].conditions("BTCUSDT") == Conditions(
        move=-0.05, depth=0.1, mark_lag_seconds=1.5
    )
    delay, cut = hurried.faults
    assert (delay.at_seconds, delay.duration_seconds) == (15.5, 4.5)
    assert delay.arguments == (("seconds", 8.0),)
    assert (cut.at_seconds, cut.duration_seconds, cut.count) == (16, None, 1)
    assert paced(STORM, 1) is STORM


def test_a_span_too_short_is_refused_with_its_name() -> None:
    with pytest.raises(ScenarioInvalid, match="seconds="):
        paced(STORM, 100)


@pytest.mark.parametrize("pace", [0.3, 3, 7, 11.7])
@pytest.mark.parametrize("name", ["cascade_2025_10_10", "covid_two_legs", "choppy", "squeeze"])
def test_phases_still_follow_each_other_at_odd_paces(name: str, pace: float) -> None:
    script = load_scenario(name)
    hurried = paced(script, pace)
    assert len(hurried.phases) == len(script.phases)
    assert hurried.duration_seconds == pytest.approx(script.duration_seconds / pace)
