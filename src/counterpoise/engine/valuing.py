"""Minds that the account can be valued: without equity guard and stops have nothing to go by."""

from typing import Final

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions, recording, views
from counterpoise.engine.balance_doubt import BELIEVED_NS
from counterpoise.engine.contradiction import CONFIRM_NS
from counterpoise.engine.run import POLL_NS
from counterpoise.engine.state import State

#: An equity that is not known for this long, though something may be held, is said.
UNKNOWN_NS_MAX: Final = 30 * NS_PER_SECOND


def look(state: State) -> list[actions.Action]:
    """Ask for the account while equity is not known or doubted, or marks are silent; say so once.

    Called with each tick. While nothing is held nothing has to be known: there is nothing to guard.
    """
    return _doubted(state) + _unknown(state) + _silent(state)


def _silent(state: State) -> list[actions.Action]:
    # The venue's answers tell marks of what is held: the guard goes by these meanwhile.
    held = state.account.quantities().keys() & state.instruments.keys()
    silent = [n for n in sorted(held) if not state.market.mark_is_fresh(n, state.now_ns)]
    if not silent:
        state.marks_silent_ns, state.marks_silent_told = None, False
        return []
    if state.marks_silent_ns is None:
        state.marks_silent_ns = state.now_ns
    silent_ns = state.now_ns - state.marks_silent_ns
    done: list[actions.Action] = []
    if silent_ns >= POLL_NS and state.now_ns - state.polled_ns >= POLL_NS:
        state.polled_ns = state.now_ns
        done.append(actions.Reconcile(cause="marks_silent"))
    if silent_ns >= UNKNOWN_NS_MAX and not state.marks_silent_told:
        state.marks_silent_told = True
        words = (
            f"the marks of {', '.join(silent)} have been silent for {silent_ns // NS_PER_SECOND} s "
            "more than they may; the venue is asked for the account, and the guard goes by the "
            "marks of its answers; nothing increases"
        )
        done.append(recording.incident(state, "marks.silent", "critical", words, {}))
    return done


def _doubted(state: State) -> list[actions.Action]:
    doubt = state.account.balance_doubt
    if doubt is None:
        state.balance_doubt_told = False
        return []
    done: list[actions.Action] = []
    if state.now_ns - max(state.balance_asked_ns, doubt.since_ns) >= CONFIRM_NS:
        state.balance_asked_ns = state.now_ns
        done.append(actions.Reconcile(cause="balance_doubted"))
    if not state.balance_doubt_told:
        state.balance_doubt_told = True
        known = "nothing" if doubt.known is None else f"{doubt.known.normalize():f}"
        words = (
            f"a balance of the venue's comes to an equity of {doubt.told.normalize():f}, where "
            f"{known} was known and nothing told explains it; it is believed if it stays for "
            f"{BELIEVED_NS // NS_PER_SECOND} s, until then what was known counts and nothing grows"
        )
        figures = {"told": str(doubt.told), "known": str(doubt.known)}
        done.append(recording.incident(state, "equity.doubted", "error", words, figures))
    return done


def _unknown(state: State) -> list[actions.Action]:
    missing = _missing(state)
    if not missing:
        state.equity_unknown_ns, state.equity_unknown_told = None, False
        return []
    done: list[actions.Action] = []
    if state.now_ns - state.polled_ns >= POLL_NS:
        state.polled_ns = state.now_ns
        done.append(actions.Reconcile(cause="equity_unknown"))
    if state.equity_unknown_ns is None:
        state.equity_unknown_ns = state.now_ns
    unknown_ns = state.now_ns - state.equity_unknown_ns
    if unknown_ns >= UNKNOWN_NS_MAX and not state.equity_unknown_told:
        state.equity_unknown_told = True
        words = (
            f"equity has not been known for {unknown_ns // NS_PER_SECOND} s: "
            f"{', '.join(missing)}; until it is, the guard measures nothing, no stop is moved and "
            "nothing increases"
        )
        done.append(recording.incident(state, "equity.unknown", "critical", words, {}))
    return done


def _missing(state: State) -> list[str]:
    # What equity cannot be told for; empty = it is known, or nothing is held.
    account, marks = state.account, views.marks(state)
    if not account.complete:
        return ["the venue has not answered for the account"]
    held = account.quantities()
    if not held or account.equity(marks) is not None:
        return []
    entries = account.entry_prices()
    found = [f"no mark of {name}" for name in sorted(held.keys() - marks.keys())]
    found += [f"no entry price of {name}" for name in sorted(held.keys() - entries.keys())]
    return found or ["the venue's figure was told without a mark of all that was held"]
