"""The rolling state of all signals: samples in, a view out."""

from collections.abc import Mapping, Sequence
from math import isnan, nan, sqrt
from typing import Final

import numpy as np

from counterpoise.domain.units import NS_PER_DAY, NS_PER_SECOND, SECONDS_PER_YEAR
from counterpoise.signals import covariance, summary, warming
from counterpoise.signals.daily import DailyCorrelation
from counterpoise.signals.ewma import Block, Ewma, Floats, Moments, weight_after
from counterpoise.signals.history import History
from counterpoise.signals.parameters import SignalParameters
from counterpoise.signals.view import SignalsView

#: Samples gathered before they are added to the sums as one matrix product.
BLOCK_ROWS_MAX: Final = 60

_SECONDS_PER_HOUR: Final = 3_600


class Signals:
    """Incremental statistics of one universe around one core instrument.

    Nothing here depends on when it is looked at: views read, and only samples change the state.
    """

    def __init__(
        self,
        core_id: str,
        core_sign: int,
        instrument_ids: Sequence[str],
        parameters: SignalParameters,
    ) -> None:
        """Start empty; `core_sign` is +1 for a long core, -1 for a short one."""
        assert core_sign in {1, -1}, "core_sign must be 1 or -1"
        assert core_id in instrument_ids, "the core must be one of the instruments"
        assert len(set(instrument_ids)) == len(instrument_ids), "an instrument is named twice"
        self._core_id = core_id
        self._core_sign = core_sign
        self._ids = tuple(instrument_ids)
        self._core = self._ids.index(core_id)
        self._parameters = parameters
        self._grid_ns = parameters.grid_seconds * NS_PER_SECOND
        self._annual = SECONDS_PER_YEAR / parameters.horizon_seconds
        self._sampled_ns: int | None = None
        self._first_ns: dict[str, int] = {}
        self._history = History(
            max(parameters.horizon_seconds, parameters.volatility_rising_seconds),
            parameters.grid_seconds,
        )
        # One column per instrument and a last one for the change in core volatility.
        columns = len(self._ids) + 1
        fast, medium, slow, adverse = (
            hours * _SECONDS_PER_HOUR
            for hours in (
                parameters.half_life_fast_hours,
                parameters.half_life_medium_hours,
                parameters.half_life_slow_hours,
                parameters.half_life_semivolatility_hours,
            )
        )
        self._fast = Moments.empty(columns, fast, fourth=False)
        self._medium = Moments.empty(columns, medium, fourth=True)
        self._slow = Moments.empty(columns, slow, fourth=True)
        self._core_fast = Ewma(fast)
        self._core_adverse = Ewma(adverse)
        self._known_fast = weight_after(parameters.known_seconds_min, fast) * (1.0 - 1e-9)
        self._known_adverse = weight_after(parameters.known_seconds_min, adverse) * (1.0 - 1e-9)
        self._daily = DailyCorrelation(
            columns,
            self._core,
            parameters.correlation_days,
            parameters.correlation_day_seconds_min,
        )
        # Samples not in the sums yet: elapsed seconds, span seconds, values.
        self._pending: list[tuple[float, float, Floats]] = []
        self._core_move_sigmas: float | None = None
        self._volatility_fast_rising: bool | None = None
        self._estimates = summary.Estimates(
            ids=self._ids, core=self._core, parameters=parameters, annual=self._annual
        )
        # Whether it speaks of now, and the view; None = sampled since.
        self._viewed: tuple[bool, SignalsView] | None = None

    def warm(self, candles: Mapping[str, Sequence[warming.WarmCandle]]) -> None:
        """Sample complete mark candles: (open ns, length in seconds, close) per instrument.

        Longer candles count until shorter ones begin; what ends at or before the newest sample
        is not sampled again. Instruments that are not of the universe are ignored.
        """
        self._viewed = None
        for instrument_id in self._ids:
            first_ns = warming.first_open_ns(candles.get(instrument_id, ()))
            if first_ns is not None:
                known_ns = self._first_ns.get(instrument_id, first_ns)
                self._first_ns[instrument_id] = min(first_ns, known_ns)
        for time_ns, logs in warming.rows(candles, self._ids):
            if self._sampled_ns is None or time_ns > self._sampled_ns:
                self._sample(time_ns, logs)

    def due(self, now_ns: int) -> bool:
        """Tell whether `observe` would sample now: no sample of this grid step yet."""
        if self._sampled_ns is None:
            return True
        return now_ns // self._grid_ns * self._grid_ns > self._sampled_ns

    def observe(self, now_ns: int, marks: Mapping[str, float]) -> None:
        """Sample the fresh marks, quote per base, once per grid step: the step's first call.

        An instrument that is not there, or whose mark is no price, is missing: its statistics
        stay as they are.
        """
        if not self.due(now_ns):
            return
        time_ns = now_ns // self._grid_ns * self._grid_ns
        logs = np.array([warming.log_mark(marks.get(name)) for name in self._ids])
        if np.isnan(logs).all():
            return
        self._sample(time_ns, logs)

    def view(self, now_ns: int) -> SignalsView:
        """Return every signal as it stands; changes nothing.

        The same view is returned again while nothing was sampled: treat it as frozen, its tables
        too.
        """
        horizon_ns = self._parameters.horizon_seconds * NS_PER_SECOND
        # What speaks of the last minutes says nothing once sampling has stopped.
        recent = self._sampled_ns is not None and now_ns - self._sampled_ns <= horizon_ns
        if self._viewed is None or self._viewed[0] is not recent:
            self._viewed = (recent, self._new_view(recent=recent))
        return self._viewed[1]

    def _new_view(self, *, recent: bool) -> SignalsView:
        parameters, estimates = self._parameters, self._estimates
        sums = (self._fast, self._medium, self._slow)
        if self._pending:
            block = self._block()
            sums = (sums[0].after(block), sums[1].after(block), sums[2].after(block))
        fast, medium, slow = (estimates.read(one) for one in sums)
        adverse = self._core_adverse.mean(self._known_adverse)
        semivolatility = None if adverse is None else sqrt(2.0 * adverse * self._annual)
        volatility_slow = estimates.volatility(slow)
        combined = estimates.combined(medium, slow)
        measured = estimates.covariance(fast)
        sampled_ns = self._sampled_ns
        return SignalsView(
            core_id=self._core_id,
            sampled_ns=sampled_ns,
            horizon_seconds=parameters.horizon_seconds,
            history_days={
                name: ((sampled_ns or 0) - self._first_ns[name]) / NS_PER_DAY
                for name in self._ids
                if name in self._first_ns
            },
            volatility_fast=estimates.volatility(fast),
            volatility_medium=estimates.volatility(medium),
            volatility_slow=volatility_slow,
            semivolatility_adverse=semivolatility,
            stress_ratio=summary.ratio(semivolatility, volatility_slow.get(self._core_id)),
            correlation=combined.correlation,
            volatility_covariance=combined.volatility,
            beta=combined.beta,
            correlation_core_fast=estimates.correlation_with(fast, self._core),
            correlation_core_medium=estimates.correlation_with(medium, self._core),
            volatility_correlation=estimates.correlation_with(medium, len(self._ids)),
            correlation_daily_stdev=self._daily_stdev(),
            correlation_mean_fast=None if measured is None else _correlation_mean(measured),
            absorption_ratio=estimates.absorption_ratio(measured),
            volatility_fast_rising=self._volatility_fast_rising if recent else None,
            core_move_sigmas=self._core_move_sigmas if recent else None,
        )

    def _sample(self, time_ns: int, logs: Floats) -> None:
        previous_ns = self._sampled_ns
        assert previous_ns is None or time_ns > previous_ns, "samples must come in order of time"
        if previous_ns is not None and previous_ns // NS_PER_DAY != time_ns // NS_PER_DAY:
            self._flush()
            self._daily.close(previous_ns // NS_PER_DAY)
        self._sampled_ns = time_ns
        self._viewed = None
        if len(self._first_ns) < len(self._ids):
            for name, log in zip(self._ids, logs.tolist(), strict=True):
                if not isnan(log):
                    self._first_ns.setdefault(name, time_ns)
        horizon = self._parameters.horizon_seconds
        elapsed = 0.0 if previous_ns is None else (time_ns - previous_ns) / NS_PER_SECOND
        # After a hole a return still speaks for its own horizon only.
        span = min(elapsed, float(horizon))
        returns = self._history.returns(time_ns, logs, horizon)
        volatility, change = self._sample_core(time_ns, elapsed, span, float(returns[self._core]))
        self._history.add(time_ns, logs, volatility)
        row = np.empty(len(returns) + 1)
        row[:-1], row[-1] = returns, change
        self._pending.append((elapsed, span, row))
        if len(self._pending) >= BLOCK_ROWS_MAX:
            self._flush()

    def _sample_core(
        self, time_ns: int, elapsed: float, span: float, core_return: float
    ) -> tuple[float | None, float]:
        # Returns the core's fast volatility now (None = unknown) and its change over the horizon
        # (NaN = unknown), after updating everything that speaks of the core alone.
        square = None if isnan(core_return) else core_return * core_return
        adverse = square if self._core_sign * core_return < 0.0 else 0.0
        self._core_fast.update(elapsed, span, square)
        self._core_adverse.update(elapsed, span, None if square is None else adverse)
        mean = self._core_fast.mean(self._known_fast)
        volatility = None if mean is None else sqrt(mean * self._annual)
        horizon_ns = self._parameters.horizon_seconds * NS_PER_SECOND
        rising_ns = self._parameters.volatility_rising_seconds * NS_PER_SECOND
        before = self._history.volatility(time_ns - horizon_ns)
        earlier = self._history.volatility(time_ns - rising_ns)
        self._volatility_fast_rising = (
            None if volatility is None or earlier is None else volatility > earlier
        )
        # Measured in the volatility before the move, which the move itself has not raised yet.
        move = None if square is None else sqrt(square * self._annual)
        self._core_move_sigmas = summary.ratio(move, before)
        change = nan if volatility is None or before is None else volatility - before
        return volatility, nan if square is None else change

    def _block(self) -> Block:
        elapsed, spans, rows = zip(*self._pending, strict=True)
        values = np.stack(rows)
        missing = np.isnan(values)
        if not missing.any():
            present = None
        else:
            present = (~missing).astype(np.float64)
            values[missing] = 0.0
        return Block(
            elapsed_seconds=np.array(elapsed),
            span_seconds=np.array(spans),
            values=values,
            present=present,
        )

    def _flush(self) -> None:
        if not self._pending:
            return
        block = self._block()
        self._fast = self._fast.after(block)
        self._medium = self._medium.after(block)
        self._slow = self._slow.after(block)
        self._daily.absorb(block)
        self._pending = []

    def _daily_stdev(self) -> dict[str, float]:
        if self._sampled_ns is None:
            return {}
        stdev = self._daily.stdev(self._sampled_ns // NS_PER_DAY).tolist()
        return {
            name: value for name, value in zip(self._ids, stdev, strict=False) if not isnan(value)
        }


def _correlation_mean(measured: Floats) -> float | None:
    return covariance.correlation_mean(covariance.correlation_of(measured))
