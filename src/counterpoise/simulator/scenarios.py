"""The scenarios that come with the package, and a user's own from a file."""

import tomllib
from importlib import resources
from pathlib import Path

from counterpoise.exchange import scenarios
from counterpoise.exchange.scenarios.parsing import scenario_from_dict
from counterpoise.exchange.scenarios.script import Scenario, ScenarioInvalid

_SUFFIX = ".toml"


def scenario_names() -> tuple[str, ...]:
    """Return the names of the scenarios that come with the package, sorted."""
    files = resources.files(scenarios).iterdir()
    return tuple(
        sorted(each.name.removesuffix(_SUFFIX) for each in files if each.name.endswith(_SUFFIX))
    )


def load_scenario(name: str) -> Scenario:
    """Return a scenario by its name, or by the path of a TOML file.

    ScenarioInvalid: no such name, or the file says something it may not. OSError: no such file.
    """
    if name.endswith(_SUFFIX):
        return parsed_scenario(Path(name).read_text(encoding="utf-8"))
    names = scenario_names()
    if name not in names:
        raise ScenarioInvalid("scenario", name, f"{', '.join(names)}, or the path of a .toml file")
    file = resources.files(scenarios).joinpath(name + _SUFFIX)
    return parsed_scenario(file.read_text(encoding="utf-8"))


def parsed_scenario(text: str) -> Scenario:
    """Return the scenario of a TOML text. ScenarioInvalid: not TOML, or it says what it may not."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as wrong:
        raise ScenarioInvalid("scenario", str(wrong), "a TOML file") from wrong
    return scenario_from_dict(table)
