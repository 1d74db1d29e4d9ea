"""One account on one seed: the backtest's run, and a venue that takes positions away."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from counterpoise.domain.rounding import decimal_from_float, float_from_decimal
from counterpoise.domain.units import NS_PER_DAY, NS_PER_SECOND
from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.backtest import PolicyRun
from counterpoise.lab.fills import Place
from counterpoise.lab.result import LabDecision
from counterpoise.lab.stress.tapes import DECISIONS_FROM_NS, StressTape, Taken
from counterpoise.lab.tape import Instant
from counterpoise.risk import guard
from counterpoise.risk.guard import GuardParameters
from counterpoise.strategy.parameters import StrategyParameters

#: Words of the notes on orders that left a leg short.
_SHORT: Final = "not filled within the limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one account on one seed."""

    seed: int
    #: Times the venue liquidated.
    liquidations: int
    #: Highest gross / equity inside the bars; inf = equity was zero or less.
    leverage_max: float
    #: Seconds with gross / equity above 3.
    leverage_above_3_seconds: float
    #: From the equity at the beginning of a day to the lowest one in it, worst day; a fraction.
    day_worst_fraction: float
    #: Deepest fall from the highest equity so far, fraction.
    drawdown_max_fraction: float
    #: Seconds in which a pair stood half traded, or a core stood where its hedge was taken away.
    naked_leg_seconds: float
    #: Return over the whole scenario, fraction.
    return_fraction: float
    #: Acts of the guard that filled something.
    guard_acts: int

    @property
    def failed(self) -> bool:
        """True = the ceiling was passed or the venue liquidated."""
        return self.liquidations > 0 or self.leverage_max > 3.0


class StressRun(PolicyRun):
    """A run on a `StressTape`; positions vanish when the scenario says so."""

    def __init__(
        self,
        tape: StressTape,
        taken: Sequence[Taken],
        parameters: StrategyParameters,
        assumptions: Assumptions,
        guard_parameters: GuardParameters,
    ) -> None:
        super().__init__(tape, parameters, assumptions, guard_parameters, details=True)
        self._stress_tape = tape
        self._taken = list(taken)
        self._vanished_seconds = 0.0
        self._naked_since_ns: int | None = None
        self._equity_start = assumptions.equity_start

    def live(self, seed: int) -> Outcome:
        """Live through the whole tape."""
        leverage_max = drawdown = 0.0
        day, day_start = -1, 0.0
        day_worst = 0.0
        for index in range(len(self._stress_tape)):
            instant = self._stress_tape.instant(index)
            if (instant.now_ns - DECISIONS_FROM_NS) // NS_PER_DAY != day:
                day = (instant.now_ns - DECISIONS_FROM_NS) // NS_PER_DAY
                day_start = float_from_decimal(self.account.equity(instant.marks_last))
            self._close_naked(instant.now_ns)
            self.step(instant)
            extremes = self.watch.extremes
            leverage_max = max(leverage_max, extremes.leverage_max)
            drawdown = max(drawdown, extremes.drawdown)
            low = extremes.equity_low
            if day_start > 0.0 and low != float("inf"):
                day_worst = min(day_worst, low / day_start - 1.0)
        end_ns = int(self._stress_tape.bars.end_ns)
        self._close_naked(end_ns)
        marks = self._marks(self._stress_tape.closes[-1])
        equity = self.account.equity(marks)
        return Outcome(
            seed=seed,
            liquidations=self.liquidations,
            leverage_max=float(leverage_max),
            leverage_above_3_seconds=float(self.watch.above_seconds),
            day_worst_fraction=float(day_worst),
            drawdown_max_fraction=float(drawdown),
            naked_leg_seconds=self._vanished_seconds
            + half_traded_seconds(self.recorder.decisions(), end_ns),
            return_fraction=float_from_decimal(equity / self._equity_start) - 1.0,
            guard_acts=self.recorder.guard_acts,
        )

    def _walk(self, instant: Instant, place: Place, stop: int) -> None:
        while self._taken and self._taken[0].point <= stop:
            event = self._taken.pop(0)
            if event.point > place.point:
                super()._walk(instant, place, event.point)
            self._take_away(instant, place, event.instrument_id)
        super()._walk(instant, place, stop)

    def _take_away(self, instant: Instant, place: Place, instrument_id: str) -> None:
        # Auto-deleveraging closes at the mark without a fee, and the guard answers at once.
        quantity = self.account.quantity(instrument_id)
        if quantity == 0:
            return
        prices = self._stress_tape.path.prices(place.point, place.fraction)
        column = self._stress_tape.instrument_ids.index(instrument_id)
        mark = decimal_from_float(float(prices[column]))
        self.account.trade(instrument_id, -quantity, mark, mark * 0, mark, place.time_ns)
        self._restart(place)
        gone_ns = place.time_ns
        marks = self._marks(prices)
        view = self.risk_view(instant, marks, marks, gone_ns)
        verdict = guard.unhedged_cut(view, self._guard, {})
        if not verdict.triggered or not verdict.changes:
            return
        if self._reduce(instant, place, verdict):
            self._vanished_seconds += (place.time_ns - gone_ns) / NS_PER_SECOND
        else:
            self._naked_since_ns = gone_ns

    def _close_naked(self, now_ns: int) -> None:
        # What could not be cut at once stands naked until the next decision looks at it.
        if self._naked_since_ns is not None:
            self._vanished_seconds += (now_ns - self._naked_since_ns) / NS_PER_SECOND
            self._naked_since_ns = None


def half_traded_seconds(decisions: Sequence[LabDecision], end_ns: int) -> float:
    """Return how long pairs stood half traded, seconds.

    From the first fill of a cycle's orders to the last one; where a leg stayed short, to the next
    decision or act of the guard, or to `end_ns`.
    """
    total = 0
    for place, decision in enumerate(decisions):
        if decision.kind != "cycle" or not decision.fills:
            continue
        times = [fill.time_ns for fill in decision.fills]
        until_ns = max(times)
        if any(_SHORT in note for note in decision.notes):
            later = decisions[place + 1].time_ns if place + 1 < len(decisions) else end_ns
            until_ns = max(until_ns, later)
        total += until_ns - min(times)
    return total / NS_PER_SECOND
