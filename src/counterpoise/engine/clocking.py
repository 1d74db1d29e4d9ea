"""Holds the daemon back while its clock and the venue's are too far apart."""

import math
from typing import Final

from counterpoise.domain.events import ClockMeasured
from counterpoise.domain.records import ClockSeen
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.engine import actions, controls, recording, working
from counterpoise.engine.run import CLOCK_AGE_NS_MAX
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import Cause

#: A balance's stamp may be ahead of the venue's clock as it was measured by this much, ns.
STAMP_AHEAD_NS_MAX: Final = 2 * NS_PER_SECOND


def measured(state: State, event: ClockMeasured) -> list[actions.Action]:
    """Take a measurement: latencies are corrected by it, and a large one lets nothing increase.

    No answer changes nothing by itself; the last measurement grows old.
    """
    if event.offset_ns is None:
        return []
    state.clock_offset_ms = event.offset_ns / NS_PER_MS
    state.clock_ns = event.received_ns
    state.market.set_clock_offset(event.offset_ns)
    return _judge(state)


def look(state: State) -> list[actions.Action]:
    """Forget a measurement that is too old; called with each tick."""
    state.clock_ns = state.clock_ns or state.now_ns
    if state.clock_offset_ms is None or state.now_ns - state.clock_ns <= CLOCK_AGE_NS_MAX:
        return []
    state.clock_offset_ms = None
    return _judge(state)


def not_ahead(state: State, event_ns: int) -> int:
    """Return a stamp of the venue's, or the latest one it can have by now, ns.

    One that lies ahead by mistake would hide whatever is told after it.
    """
    offset_ms = state.clock_offset_ms
    offset_ms = state.run.clock_offset_ms if offset_ms is None else offset_ms
    if not math.isfinite(offset_ms):
        return event_ns
    return min(event_ns, state.now_ns + round(offset_ms * NS_PER_MS) + STAMP_AHEAD_NS_MAX)


def _judge(state: State) -> list[actions.Action]:
    offset_ms, limit_ms = state.clock_offset_ms, state.run.limits.clock_offset_ms_max
    near = offset_ms is not None and math.isfinite(offset_ms) and abs(offset_ms) <= limit_ms
    seen = actions.Write(
        record=ClockSeen(
            clock_event_id=state.record_id("clock"),
            run_id=state.run.run_id,
            offset_ms=offset_ms,
            refused=not near,
            measured_ns=state.now_ns,
        )
    )
    if near:
        return [seen, *controls.remove_cause(state, Cause.CLOCK)]
    if Cause.CLOCK in state.causes:
        return [seen]
    words = "the venue's clock has not been measured for too long; nothing increases"
    if offset_ms is not None:
        words = (
            f"the venue's clock is {offset_ms:.0f} ms from ours, more than {limit_ms}; "
            "nothing increases"
        )
    figures = {"offset_ms": str(offset_ms), "limit_ms": str(limit_ms)}
    done = [seen, *controls.add_cause(state, Cause.CLOCK)]
    done.append(recording.incident(state, "clock.offset", "error", words, figures))
    return done + working.drop_increases(state, "the clock is off")
