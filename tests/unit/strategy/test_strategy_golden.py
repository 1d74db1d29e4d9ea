"""Decisions along a seeded market, byte for byte; `python tests/strategy_walk.py` writes them."""

import pytest

from counterpoise.strategy.parameters import POLICY_NAMES
from strategy_walk import GOLDEN, golden_lines


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_the_decisions_are_those_on_file(policy: str) -> None:
    stored = (GOLDEN / f"{policy}.txt").read_text(encoding="utf-8")
    assert golden_lines(policy).splitlines() == stored.splitlines()
