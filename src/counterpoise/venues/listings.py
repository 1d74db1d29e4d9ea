"""A venue's list of markets: rows that cannot be read, and rows that are missing."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.instruments import InstrumentState
from counterpoise.venues.unreadable import UNREADABLE

L = TypeVar("L")

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed(Generic[L]):
    """One list, as far as it could be read."""

    #: Our id -> what it says of a market of ours.
    found: dict[str, L]
    #: Our ids of rows that could not be read; "" = one that does not say whose it is.
    unreadable: frozenset[str]


def word(row: Row, field: str) -> str:
    """Return a field that must say something. Raises ValueError if it does not."""
    told = row[field]
    if not isinstance(told, str) or not told:
        raise ValueError(f"{field}={str(told)[:40]!r} says nothing")
    return told


def listed(
    rows: Iterable[Any], read: Callable[[Row], L | None], whose: Callable[[Row], str]
) -> Listed[L]:
    """Return what a list says of the markets `read` knows; None from it = none of ours.

    One row the venue is still preparing must not hide the others: it is left out and remembered
    as unreadable, and asking for this instrument is then refused by name.
    """
    found: dict[str, L] = {}
    unreadable: set[str] = set()
    for row in rows:
        name = ""
        try:
            name = whose(row)
            known = read(row)
        except UNREADABLE:
            unreadable.add(name)
            continue
        if known is not None:
            found[name] = known
    return Listed(found=found, unreadable=frozenset(unreadable))


def not_foreign(rows: Iterable[Any], field: str, is_known: Callable[[str], bool]) -> list[Any]:
    """Return the rows of a history but those that plainly are of a market we do not know.

    History cannot be mended: one row of a foreign market that can never be read must not hide
    what happened in ours. A row of ours, or of nobody by name, stays and fails the whole look,
    which is repeated from the same time; streams tell what happens meanwhile.
    """
    return [row for row in rows if _may_be_known(row, field, is_known)]


def _may_be_known(row: Any, field: str, is_known: Callable[[str], bool]) -> bool:
    name = row.get(field) if isinstance(row, dict) else None
    return not isinstance(name, str) or not name or is_known(name)


async def states(
    label: str,
    ask: Callable[[], Awaitable[Listed[L]]],
    state: Callable[[L], InstrumentState],
    instrument_ids: Sequence[str],
) -> dict[str, InstrumentState]:
    """Return what is taken in each market; DELISTED = two lists in a row lack it.

    DELISTED closes a core and cannot be taken back, so one list that lacks a row is asked again
    at once. A row that is there and cannot be read says nothing of its market, not even that it
    is suspended: VenueUnreachable, so that what was known last stays and the next look decides.
    """
    found = dict.fromkeys(instrument_ids, InstrumentState.DELISTED)
    absent = list(instrument_ids)
    unreadable: set[str] = set()
    for _ in range(2):
        told = await ask()
        found |= {each: state(told.found[each]) for each in absent if each in told.found}
        absent = [each for each in absent if each not in told.found]
        unreadable |= told.unreadable
        if not absent:
            return found
    doubtful = absent if "" in unreadable else sorted(unreadable.intersection(absent))
    if doubtful:
        raise VenueUnreachable(
            f"{label} answered a list of markets in which {', '.join(doubtful)} cannot be read"
        )
    return found
