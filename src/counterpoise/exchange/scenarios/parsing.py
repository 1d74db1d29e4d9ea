"""Reads a scenario from the tables of a TOML file; the file itself is read outside the core."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, Final

from counterpoise.exchange.scenarios.script import (
    Conditions,
    Phase,
    Scenario,
    ScenarioFault,
    ScenarioInvalid,
)

_SCENARIO_FIELDS: Final = ("name", "summary", "cascade", "resilience_seconds", "phases", "faults")
_PHASE_FIELDS: Final = ("name", "start_seconds", "seconds", "markets")
_FAULT_FIELDS: Final = (
    "at_seconds", "kind", "probability", "count", "duration_seconds", "arguments",
)  # fmt: skip
_CONDITIONS_FIELDS: Final = tuple(each.name for each in fields(Conditions))
_REQUIRED: Final = "it must be there"


def scenario_from_dict(table: Mapping[str, Any]) -> Scenario:
    """Return the scenario of a parsed file. ScenarioInvalid names the field that is wrong."""
    _known("", table, _SCENARIO_FIELDS)
    phases = [
        _phase(f"phases[{at}]", each)
        for at, each in enumerate(_tables("phases", table.get("phases", ())))
    ]
    faults = [
        _fault(f"faults[{at}]", each)
        for at, each in enumerate(_tables("faults", table.get("faults", ())))
    ]
    return Scenario(
        name=_text("name", table),
        summary=_text("summary", table),
        cascade=_number("cascade", table, 1.0),
        resilience_seconds=_number("resilience_seconds", table, 90.0),
        phases=tuple(phases),
        faults=tuple(sorted(faults, key=lambda each: each.at_seconds)),
    )


def _phase(where: str, table: Mapping[str, Any]) -> Phase:
    _known(where, table, _PHASE_FIELDS)
    markets = _table(f"{where}.markets", table.get("markets", {}))
    conditions = [
        (instrument_id, _conditions(f"{where}.markets.{instrument_id}", each))
        for instrument_id, each in sorted(markets.items())
    ]
    with _placed(where):
        return Phase(
            name=_text("name", table),
            start_seconds=_number("start_seconds", table),
            seconds=_number("seconds", table),
            markets=tuple(conditions),
        )


def _conditions(where: str, value: object) -> Conditions:
    table = _table(where, value)
    _known(where, table, _CONDITIONS_FIELDS)
    with _placed(where):
        given: dict[str, Any] = {name: _number(name, table) for name in table}
        if "funding_interval_hours" in given:
            given["funding_interval_hours"] = _whole("funding_interval_hours", table)
        return Conditions(**given)


def _fault(where: str, table: Mapping[str, Any]) -> ScenarioFault:
    _known(where, table, _FAULT_FIELDS)
    arguments = _table(f"{where}.arguments", table.get("arguments", {}))
    for name, value in arguments.items():
        if not isinstance(value, str | int | float | bool):
            raise ScenarioInvalid(f"{where}.arguments.{name}", value, "text, a number or a boolean")
    duration = table.get("duration_seconds")
    with _placed(where):
        return ScenarioFault(
            at_seconds=_number("at_seconds", table),
            kind=_text("kind", table),
            probability=_number("probability", table, 1.0),
            count=None if "count" not in table else _whole("count", table),
            duration_seconds=None if duration is None else _number("duration_seconds", table),
            arguments=tuple(sorted(arguments.items())),
        )


@contextmanager
def _placed(where: str) -> Iterator[None]:
    # The values check themselves; only this place knows where in the file they stood.
    try:
        yield
    except ScenarioInvalid as wrong:
        wrong.args = (f"{where}.{wrong}",)
        raise


def _known(where: str, table: Mapping[str, Any], names: Sequence[str]) -> None:
    for name in table:
        if name not in names:
            place = f"{where}.{name}" if where else name
            raise ScenarioInvalid(place, table[name], f"the fields {', '.join(names)}")


def _table(where: str, value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ScenarioInvalid(where, value, "a table")
    return value


def _tables(where: str, value: object) -> list[Mapping[str, Any]]:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ScenarioInvalid(where, value, "an array of tables")
    return [_table(f"{where}[{at}]", each) for at, each in enumerate(value)]


def _text(name: str, table: Mapping[str, Any]) -> str:
    value = table.get(name)
    if value is None:
        raise ScenarioInvalid(name, None, _REQUIRED)
    if not isinstance(value, str):
        raise ScenarioInvalid(name, value, "text")
    return value


def _number(name: str, table: Mapping[str, Any], otherwise: float | None = None) -> float:
    value = table.get(name, otherwise)
    if value is None:
        raise ScenarioInvalid(name, None, _REQUIRED)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ScenarioInvalid(name, value, "a number")
    return float(value)


def _whole(name: str, table: Mapping[str, Any]) -> int:
    value = table[name]
    if isinstance(value, bool) or not isinstance(value, int):
        raise ScenarioInvalid(name, value, "a whole number")
    return value
