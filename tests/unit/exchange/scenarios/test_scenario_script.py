"""Scripts as values: what they may say, what is refused and how, what is due when."""

import copy

import pytest

from counterpoise.exchange.scenarios.parsing import scenario_from_dict
from counterpoise.exchange.scenarios.script import (
    CALM,
    Conditions,
    Phase,
    Scenario,
    ScenarioFault,
    ScenarioInvalid,
)

TABLE = {
    "name": "storm",
    "summary": "Wind.",
    "cascade": 0.5,
    "resilience_seconds": 30,
    "phases": [
        {
            "name": "gust",
            "start_seconds": 10,
            "seconds": 20,
            "markets": {
                "BTCUSDT": {"move": -0.05, "volatility": 3, "funding_interval_hours": 1},
                "default": {"depth": 0.1, "spread": 50.0},
            },
        },
        {"name": "lull", "start_seconds": 40, "seconds": 5},
    ],
    "faults": [
        {"at_seconds": 25, "kind": "cut_streams", "count": 1},
        {
            "at_seconds": 12.5,
            "kind": "delay",
            "probability": 0.2,
            "duration_seconds": 60,
            "arguments": {"seconds": 8.0, "path_contains": "order"},
        },
    ],
}


def test_tables_become_the_scenario() -> None:
    scenario = scenario_from_dict(TABLE)
    assert scenario == Scenario(
        name="storm",
        summary="Wind.",
        cascade=0.5,
        resilience_seconds=30.0,
        phases=(
            Phase(
                name="gust",
                start_seconds=10.0,
                seconds=20.0,
                markets=(
                    ("BTCUSDT", Conditions(move=-0.05, volatility=3.0, funding_interval_hours=1)),
                    ("default", Conditions(depth=0.1, spread=50.0)),
                ),
            ),
            Phase(name="lull", start_seconds=40.0, seconds=5.0),
        ),
        faults=(
            ScenarioFault(
                at_seconds=12.5,
                kind="delay",
                probability=0.2,
                duration_seconds=60.0,
                arguments=(("path_contains", "order"), ("seconds", 8.0)),
            ),
            ScenarioFault(at_seconds=25.0, kind="cut_streams", count=1),
        ),
    )
    assert scenario.phases[0].conditions("LTCUSDT").depth == 0.1
    assert scenario.phases[0].conditions("BTCUSDT").depth == 1.0
    assert scenario.phases[1].conditions("BTCUSDT") is CALM
    assert scenario.duration_seconds == 45.0


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("name",), "Big Storm", "name='Big Storm'; allowed: small letters"),
        (("summary",), None, "summary=None; allowed: it must be there"),
        (("speed",), 3, "speed=3; allowed: the fields name, summary"),
        (("cascade",), 9, "cascade=9.0; allowed: 0 to 5"),
        (("phases",), {}, r"phases=\{\}; allowed: an array of tables"),
        (("phases", 0, "seconds"), 0.5, r"phases\[0\].seconds=0.5; allowed: 1 to 604800"),
        (("phases", 0, "seconds"), True, r"phases\[0\].seconds=True; allowed: a number"),
        (("phases", 0, "length"), 5, r"phases\[0\].length=5; allowed: the fields name"),
        (
            ("phases", 1, "start_seconds"),
            29,
            "phases.lull.start_seconds=29.0; allowed: at least 30",
        ),
        (("phases", 1, "name"), "gust", "phases.name='gust'; allowed: a name of its own"),
        (
            ("phases", 0, "markets", "BTCUSDT", "depth"),
            0.001,
            r"phases\[0\].markets.BTCUSDT.depth=0.001; allowed: 0.02 to 10",
        ),
        (
            ("phases", 0, "markets", "BTCUSDT", "depht"),
            0.5,
            r"phases\[0\].markets.BTCUSDT.depht=0.5; allowed: the fields move",
        ),
        (
            ("phases", 0, "markets", "BTCUSDT", "funding_interval_hours"),
            5,
            "funding_interval_hours=5; allowed: 1, 2, 4, 6, 8, 12 or 24",
        ),
        (
            ("phases", 0, "markets", "BTCUSDT", "volatility"),
            float("nan"),
            r"phases\[0\].markets.BTCUSDT.volatility=nan",
        ),
        (("phases", 0, "markets", "btc-usdt"), {}, "markets='btc-usdt'; allowed: an instrument"),
        (("faults", 0, "probability"), 0, r"faults\[0\].probability=0.0; allowed: above 0 to 1"),
        (("faults", 0, "count"), 0, r"faults\[0\].count=0; allowed: a whole number from 1"),
        (("faults", 0, "count"), 1.5, r"faults\[0\].count=1.5; allowed: a whole number"),
        (("faults", 0, "kind"), "cut streams", r"faults\[0\].kind='cut streams'; allowed: small"),
        (("faults", 1, "arguments"), {"seconds": []}, r"faults\[1\].arguments.seconds=\[\]"),
    ],
)
def test_refusals_name_field_value_and_what_is_allowed(
    path: tuple[str | int, ...], value: object, message: str
) -> None:
    table = copy.deepcopy(TABLE)
    place: object = table
    for key in path[:-1]:
        place = place[key]  # type: ignore[index]
    if value is None:
        del place[path[-1]]  # type: ignore[attr-defined]
    else:
        place[path[-1]] = value  # type: ignore[index]
    with pytest.raises(ScenarioInvalid, match=message):
        scenario_from_dict(table)


def test_a_step_belongs_to_the_phase_it_ends_in() -> None:
    scenario = scenario_from_dict(TABLE)
    places = {
        0.0: None, 10.0: None, 10.25: 0, 30.0: 0, 30.25: None, 40.0: None, 40.25: 1, 45.0: 1,
        45.25: None,
    }  # fmt: skip
    assert {at: scenario.phase_at(at) for at in places} == places


def test_faults_fall_due_once() -> None:
    scenario = scenario_from_dict(TABLE)
    kinds = [
        [each.kind for each in scenario.faults_due(after, until)]
        for after, until in [(-1, 12.25), (12.25, 12.5), (12.5, 24.99), (24.99, 100), (100, 200)]
    ]
    assert kinds == [[], ["delay"], [], ["cut_streams"], []]
