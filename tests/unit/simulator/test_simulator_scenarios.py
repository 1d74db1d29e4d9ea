"""The scenarios that come with the package, and a user's own."""

import dataclasses
from pathlib import Path

import msgspec
import pytest

from counterpoise.exchange.scenarios.script import Scenario, ScenarioInvalid
from counterpoise.simulator.faults import Fault, FaultKind
from counterpoise.simulator.scenarios import load_scenario, scenario_names

NAMES = (
    "calm",
    "cascade_2025_10_10",
    "choppy",
    "covid_two_legs",
    "grind_2021_05_19",
    "squeeze",
    "venue_dark",
)


def test_seven_come_with_the_package() -> None:
    assert scenario_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_each_is_named_like_its_file_and_its_faults_exist(name: str) -> None:
    scenario = load_scenario(name)
    assert scenario.name == name
    fields = {each.name for each in msgspec.structs.fields(Fault)}
    for fault in scenario.faults:
        assert FaultKind(fault.kind).value == fault.kind
        assert {key for key, _ in fault.arguments} <= fields
        assert fault.count is not None or fault.duration_seconds is not None


def test_own_scenario_is_read_from_its_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nsummary = "Ours."\ncascade = 0\n')
    assert load_scenario(str(path)) == Scenario(name="mine", summary="Ours.", cascade=0.0)


def test_refusals_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(ScenarioInvalid, match="scenario='crash'; allowed: calm, cascade_2025"):
        load_scenario("crash")
    path = tmp_path / "broken.toml"
    path.write_text("name = ")
    with pytest.raises(ScenarioInvalid, match="allowed: a TOML file"):
        load_scenario(str(path))
    with pytest.raises(FileNotFoundError):
        load_scenario(str(tmp_path / "none.toml"))


def test_docs_tell_of_every_scenario_and_condition() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs" / "scenarios.md").read_text()
    for name in NAMES:
        assert f"`{name}`" in text
        for phase in load_scenario(name).phases:
            assert phase.name.rstrip("_0123456789") in text
    for kind in (Scenario, *{type(c) for _, c in load_scenario("squeeze").phases[0].markets}):
        for each in dataclasses.fields(kind):
            if each.name not in {"bars", "_starts"}:
                assert f"`{each.name}`" in text, each.name
