"""Takes new numbers for the rules over, between two events."""

from counterpoise.engine.run import Run
from counterpoise.engine.state import State
from counterpoise.risk.guard import GuardParameters
from counterpoise.strategy.parameters import StrategyParameters


def reconfigure(
    state: State, *, strategy: StrategyParameters, guard: GuardParameters, run: Run
) -> None:
    """Use these numbers from the next event on; the core, its side and the run stay the same."""
    assert strategy.core_instrument == state.strategy.core_instrument, "the core needs a restart"
    assert strategy.core_side == state.strategy.core_side, "the side needs a restart"
    assert strategy.policy == state.strategy.policy, "another policy needs a restart"
    assert strategy.rules_off == state.strategy.rules_off, "a rule switched needs a restart"
    assert run.run_id == state.run.run_id, "a run keeps its name"
    assert run.leverage_ceiling <= state.run.leverage_ceiling, "a higher ceiling needs a restart"
    state.strategy = strategy
    state.guard = guard
    state.run = run
