"""Positions as executions add them up from one of the venue's answers on, against the next one."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import AccountSnapshot, Position
from counterpoise.domain.orders import Fill
from counterpoise.engine.same_instant import Instant

ZERO: Final = Decimal(0)


@dataclass(slots=True, kw_only=True)
class ExecutionSum:
    """What the venue told last, and what was executed since."""

    #: Positions as executions are added up from, and since when (venue clock, ns).
    base: dict[str, Position] = field(default_factory=dict)
    base_ns: int = 0
    #: Signed base units executed since then, per instrument.
    executed: dict[str, Decimal] = field(default_factory=dict)
    #: Signed base units that `base` shows and no execution has told, of the stamp it has.
    ahead: dict[str, Decimal] = field(default_factory=dict)

    def begin(
        self, told: Mapping[str, Position], instants: Mapping[str, Instant | None], told_ns: int
    ) -> None:
        """Add up from what the venue told on.

        `instants` = the instant of each, None = not known; `told_ns` = venue clock up to which it
        has every execution.
        """
        self.base = dict(told)
        self.base_ns = told_ns
        self.executed = {}
        self.ahead = {name: each.ahead for name, each in instants.items() if each is not None}

    def add(self, fill: Fill) -> None:
        """Add an execution that `base` does not have."""
        name, quantity = fill.instrument_id, fill.signed_quantity
        known = self.base.get(name)
        number = trade_sequence(fill)
        if known is not None and number is not None and known.trade_sequence is not None:
            follows = number > known.trade_sequence
        else:
            # A slow answer holds what happened after it was asked for.
            changed_ns = 0 if known is None else known.event_ns
            follows = fill.event_ns > max(self.base_ns, changed_ns)
            ahead = self.ahead.get(name)
            if ahead is not None and fill.event_ns == changed_ns > self.base_ns:
                covered = ahead * quantity > 0 and abs(ahead) >= abs(quantity)
                self.ahead[name] = ahead - quantity if covered else ahead
                follows = not covered
        if follows:
            self.executed[name] = self.executed.get(name, ZERO) + quantity

    def unexplained(self, snapshot: AccountSnapshot) -> dict[str, tuple[Decimal, Decimal]]:
        """Return {instrument: (what executions say, what the venue says)} where they differ."""
        theirs = {p.instrument_id: p.quantity for p in snapshot.positions}
        found: dict[str, tuple[Decimal, Decimal]] = {}
        for name in sorted(self.base.keys() | theirs.keys() | self.executed.keys()):
            before = self.base[name].quantity if name in self.base else ZERO
            expected = before + self.executed.get(name, ZERO)
            if expected != theirs.get(name, ZERO):
                found[name] = (expected, theirs.get(name, ZERO))
        return found


def trade_sequence(fill: Fill) -> int | None:
    """Return the venue's number of an execution; None = its id is not a plain number."""
    return int(fill.fill_id) if fill.fill_id.isdigit() else None
