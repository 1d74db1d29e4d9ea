"""A market and its signals at one moment, from a venue's public data or from recorded bars.

The signals are the strategy's own `Signals`, warmed with the same candles as at the daemon's start.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from counterpoise.domain.errors import DataError
from counterpoise.domain.instruments import Instrument
from counterpoise.domain.rounding import decimal_from_float, float_from_decimal
from counterpoise.domain.units import NS_PER_DAY, NS_PER_MS, NS_PER_SECOND, SECONDS_PER_DAY
from counterpoise.lab.assumptions import Assumptions, make_instrument
from counterpoise.lab.bars import COLUMNS, finest_folder, read_bars, read_columns
from counterpoise.lab.funding import read_funding
from counterpoise.lab.tape import DECISION_SECONDS, make_frame, make_tape, signal_views
from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.ports import HistoricBar
from counterpoise.signals.parameters import SignalParameters
from counterpoise.signals.state import Signals
from counterpoise.signals.view import SignalsView
from counterpoise.signals.warming import WarmCandle
from counterpoise.venues.public_market import PublicMarket, Quote

#: History that is read, days.
DAYS: Final = 30
#: Candles of the warm-up: (length, seconds; how far back at most, days).
_STEPS: Final = ((300, DAYS), (60, 1))
#: Instruments asked for at once; ccxt's own limiter rules beneath.
_AT_ONCE: Final = 4
_MS: Final = 1_000


class Moment(NamedTuple):
    """What is known at one moment."""

    market: MarketView
    signals: SignalsView


def from_data(
    data: Path,
    funding: Path | None,
    instrument_ids: Sequence[str],
    core_sign: int,
    assumptions: Assumptions,
    end_ns: int | None = None,
) -> Moment:
    """Return the end of recorded bars; `instrument_ids` begins with the core.

    Spreads and, where the venue's set does not list an instrument, its rules are the
    laboratory's assumptions. Raises DataError.
    """
    last_ns = _end_ns(data, instrument_ids[0]) if end_ns is None else end_ns
    bars = read_bars(data, instrument_ids, last_ns - DAYS * NS_PER_DAY, last_ns)
    empty = [name for name in instrument_ids if np.isnan(bars.close[:, bars.column(name)]).all()]
    if empty:
        raise DataError(
            f"{data} has no bar of {', '.join(empty)} in the {DAYS} days before the end; leave it "
            "out, or fetch it"
        )
    # The last decision with a whole bar behind it.
    slot_ns = max(DECISION_SECONDS * NS_PER_SECOND, bars.step_ns)
    frame = make_frame(bars, (bars.end_ns - 1) // slot_ns * slot_ns, None)
    signals = signal_views(frame, core_sign, 0, len(frame.times_ns))
    rates = read_funding(data, funding, instrument_ids, assumptions.funding_rate)
    tape = make_tape(frame, signals, core_sign, rates, assumptions)
    instant = tape.instant(len(tape) - 1)
    return Moment(instant.market, instant.signals)


async def from_venue(
    public: PublicMarket,
    instrument_ids: Sequence[str],
    core_sign: int,
    parameters: SignalParameters,
    assumptions: Assumptions,
    days: int = DAYS,
) -> Moment:
    """Return the market as the venue's public data have it now; the core comes first.

    Margin tiers, which no score uses, are the laboratory's assumptions. Raises the `VenueError`
    family.
    """
    now_ms = await public.now_ms()
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(name: str) -> tuple[list[WarmCandle], Quote]:
        async with gate:
            return await _candles(public, name, now_ms, days), await public.quote(name, now_ms)

    found = await asyncio.gather(*(one(name) for name in instrument_ids))
    candles = {name: each[0] for name, each in zip(instrument_ids, found, strict=True)}
    now_ns = now_ms * NS_PER_MS
    views = {
        name: _view(public, name, candles[name], quote, now_ns, assumptions)
        for name, (_, quote) in zip(instrument_ids, found, strict=True)
    }
    signals = Signals(instrument_ids[0], core_sign, instrument_ids, parameters)
    signals.warm(candles)
    market = MarketView(now_ns=now_ns, instruments=views, latency_ms_p50=None, latency_ms_p99=None)
    return Moment(market, signals.view(now_ns))


def found_instruments(data: Path) -> tuple[str, ...]:
    """Return the instruments with bars under `data`, sorted. DataError: there are none."""
    folder, _ = finest_folder(data)
    return tuple(sorted(path.stem for path in folder.glob("*.parquet")))


def _end_ns(data: Path, core: str) -> int:
    folder, step_seconds = finest_folder(data)
    moments = read_columns(folder / f"{core}.parquet", COLUMNS[:1])[0]
    if not len(moments):
        raise DataError(f"{folder / core}.parquet has no row")
    return int(moments[-1]) * NS_PER_MS + step_seconds * NS_PER_SECOND


async def _candles(public: PublicMarket, name: str, now_ms: int, days: int) -> list[WarmCandle]:
    found: list[WarmCandle] = []
    for step_seconds, days_max in _STEPS:
        step_ms = step_seconds * _MS
        until_ms = now_ms // step_ms * step_ms
        since_ms = until_ms - min(days, days_max) * SECONDS_PER_DAY * _MS
        page_ms = public.bars_per_page("mark") * step_ms
        for first_ms in range(since_ms, until_ms, page_ms):
            end_ms = min(first_ms + page_ms, until_ms)
            bars = await public.bars(name, "mark", step_seconds, first_ms, end_ms)
            found += [_candle(bar, step_seconds) for bar in bars]
    return found


def _candle(bar: HistoricBar, step_seconds: int) -> WarmCandle:
    return (bar.open_ms * NS_PER_MS, step_seconds, bar.close)


def _view(
    public: PublicMarket,
    name: str,
    candles: Sequence[WarmCandle],
    quote: Quote,
    now_ns: int,
    assumptions: Assumptions,
) -> InstrumentView:
    newest = max(candles, default=None)
    mark = None if newest is None else decimal_from_float(newest[2])
    missing = [] if mark is not None else ["MARK_MISSING"]
    if quote.bid is None or quote.ask is None:
        missing.append("BOOK_MISSING")
    return InstrumentView(
        instrument=_rules(public, name, mark, assumptions),
        mark=mark,
        index=None,
        bid=quote.bid,
        ask=quote.ask,
        depth_quote=quote.depth_quote,
        funding_rate=quote.funding_rate,
        funding_ns=None,
        funding_interval_hours=quote.funding_interval_hours,
        mark_age_ms=None if newest is None else (now_ns - newest[0]) // NS_PER_MS,
        book_age_ms=0,
        depth_fraction=None,
        spread_ratio=None,
        missing=tuple(missing),
        volume_quote=quote.volume_quote,
    )


def _rules(
    public: PublicMarket, name: str, mark: Decimal | None, assumptions: Assumptions
) -> Instrument:
    listed = public.rules(name)
    assumed = make_instrument(assumptions, name, 1.0 if mark is None else float_from_decimal(mark))
    return replace(
        assumed,
        base=listed.base,
        quote=listed.quote,
        tick_size=listed.tick_size,
        lot_size=listed.lot_size,
        quantity_min=listed.quantity_min,
        notional_min=listed.notional_min,
        state=listed.state,
    )
