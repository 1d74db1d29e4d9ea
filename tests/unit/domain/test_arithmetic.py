"""Money is counted the same whatever a library did to the thread's arithmetic."""

import decimal
from dataclasses import replace

import pytest

from counterpoise.domain.arithmetic import MONEY, counted_in_money
from counterpoise.strategy.decide import decide
from counterpoise.strategy.parameters import POLICY_NAMES
from counterpoise.venues.okx.session import OkxSession
from strategy_walk import PARAMETERS, Walk
from strategy_world import encoded


def as_ccxt_leaves_it() -> None:
    context = decimal.getcontext()
    context.rounding = decimal.ROUND_HALF_UP
    context.traps[decimal.Underflow] = True


def test_the_ambient_context_neither_matters_nor_changes() -> None:
    @counted_in_money
    def third() -> decimal.Decimal:
        return decimal.Decimal(1) / 3

    decimal.getcontext().prec = 5
    assert third() == decimal.Decimal("0." + "3" * 28)
    assert decimal.getcontext().prec == 5
    assert MONEY.rounding == decimal.ROUND_HALF_EVEN


@pytest.mark.parametrize("policy", POLICY_NAMES)
def test_decisions_are_the_same_in_a_context_ccxt_has_changed(policy: str) -> None:
    walk = Walk(3, replace(PARAMETERS, policy=policy))
    before = [(inputs, encoded(decision)) for inputs, decision in walk.decisions(12)]
    as_ccxt_leaves_it()
    assert [encoded(decide(inputs)) for inputs, _ in before] == [made for _, made in before]


async def test_a_call_of_ccxt_leaves_the_callers_arithmetic_alone() -> None:
    async def call(*_: object) -> dict[str, object]:
        as_ccxt_leaves_it()
        return {"data": []}

    before = decimal.getcontext().rounding
    assert await OkxSession.ask(call, {}) == []
    assert await OkxSession.change(call) == {"data": []}
    assert decimal.getcontext().rounding == before
    assert not decimal.getcontext().traps[decimal.Underflow]
