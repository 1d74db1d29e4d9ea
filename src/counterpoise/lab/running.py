"""From a request to a result: reads data, computes the tape, lives through it with each policy."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from functools import partial
from itertools import pairwise
from multiprocessing import get_all_start_methods, get_context
from pathlib import Path
from typing import Any, Final

import numpy as np

from counterpoise.domain.errors import SettingsError
from counterpoise.domain.rounding import float_from_decimal
from counterpoise.domain.units import NS_PER_DAY
from counterpoise.lab import bootstrap, metrics
from counterpoise.lab.assumptions import Assumptions, described, is_listed
from counterpoise.lab.backtest import PolicyRun, run_policies
from counterpoise.lab.bars import Floats, read_bars
from counterpoise.lab.funding import PROXY, FundingHistory, read_funding
from counterpoise.lab.result import DataFacts, LabResult, PolicyResult
from counterpoise.lab.tape import WARM_DAYS, Frame, Tape, make_frame, make_tape, signal_views
from counterpoise.risk.guard import GuardParameters
from counterpoise.strategy.parameters import POLICY_NAMES, StrategyParameters

#: The policy every other one's hedge is measured against.
UNHEDGED: Final = "unhedged"
#: What a policy costs to run, against the others; only to share the work evenly.
_EFFORT: Final = {"counterpoise": 4, "minimum_variance": 3, "price_correlation": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is to be run."""

    #: Directory with `ohlcv_<timeframe>/SYMBOL.parquet`.
    data: Path
    #: Instrument of the core.
    core: str
    #: Hedge candidates in order of preference.
    hedges: tuple[str, ...]
    #: First and last moment, ns; None = all there is.
    start_ns: int | None = None
    end_ns: int | None = None
    #: Names out of `POLICY_NAMES`.
    policies: tuple[str, ...] = POLICY_NAMES
    #: Directory of another venue's funding; None = the data's own.
    funding: Path | None = None
    #: Parameters by name, as text: the strategy's, the guard's and the assumptions'.
    changes: dict[str, str] = field(default_factory=dict)
    #: True = every decision is kept.
    details: bool = False
    #: True = bootstrap intervals are computed.
    intervals: bool = False
    #: Processes.
    workers: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """The three sets of numbers a run uses."""

    strategy: StrategyParameters
    guard: GuardParameters
    assumptions: Assumptions


def numbers(request: Request) -> Numbers:
    """Return the numbers with the request's changes.

    Raises SettingsError naming the parameter, the value and what is allowed.
    """
    unknown = [name for name in request.policies if name not in POLICY_NAMES]
    if unknown:
        raise SettingsError(f"--policy {unknown[0]}: allowed is {', '.join(POLICY_NAMES)}")
    defaults = (StrategyParameters, GuardParameters, Assumptions)
    names = {each.name for owner in defaults for each in fields(owner)} - {
        "core_instrument",
        "hedge_candidates",
        "policy",
    }
    for name, value in request.changes.items():
        if name not in names:
            raise SettingsError(
                f"--set {name}={value}: allowed is one of {', '.join(sorted(names))}"
            )
    try:
        return Numbers(
            strategy=StrategyParameters(
                core_instrument=request.core,
                hedge_candidates=request.hedges,
                **_changed(StrategyParameters, request.changes),
            ),
            guard=GuardParameters(**_changed(GuardParameters, request.changes)),
            assumptions=Assumptions(**_changed(Assumptions, request.changes)),
        )
    except ValueError as wrong:
        raise SettingsError(f"--set {wrong}") from wrong


def run(request: Request) -> LabResult:
    """Run every policy asked for on the same data. Raises SettingsError and DataError."""
    chosen = numbers(request)
    frame, funding = _read(request, chosen)
    side = chosen.strategy.side
    names = tuple(dict.fromkeys((*request.policies, UNHEDGED)))
    with _pool(request.workers, frame) as pool:
        signals = _signals(pool, frame, side, request.workers)
    tape = make_tape(frame, signals, side, funding, chosen.assumptions)
    shares = _shares(names, request.workers)
    with _pool(len(shares), (tape, chosen, request.details)) as pool:
        parts = _mapped(pool, _run_share, shares)
    outcomes = {outcome.name: outcome for part in parts for outcome in part}
    unhedged = outcomes[UNHEDGED].day_returns
    policies = {
        name: _completed(outcomes[name], unhedged, chosen, intervals=request.intervals)
        for name in request.policies
    }
    return LabResult(
        data=_facts(request, tape, chosen),
        policies=policies,
        times_ns=tape.times_ns,
        correlation=_correlations(tape),
        marks=tape.closes[tape.rows - 1],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    # What comes back from a worker: a result without the figures that need the unhedged account.
    name: str
    result: PolicyResult
    day_returns: Floats
    start_ns: int
    liquidations: int
    above_seconds: float
    above_jumps: int
    guard_acts: int
    trades: int


def make_outcome(tape: Tape, policy_run: PolicyRun, equity_start: Decimal) -> _Outcome:
    """Return what a finished run leaves."""
    series = policy_run.recorder.series()
    start_ns = int(tape.times_ns[0])
    days, returns = metrics.daily_returns(series, float_from_decimal(equity_start), start_ns)
    name = policy_run.parameters.policy
    return _Outcome(
        name=name,
        result=PolicyResult(
            name=name,
            parameters=policy_run.parameters,
            series=series,
            days=days,
            day_returns=returns,
            metrics={},
            extras={},
            decisions=policy_run.recorder.decisions(),
        ),
        day_returns=returns,
        start_ns=start_ns,
        liquidations=policy_run.liquidations,
        above_seconds=policy_run.watch.above_seconds,
        above_jumps=policy_run.watch.above_jumps,
        guard_acts=policy_run.recorder.guard_acts,
        trades=policy_run.recorder.trades,
    )


def _completed(
    outcome: _Outcome, unhedged: Floats, chosen: Numbers, *, intervals: bool
) -> PolicyResult:
    series = outcome.result.series
    return replace(
        outcome.result,
        metrics=metrics.figures(
            series,
            outcome.day_returns,
            unhedged,
            equity_start=float_from_decimal(chosen.assumptions.equity_start),
            start_ns=outcome.start_ns,
            liquidations=outcome.liquidations,
            above_seconds=outcome.above_seconds,
        ),
        extras=metrics.extras(
            series,
            outcome.day_returns,
            unhedged,
            start_ns=outcome.start_ns,
            above_jumps=outcome.above_jumps,
            guard_acts=outcome.guard_acts,
            trades=outcome.trades,
        ),
        intervals=bootstrap.intervals(outcome.day_returns) if intervals else {},
    )


def _read(request: Request, chosen: Numbers) -> tuple[Frame, tuple[FundingHistory, ...]]:
    ids = (request.core, *request.hedges)
    warm_ns = None if request.start_ns is None else request.start_ns - WARM_DAYS * NS_PER_DAY
    bars = read_bars(request.data, ids, warm_ns, request.end_ns)
    funding = read_funding(request.data, request.funding, ids, chosen.assumptions.funding_rate)
    return make_frame(bars, request.start_ns, request.end_ns), funding


def _signals(
    pool: Executor | None, frame: Frame, core_sign: int, workers: int
) -> tuple[bytes, ...]:
    # Every piece lives through all samples before it, which is cheap, and looks at its own only.
    count = len(frame.times_ns)
    edges = [count * place // workers for place in range(workers + 1)]
    spans = [(core_sign, low, high) for low, high in pairwise(edges)]
    if pool is None:
        return tuple(view for span in spans for view in signal_views(frame, *span))
    return tuple(view for part in pool.map(_signal_share, spans) for view in part)


_HELD: Any = None


def _hold(held: Any) -> None:
    # Workers keep what all their tasks share; a forked one has it without a copy.
    global _HELD  # noqa: PLW0603 - one value per process, set once at its start
    _HELD = held


def _signal_share(span: tuple[int, int, int]) -> tuple[bytes, ...]:
    return signal_views(_HELD, *span)


def _run_share(names: tuple[str, ...]) -> list[_Outcome]:
    return _run_on(_HELD, names)


def _run_on(held: tuple[Tape, Numbers, bool], names: tuple[str, ...]) -> list[_Outcome]:
    tape, chosen, details = held
    runs = [
        PolicyRun(
            tape,
            replace(chosen.strategy, policy=name),
            chosen.assumptions,
            chosen.guard,
            details=details,
        )
        for name in names
    ]
    run_policies(tape, runs)
    return [make_outcome(tape, each, chosen.assumptions.equity_start) for each in runs]


@contextmanager
def _pool(workers: int, held: Any) -> Iterator[Executor | None]:
    if workers <= 1:
        _hold(held)
        yield None
        return
    method = "fork" if "fork" in get_all_start_methods() else "spawn"
    with ProcessPoolExecutor(
        workers, mp_context=get_context(method), initializer=partial(_hold, held)
    ) as pool:
        yield pool


def _mapped(
    pool: Executor | None, work: Any, shares: Sequence[tuple[str, ...]]
) -> list[list[_Outcome]]:
    return [work(share) for share in shares] if pool is None else list(pool.map(work, shares))


def _shares(names: tuple[str, ...], workers: int) -> list[tuple[str, ...]]:
    # The costly policies first, each to the worker with least to do.
    shares: list[list[str]] = [[] for _ in range(min(workers, len(names)))]
    efforts = [0] * len(shares)
    for name in sorted(names, key=lambda each: -_EFFORT.get(each, 1)):
        place = efforts.index(min(efforts))
        shares[place].append(name)
        efforts[place] += _EFFORT.get(name, 1)
    return [tuple(share) for share in shares]


def _changed(owner: type[Any], changes: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in fields(owner):
        if each.name in changes:
            found[each.name] = _value(each.name, each.type, changes[each.name])
    return found


def _value(name: str, kind: object, text: str) -> object:
    readers = {float: float, int: int, Decimal: Decimal, str: str}
    if kind is bool:
        if text not in {"true", "false"}:
            raise ValueError(f"{name}={text}: allowed is true or false")
        return text == "true"
    if kind == tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    try:
        return readers[kind](text)  # type: ignore[index]
    except (ValueError, InvalidOperation):
        raise ValueError(f"{name}={text}: allowed is a number") from None


def _correlations(tape: Tape) -> Floats:
    rows = np.full((len(tape), len(tape.instrument_ids)), np.nan)
    for index in range(len(tape)):
        known = tape.signals_view(index).correlation_core_medium
        for column, name in enumerate(tape.instrument_ids):
            rows[index, column] = known.get(name, np.nan)
    return rows


def _facts(request: Request, tape: Tape, chosen: Numbers) -> DataFacts:
    bars = tape.bars
    sources = {
        name: history.source
        for name, history in zip(tape.instrument_ids, tape.funding, strict=True)
    }
    assumed = described(chosen.assumptions)
    assumed["changed"] = dict(sorted(request.changes.items()))
    assumed["rules_assumed_for"] = [
        name for name in tape.instrument_ids if not is_listed(chosen.assumptions, name)
    ]
    if PROXY in sources.values() and request.funding is not None:
        assumed["funding_proxy"] = request.funding.name
    return DataFacts(
        instrument_ids=tape.instrument_ids,
        core_id=request.core,
        bar_seconds=bars.step_seconds,
        bars_from_ns=int(bars.open_ns[0]),
        bars_to_ns=bars.end_ns,
        decisions_from_ns=int(tape.times_ns[0]),
        decisions_to_ns=int(bars.open_ns[0]) + tape.row_end * bars.step_ns,
        decisions_from_reason=tape.start_reason,
        gaps=bars.gaps(),
        stale={
            name: int(tape.stale[:, column].sum())
            for column, name in enumerate(tape.instrument_ids)
        },
        funding=sources,
        assumptions=assumed,
    )
