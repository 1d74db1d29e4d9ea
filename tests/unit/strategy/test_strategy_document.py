"""The strategy's document names every parameter, default, range and reason."""

from dataclasses import fields
from pathlib import Path

from counterpoise.strategy.parameters import ORDERED, RANGES, StrategyParameters
from counterpoise.strategy.reasons import MEANINGS, ReasonCode
from strategy_world import PARAMETERS

DOCUMENT = (Path(__file__).parents[3] / "docs" / "strategy.md").read_text(encoding="utf-8")


def test_every_parameter_is_documented_with_its_default_and_range() -> None:
    rows = [
        f"| `{entry.name}` | {getattr(PARAMETERS, entry.name)} | {low} to {high} |"
        for entry in fields(StrategyParameters)
        if entry.name in RANGES
        for low, high in [RANGES[entry.name]]
    ]
    assert len(rows) == len(RANGES)
    assert [row for row in rows if row not in DOCUMENT] == []
    relations = [f"`{lower}` <= `{higher}`" for lower, higher in ORDERED]
    assert [relation for relation in relations if relation not in DOCUMENT] == []


def test_every_reason_is_documented() -> None:
    rows = [f"| `{code.value}` | {MEANINGS[code]} |" for code in ReasonCode]
    assert DOCUMENT.endswith("\n".join(rows) + "\n")
