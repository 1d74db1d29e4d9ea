"""How markets behave on a bad day: scripted conditions, and selling that forces more selling.

A market that has fallen far below where it stood half an hour ago forces leveraged longs out, at a
rate that grows with the fall. Their orders push the price further, the more so the emptier the
book is, and empty the book in turn. It ends because there are only so many of them. The same
holds upwards for shorts. While books are empty, all markets follow the common factor.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from counterpoise.domain.units import BPS_PER_ONE, SECONDS_PER_DAY
from counterpoise.exchange.constants import Constants, Floats
from counterpoise.exchange.scenarios.script import CALM, Phase, Scenario

#: Fast part of the volatility: deviation and half-life of its log-variance, and how much of it is
#: the factor's fall ("leverage effect").
FAST_DEVIATION: Final = 0.35
FAST_HALF_LIFE_SECONDS: Final = 300.0
FAST_LEVERAGE: Final = 0.5
#: A move is measured from a reference that follows the price with this half-life.
REFERENCE_HALF_LIFE_SECONDS: Final = 1_800.0
#: Forced orders begin beyond this fall (fraction) of a market with VOLATILITY_UNIT.
FORCED_FROM: Final = 0.03
VOLATILITY_UNIT: Final = 0.45
#: At twice that fall, this share of what is left is forced out per second.
FORCED_RATE: Final = 1.0 / 40.0
#: Log price impact of all of it through a full book, and the most per second, at VOLATILITY_UNIT.
FORCED_IMPACT: Final = 0.004
FORCED_MOVE_MAX: Final = 0.001
#: New leverage takes the place of the old with this half-life.
LEVERAGE_HALF_LIFE_SECONDS: Final = 4 * 3_600.0
#: A forced rate of 1/this halves the book.
FORCED_DEPTH: Final = 1_300.0
DEPTH_MIN: Final = 0.02
#: The book vanishes with this time constant; the scenario says how it comes back.
VANISHING_SECONDS: Final = 3.0
#: Spread as a power of the depth that is left: 0.05 of it is a spread of 120 times.
SPREAD_POWER: Final = -1.6
SPREAD_MAX: Final = 1_300.0
#: The spread comes back this much faster than the depth.
SPREAD_FASTER: Final = 3.0
#: Share of own variance that becomes common when books are empty, and how volatility grows.
CONTAGION_MAX: Final = 0.97
CONTAGION_VOLATILITY: Final = 1.5
#: The basis follows forced orders and the recent move, at most by the limits, with a half-life.
BASIS_PER_FORCED: Final = 0.4
BASIS_FORCED_MAX: Final = 0.03
BASIS_PER_MOVE: Final = 0.02
BASIS_MOVE_MAX: Final = 0.003
BASIS_HALF_LIFE_SECONDS: Final = 20.0
#: Rates of forced orders below this are no flow.
FORCED_RATE_MIN: Final = 1e-5

_NEVER: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseArrays:
    """A phase's conditions as arrays, in the order of the markets."""

    end_seconds: float
    #: Log move over the phase; NaN = free.
    move: Floats
    pinned: npt.NDArray[np.bool_]
    jump: Floats
    volatility: Floats
    jump_rate: Floats
    correlation: Floats
    depth: Floats
    spread: Floats
    bids_absent: Floats
    asks_absent: Floats
    basis: Floats
    mark_lag_seconds: Floats
    #: Hours; 0 = as the instrument says.
    funding_interval_hours: tuple[int, ...]

    @classmethod
    def of(cls, phase: Phase | None, instrument_ids: tuple[str, ...]) -> "PhaseArrays":
        """Return the arrays of a phase; None = the calm between phases."""
        rows = [CALM if phase is None else phase.conditions(name) for name in instrument_ids]
        move = np.array([np.nan if row.move is None else np.log1p(row.move) for row in rows])
        return cls(
            end_seconds=0.0 if phase is None else phase.end_seconds,
            move=move,
            pinned=~np.isnan(move),
            jump=np.log1p(np.array([row.jump for row in rows])),
            volatility=np.array([row.volatility for row in rows]),
            jump_rate=np.array([row.jumps_per_day for row in rows]) / SECONDS_PER_DAY,
            correlation=np.array([row.correlation for row in rows]),
            depth=np.array([row.depth for row in rows]),
            spread=np.array([row.spread for row in rows]),
            bids_absent=np.array([row.bids_absent for row in rows]),
            asks_absent=np.array([row.asks_absent for row in rows]),
            basis=np.array([row.basis_bps for row in rows]) / BPS_PER_ONE,
            mark_lag_seconds=np.array([row.mark_lag_seconds for row in rows]),
            funding_interval_hours=tuple(row.funding_interval_hours or 0 for row in rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDraws:
    """What chance says about one step; of several runs at once, one row each."""

    #: Common factor and the fast part of its volatility, standard normal.
    factor: float | Floats
    fast: float | Floats
    #: Per market: own part and jump, standard normal; whether it jumps, uniform.
    own: Floats
    jump: Floats
    jumps: Floats


class StressModel:
    """The markets' state beyond their price: books, leverage, basis, place in the script."""

    def __init__(
        self, constants: Constants, factor_volatility: float, scenario: Scenario,
        instrument_ids: tuple[str, ...],
    ) -> None:  # fmt: skip
        self._scenario = scenario
        self._calm = PhaseArrays.of(None, instrument_ids)
        self._phases = [PhaseArrays.of(each, instrument_ids) for each in scenario.phases]
        self._factor_variance = (constants.loading * factor_volatility) ** 2
        self._own_variance = constants.own_volatility**2
        self._sign = np.where(constants.loading < 0, -1.0, 1.0)
        self._units = constants.volatility / VOLATILITY_UNIT
        self._weights = constants.depth_quote / constants.depth_quote.sum()
        count = len(instrument_ids)
        self._place: int | None = None
        self._now = self._calm
        self._target: Floats = np.zeros(count)
        self._fast: float | Floats = 0.0
        self._reference: Floats = np.log(constants.price_start)
        #: Leverage left to force out: longs, shorts.
        self._leverage: Floats = np.ones((2, count))
        #: Share of leverage forced out per second, + buying.
        self.flow: Floats = np.zeros(count)
        #: Fraction of the calm depth that is left.
        self.depth: Floats = np.ones(count)
        #: Multiple of the calm spread.
        self.spread: Floats = np.ones(count)
        #: What stress adds to the premium, fraction.
        self.basis: Floats = np.zeros(count)
        #: Log of mark over index that comes from the mark's lag.
        self.mark_gap: Floats = np.zeros(count)

    @property
    def conditions(self) -> PhaseArrays:
        """What the script says about this moment."""
        return self._now

    @property
    def place(self) -> int | None:
        """Place of the phase in the script; None = in none."""
        return self._place

    def contagion(self) -> float | Floats:
        """Return the share of own variance that has become common, 0 in calm books."""
        missing = 1.0 - float(self._weights @ self.depth)
        return min(CONTAGION_MAX, max(0.0, 1.25 * (missing - 0.1)))

    def forced(self) -> npt.NDArray[np.bool_]:
        """Tell per market whether traders are being forced out, so that the trades are theirs."""
        return np.abs(self.flow) > FORCED_RATE_MIN

    def moves(
        self, log_index: Floats, scale: float | Floats, draws: StepDraws, jump_deviation: float,
        shocks: Floats, seconds: float, elapsed_seconds: float,
    ) -> Floats:  # fmt: skip
        """Return the log moves of a step that ends at `elapsed_seconds`.

        `scale` is the volatility's scale for the step, `shocks` moves ordered from outside.
        """
        now, entry = self._enter(log_index, elapsed_seconds)
        self._target = self._target + shocks
        noise = self._noise(now, scale, draws, seconds)
        jumps = draws.jumps < now.jump_rate * seconds
        noise = noise + jumps * jump_deviation * self._units * draws.jump
        noise = noise + self._forced(log_index, seconds)
        moves = noise + shocks + entry
        if now.pinned.any():
            # A bridge: it wanders and yet ends where the script says.
            left = max(now.end_seconds - (elapsed_seconds - seconds), seconds)
            pull = (self._target - log_index - shocks - entry) * (seconds / left)
            fade = (1.0 - seconds / left) ** 0.5
            moves = np.where(now.pinned, noise * fade + pull + shocks + entry, moves)
        self._react(log_index, moves, seconds)
        return moves

    def watch(
        self, log_index: Floats, moves: Floats, seconds: float, elapsed_seconds: float
    ) -> None:
        """Go on with moves that came from elsewhere: conditions of the book apply, no others."""
        self._enter(log_index, elapsed_seconds)
        self._react(log_index, moves, seconds)
        self.basis = np.zeros(len(moves))

    def funding_interval_hours(self, position: int) -> int | None:
        """Return the interval the script wants of a market; None = the instrument's own."""
        return self._now.funding_interval_hours[position] or None

    def save(self) -> dict[str, Any]:
        """Return the state as JSON-able figures that read back exactly."""
        return {
            "place": self._place,
            "target": [None if np.isnan(each) else each for each in self._target.tolist()],
            "fast": float(self._fast),
            "reference": self._reference.tolist(),
            "leverage": self._leverage.tolist(),
            "flow": self.flow.tolist(),
            "depth": self.depth.tolist(),
            "spread": self.spread.tolist(),
            "basis": self.basis.tolist(),
            "mark_gap": self.mark_gap.tolist(),
        }

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._place = saved["place"]
        self._now = self._calm if self._place is None else self._phases[self._place]
        self._target = np.array([np.nan if each is None else each for each in saved["target"]])
        self._fast = float(saved["fast"])
        self._reference = np.array(saved["reference"], dtype=np.float64)
        self._leverage = np.array(saved["leverage"], dtype=np.float64)
        self.flow = np.array(saved["flow"], dtype=np.float64)
        self.depth = np.array(saved["depth"], dtype=np.float64)
        self.spread = np.array(saved["spread"], dtype=np.float64)
        self.basis = np.array(saved["basis"], dtype=np.float64)
        self.mark_gap = np.array(saved["mark_gap"], dtype=np.float64)

    def _enter(self, log_index: Floats, elapsed_seconds: float) -> tuple[PhaseArrays, Floats]:
        # The conditions of this step, and the jumps of a phase that begins with it.
        place = self._scenario.phase_at(elapsed_seconds)
        if place == self._place:
            return self._now, np.zeros_like(log_index)
        self._place = place
        self._now = self._calm if place is None else self._phases[place]
        self._target = log_index + self._now.jump + self._now.move
        return self._now, self._now.jump

    def _noise(
        self, now: PhaseArrays, scale: float | Floats, draws: StepDraws, seconds: float
    ) -> Floats:
        keep = 0.5 ** (seconds / FAST_HALF_LIFE_SECONDS)
        fresh = (1.0 - FAST_LEVERAGE**2) ** 0.5 * draws.fast - FAST_LEVERAGE * draws.factor
        spread = FAST_DEVIATION * (1.0 - keep * keep) ** 0.5
        self._fast = keep * self._fast + spread * fresh
        contagion = self.contagion()
        scale = scale * (
            (1.0 + CONTAGION_VOLATILITY * contagion)
            * np.exp(0.5 * self._fast - 0.25 * FAST_DEVIATION**2)
        )
        share = np.maximum(now.correlation, contagion)
        common = np.sqrt(self._factor_variance + share * self._own_variance) * self._sign
        own = np.sqrt((1.0 - share) * self._own_variance)
        noise: Floats = now.volatility * scale * (common * draws.factor + own * draws.own)
        return noise

    def _forced(self, log_index: Floats, seconds: float) -> Floats:
        # Forced orders of this step and what they do to the price.
        gone = log_index - self._reference
        threshold = FORCED_FROM * self._units
        beyond = np.minimum(np.maximum(np.abs(gone) / threshold - 1.0, 0.0), 1.0)
        keep = 0.5 ** (seconds / LEVERAGE_HALF_LIFE_SECONDS)
        self._leverage = 1.0 - keep * (1.0 - self._leverage)
        if self._scenario.cascade == 0.0 or not beyond.any():
            self.flow = np.zeros_like(gone)
            return self.flow
        rate = beyond * FORCED_RATE
        falling = gone < 0
        left = np.where(falling, self._leverage[0], self._leverage[1])
        forced = left * (1.0 - np.exp(-rate * seconds))
        self._leverage[0] -= np.where(falling, forced, 0.0)
        self._leverage[1] -= np.where(falling, 0.0, forced)
        direction = np.where(falling, -1.0, 1.0)
        self.flow = direction * forced / seconds
        units = self._units * self._scenario.cascade
        size = np.minimum(FORCED_IMPACT * forced / self.depth, FORCED_MOVE_MAX * seconds)
        moves: Floats = direction * units * size
        return moves

    def _react(self, log_index: Floats, moves: Floats, seconds: float) -> None:
        # Books, basis and mark after the moves.
        now, resilience = self._now, self._scenario.resilience_seconds
        vanish = 1.0 - float(np.exp(-seconds / VANISHING_SECONDS))
        wanted = np.maximum(now.depth / (1.0 + FORCED_DEPTH * np.abs(self.flow)), DEPTH_MIN)
        back = 1.0 - 0.5 ** (seconds / resilience)
        pace = np.where(wanted < self.depth, vanish, back)
        self.depth = self.depth + pace * (wanted - self.depth)
        empty = np.minimum(self.depth, 1.0) ** SPREAD_POWER
        wide = np.log(np.minimum(np.maximum(now.spread, empty), SPREAD_MAX))
        spread = np.log(self.spread)
        back = 1.0 - 0.5 ** (seconds * SPREAD_FASTER / resilience)
        spread = spread + np.where(wide > spread, vanish, back) * (wide - spread)
        self.spread = np.exp(spread)
        gone = log_index + moves - self._reference
        forced = np.clip(BASIS_PER_FORCED * self.flow, -BASIS_FORCED_MAX, BASIS_FORCED_MAX)
        crowd = np.clip(BASIS_PER_MOVE * gone, -BASIS_MOVE_MAX, BASIS_MOVE_MAX)
        pace_basis = 1.0 - 0.5 ** (seconds / BASIS_HALF_LIFE_SECONDS)
        self.basis = self.basis + pace_basis * (now.basis + forced + crowd - self.basis)
        follow = 1.0 - 0.5 ** (seconds / REFERENCE_HALF_LIFE_SECONDS)
        self._reference = self._reference + follow * gone
        lagging = np.exp(-seconds / np.maximum(now.mark_lag_seconds, _NEVER))
        self.mark_gap = (self.mark_gap - moves) * lagging
