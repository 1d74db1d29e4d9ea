"""One policy on a tape: the live decision and gate at every instant, the guard inside the bars.

At an instant funding is charged, then `engine.cycle.recompute` decides on what the tape knew, then
the orders fill on the path of the bars that follow (`lab.fills`), and the path is walked to the
next instant. Where leverage, net beta, liquidation distance or maintenance margin may be touched
(`lab.watch`) the live guard and the venue's liquidation judge exact figures at that very price.
"""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from math import isnan
from typing import Final

import numpy as np

from counterpoise.domain import identity
from counterpoise.domain.account import TradingState
from counterpoise.domain.orders import IntentSource
from counterpoise.domain.rounding import decimal_from_float, float_from_decimal
from counterpoise.engine.cycle import CycleInputs, CycleOutputs, recompute
from counterpoise.lab.account import LabAccount
from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.bars import Floats
from counterpoise.lab.fills import Desk, Place, at_price
from counterpoise.lab.path import POINTS
from counterpoise.lab.recorder import Recorder
from counterpoise.lab.result import LabFill
from counterpoise.lab.tape import Instant, Tape
from counterpoise.lab.venue import LabVenue
from counterpoise.lab.watch import Watch
from counterpoise.risk import guard
from counterpoise.risk.guard import GuardParameters, GuardVerdict
from counterpoise.risk.view import RiskView
from counterpoise.strategy.decision import DecisionInputs
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import StrategyParameters

#: Account and lease of every decision id made here.
ACCOUNT_ID: Final = "lab"
EPOCH: Final = 0
#: The guard acts at most this often on the way to one point; then the point itself is next.
ACTS_MAX: Final = 50


class PolicyRun:
    """One account following one set of parameters."""

    def __init__(
        self,
        tape: Tape,
        parameters: StrategyParameters,
        assumptions: Assumptions,
        guard_parameters: GuardParameters,
        *,
        details: bool = False,
    ) -> None:
        self.parameters = parameters
        self.account = LabAccount(assumptions.equity_start)
        self.recorder = Recorder(tape, details=details)
        #: Times the venue took positions away.
        self.liquidations = 0
        self.memory = Memory.first()
        self._tape = tape
        self._assumptions = assumptions
        self._guard = guard_parameters
        self._venue = LabVenue(assumptions.exchange, tape.rules, tape.costs)
        self._desk = Desk(tape, self.account, assumptions)
        watched = guard_parameters if assumptions.guard else None
        self.watch = Watch(tape, watched, self._venue.fee_counts_bps)
        self.watch.peak = float_from_decimal(assumptions.equity_start)
        self._sequence = 0
        self._funded_ns = int(tape.times_ns[0])
        seconds = tape.path.stretch_ms / 1_000.0
        longest = int(np.diff(np.append(tape.rows, tape.row_end)).max()) + 1
        # Seconds to each point from an open on.
        self._stretches = np.tile([0.0, seconds, seconds, seconds], longest + 1)

    def step(self, instant: Instant) -> None:
        """Live through an instant and the block of bars after it."""
        self._charge_funding(instant)
        equity = self.account.equity(instant.marks_last)
        marks = self._tape.closes[instant.row - 1]
        self.watch.look_from(instant, self.account, marks, float_from_decimal(equity))
        outputs = self.decide(instant, equity)
        held = self.account.quantities() if self.recorder.details else {}
        start = instant.row * POINTS - 1
        self._desk.last_point = self._tape.row_after(instant.index) * POINTS - 1
        place = Place(point=start, fraction=0.0, time_ns=instant.now_ns)
        fills, notes = self._carry_out(instant, outputs, place)
        self.recorder.cycle(instant, outputs, equity, held, fills, notes)
        self.recorder.decided(instant, self)
        self._walk(instant, place, self._desk.last_point)
        self.recorder.ended(instant, self)

    def inputs(self, instant: Instant, equity: Decimal) -> CycleInputs:
        """Return what the live cycle would be given; `equity` is at the instant's marks, quote."""
        decision_id = identity.decision_id(ACCOUNT_ID, EPOCH, self._sequence, instant.now_ns)
        return CycleInputs(
            decision=DecisionInputs(
                decision_id=decision_id,
                now_ns=instant.now_ns,
                market=instant.market,
                account=self.account.view(equity),
                signals=instant.signals,
                memory=self.memory,
                parameters=self.parameters,
                trading_state=TradingState.ACTIVE,
            ),
            risk=self._risk(instant, equity, instant.marks, instant.marks_last, instant.now_ns),
            account_id=ACCOUNT_ID,
            slippage_bps_increase=self._assumptions.slippage_bps_increase,
            slippage_bps_reduction=self._assumptions.slippage_bps_reduction,
        )

    def decide(self, instant: Instant, equity: Decimal) -> CycleOutputs:
        """Make the live decision and remember what it says."""
        self._sequence += 1
        outputs = recompute(self.inputs(instant, equity))
        self.memory = outputs.decision.memory
        return outputs

    def risk_view(
        self,
        instant: Instant,
        marks: dict[str, Decimal],
        marks_last: dict[str, Decimal],
        now_ns: int,
    ) -> RiskView:
        """Return the account as risk sees it, built as the engine builds it."""
        return self._risk(instant, self.account.equity(marks_last), marks, marks_last, now_ns)

    def _risk(
        self,
        instant: Instant,
        equity: Decimal,
        marks: dict[str, Decimal],
        marks_last: dict[str, Decimal],
        now_ns: int,
    ) -> RiskView:
        return RiskView(
            now_ns=now_ns,
            trading_state=TradingState.ACTIVE,
            core_id=self.parameters.core_instrument,
            equity=equity,
            quantities=self.account.quantities(),
            marks=marks,
            marks_last=marks_last,
            open_orders=(),
            instruments=instant.instruments,
            betas=instant.betas,
            volatilities=instant.volatilities,
            missing=instant.missing,
            ledger_available=True,
            lease_held=True,
            latency_ms_p99=instant.market.latency_ms_p99,
            clock_offset_ms=0.0,
            leverage_ceiling=self._assumptions.leverage_ceiling,
            taker_fee_bps=self._assumptions.taker_fee_bps,
            slippage_bps=self._assumptions.slippage_bps_increase,
        )

    def _charge_funding(self, instant: Instant) -> None:
        if not self.account.flat and instant.now_ns > self._funded_ns:
            for column, name in enumerate(self._tape.instrument_ids):
                if self.account.quantity(name):
                    rates = self._tape.funding[column].charges(self._funded_ns, instant.now_ns)
                    if rates:
                        self.account.charge_funding(name, instant.marks_last[name], rates)
        self._funded_ns = instant.now_ns

    def _carry_out(
        self, instant: Instant, outputs: CycleOutputs, place: Place
    ) -> tuple[list[LabFill], list[str]]:
        # The orders meet the open of the next bar first: what is held may be touched there.
        if not outputs.decision.changes:
            return [], []
        self._walk(instant, place, place.point + 1)
        began, changes = replace(place), outputs.decision.changes
        if self.recorder.acted_now:
            changes = tuple(change for change in changes if change.reduce_only)
        fills, notes = self._desk.carry_out(
            outputs.decision.decision_id,
            IntentSource.CYCLE,
            changes,
            instant.market.instruments,
            lambda: self.risk_view(instant, instant.marks, instant.marks_last, instant.now_ns),
            place,
        )
        self._measure_way(began, place)
        self._restart(place)
        return fills, notes

    def _restart(self, place: Place) -> None:
        prices = self._tape.path.prices(place.point, place.fraction)
        self.watch.take(self.account, prices)
        self.watch.restart(prices)

    def _walk(self, instant: Instant, place: Place, stop: int) -> None:
        """Go on from `place` to the point `stop`; the guard and the venue act on the way."""
        acts = 0
        while place.point < stop:
            first = place.point + 1
            if self.watch.flat:
                break
            prices = self._tape.path.points[first : stop + 1]
            equity, gross, near = self.watch.figures(prices)
            seconds = self._seconds(place, len(prices))
            if not near.any():
                self.watch.record(equity, gross, seconds)
                break
            touched = int(np.argmax(near))
            self.watch.record(equity[:touched], gross[:touched], seconds[:touched])
            if touched:
                self._move(place, first + touched - 1, 0.0, instant)
            target = place.point + 1
            self._look(instant, place, target)
            acts = acts + 1 if place.point < target else 0
            if acts >= ACTS_MAX:
                self._reach(place, target, 0.0, instant)
        self._move(place, stop, 0.0, instant)

    def _look(self, instant: Instant, place: Place, target: int) -> None:
        """Judge the way to the next point, and that point unless something acted before it."""
        path = self._tape.path
        before = path.prices(place.point, place.fraction)
        share = self.watch.crossing(before, path.points[target])
        if share < 1.0 and path.seconds_to(target) > 0.0:
            fraction = place.fraction + share * (1.0 - place.fraction)
            if self._act(instant, place, place.point, fraction):
                return
        if place.point < target:
            self._act(instant, place, target, 0.0)

    def _act(self, instant: Instant, place: Place, point: int, fraction: float) -> bool:
        # Moves to the place and lets venue and guard judge there; True = positions changed.
        self._reach(place, point, fraction, instant)
        prices = self._tape.path.prices(point, fraction)
        marks = self._marks(prices)
        acted = self._liquidate(instant, place, marks)
        if self._assumptions.guard and not self.account.flat:
            now_ns = place.time_ns
            view = self.risk_view(instant, marks, marks, now_ns)
            acted = self._reduce(instant, place, guard.evaluate(view, self._guard, {})) or acted
        return acted

    def _reach(self, place: Place, point: int, fraction: float, instant: Instant) -> None:
        # Records the stretch up to a place on it.
        prices = self._tape.path.prices(point, fraction)[None, :]
        equity, gross, _ = self.watch.figures(prices)
        seconds = np.array([self._between(place, point, fraction)])
        self.watch.record(equity, gross, seconds)
        self._move(place, point, fraction, instant)

    def _reduce(self, instant: Instant, place: Place, verdict: GuardVerdict) -> bool:
        if not verdict.triggered or not verdict.changes:
            return False
        began = replace(place)
        self._sequence += 1
        decision_id = identity.decision_id(ACCOUNT_ID, EPOCH, self._sequence, place.time_ns)
        prices = self._tape.path.prices(place.point, place.fraction)
        marks = self._marks(prices)
        equity = self.account.equity(marks)
        held = self.account.quantities() if self.recorder.details else {}
        views = {
            name: at_price(view, marks[name]) if name in marks else view
            for name, view in instant.market.instruments.items()
        }
        fills, notes = self._desk.carry_out(
            decision_id,
            IntentSource.GUARD,
            verdict.changes,
            views,
            lambda: self.risk_view(instant, marks, marks, began.time_ns),
            place,
        )
        self._measure_way(began, place)
        self._restart(place)
        self.recorder.guard(began.time_ns, verdict, equity, held, marks, fills, notes)
        return bool(fills)

    def _measure_way(self, began: Place, place: Place) -> None:
        # The book as it was until the orders filled, at every point passed meanwhile.
        path = self._tape.path
        passed = path.points[began.point + 1 : place.point + 1]
        prices = np.vstack((passed, path.prices(place.point, place.fraction)[None, :]))
        equity, gross, _ = self.watch.figures(prices)
        share = (place.time_ns - began.time_ns) / 1e9 / len(prices)
        self.watch.record(equity, gross, np.full(len(prices), share))

    def _liquidate(self, instant: Instant, place: Place, marks: dict[str, Decimal]) -> bool:
        if not self._venue.must_liquidate(self.account, marks):
            return False
        equity = self.account.equity(marks)
        before = set(self.account.quantities())
        held = self.account.quantities() if self.recorder.details else {}
        core = self.parameters.core_instrument
        row = self._tape.path.row(place.point)
        fills = self._venue.liquidate(self.account, marks, core, row, place.time_ns)
        self.liquidations += 1
        self._restart(place)
        self.recorder.liquidation(place.time_ns, equity, held, marks, fills)
        gone = before - set(self.account.quantities()) - {core}
        if gone and self._assumptions.guard:
            view = self.risk_view(instant, marks, marks, place.time_ns)
            self._reduce(instant, place, guard.unhedged_cut(view, self._guard, {}))
        return True

    def _marks(self, prices: Floats) -> dict[str, Decimal]:
        known = self._tape.closes[-1]
        return {
            name: decimal_from_float(price)
            for name, price, last in zip(
                self._tape.instrument_ids, prices.tolist(), known.tolist(), strict=True
            )
            if not isnan(last)
        }

    def _seconds(self, place: Place, count: int) -> Floats:
        # How long the way to each of the next `count` points takes.
        first = (place.point + 1) % POINTS
        seconds = self._stretches[first : first + count]
        if place.fraction > 0.0 and count:
            seconds = seconds.copy()
            seconds[0] *= 1.0 - place.fraction
        return seconds

    def _between(self, place: Place, point: int, fraction: float) -> float:
        # Seconds from a place to one on the same stretch, or at its end.
        whole = self._tape.path.seconds_to(place.point + 1)
        return whole * ((1.0 if point > place.point else fraction) - place.fraction)

    def _move(self, place: Place, point: int, fraction: float, instant: Instant) -> None:
        place.point, place.fraction = point, fraction
        row = instant.row
        bars = self._tape.path.row(point) - row
        stretch = self._tape.path.stretch_ms * 1e6
        within = (point % POINTS + fraction) * stretch
        place.time_ns = instant.now_ns + bars * self._tape.bars.step_ns + int(within)
        if point < row * POINTS:
            place.time_ns = instant.now_ns


def run_policies(tape: Tape, runs: Sequence[PolicyRun]) -> None:
    """Live through the whole tape with several accounts side by side."""
    for index in range(len(tape)):
        instant = tape.instant(index)
        for run in runs:
            run.step(instant)
