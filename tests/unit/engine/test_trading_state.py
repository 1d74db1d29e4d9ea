"""The strictest cause speaks."""

import pytest

from counterpoise.domain.account import TradingState
from counterpoise.engine.trading_state import HALTING, Cause, trading_state


def test_without_a_cause_everything_is_allowed() -> None:
    assert trading_state(frozenset()) is TradingState.ACTIVE


@pytest.mark.parametrize("cause", list(Cause))
def test_each_cause_alone(cause: Cause) -> None:
    expected = TradingState.HALTED if cause in HALTING else TradingState.REDUCING
    assert trading_state(frozenset({cause})) is expected


def test_a_halting_cause_outweighs_all_others() -> None:
    assert trading_state(frozenset(Cause)) is TradingState.HALTED
