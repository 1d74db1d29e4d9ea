"""A market that the venue closes or announces the end of, and hedges that are left without the core they hedge."""

from dataclasses import replace
from typing import Final

from counterpoise.domain.events import InstrumentStateTold
from counterpoise.domain.instruments import InstrumentState
from counterpoise.engine import actions, controls, flattening, recording, working
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause

#: Reason code of the decision that closes hedges without a core.
CORE_GONE: Final = "CORE_GONE"
#: Reason code of the decision that closes what the venue announced the end of.
CLOSING: Final = "INSTRUMENT_CLOSING"


def told(state: State, event: InstrumentStateTold) -> list[actions.Action]:
    """Take an instrument's state. While the core's is not live, nothing increases."""
    rules = state.instruments.get(event.instrument_id)
    if rules is None or rules.state is event.state:
        return []
    changed = replace(rules, state=event.state)
    state.instruments[event.instrument_id] = changed
    state.market.set_instrument(changed)
    held = state.account.quantities().get(event.instrument_id)
    core = event.instrument_id == state.strategy.core_instrument
    live = event.state is InstrumentState.LIVE
    words = f"{event.instrument_id} went from {rules.state.value} to {event.state.value}" + (
        "" if held is None else f" while {held} is held"
    )
    severity = "warning" if live or held is None else "critical" if core else "error"
    done: list[actions.Action] = [
        recording.incident(
            state,
            "instrument.state",
            severity,
            words,
            {"instrument_id": event.instrument_id, "held": str(held or 0)},
        )
    ]
    if not core:
        return done
    if live:
        return done + controls.remove_cause(state, Cause.CORE)
    done += controls.add_cause(state, Cause.CORE)
    return done + working.drop_increases(state, f"the core is {event.state.value}")


def core_vanished(state: State, before: str) -> list[actions.Action]:
    """Say that the core went to nothing without an order of ours, and close what hedged it."""
    core = state.strategy.core_instrument
    state.core_vanished = True
    words = f"the core {core} went from {before} to 0 without an order of ours"
    done: list[actions.Action] = [
        recording.incident(state, "core.vanished", "critical", words, {"before": before})
    ]
    return done + close_hedges(state, at_once=True)


def close_ending(state: State) -> list[actions.Action]:
    """Close what is held in markets that the venue announced the end of; called with each tick.

    A core takes its hedges along, since they hedge nothing else; a hedge goes alone, and the next
    cycle chooses among the others.
    """
    if not state.account.complete:
        return []
    ending = [
        name
        for name in sorted(state.account.quantities())
        if name in state.instruments
        and state.instruments[name].state is InstrumentState.CLOSING
        and name not in state.run.unmanaged
    ]
    if not ending:
        return []
    if state.strategy.core_instrument in ending:
        return flattening.flatten(state, "the core's market ends", reason=CLOSING)
    words = f"the market of {', '.join(ending)} ends"
    return flattening.flatten(state, words, reason=CLOSING, only=frozenset(ending))


def close_hedges(state: State, *, at_once: bool = False) -> list[actions.Action]:
    """Close every hedge at once if there is no core any more; called with each tick.

    Only for a core that the venue took away or does not trade: one that the strategy closed has
    a plan of its own for its hedges. `at_once` = it was found just now.
    """
    core = state.strategy.core_instrument
    rules = state.instruments.get(core)
    live = rules is not None and rules.state is InstrumentState.LIVE
    if not state.account.complete or core in state.account.quantities():
        state.core_vanished = False
        return []
    closed = flattening.is_flat(state) and not flattening.may_grow(state)
    if (live and not state.core_vanished) or closed:
        state.core_vanished = False
        return []
    return flattening.flatten(state, "the core is gone", reason=CORE_GONE, at_once=at_once)
