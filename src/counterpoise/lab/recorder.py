"""Keeps what a run says of itself: one row per block, and every decision where asked for."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import numpy as np

from counterpoise.domain.rounding import float_from_decimal
from counterpoise.engine.cycle import CycleOutputs
from counterpoise.lab.result import LabDecision, LabFill, Series
from counterpoise.lab.tape import Instant, Tape
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
        self._figures = np.zeros((count, 12))
        self._legs = np.zeros((count, columns))
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

    def account(self, instant: Instant, run: "PolicyRun") -> None:
        """Keep the account at the end of an instant's block."""
        self.acted_now = False
        tape, watch, account = self._tape, run.watch, run.account
        marks = tape.closes[tape.row_after(instant.index) - 1]
        extremes = watch.extremes
        equity, gross, net_beta, notionals = watch.at(marks)
        divisor = equity if equity > 0.0 else float("inf")
        self._legs[instant.index] = notionals / divisor
        self._figures[instant.index] = (
            equity,
            min(extremes.equity_low, equity),
            max(extremes.equity_high, equity),
            extremes.drawdown,
            gross / divisor,
            extremes.leverage_max,
            max(extremes.leverage_max_adverse, extremes.leverage_max),
            net_beta / divisor,
            float_from_decimal(account.fees),
            float_from_decimal(account.slippage),
            float_from_decimal(account.funding),
            float_from_decimal(account.traded_notional),
        )

    def series(self) -> Series:
        """Return the rows."""
        columns = self._figures.T
        return Series(
            times_ns=self._times_ns,
            equity=columns[0],
            equity_low=columns[1],
            equity_high=columns[2],
            drawdown=columns[3],
            leverage=columns[4],
            leverage_max=columns[5],
            leverage_max_adverse=columns[6],
            net_beta=columns[7],
            legs=self._legs,
            fees=columns[8],
            slippage=columns[9],
            funding=columns[10],
            traded_notional=columns[11],
            regime=self._regime,
        )

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
