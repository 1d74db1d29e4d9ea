"""One seed's markets as a tape: what decisions may know, what fills cost, what went dark.

Costs come from the scenario's books instead of from recorded volume: half the widest spread of the
bar, and impact by the square-root law, scaled so that an order as large as the book within 25 bps
pays 12.5 bps on average, as it would through a book of even depth.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from statistics import median
from typing import Final

import msgspec
import numpy as np

from counterpoise.domain.instruments import Instrument
from counterpoise.domain.rounding import decimal_from_float, quantize_down, quantize_up
from counterpoise.domain.units import BPS_PER_ONE, NS_PER_HOUR, NS_PER_SECOND
from counterpoise.exchange.constants import Constants
from counterpoise.exchange.funding import funding_rate
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.scenarios.script import Scenario, ScenarioFault
from counterpoise.lab.bars import BarTable, Flags, Floats
from counterpoise.lab.costs import CostTable
from counterpoise.lab.funding import VENUE, FundingHistory
from counterpoise.lab.path import POINTS, make_path
from counterpoise.lab.stress.markets import BAR_SECONDS, Markets
from counterpoise.lab.tape import DECISION_SECONDS, Tape
from counterpoise.market.view import InstrumentView
from counterpoise.signals.state import Signals

#: The first decision, 2025-10-10 00:00 UTC, one bar behind the opening.
DECISIONS_FROM_NS: Final = 1_760_054_400 * NS_PER_SECOND
#: When the venue opens.
OPENED_NS: Final = DECISIONS_FROM_NS - BAR_SECONDS * NS_PER_SECOND
#: Bars whose median depth is the depth a decision sees (60 s).
DEPTH_ROWS: Final = 60 // BAR_SECONDS
#: Time between two samples of the signals, seconds. They weigh elapsed time, so a coarser grid than
#: the live one estimates the same figures with a little more noise, at a twelfth of the work.
SIGNAL_SECONDS: Final = 60
#: Average cost of an order as large as the book within 25 bps of mid, bps.
BOOK_COST_BPS: Final = 12.5
#: What funding stood at before the opening, fraction per interval.
FUNDING_BEFORE: Final = Decimal("0.0001")

#: Faults in which the daemon neither sees nor trades.
DARK_KINDS: Final = frozenset({"maintenance", "half_open", "silent_streams"})
#: Faults that take a position away.
TAKING_KINDS: Final = frozenset({"force_reduce", "liquidate"})

_ENCODER: Final = msgspec.msgpack.Encoder()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A position the venue takes away (auto-deleveraging)."""

    #: Point of the path at which it is gone.
    point: int
    instrument_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StressTape(Tape):
    """A tape that knows its books."""

    #: Depth within 25 bps over the calm one, and half the spread in bps; shape (rows, markets).
    depth_fraction: Floats
    half_spread_now_bps: Floats
    #: Calm depth within 25 bps, quote, by market.
    depth_calm: tuple[float, ...]

    def _view(self, column: int, instrument: Instrument, now_ns: int, row: int) -> InstrumentView:
        # A slotted dataclass is made twice, so that `super()` does not find itself in it.
        view = Tape._view(self, column, instrument, now_ns, row)  # noqa: SLF001
        if view.missing or view.mark is None:
            return view
        depth = median(self.depth_fraction[max(0, row - DEPTH_ROWS) : row, column].tolist())
        spread = float(self.half_spread_now_bps[row - 1, column])
        half = view.mark * decimal_from_float(spread) / BPS_PER_ONE
        calm = self.half_spreads_bps[column]
        return replace(
            view,
            bid=quantize_down(view.mark - half, instrument.tick_size),
            ask=quantize_up(view.mark + half, instrument.tick_size),
            depth_quote=decimal_from_float(round(depth * self.depth_calm[column], 2)),
            depth_fraction=depth,
            spread_ratio=spread / float(calm),
        )


def make_stress_tape(
    parameters: ExchangeParameters,
    scenario: Scenario,
    markets: Markets,
    place: int,
    core_sign: int,
    signals: Signals,
) -> tuple[StressTape, tuple[Taken, ...]]:
    """Return the tape of the seed at `place`, and what the venue takes away on it.

    `signals` are warm up to the opening; the tape's samples are added to them.
    """
    constants = Constants.of(parameters)
    instruments = tuple(each.instrument for each in parameters.instruments)
    names = tuple(each.instrument_id for each in instruments)
    rows = markets.close.shape[1]
    step_ns = BAR_SECONDS * NS_PER_SECOND
    bars = BarTable(
        instrument_ids=names,
        step_seconds=BAR_SECONDS,
        open_ns=OPENED_NS + step_ns * np.arange(rows, dtype=np.int64),
        open=markets.open[place],
        high=markets.high[place],
        low=markets.low[place],
        close=markets.close[place],
        volume=np.tile(constants.volume_day_quote, (rows, 1)),
    )
    dark = _dark(scenario, markets.fault_draws[place], rows)
    stale: Flags = np.tile(dark[:, None], (1, len(names)))
    decision_rows = np.arange(1, rows, DECISION_SECONDS // BAR_SECONDS, dtype=np.int64)
    depth = markets.depth_fraction[place]
    tape = StressTape(
        instrument_ids=names,
        core_sign=core_sign,
        instruments=instruments,
        bars=bars,
        funding=_fundings(parameters, scenario, markets.premium[place]),
        volume_day_quote=np.tile(constants.volume_day_quote, (rows, 1)),
        path=make_path(bars, 0),
        costs=CostTable(
            spread_bps=markets.half_spread_bps[place],
            impact_bps=BOOK_COST_BPS / np.sqrt(constants.depth_quote * depth),
            closed=stale,
        ),
        closes=bars.close,
        stale=stale,
        times_ns=bars.open_ns[decision_rows],
        rows=decision_rows,
        row_end=rows,
        signals=_views(signals, bars, dark, decision_rows.tolist()),
        half_spreads_bps=tuple(
            decimal_from_float(float(half) * BPS_PER_ONE) for half in constants.half_spread
        ),
        feed_latency_ms=20.0,
        start_reason="the scenario opens",
        depth_fraction=depth,
        half_spread_now_bps=markets.half_spread_bps[place],
        depth_calm=tuple(constants.depth_quote.tolist()),
    )
    return tape, _taken(scenario, markets.fault_draws[place], names)


def _views(
    signals: Signals, bars: BarTable, dark: Flags, decision_rows: list[int]
) -> tuple[bytes, ...]:
    views: list[bytes] = []
    row = 0
    ends_ns, closes = (bars.open_ns + bars.step_ns).tolist(), bars.close.tolist()
    for until in decision_rows:
        while row < until:
            if not dark[row] and ends_ns[row] % (SIGNAL_SECONDS * NS_PER_SECOND) == 0:
                signals.observe(
                    ends_ns[row], dict(zip(bars.instrument_ids, closes[row], strict=True))
                )
            row += 1
        views.append(_ENCODER.encode(signals.view(int(bars.open_ns[until]))))
    return tuple(views)


def _struck(scenario: Scenario, draws: Floats, kinds: frozenset[str]) -> list[ScenarioFault]:
    return [
        fault
        for fault, draw in zip(scenario.faults, draws.tolist(), strict=False)
        if fault.kind in kinds and draw < fault.probability
    ]


def _dark(scenario: Scenario, draws: Floats, rows: int) -> Flags:
    # Rows in which nothing is seen and nothing is filled.
    dark = np.zeros(rows, dtype=np.bool_)
    for fault in _struck(scenario, draws, DARK_KINDS):
        first = int(fault.at_seconds // BAR_SECONDS)
        lasting = fault.duration_seconds or BAR_SECONDS
        dark[first : first + int(-(-lasting // BAR_SECONDS))] = True
    return dark


def _taken(scenario: Scenario, draws: Floats, names: Sequence[str]) -> tuple[Taken, ...]:
    found = []
    for fault in _struck(scenario, draws, TAKING_KINDS):
        name = dict(fault.arguments).get("symbol")
        if name in names:
            row = int(fault.at_seconds // BAR_SECONDS)
            found.append(Taken(point=row * POINTS, instrument_id=str(name)))
    return tuple(sorted(found, key=lambda each: each.point))


def _fundings(
    parameters: ExchangeParameters, scenario: Scenario, premium: Floats
) -> tuple[FundingHistory, ...]:
    found = []
    for column, market in enumerate(parameters.instruments):
        name = market.instrument.instrument_id
        times, rates, intervals = [DECISIONS_FROM_NS], [FUNDING_BEFORE], [8 * NS_PER_HOUR]
        since = 0
        for row in range(1, len(premium) + 1):
            at_ns = OPENED_NS + row * BAR_SECONDS * NS_PER_SECOND
            if at_ns % NS_PER_HOUR or at_ns <= DECISIONS_FROM_NS:
                continue
            hours = _interval_hours(scenario, name, row) or market.funding_interval_hours
            if at_ns % (hours * NS_PER_HOUR):
                continue
            rates.append(
                funding_rate(
                    parameters.rules.funding_formula,
                    decimal_from_float(float(premium[since:row, column].mean())),
                    hours,
                    rate_max=market.funding_rate_cap or parameters.funding_rate_max,
                    rate_min=market.funding_rate_floor,
                )
            )
            times.append(at_ns)
            intervals.append(hours * NS_PER_HOUR)
            since = row
        found.append(
            FundingHistory(
                source=VENUE,
                times_ns=np.array(times, dtype=np.int64),
                rates=tuple(rates),
                intervals_ns=np.array(intervals, dtype=np.int64),
            )
        )
    return tuple(found)


def _interval_hours(scenario: Scenario, name: str, row: int) -> int | None:
    place = scenario.phase_at(row * BAR_SECONDS)
    if place is None:
        return None
    return scenario.phases[place].conditions(name).funding_interval_hours
