"""Keeps what a run says of itself: one row per block, and every decision where asked for."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from counterpoise.domain.rounding import float_from_decimal
from counterpoise.engine.cycle import CycleOutputs
from counterpoise.lab.bars import Floats
from counterpoise.lab.result import LabDecision, LabFill, Series
from counterpoise.lab.tape import Instant, Tape
from counterpoise.lab.watch import leverages
from counterpoise.risk.guard import GuardVerdict

if TYPE_CHECKING:
    from counterpoise.lab.backtest import PolicyRun


class Recorder:
    """The record of one run."""

    def __init__(self, tape: Tape, *, details: bool) -> None:
        count, columns = len(tape), len(tape.instrument_ids)
        self._tape = tape
        #: True = every decision is kept.
        self.details = details
        #: True = the guard or the venue acted since the last decision was recorded.
        self.acted_now = False
        #: Guard acts that filled something.
        self.guard_acts = 0
        #: Decisions that traded.
        self.trades = 0
        self._decisions: list[LabDecision] = []
        self._figures = np.zeros((count, 9))
        # Positions and cash after a decision's fills, and at the end of its block.
        self._held_from = np.zeros((count, columns))
        self._cash_from = np.zeros(count)
        self._held = np.zeros((count, columns))
        self._betas = np.zeros((count, columns))
        self._regime = np.zeros(count, dtype=np.int8)
        self._times_ns = np.append(tape.times_ns[1:], _end_ns(tape))

    def cycle(
        self,
        instant: Instant,
        outputs: CycleOutputs,
        equity: Decimal,
        quantities: Mapping[str, Decimal],
        fills: Sequence[LabFill],
        notes: Sequence[str],
    ) -> None:
        """Keep a decision and what came of it."""
        decision = outputs.decision
        self._regime[instant.index] = decision.memory.regime.level
        self.trades += bool(fills)
        if not self.details:
            return
        self._decisions.append(
            LabDecision(
                time_ns=instant.now_ns,
                kind="cycle",
                action=decision.action.value,
                reasons=tuple(reason.code.value for reason in decision.reasons),
                summary=decision.summary,
                equity=equity,
                targets={n: leg.notional_fraction for n, leg in decision.targets.items()},
                held=_fractions(quantities, instant.marks_last, equity),
                fills=tuple(fills),
                notes=tuple(notes),
            )
        )

    def guard(
        self,
        time_ns: int,
        verdict: GuardVerdict,
        equity: Decimal,
        quantities: Mapping[str, Decimal],
        marks: Mapping[str, Decimal],
        fills: Sequence[LabFill],
        notes: Sequence[str],
    ) -> None:
        """Keep an act of the guard."""
        self.acted_now = True
        self.guard_acts += bool(fills)
        if not self.details:
            return
        leverage = "infinite" if verdict.leverage is None else f"{verdict.leverage:.3f}"
        self._decisions.append(
            LabDecision(
                time_ns=time_ns,
                kind="guard",
                action="traded" if fills else "blocked",
                reasons=(verdict.reason.value,),
                summary=f"Guard ({verdict.reason.value}) at leverage {leverage}.",
                equity=equity,
                targets={},
                held=_fractions(quantities, marks, equity),
                fills=tuple(fills),
                notes=tuple(notes),
            )
        )

    def liquidation(
        self,
        time_ns: int,
        equity: Decimal,
        quantities: Mapping[str, Decimal],
        marks: Mapping[str, Decimal],
        fills: Sequence[LabFill],
    ) -> None:
        """Keep what the venue took away."""
        self.acted_now = True
        if not self.details:
            return
        self._decisions.append(
            LabDecision(
                time_ns=time_ns,
                kind="liquidation",
                action="traded",
                reasons=("MAINTENANCE_MARGIN",),
                summary=f"The venue closed {len(fills)} parts of the book.",
                equity=equity,
                targets={},
                held=_fractions(quantities, marks, equity),
                fills=tuple(fills),
            )
        )

    def decided(self, instant: Instant, run: "PolicyRun") -> None:
        """Keep the book that goes into an instant's block, after its fills."""
        self._held_from[instant.index] = run.watch.quantities
        self._cash_from[instant.index] = run.watch.cash

    def ended(self, instant: Instant, run: "PolicyRun") -> None:
        """Keep the account at the end of an instant's block."""
        self.acted_now = False
        index, watch, account, extremes = instant.index, run.watch, run.account, run.watch.extremes
        self._held[index] = watch.quantities
        self._betas[index] = watch.betas
        self._figures[index] = (
            watch.cash,
            extremes.equity_low,
            extremes.equity_high,
            extremes.drawdown,
            extremes.leverage_max,
            float_from_decimal(account.fees),
            float_from_decimal(account.slippage),
            float_from_decimal(account.funding),
            float_from_decimal(account.traded_notional),
        )

    def series(self) -> Series:
        """Return the rows."""
        tape = self._tape
        ends = np.append(tape.rows[1:], tape.row_end) - 1
        # What is not held may have no price yet.
        notionals = np.where(self._held == 0.0, 0.0, tape.closes[ends] * self._held)
        cash, low, high, drawdown, leverage_max, fees, slippage, funding, traded = self._figures.T
        equity = cash + notionals.sum(axis=1)
        divisor = np.where(equity > 0.0, equity, np.inf)
        gross = np.abs(notionals).sum(axis=1)
        return Series(
            times_ns=self._times_ns,
            equity=equity,
            equity_low=np.minimum(low, equity),
            equity_high=np.maximum(high, equity),
            drawdown=drawdown,
            leverage=gross / divisor,
            leverage_max=leverage_max,
            leverage_max_adverse=np.maximum(self._adverse(), leverage_max),
            net_beta=(notionals * self._betas).sum(axis=1) / divisor,
            legs=notionals / divisor[:, None],
            fees=fees,
            slippage=slippage,
            funding=funding,
            traded_notional=traded,
            regime=self._regime,
        )

    def _adverse(self) -> Floats:
        # Highest leverage of each block with every leg at its worst within the same bar.
        tape = self._tape
        counts = np.diff(np.append(tape.rows, tape.row_end))
        blocks = np.repeat(np.arange(len(counts)), counts)
        rows = slice(int(tape.rows[0]), tape.row_end)
        held = self._held_from[blocks]
        bought = (np.maximum(held, 0.0) * tape.path.lows[rows]).sum(axis=1)
        sold = (np.minimum(held, 0.0) * tape.path.highs[rows]).sum(axis=1)
        found = leverages(bought - sold, self._cash_from[blocks] + bought + sold)
        most: Floats = np.maximum.reduceat(found, np.concatenate(([0], np.cumsum(counts)[:-1])))
        return most

    def decisions(self) -> tuple[LabDecision, ...]:
        """Return the decisions in their order of time, the guard's after the cycle's."""
        return tuple(sorted(self._decisions, key=lambda each: each.time_ns))


def _end_ns(tape: Tape) -> int:
    return int(tape.bars.open_ns[0]) + tape.row_end * tape.bars.step_ns


def _fractions(
    quantities: Mapping[str, Decimal], marks: Mapping[str, Decimal], equity: Decimal
) -> dict[str, float]:
    if equity <= 0:
        return {}
    return {
        name: float_from_decimal(quantity * marks[name] / equity)
        for name, quantity in sorted(quantities.items())
    }
