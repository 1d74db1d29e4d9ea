"""What a run leaves in memory: one `PolicyResult` per policy and the facts of the data.

Everything a report, a table or a file says of a backtest comes from here.
"""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from counterpoise.strategy.parameters import StrategyParameters

#: One figure per decision instant, or per instant and instrument.
Floats = NDArray[np.float64]
#: Moments, ns since the epoch, UTC.
Times = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """What a policy's account looked like, one row per decision.

    A row speaks of the block of bars that starts with its decision: `*_low`, `*_high`, `*_max` and
    `drawdown` of every point of the path within it, the other figures of its end, before the next
    decision.
    """

    #: Ends of the blocks, ns.
    times_ns: Times
    #: Equity at mark, quote.
    equity: Floats
    #: Lowest equity in the block, quote.
    equity_low: Floats
    #: Highest equity in the block, quote.
    equity_high: Floats
    #: 1 - equity / the highest equity so far, at the worst point of the block.
    drawdown: Floats
    #: Gross / equity; 0 = flat.
    leverage: Floats
    #: Highest gross / equity in the block; inf = equity was zero or less.
    leverage_max: Floats
    #: The same if the core stood at its worst while every hedge stood at its worst.
    leverage_max_adverse: Floats
    #: Net beta exposure / equity.
    net_beta: Floats
    #: Signed notional / equity, shape (blocks, instruments).
    legs: Floats
    #: Fees paid so far, quote.
    fees: Floats
    #: Lost to spread and impact against the reference price so far, quote.
    slippage: Floats
    #: Funding received so far, quote; negative = paid.
    funding: Floats
    #: Notional traded so far, quote.
    traded_notional: Floats
    #: Level of the regime the decision found, 0 calm to 3 cascade.
    regime: NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabFill:
    """One execution of the model."""

    #: When, ns.
    time_ns: int
    instrument_id: str
    #: "core" or "hedge".
    leg: str
    #: "cycle", "guard" or "liquidation".
    source: str
    #: Signed base units, + bought.
    quantity: Decimal
    #: Quote per base, costs included.
    price: Decimal
    #: Price of the path at that moment, quote per base.
    reference: Decimal
    #: Quote.
    fee: Decimal
    #: PnL it realised before the fee, quote.
    realised_pnl: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDecision:
    """One decision, or one act between two, as `--detail` writes it."""

    #: When, ns.
    time_ns: int
    #: "cycle", "guard" or "liquidation".
    kind: str
    #: "traded", "unchanged", "skipped" or "blocked"; of a guard act "traded".
    action: str
    #: Codes in the order the rules spoke.
    reasons: tuple[str, ...]
    #: One sentence.
    summary: str
    #: Equity at mark before it, quote; None = unknown.
    equity: Decimal | None
    #: Instrument -> signed notional wanted, multiples of equity; empty when skipped.
    targets: dict[str, float]
    #: Instrument -> signed notional held before it, multiples of equity.
    held: dict[str, float]
    #: What was filled.
    fills: tuple[LabFill, ...]
    #: What was not, and why.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A block-bootstrap interval of one figure."""

    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyResult:
    """Everything one policy did on one data set."""

    #: Name of the policy.
    name: str
    #: The numbers it ran with.
    parameters: StrategyParameters
    series: Series
    #: Days, as days since the epoch, and the return of equity in each.
    days: NDArray[np.int64]
    day_returns: Floats
    #: The figures by their published names (`lab.metrics.KEYS`).
    metrics: dict[str, float | int | None]
    #: Further figures (`lab.metrics.extras`).
    extras: dict[str, float | int | None]
    #: Bootstrap intervals by the figure's name; empty = not asked for.
    intervals: dict[str, Interval] = field(default_factory=dict)
    #: Empty unless details were asked for.
    decisions: tuple[LabDecision, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFacts:
    """What the policies were run on and what was assumed."""

    #: Instruments in the order of every array's columns, core first.
    instrument_ids: tuple[str, ...]
    core_id: str
    #: Length of a bar, seconds.
    bar_seconds: int
    #: First bar read and end of the last one, ns.
    bars_from_ns: int
    bars_to_ns: int
    #: First decision and end of the last block, ns.
    decisions_from_ns: int
    decisions_to_ns: int
    #: Why decisions start there, in words.
    decisions_from_reason: str
    #: Rows missing inside each instrument's span, bars.
    gaps: dict[str, int]
    #: Bars in which each instrument stood still without volume long enough to count as stale.
    stale: dict[str, int]
    #: Where funding comes from, per instrument: "venue", "proxy" or "assumed".
    funding: dict[str, str]
    #: Everything else that was assumed, name -> value, as it goes into every output.
    assumptions: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabResult:
    """A whole backtest or comparison."""

    data: DataFacts
    #: By policy name, in the order they were asked for.
    policies: dict[str, PolicyResult]
    #: Decision instants of `correlation`, ns.
    times_ns: Times
    #: Correlation of every instrument with the core, half-life 24 h, NaN = unknown;
    #: shape (instants, instruments).
    correlation: Floats
    #: Price of every instrument at the instants, quote, NaN = none yet.
    marks: Floats
