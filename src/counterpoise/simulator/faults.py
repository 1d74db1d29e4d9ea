"""Faults: what can go wrong on order, and which of it is going wrong now.

A fault is ordered by `POST /_control`, by `counterpoise simulator fault` or by a scenario's
schedule. It waits `after_seconds`, then strikes with `probability` until `count` strikes are used
up or `duration_seconds` have passed, all in market time. Draws come from the venue's seed and are
numbered, so that a plan that was written down goes on where it was.
"""

import hashlib
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Final

import msgspec

from counterpoise.domain import units
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.fault_kinds import LASTING_SECONDS, RULES, FaultKind, Place, Rule

#: Longest `seconds` of a delay.
DELAY_SECONDS_MAX: Final = 600.0
#: Longest `after_seconds` and `duration_seconds`.
DURATION_SECONDS_MAX: Final = 30 * 86_400.0
#: Most faults that may wait at a time.
FAULTS_MAX: Final = 300


#: What a key may be said to be allowed.
KEY_PERMISSIONS: Final = ("withdraw", "transfer", "read_only")
# Kinds of lasting faults whose value must be a number, and may be one.
_FIGURES: Final = (FaultKind.FEE, FaultKind.CONTRACT_SIZE)
_FIGURES_OPTIONAL: Final = (FaultKind.PARTIAL_FILL, FaultKind.CLOCK_JUMP)


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One order for trouble, the body of `POST /_control`."""

    #: What goes wrong.
    kind: FaultKind
    #: Strikes only requests whose path and query contain this, or private pushes of channels
    #: whose name does; "" = all of its place.
    path_contains: str = ""
    #: Strikes only requests of this method ("POST"); "" = any.
    method: str = ""
    #: Instrument, any spelling the venue knows; "" = all.
    symbol: str = ""
    #: Strikes left; 0 = no bound while it lasts. Lasting faults do not count.
    count: int = 1
    #: Chance of each strike.
    probability: float = 1.0
    #: Length of a delay.
    seconds: float = 1.0
    #: Market seconds from now until it is armed.
    after_seconds: float = 0.0
    #: Market seconds it stays armed; None = until its count is used up, 10 for lasting ones.
    duration_seconds: float | None = None
    #: "answer": carried out, then struck; "request": struck before; None = as its kind has it.
    stage: str | None = None
    #: The figure some kinds need; "" = their default.
    value: str = ""

    def __post_init__(self) -> None:
        if self.stage not in (None, "answer", "request"):
            raise ValueError(f"stage={self.stage!r}; 'answer' or 'request'")
        if self.count < 0 or (self.count == 0 and self.duration_seconds is None):
            raise ValueError(f"count={self.count}; at least 1, or 0 with duration_seconds")
        if not 0 < self.probability <= 1:
            raise ValueError(f"probability={self.probability}; above 0, at most 1")
        if not 0 <= self.seconds <= DELAY_SECONDS_MAX:
            raise ValueError(f"seconds={self.seconds}; 0 to {DELAY_SECONDS_MAX}")
        for name in ("after_seconds", "duration_seconds"):
            span = getattr(self, name)
            if span is not None and not 0 <= span <= DURATION_SECONDS_MAX:
                raise ValueError(f"{name}={span}; 0 to {DURATION_SECONDS_MAX:.0f}")

        if self.kind in _FIGURES or (self.value and self.kind in _FIGURES_OPTIONAL):
            _check_figure(self.kind, self.value)
        if self.kind is FaultKind.KEY_PERMISSION and self.value not in KEY_PERMISSIONS:
            raise ValueError(f"value={self.value!r}; {self.rule.value}")

    @property
    def rule(self) -> Rule:
        """What its kind does."""
        return RULES[self.kind]

    @property
    def carries_out(self) -> bool:
        """Whether the venue sees the request before the fault strikes."""
        return self.rule.carries_out if self.stage is None else self.stage == "answer"


def _check_figure(kind: FaultKind, value: str) -> None:
    try:
        figure = Decimal(value)
    except InvalidOperation:
        figure = Decimal("NaN")
    allowed = not figure.is_nan() and abs(figure) <= DURATION_SECONDS_MAX
    if kind is FaultKind.CONTRACT_SIZE:
        allowed = allowed and figure > 0
    if kind is FaultKind.PARTIAL_FILL:
        allowed = allowed and 0 <= figure <= 1
    if not allowed:
        raise ValueError(f"value={value!r}; {RULES[kind].value}")


class _Armed(msgspec.Struct, eq=False):
    # A fault with its window in market time; `strikes_left` None = no bound.
    fault: Fault
    instrument_id: str
    from_ns: int
    until_ns: int | None
    strikes_left: int | None


class _Saved(msgspec.Struct):
    draws: int
    armed: list[_Armed]


#: Writes a plan down; told whether it must outlive the machine and not the process alone.
Keep = Callable[[bytes, bool], None]


class FaultPlan:
    """The faults that wait, are armed or last, oldest first.

    `keep` is called with what `save` returns whenever that changed, before the change is felt.
    """

    def __init__(
        self, clock: Clock | None = None, *, seed: int = 0, keep: Keep | None = None
    ) -> None:
        #: What time it is at the venue.
        self.clock = clock or Clock()
        self._seed = seed
        # Draws made so far.
        self._draws = 0
        self._armed: list[_Armed] = []
        self._keep = keep
        #: Whether it goes on from what an earlier process had written down.
        self.restored = False

    def add(self, fault: Fault, instrument_id: str = "", *, from_ns: int | None = None) -> None:
        """Take a fault; `instrument_id` is its symbol, resolved. ValueError above FAULTS_MAX.

        `from_ns` is the market time it is armed at; None = now.
        """
        if len(self._armed) >= FAULTS_MAX:
            raise ValueError(f"more than {FAULTS_MAX} faults are waiting")
        place = fault.rule.place
        duration = fault.duration_seconds
        if duration is None and place is Place.LASTING:
            duration = LASTING_SECONDS
        if from_ns is None:
            from_ns = self.clock.now_ns()
        from_ns += round(fault.after_seconds * units.NS_PER_SECOND)
        until_ns = None if duration is None else from_ns + round(duration * units.NS_PER_SECOND)
        strikes = None if place is Place.LASTING or fault.count == 0 else fault.count
        self._armed.append(_Armed(fault, instrument_id, from_ns, until_ns, strikes))
        self._changed(ordered=True)

    def clear(self) -> None:
        """Forget them all."""
        self._armed.clear()
        self._changed(ordered=True)

    def end(self, kind: FaultKind) -> None:
        """Forget those of a kind: a client has set right what they said."""
        self._armed = [each for each in self._armed if each.fault.kind is not kind]
        self._changed()

    def save(self) -> bytes:
        """Return what waits, is armed or lasts and how many draws were made, as JSON."""
        return msgspec.json.encode(_Saved(draws=self._draws, armed=self._armed))

    def restore(self, saved: bytes) -> None:
        """Go on from what `save` returned. msgspec.ValidationError: it is not readable."""
        plan = msgspec.json.decode(saved, type=_Saved)
        self._draws, self._armed, self.restored = plan.draws, plan.armed, True

    @property
    def quiet(self) -> bool:
        """Whether no fault waits, is armed or lasts: the usual case, asked for every push."""
        return not self._armed

    def armed(self) -> list[Fault]:
        """Return the faults that wait, are armed or last, oldest first."""
        self._expire()
        return [each.fault for each in self._armed]

    def next(self, method: str, path_query: str, *, order_entry: bool = True) -> Fault | None:
        """Return the fault that strikes this request and count it down; None = none does."""
        for each in self._struck_at(Place.ANSWER):
            fault = each.fault
            if fault.rule.order_entry and not fault.path_contains and not order_entry:
                continue
            if (
                fault.path_contains in path_query
                and fault.method in ("", method)
                and self._strikes(each)
            ):
                return fault
        return None

    def takes(self, kind: FaultKind, instrument_id: str = "", *, topic: str = "") -> Fault | None:
        """Return an armed or lasting fault of a kind that strikes here, counted; None = none.

        `topic` is what `path_contains` is looked for in; "" = anywhere.
        """
        if not self._armed:
            return None
        for each in self._struck_at(RULES[kind].place):
            if (
                each.fault.kind is kind
                and each.instrument_id in ("", instrument_id)
                and (not topic or each.fault.path_contains in topic)
                and self._strikes(each)
            ):
                return each.fault
        return None

    def due_acts(self) -> list[tuple[Fault, str]]:
        """Take the acts whose time has come, with their instrument ids."""
        due = self._struck_at(Place.ACT)
        if not due:
            return []
        for each in due:
            self._armed.remove(each)
        struck = [(each.fault, each.instrument_id) for each in due if self._drawn(each.fault)]
        self._changed()
        return struck

    def _struck_at(self, place: Place) -> list[_Armed]:
        if not self._armed:
            return []
        self._expire()
        now_ns = self.clock.now_ns()
        return [
            each
            for each in self._armed
            if each.fault.rule.place is place and each.from_ns <= now_ns
        ]

    def _expire(self) -> None:
        now_ns = self.clock.now_ns()
        self._armed = [
            each for each in self._armed if each.until_ns is None or now_ns < each.until_ns
        ]

    def _strikes(self, each: _Armed) -> bool:
        if each.fault.rule.place is Place.LASTING:
            return True
        struck = self._drawn(each.fault)
        if struck and each.strikes_left is not None:
            each.strikes_left -= 1
            if each.strikes_left == 0:
                self._armed.remove(each)
        if each.fault.probability < 1 or each.strikes_left is not None:
            self._changed()
        return struck

    def _drawn(self, fault: Fault) -> bool:
        if fault.probability >= 1:
            return True
        self._draws += 1
        digest = hashlib.blake2b(f"{self._seed}/{self._draws}".encode(), digest_size=7).digest()
        return int.from_bytes(digest) / 2**56 < fault.probability

    def _changed(self, *, ordered: bool = False) -> None:
        # An order for trouble was acknowledged and must last; a strike need not outlive the machine.
        if self._keep is not None:
            self._keep(self.save(), ordered)


__all__ = ["FAULTS_MAX", "Fault", "FaultKind", "FaultPlan"]
