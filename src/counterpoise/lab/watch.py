"""Watches a held book along the path: extremes, time above the ceiling, and when to look closely.

Floats tell where a trigger of the guard or the maintenance margin *may* be touched; whether it is
touched is decided with exact figures by the guard itself.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

import numpy as np

from counterpoise.domain.instruments import Instrument
from counterpoise.domain.rounding import float_from_decimal
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange import margin
from counterpoise.lab.account import LabAccount
from counterpoise.lab.bars import Flags, Floats
from counterpoise.lab.tape import Instant, Tape
from counterpoise.risk.ceiling import LEVERAGE_MAX
from counterpoise.risk.guard import GuardParameters

#: Time above this is counted.
CEILING: Final = float(LEVERAGE_MAX)
#: Floats look this much farther than exact figures, fraction.
SLACK: Final = 1e-9
#: A crossing is looked at this far behind it, so that exact figures see it too, share of the way.
BEHIND: Final = 1e-9
#: A position's margin fraction is taken at this multiple of its notional now.
GROWTH: Final = Decimal(3)


@dataclass(slots=True)
class Extremes:
    """What was seen between two decisions."""

    equity_low: float = float("inf")
    equity_high: float = 0.0
    drawdown: float = 0.0
    leverage_max: float = 0.0


class Watch:
    """Float figures of one account for as long as its positions stay as they are."""

    def __init__(self, tape: Tape, guard: GuardParameters | None, fee_counts_bps: Decimal) -> None:
        self._tape = tape
        self._guard = guard
        self._fee = float_from_decimal(fee_counts_bps) / BPS_PER_ONE
        columns = len(tape.instruments)
        #: Signed base units held.
        self.quantities = np.zeros(columns)
        #: Equity with every held instrument at price zero, quote.
        self.cash = 0.0
        #: Slope on the core of every instrument, 0 = unknown.
        self.betas = np.zeros(columns)
        #: Highest equity so far, quote.
        self.peak = 0.0
        #: Seconds with gross / equity above the ceiling, and how often a jump led there.
        self.above_seconds = 0.0
        self.above_jumps = 0
        self.extremes = Extremes()
        self.flat = True
        self._sizes = np.zeros(columns)
        self._margin = np.zeros(columns)
        self._reach = np.zeros(columns)
        # Equity less cash, gross, net beta exposure, and what must not exceed equity.
        self._weights = np.zeros((columns, 4))
        self._version = -1
        self._leverage = 0.0
        # Gross, net beta exposure and need are compared with equity after these factors.
        self._nearness = np.array([0.0, 0.0, 1.0 + SLACK])
        if guard is not None:
            self._nearness[0] = (1.0 + SLACK) / float_from_decimal(guard.leverage_trigger)
            self._nearness[1] = (1.0 + SLACK) / float_from_decimal(guard.net_beta_trigger)

    def look_from(
        self, instant: Instant, account: LabAccount, marks: Floats, equity: float
    ) -> None:
        """Start a block: its betas and volatilities, its positions, new extremes."""
        self.peak = max(self.peak, equity)
        self.extremes = Extremes(
            equity_low=equity,
            equity_high=equity,
            drawdown=1.0 - equity / self.peak,
            leverage_max=self._leverage,
        )
        ids, signals = self._tape.instrument_ids, instant.signals
        self.betas = np.array([signals.beta.get(name, 0.0) for name in ids])
        self.betas[0] = 1.0
        core = signals.volatility_covariance.get(ids[0], 0.0)
        self._reach = np.zeros(len(ids))
        if self._guard is not None and core > 0.0:
            trigger = float_from_decimal(self._guard.distance_trigger) / core
            volatilities = [signals.volatility_covariance.get(name, 0.0) for name in ids]
            self._reach = trigger * np.array(volatilities)
        if account.version == self._version:
            self._weigh()
        self.take(account, marks)

    def take(self, account: LabAccount, marks: Floats) -> None:
        """Take the positions over if they changed; `marks` are about their prices, quote."""
        if account.version == self._version:
            return
        self._version = account.version
        self.flat = account.flat
        quantities, entries = account.quantities(), account.entry_prices()
        held = np.zeros(len(self.betas))
        cash = float_from_decimal(account.wallet)
        for column, instrument in enumerate(self._tape.instruments):
            quantity = quantities.get(instrument.instrument_id)
            if quantity is None:
                self._margin[column] = 0.0
                continue
            held[column] = float_from_decimal(quantity)
            cash -= held[column] * float_from_decimal(entries[instrument.instrument_id])
            self._margin[column] = self._fraction(instrument, abs(held[column]) * marks[column])
        self.quantities, self._sizes, self.cash = held, np.abs(held), cash
        self._weigh()

    def _weigh(self) -> None:
        # Upper bound of what is lost and must be kept at the guard's distance, per quote held.
        bound = self._margin * (1.0 + self._reach) + self._reach
        weights = self._weights
        weights[:, 0] = self.quantities
        weights[:, 1] = self._sizes
        weights[:, 2] = self.quantities * self.betas
        weights[:, 3] = self._sizes * bound

    def figures(self, prices: Floats) -> tuple[Floats, Floats, Flags]:
        """Return equity, gross and whether to look closely, at each row of prices."""
        sums = prices @ self._weights
        equity = sums[:, 0] + self.cash
        near = (np.abs(sums[:, 1:]) * self._nearness >= equity[:, None]).any(axis=1)
        return equity, sums[:, 1], near

    def crossing(self, before: Floats, after: Floats) -> float:
        """Return how far from `before` to `after` leverage or net beta crosses its trigger.

        1 = at the end, or neither does.
        """
        if self._guard is None:
            return 1.0
        start, end = before @ self._weights, after @ self._weights
        start[0] += self.cash
        end[0] += self.cash
        found = 1.0
        for exposure, trigger in (
            (1, self._guard.leverage_trigger),
            (2, self._guard.net_beta_trigger),
        ):
            limit = float_from_decimal(trigger)
            sign = -1.0 if end[exposure] < 0.0 else 1.0
            low = sign * start[exposure] - limit * start[0]
            high = sign * end[exposure] - limit * end[0]
            if high >= 0.0 > low:
                found = min(found, -low / (high - low) + BEHIND)
            elif low >= 0.0:
                found = 0.0
        return found

    def record(self, equity: Floats, gross: Floats, seconds: Floats) -> None:
        """Count points that were reached; `seconds` is how long the way to each took."""
        if not len(equity):
            return
        extremes = self.extremes
        low, high = float(equity.min()), float(equity.max())
        extremes.equity_low = min(extremes.equity_low, low)
        extremes.equity_high = max(extremes.equity_high, high)
        if high > self.peak or low < self.peak:
            peaks = np.maximum(np.maximum.accumulate(equity), self.peak)
            extremes.drawdown = max(extremes.drawdown, float((1.0 - equity / peaks).max()))
            self.peak = float(peaks[-1])
        leverage = gross / equity if low > 0.0 else leverages(gross, equity)
        most = float(leverage.max())
        extremes.leverage_max = max(extremes.leverage_max, most)
        if most > CEILING or self._leverage > CEILING:
            self._count_above(leverage, seconds)
        self._leverage = float(leverage[-1])

    def restart(self, prices: Floats) -> None:
        """Start from these prices after positions changed: leverage jumped without a move."""
        equity = self.cash + float(prices @ self.quantities)
        gross = float(prices @ self._sizes)
        self._leverage = gross / equity if equity > 0.0 else float("inf") if gross > 0.0 else 0.0
        self.extremes.leverage_max = max(self.extremes.leverage_max, self._leverage)
        self.extremes.equity_low = min(self.extremes.equity_low, equity)
        self.extremes.equity_high = max(self.extremes.equity_high, equity)
        self.peak = max(self.peak, equity)
        self.extremes.drawdown = max(self.extremes.drawdown, 1.0 - equity / self.peak)

    def _count_above(self, leverage: Floats, seconds: Floats) -> None:
        # Leverage moves evenly from point to point; the share of the way above the ceiling counts.
        before = self._leverage
        for after, duration in zip(leverage.tolist(), seconds.tolist(), strict=True):
            if duration <= 0.0:
                self.above_jumps += before <= CEILING < after
            elif before > CEILING and after > CEILING:
                self.above_seconds += duration
            elif before > CEILING or after > CEILING:
                high, low = max(before, after), min(before, after)
                share = 1.0 if high == float("inf") else (high - CEILING) / (high - low)
                self.above_seconds += duration * share
            before = after

    def _fraction(self, instrument: Instrument, notional: float) -> float:
        tier = margin.tier_of(instrument.tiers, Decimal(notional) * GROWTH)
        return float_from_decimal(tier.maintenance_margin_fraction) + self._fee


def leverages(gross: Floats, equity: Floats) -> Floats:
    """Return gross / equity; inf where something is held on no equity."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.where(equity > 0.0, gross / equity, np.where(gross > 0.0, np.inf, 0.0))
    return found
