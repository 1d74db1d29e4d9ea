"""Which fundings a modelled account has yet to be charged, as a real venue's public stream tells them.

Told is the next one only. Of each instrument it is known up to some moment that every funding was
charged or told. One that came and went later, while nobody listened, is known by the next one: it
came an interval before, and is charged at the rate last told.
"""

from collections.abc import Container, Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final

import msgspec

from counterpoise.domain.events import FundingRate
from counterpoise.domain.units import NS_PER_HOUR

#: Fundings that came and went unheard are counted back this far at most.
UNHEARD_MAX: Final = 1_000


class Fundings:
    """The fundings to come, and those that are due and not charged yet."""

    def __init__(self) -> None:
        #: Per instrument, oldest first: what is due, and the next one.
        self._told: dict[str, list[FundingRate]] = {}
        #: Not later than the first of them, ns; None = there is none.
        self._soonest_ns: int | None = None
        #: What was told last, charged or not.
        self._last: dict[str, FundingRate] = {}
        #: Up to when every funding was charged or told, ns; of those not named `_all_known_ns`.
        self._known_ns: dict[str, int] = {}
        self._all_known_ns = 0

    def hours(self, instrument_id: str) -> Decimal | None:
        """Return hours from one funding to the next as last told; None = never told."""
        last = self._last.get(instrument_id)
        return None if last is None else last.interval_hours

    def known_ns(self, instrument_id: str) -> int:
        """Return up to when every funding was charged or told, ns."""
        return self._known_ns.get(instrument_id, self._all_known_ns)

    def cover(self, instrument_id: str, until_ns: int) -> None:
        """Take every funding of an instrument up to here as charged."""
        told = self._told.get(instrument_id, [])
        self._told[instrument_id] = [each for each in told if each.funding_ns > until_ns]
        self._known_ns[instrument_id] = max(self.known_ns(instrument_id), until_ns)

    def cover_all(self, until_ns: int) -> None:
        """Take every funding of every instrument up to here as charged."""
        self._all_known_ns = max(self._all_known_ns, until_ns)
        for instrument_id in {*self._known_ns, *self._told}:
            self.cover(instrument_id, until_ns)

    def hear(self, event: FundingRate, now_ns: int, opened_ns: int | None) -> None:
        """Take what the next funding is expected to be, after what was `due` now was taken out.

        `opened_ns` = when the position was opened that pays; None = there is none. `now_ns` is
        the venue's clock.
        """
        name = event.instrument_id
        waiting = [each for each in self._told.get(name, []) if each.funding_ns <= now_ns]
        known_ns = max([self.known_ns(name), *(each.funding_ns for each in waiting)])
        if event.funding_ns > known_ns:
            if opened_ns is not None:
                last = self._last.get(name, event)
                gone = _before(event, max(known_ns, opened_ns), now_ns)
                waiting += [replace(last, funding_ns=moment) for moment in gone]
            self._told[name] = [*waiting, event]
            self._look()
        self._last[name] = event
        self._known_ns[name] = max(self.known_ns(name), now_ns)

    def due(self, now_ns: int, but: Container[str]) -> list[FundingRate]:
        """Take out the fundings whose moment has come, each once, as last told; oldest first.

        Those of the instruments `but` wait.
        """
        if self._soonest_ns is None or now_ns < self._soonest_ns:
            return []
        due: list[FundingRate] = []
        for instrument_id, told in self._told.items():
            come = [each for each in told if each.funding_ns <= now_ns]
            if come and instrument_id not in but:
                self._told[instrument_id] = told[len(come) :]
                known_ns = max(self.known_ns(instrument_id), come[-1].funding_ns)
                self._known_ns[instrument_id] = known_ns
                due += come
        self._look()
        return sorted(due, key=lambda each: (each.funding_ns, each.instrument_id))

    def save(self, instrument_ids: Iterable[str]) -> dict[str, Any]:
        """Return what is known of instruments as JSON-able figures."""
        names = sorted(instrument_ids)
        saved: dict[str, Any] = msgspec.to_builtins(
            {
                "known_ns": {name: self.known_ns(name) for name in names},
                "told": [each for name in names for each in self._told.get(name, [])],
                "last": [self._last[name] for name in names if name in self._last],
            }
        )
        return saved

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave, of the instruments it names."""
        self._known_ns |= {name: int(known_ns) for name, known_ns in saved["known_ns"].items()}
        for each in msgspec.convert(saved["told"], list[FundingRate]):
            self._told.setdefault(each.instrument_id, []).append(each)
        for each in msgspec.convert(saved["last"], list[FundingRate]):
            self._last[each.instrument_id] = each
        self._look()

    def _look(self) -> None:
        firsts = (told[0].funding_ns for told in self._told.values() if told)
        self._soonest_ns = min(firsts, default=None)


def _before(following: FundingRate, after_ns: int, until_ns: int) -> list[int]:
    # Moments of the fundings before one, oldest first, in (after, until].
    step_ns = int(following.interval_hours * NS_PER_HOUR)
    moments = [following.funding_ns - n * step_ns for n in range(1, UNHEARD_MAX + 1)]
    return [moment for moment in reversed(moments) if step_ns > 0 and after_ns < moment <= until_ns]
