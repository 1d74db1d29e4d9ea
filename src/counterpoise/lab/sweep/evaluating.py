"""One set of numbers on one window: what a worker does, wherever it runs."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from counterpoise.domain.errors import DataError
from counterpoise.domain.rounding import float_from_decimal
from counterpoise.domain.units import NS_PER_DAY
from counterpoise.lab import metrics, running
from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.backtest import PolicyRun, run_policies
from counterpoise.lab.bars import read_bars
from counterpoise.lab.funding import FundingHistory, read_funding
from counterpoise.lab.running import Request
from counterpoise.lab.sweep.grid import Task, Window
from counterpoise.lab.sweep.results import Row
from counterpoise.lab.tape import WARM_DAYS, Frame, Tape, make_frame, make_tape, signal_views
from counterpoise.strategy.parameters import STRATEGY_VERSION

#: Tapes a worker keeps: one per set of assumptions.
TAPES_KEPT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A data set with its signals, computed once and sent to every worker once."""

    #: Tells data sets apart.
    token: str
    frame: Frame
    signals: tuple[bytes, ...]
    core_sign: int
    funding: tuple[FundingHistory, ...]

    @property
    def from_ns(self) -> int:
        """First decision, ns."""
        return int(self.frame.times_ns[0])

    @property
    def to_ns(self) -> int:
        """End of the last bar, ns."""
        bars = self.frame.bars
        return int(bars.open_ns[0]) + self.frame.row_end * bars.step_ns


def prepare(request: Request) -> Prepared:
    """Read the data and compute the signals. Raises SettingsError and DataError."""
    chosen = running.numbers(request)
    names = (request.core, *request.hedges)
    warm_ns = None if request.start_ns is None else request.start_ns - WARM_DAYS * NS_PER_DAY
    bars = read_bars(request.data, names, warm_ns, request.end_ns)
    funding = read_funding(request.data, request.funding, names, chosen.assumptions.funding_rate)
    frame = make_frame(bars, request.start_ns, request.end_ns)
    digest = hashlib.sha256(repr((names, bars.step_seconds, int(bars.open_ns[0]))).encode())
    for prices in (bars.open, bars.high, bars.low, bars.close, bars.volume):
        digest.update(np.ascontiguousarray(prices).tobytes())
    for history in funding:
        digest.update(repr((history.source, history.rates, history.assumed)).encode())
    return Prepared(
        token=digest.hexdigest(),
        frame=frame,
        signals=signal_views(frame, chosen.strategy.side, 0, len(frame.times_ns)),
        core_sign=chosen.strategy.side,
        funding=funding,
    )


def identity(prepared: Prepared, request: Request) -> dict[str, Any]:
    """Return all that is the same for every task of a sweep and decides its figures."""
    return {
        "data": prepared.token,
        "policy": request.policies[0],
        "changes": dict(sorted(request.changes.items())),
        "strategy_version": STRATEGY_VERSION,
    }


def evaluate(prepared: Prepared, request: Request, task: Task) -> Row:
    """Return the row of a task."""
    started = time.perf_counter()
    changes = {**request.changes, **task.changes}
    chosen = running.numbers(replace(request, changes=changes))
    tape = cut(_tape(_Held(prepared), chosen.assumptions), task.window)
    run = PolicyRun(
        tape,
        replace(chosen.strategy, policy=request.policies[0]),
        chosen.assumptions,
        chosen.guard,
    )
    run_policies(tape, (run,))
    outcome = running.make_outcome(tape, run, chosen.assumptions.equity_start)
    figures = metrics.figures(
        outcome.result.series,
        outcome.day_returns,
        None,
        equity_start=float_from_decimal(chosen.assumptions.equity_start),
        start_ns=outcome.start_ns,
        liquidations=outcome.liquidations,
        above_seconds=outcome.above_seconds,
    )
    return {
        "key": task.key,
        "data": prepared.token,
        "changes": task.changes,
        "window": _window(task.window),
        "figures": {name: _plain(value) for name, value in figures.items()},
        "day_returns": [float(value) for value in outcome.day_returns],
        "seconds": round(time.perf_counter() - started, 3),
    }


def cut(tape: Tape, window: Window) -> Tape:
    """Return the part of a tape whose decisions lie in a window. DataError: there are none."""
    low, high = (
        int(place) for place in np.searchsorted(tape.times_ns, [window.from_ns, window.to_ns])
    )
    if low >= high:
        raise DataError(f"no decision lies between {window.from_ns} and {window.to_ns} ns")
    return replace(
        tape,
        times_ns=tape.times_ns[low:high],
        rows=tape.rows[low:high],
        row_end=int(tape.rows[high]) if high < len(tape.rows) else tape.row_end,
        signals=tape.signals[low:high],
    )


class _Held:
    # A key of the cache: data sets are told apart by their token, not by their arrays.
    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared

    def __hash__(self) -> int:
        return hash(self.prepared.token)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and other.prepared.token == self.prepared.token


@lru_cache(maxsize=TAPES_KEPT)
def _tape(held: _Held, assumptions: Assumptions) -> Tape:
    prepared = held.prepared
    return make_tape(
        prepared.frame, prepared.signals, prepared.core_sign, prepared.funding, assumptions
    )


def _window(window: Window) -> Mapping[str, Any]:
    return {
        "part": window.part,
        "number": window.number,
        "from_ns": window.from_ns,
        "to_ns": window.to_ns,
    }


def _plain(value: float | None) -> float | None:
    return value if value is None else float(value) if isinstance(value, float) else int(value)
