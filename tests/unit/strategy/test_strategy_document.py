"""The strategy's document names every parameter, default, range and reason."""

import re
from dataclasses import fields
from pathlib import Path

from counterpoise.strategy import decide
from counterpoise.strategy.parameters import ORDERED, RANGES, RULE_NAMES, StrategyParameters
from counterpoise.strategy.reasons import MEANINGS, ReasonCode
from strategy_world import CORE

DOCUMENT = (Path(__file__).parents[3] / "docs" / "strategy.md").read_text(encoding="utf-8")


def test_every_parameter_is_documented_with_its_default_and_range() -> None:
    rows = [
        f"| `{entry.name}` | {getattr(StrategyParameters(core_instrument=CORE), entry.name)} | {low} to {high} |"
        for entry in fields(StrategyParameters)
        if entry.name in RANGES
        for low, high in [RANGES[entry.name]]
    ]
    assert len(rows) == len(RANGES)
    assert [row for row in rows if row not in DOCUMENT] == []
    relations = [f"`{lower}` <= `{higher}`" for lower, higher in ORDERED]
    assert [relation for relation in relations if relation not in DOCUMENT] == []


def test_every_rule_is_documented_with_its_switch_and_its_test() -> None:
    rows = [line.split(" | ") for line in DOCUMENT.splitlines() if line.count(" | ") == 5]
    switches = [name for row in rows for name in re.findall(r"`(\w+)`", row[4])]
    assert [name for name in switches if name in RULE_NAMES] == list(RULE_NAMES)
    tests = "".join(
        f"{path.name} {path.read_text(encoding='utf-8')}"
        for path in Path(__file__).parent.glob("test_*.py")
    )
    named = {name for row in rows for name in re.findall(r"`(test_[\w.]+)`", row[5])}
    assert {name for name in named if name not in tests} == set()
    functions = {name for row in rows for name in re.findall(r"`(\w+\.\w+)`", row[1])}
    source = Path(decide.__file__).parent
    for name in functions:
        module, function = name.split(".")
        assert f"def {function}(" in (source / f"{module}.py").read_text(encoding="utf-8")
    codes = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row[2])}
    assert codes <= {code.value for code in ReasonCode}


def test_every_reason_is_documented() -> None:
    rows = [f"| `{code.value}` | {MEANINGS[code]} |" for code in ReasonCode]
    assert DOCUMENT.endswith("\n".join(rows) + "\n")
