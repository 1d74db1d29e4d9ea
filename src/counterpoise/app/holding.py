"""What holds the daemon back, in words, and what ends it."""

from collections.abc import Iterable
from typing import Final

from counterpoise.engine.trading_state import MEANINGS, PERSISTED, Cause

#: Code of a missing input -> what it means and what ends it.
_INPUTS: Final = {
    "MARK_MISSING": ("No mark was ever told.", "by itself, with the first one"),
    "MARK_STALE": ("The mark is too old.", "by itself, with a new one"),
    "BOOK_MISSING": ("There is no order book with two sides.", "by itself, with a new one"),
    "BOOK_STALE": ("The order book is too old.", "by itself, with a new one"),
    "INSTRUMENT_SUSPENDED": (
        "The venue takes no ordinary orders in it.",
        "by itself, once the instrument is live again",
    ),
    "INSTRUMENT_CLOSING": (
        "The venue announced its end; what is held in it is closed.",
        "choose another instrument",
    ),
    "ACCOUNT_MISSING": ("The venue never answered for the account.", "by itself, once it does"),
    "ACCOUNT_STALE": ("The account's stream says nothing.", "by itself, once it speaks"),
    "ACCOUNT_CONTRADICTED": (
        "The venue's answers, or the record, say different things of a position.",
        "by itself, once a second answer says the same",
    ),
    "risk_loop": ("The risk loop stands still.", "restart the daemon; read its log"),
}


def explained(held_back_by: Iterable[str]) -> list[dict[str, str]]:
    """Return a row per entry of /readyz's `held_back_by`: what, what it means, what ends it."""
    rows = []
    for held in held_back_by:
        code = held.rpartition(": ")[2]
        known = {cause.value for cause in Cause}
        meaning, ends = (
            MEANINGS[Cause(code)] if code in known else _INPUTS.get(code, ("", "by itself"))
        )
        rows.append({"held_back_by": held, "meaning": meaning, "ends": ends})
    return rows


def left_by_the_last_run(causes: Iterable[str]) -> list[str]:
    """Return the recorded causes that the next start finds again."""
    kept = {cause.value for cause in PERSISTED}
    return sorted(cause for cause in causes if cause in kept)
