"""A scenario: phases that bend the markets and faults that fall due, on the market's own clock.

Everything is counted in seconds from the moment the venue opened. Between phases and after the
last one the markets are calm.
"""

import re
from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Final

from counterpoise.exchange.scenarios.bars import Bars

#: The key of a phase's conditions for every market it does not name.
DEFAULT: Final = "default"
#: Longest scenario.
SECONDS_MAX: Final = 7 * 86_400.0
#: Most phases and most faults of a scenario.
ENTRIES_MAX: Final = 200
#: Names of scenarios, phases and kinds of fault.
NAME_PATTERN: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")
#: Instruments a phase may name.
INSTRUMENT_PATTERN: Final = re.compile(r"[A-Z0-9]{2,30}")

#: A fault's own words for whoever carries it out.
Argument = str | int | float | bool


class ScenarioInvalid(ValueError):
    """A scenario says something it may not; the message names field, value and what is allowed."""

    def __init__(self, name: str, value: object, allowed: str) -> None:
        super().__init__(f"{name}={value!r}; allowed: {allowed}")


def _within(name: str, value: float | None, low: float, high: float) -> None:
    # NaN fails every comparison and so is refused, too.
    if value is not None and not low <= value <= high:
        raise ScenarioInvalid(name, value, f"{low:g} to {high:g}")


def _named(name: str, value: str) -> None:
    if not NAME_PATTERN.fullmatch(value):
        raise ScenarioInvalid(name, value, "small letters, digits and _, at most 40")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """What a phase does to one market; the defaults are a calm market."""

    #: Fraction from the index at the phase's start to its end, met exactly; None = free to roam.
    move: float | None = None
    #: Fraction the index jumps by at the phase's start, on top of `move`.
    jump: float = 0.0
    #: Multiple of the market's calm volatility.
    volatility: float = 1.0
    #: Small jumps a day.
    jumps_per_day: float = 4.0
    #: At least this share of the market's own variance becomes the common factor's; two markets
    #: that both say 0.9 correlate by at least 0.9.
    correlation: float = 0.0
    #: Fraction of the calm depth that is left, 0.02 to 1.
    depth: float = 1.0
    #: Multiple of the calm spread.
    spread: float = 1.0
    #: Fraction of the levels behind the best bid / best ask that are empty.
    bids_absent: float = 0.0
    asks_absent: float = 0.0
    #: Where the market draws the premium of the perpetual over its index, bps.
    basis_bps: float = 0.0
    #: The mark follows the index with this time constant; 0 = at once.
    mark_lag_seconds: float = 0.0
    #: Hours from one funding to the next; None = as the instrument says.
    funding_interval_hours: int | None = None

    def __post_init__(self) -> None:
        _within("move", self.move, -0.95, 10.0)
        _within("jump", self.jump, -0.95, 10.0)
        _within("volatility", self.volatility, 0.0, 100.0)
        _within("jumps_per_day", self.jumps_per_day, 0.0, 100_000.0)
        _within("correlation", self.correlation, 0.0, 0.99)
        _within("depth", self.depth, 0.02, 10.0)
        _within("spread", self.spread, 0.1, 2_000.0)
        _within("bids_absent", self.bids_absent, 0.0, 1.0)
        _within("asks_absent", self.asks_absent, 0.0, 1.0)
        _within("basis_bps", self.basis_bps, -2_000.0, 2_000.0)
        _within("mark_lag_seconds", self.mark_lag_seconds, 0.0, 600.0)
        hours = self.funding_interval_hours
        if hours is not None and hours not in {1, 2, 4, 6, 8, 12, 24}:
            raise ScenarioInvalid("funding_interval_hours", hours, "1, 2, 4, 6, 8, 12 or 24")


CALM: Final = Conditions()


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of time under the same conditions."""

    name: str
    #: From the opening of the venue to the phase's first moment.
    start_seconds: float
    #: Length.
    seconds: float
    #: Conditions by instrument, DEFAULT for all others; a market without any is calm.
    markets: tuple[tuple[str, Conditions], ...] = ()

    def __post_init__(self) -> None:
        _named("name", self.name)
        _within("start_seconds", self.start_seconds, 0.0, SECONDS_MAX)
        _within("seconds", self.seconds, 1.0, SECONDS_MAX)
        for instrument_id, _ in self.markets:
            if instrument_id != DEFAULT and not INSTRUMENT_PATTERN.fullmatch(instrument_id):
                allowed = 'an instrument such as "BTCUSDT", or "default"'
                raise ScenarioInvalid("markets", instrument_id, allowed)

    @property
    def end_seconds(self) -> float:
        """From the opening of the venue to the phase's last moment."""
        return self.start_seconds + self.seconds

    def conditions(self, instrument_id: str) -> Conditions:
        """Return what the phase does to a market."""
        markets = dict(self.markets)
        return markets.get(instrument_id, markets.get(DEFAULT, CALM))


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioFault:
    """Trouble on the wire that falls due at a moment; the simulator carries it out."""

    #: From the opening of the venue.
    at_seconds: float
    #: What goes wrong, a kind of the simulator's control API.
    kind: str
    #: Chance that it strikes each time it could.
    probability: float = 1.0
    #: Times it strikes at most; None = as often as it can while it lasts.
    count: int | None = None
    #: How long it lasts; None = until it has struck `count` times.
    duration_seconds: float | None = None
    #: Further words of the kind, sorted by name, such as ("path_contains", "order").
    arguments: tuple[tuple[str, Argument], ...] = ()

    def __post_init__(self) -> None:
        _within("at_seconds", self.at_seconds, 0.0, SECONDS_MAX)
        _named("kind", self.kind)
        if not 0.0 < self.probability <= 1.0:
            raise ScenarioInvalid("probability", self.probability, "above 0 to 1")
        if self.count is not None and self.count < 1:
            raise ScenarioInvalid("count", self.count, "a whole number from 1")
        _within("duration_seconds", self.duration_seconds, 0.0, SECONDS_MAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A whole script. `create(parameters, opened_ns, scenario)` plays it from the opening."""

    name: str
    #: One sentence for people.
    summary: str
    #: In order of time, none overlapping.
    phases: tuple[Phase, ...] = ()
    #: In order of time.
    faults: tuple[ScenarioFault, ...] = ()
    #: How strongly falling prices force further selling; 0 = they do not, 1 = as usual.
    cascade: float = 1.0
    #: Half of a lost book is back after this long.
    resilience_seconds: float = 90.0
    #: Prices that really happened, instead of the generator's; None = the generator's.
    bars: Bars | None = None
    #: Starts of the phases, for the search.
    _starts: tuple[float, ...] = field(init=False, repr=False, compare=False, default=())

    def __post_init__(self) -> None:
        _named("name", self.name)
        _within("cascade", self.cascade, 0.0, 5.0)
        _within("resilience_seconds", self.resilience_seconds, 1.0, 86_400.0)
        for name, count in (("phases", len(self.phases)), ("faults", len(self.faults))):
            if count > ENTRIES_MAX:
                raise ScenarioInvalid(name, count, f"at most {ENTRIES_MAX} entries")
        ended = 0.0
        for phase in self.phases:
            if phase.start_seconds < ended:
                allowed = f"at least {ended:g}, where the phase before ends"
                raise ScenarioInvalid(
                    f"phases.{phase.name}.start_seconds", phase.start_seconds, allowed
                )
            ended = phase.end_seconds
        names = [phase.name for phase in self.phases]
        for name in names:
            if names.count(name) > 1:
                raise ScenarioInvalid("phases.name", name, "a name of its own for each phase")
        times = [fault.at_seconds for fault in self.faults]
        if times != sorted(times):
            raise ScenarioInvalid("faults.at_seconds", times, "in order of time")
        object.__setattr__(self, "_starts", tuple(each.start_seconds for each in self.phases))

    @property
    def duration_seconds(self) -> float:
        """From the opening to the end of the last phase or bar, or the last fault's beginning."""
        ends = [phase.end_seconds for phase in self.phases]
        ends += [fault.at_seconds for fault in self.faults]
        if self.bars is not None:
            ends.append(float(self.bars.seconds))
        return max(ends, default=0.0)

    def phase_at(self, elapsed_seconds: float) -> int | None:
        """Return the place of the phase a step that ends then belongs to; None = no phase.

        A step belongs to the phase it ends in; a phase's last moment is still its own.
        """
        place = bisect_left(self._starts, elapsed_seconds) - 1
        if place < 0 or elapsed_seconds > self.phases[place].end_seconds:
            return None
        return place

    def faults_due(self, after_seconds: float, until_seconds: float) -> tuple[ScenarioFault, ...]:
        """Return faults that fall due in (after, until]; those of 0 fall due after -1."""
        times = [fault.at_seconds for fault in self.faults]
        return self.faults[bisect_right(times, after_seconds) : bisect_right(times, until_seconds)]
