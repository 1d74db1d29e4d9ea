"""What is on the account and not ours: whether it is left alone, and what is done about it."""

from counterpoise.engine import actions, controls, recording, working
from counterpoise.engine.run import ForeignPolicy
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause


def is_strange(state: State, instrument_id: str) -> bool:
    """Tell whether a position is neither followed nor ours to follow."""
    return instrument_id not in state.instruments


def tolerated(state: State) -> bool:
    """Tell whether orders and executions of others are left alone by the operator's setting."""
    return state.run.foreign is not ForeignPolicy.REFUSE


def foreign(state: State, words: str, figures: dict[str, str]) -> list[actions.Action]:
    """Hold back while something on the account is not ours; written once until it is gone."""
    if Cause.FOREIGN in state.causes:
        return []
    done = controls.add_cause(state, Cause.FOREIGN)
    done.append(recording.incident(state, "account.foreign", "error", words, figures))
    return done + working.drop_increases(state, "something on the account is not ours")
