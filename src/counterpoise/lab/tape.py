"""Everything a policy may see, computed once per data set and shared by all policies.

A tape holds, for every decision instant, what was known then: closes of bars that are over, the
live `Signals` fed with them, funding that had been charged. Nothing later can reach it.
"""

from dataclasses import dataclass
from decimal import Decimal
from math import ceil, floor, isnan
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from counterpoise.domain.errors import DataError
from counterpoise.domain.instruments import Instrument
from counterpoise.domain.rounding import decimal_from_float, float_from_decimal
from counterpoise.domain.units import (
    BPS_PER_ONE,
    NS_PER_DAY,
    NS_PER_HOUR,
    NS_PER_MS,
    NS_PER_SECOND,
    SECONDS_PER_DAY,
)
from counterpoise.lab.assumptions import Assumptions, half_spread_bps, make_instrument
from counterpoise.lab.bars import BarTable, Flags, Floats, Times
from counterpoise.lab.costs import CostTable, make_costs
from counterpoise.lab.funding import FundingHistory
from counterpoise.lab.path import PricePath, carried, make_path
from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.signals.parameters import SignalParameters
from counterpoise.signals.state import Signals
from counterpoise.signals.view import SignalsView
from counterpoise.signals.warming import WarmCandle

#: Decisions lie on multiples of this since the epoch, seconds.
DECISION_SECONDS: Final = 900
#: History read before the first decision, where there is any.
WARM_DAYS: Final = 30
#: History without which no decision is made: what a hedge candidate needs at least.
WARM_DAYS_MIN: Final = 3

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(SignalsView)


@dataclass(frozen=True, slots=True, kw_only=True)
class Instant:
    """What is known at one decision."""

    #: Place in the tape.
    index: int
    now_ns: int
    #: Row of the bar that opens now.
    row: int
    market: MarketView
    signals: SignalsView
    #: Rules by instrument id.
    instruments: dict[str, Instrument]
    #: Marks that are fresh, and all there ever were; quote per base.
    marks: dict[str, Decimal]
    marks_last: dict[str, Decimal]
    #: Codes of what is missing, by instrument id.
    missing: dict[str, tuple[str, ...]]
    #: Slope on the core and annualised volatility, as the engine hands them to risk.
    betas: dict[str, Decimal]
    volatilities: dict[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """A data set, ready to be decided on."""

    #: Core first.
    instrument_ids: tuple[str, ...]
    #: +1 for a long core, -1 for a short one.
    core_sign: int
    instruments: tuple[Instrument, ...]
    bars: BarTable
    funding: tuple[FundingHistory, ...]
    path: PricePath
    costs: CostTable
    #: Last closes, NaN before the first; shape (rows, instruments).
    closes: Floats
    #: True where a feed stands still at the end of a bar.
    stale: Flags
    #: Decision instants, ns, and the row of the bar that opens at each.
    times_ns: Times
    rows: NDArray[np.int64]
    #: Row after the last block.
    row_end: int
    #: Quote notional traded in the 24 h until the end of a bar; shape (rows, instruments).
    volume_day_quote: Floats
    #: One encoded `SignalsView` per instant.
    signals: tuple[bytes, ...]
    #: Half the calm spread per instrument, bps.
    half_spreads_bps: tuple[Decimal, ...]
    #: Latency of the market feed, ms.
    feed_latency_ms: float
    #: Why decisions start where they do.
    start_reason: str

    def __len__(self) -> int:
        """Return the number of decisions."""
        return len(self.times_ns)

    @property
    def rules(self) -> dict[str, Instrument]:
        """Rules by instrument id."""
        return {each.instrument_id: each for each in self.instruments}

    def signals_view(self, index: int) -> SignalsView:
        """Return the signals at an instant."""
        return _DECODER.decode(self.signals[index])

    def row_after(self, index: int) -> int:
        """Return the row after the block that starts at an instant."""
        return int(self.rows[index + 1]) if index + 1 < len(self.rows) else self.row_end

    def instant(self, index: int) -> Instant:
        """Return what is known at an instant."""
        now_ns, row = int(self.times_ns[index]), int(self.rows[index])
        signals = self.signals_view(index)
        views: dict[str, InstrumentView] = {}
        marks: dict[str, Decimal] = {}
        marks_last: dict[str, Decimal] = {}
        missing: dict[str, tuple[str, ...]] = {}
        for column, instrument in enumerate(self.instruments):
            view = self._view(column, instrument, now_ns, row)
            name = instrument.instrument_id
            views[name] = view
            if view.missing:
                missing[name] = view.missing
            if view.mark is not None:
                marks_last[name] = view.mark
                if not view.missing:
                    marks[name] = view.mark
        return Instant(
            index=index,
            now_ns=now_ns,
            row=row,
            market=MarketView(
                now_ns=now_ns,
                instruments=views,
                latency_ms_p50=self.feed_latency_ms,
                latency_ms_p99=self.feed_latency_ms,
            ),
            signals=signals,
            instruments=self.rules,
            marks=marks,
            marks_last=marks_last,
            missing=missing,
            betas={name: decimal_from_float(beta) for name, beta in signals.beta.items()},
            volatilities={
                name: decimal_from_float(value)
                for name, value in signals.volatility_covariance.items()
            },
        )

    def _view(self, column: int, instrument: Instrument, now_ns: int, row: int) -> InstrumentView:
        close = float(self.closes[row - 1, column])
        mark = bid = ask = rate = next_ns = hours = age_ms = volume = None
        codes: tuple[str, ...] = ("MARK_MISSING",)
        if not isnan(close):
            mark = decimal_from_float(close)
            stale = bool(self.stale[row - 1, column])
            codes = ("MARK_STALE",) if stale else ()
            volume = float(self.volume_day_quote[row - 1, column])
            age_ms = self.bars.step_seconds * 1_000 if stale else 0
            if not stale:
                tick = instrument.tick_size
                half = close * float_from_decimal(self.half_spreads_bps[column]) / BPS_PER_ONE
                ticks = float_from_decimal(tick)
                bid = floor((close - half) / ticks) * tick
                ask = ceil((close + half) / ticks) * tick
        known = self.funding[column].known(now_ns)
        if known is not None:
            rate, next_ns, interval_ns = known
            hours = Decimal(interval_ns) / NS_PER_HOUR
        return InstrumentView(
            instrument=instrument,
            mark=mark,
            index=None,
            bid=bid,
            ask=ask,
            depth_quote=None,
            funding_rate=rate,
            funding_ns=next_ns,
            funding_interval_hours=hours,
            mark_age_ms=age_ms,
            book_age_ms=None if bid is None else 0,
            depth_fraction=None,
            spread_ratio=None,
            missing=codes,
            volume_quote=volume,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A tape without its signals, which are the costly part and can be computed in pieces."""

    bars: BarTable
    stale: Flags
    closes: Floats
    times_ns: Times
    rows: NDArray[np.int64]
    row_end: int
    start_reason: str


def signal_parameters(bar_seconds: int) -> SignalParameters:
    """Return the live parameters on the grid of the bars.

    The horizon stays 300 s where bars are shorter and divides, and is a bar where they are longer.
    """
    usual = SignalParameters()
    horizon = -(-usual.horizon_seconds // bar_seconds) * bar_seconds
    rising = -(-usual.volatility_rising_seconds // bar_seconds) * bar_seconds
    return SignalParameters(
        horizon_seconds=horizon, grid_seconds=bar_seconds, volatility_rising_seconds=rising
    )


def make_frame(bars: BarTable, start_ns: int | None, end_ns: int | None) -> Frame:
    """Return when decisions are made. Raises DataError where the bars do not allow any."""
    step_ns = max(DECISION_SECONDS * NS_PER_SECOND, bars.step_ns)
    if step_ns % bars.step_ns or bars.step_ns % NS_PER_MS:
        raise DataError(
            f"bars of {bars.step_seconds} s: allowed are lengths that divide {DECISION_SECONDS} s "
            "or are longer"
        )
    closes, stale = carried(bars.close), bars.stale()
    known = np.flatnonzero(~np.isnan(bars.close[:, 0]))
    first_ns = int(bars.open_ns[known[0]]) + WARM_DAYS_MIN * NS_PER_DAY
    reason = "asked for"
    if start_ns is None or start_ns < first_ns:
        reason = f"{WARM_DAYS_MIN} days of history are needed before the first decision"
        start_ns = first_ns
    last_ns = bars.end_ns if end_ns is None else min(end_ns, bars.end_ns)
    begin_ns = -(-start_ns // step_ns) * step_ns
    times_ns = np.arange(begin_ns, last_ns, step_ns, dtype=np.int64)
    rows = (times_ns - bars.open_ns[0]) // bars.step_ns
    row_end = int((last_ns - int(bars.open_ns[0])) // bars.step_ns)
    # A decision needs a whole bar after it.
    inside = rows < row_end
    if not inside.any():
        raise DataError(
            f"the bars span {(bars.end_ns - int(bars.open_ns[0])) / NS_PER_DAY:.2f} days: allowed "
            f"are more than {WARM_DAYS_MIN} before the last decision"
        )
    return Frame(
        bars=bars,
        stale=stale,
        closes=closes,
        times_ns=times_ns[inside],
        rows=rows[inside],
        row_end=row_end,
        start_reason=reason,
    )


def signal_views(frame: Frame, core_sign: int, first: int, last: int) -> tuple[bytes, ...]:
    """Return the encoded signals of the instants from `first` up to, without, `last`."""
    bars = frame.bars
    signals = Signals(
        bars.instrument_ids[0], core_sign, bars.instrument_ids, signal_parameters(bars.step_seconds)
    )
    ends_ns = (bars.open_ns + bars.step_ns).tolist()
    closes = np.where(frame.stale, np.nan, bars.close)
    row = int(frame.rows[0])
    signals.warm(_candles(bars, closes, row))
    views: list[bytes] = []
    for index in range(last):
        now_ns, until = int(frame.times_ns[index]), int(frame.rows[index])
        while row < until:
            values = closes[row].tolist()
            signals.observe(
                ends_ns[row],
                {n: v for n, v in zip(bars.instrument_ids, values, strict=True) if not isnan(v)},
            )
            row += 1
        if index >= first:
            views.append(_ENCODER.encode(signals.view(now_ns)))
    return tuple(views)


def make_tape(
    frame: Frame,
    signals: tuple[bytes, ...],
    core_sign: int,
    funding: tuple[FundingHistory, ...],
    assumptions: Assumptions,
) -> Tape:
    """Return the tape of a frame and the signals of all its instants."""
    bars = frame.bars
    firsts = [float(column[~np.isnan(column)][0]) for column in bars.close.T]
    instruments = tuple(
        make_instrument(assumptions, name, first)
        for name, first in zip(bars.instrument_ids, firsts, strict=True)
    )
    halves = [half_spread_bps(assumptions, name) for name in bars.instrument_ids]
    return Tape(
        instrument_ids=bars.instrument_ids,
        core_sign=core_sign,
        instruments=instruments,
        bars=bars,
        funding=funding,
        volume_day_quote=day_volume(bars),
        path=make_path(bars, 0),
        costs=make_costs(bars, frame.stale, np.array(halves), assumptions.impact_factor),
        closes=frame.closes,
        stale=frame.stale,
        times_ns=frame.times_ns,
        rows=frame.rows,
        row_end=frame.row_end,
        signals=signals,
        half_spreads_bps=tuple(decimal_from_float(half) for half in halves),
        feed_latency_ms=assumptions.feed_latency_ms,
        start_reason=frame.start_reason,
    )


def day_volume(bars: BarTable) -> Floats:
    """Return the quote notional of the 24 h until the end of each bar."""
    quote = np.nan_to_num(bars.volume * bars.close)
    rows = max(1, SECONDS_PER_DAY // bars.step_seconds)
    # Whole quotes keep the running sums exact: what was added is taken off to the last digit.
    sums = np.cumsum(np.rint(quote), axis=0)
    sums[rows:] -= sums[:-rows].copy()
    return sums


def _candles(bars: BarTable, closes: Floats, rows: int) -> dict[str, list[WarmCandle]]:
    opens_ns = bars.open_ns[:rows].tolist()
    return {
        name: [
            (open_ns, bars.step_seconds, close)
            for open_ns, close in zip(opens_ns, closes[:rows, column].tolist(), strict=True)
            if not isnan(close)
        ]
        for column, name in enumerate(bars.instrument_ids)
    }
