"""Thousands of seeds of scenarios over processes, and the worst of them by number."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import cache
from math import isfinite
from multiprocessing import get_context
from statistics import median
from typing import Any, Final

from counterpoise.domain.errors import SettingsError
from counterpoise.domain.units import NS_PER_MINUTE, NS_PER_SECOND
from counterpoise.exchange.history import history
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.scenarios.script import Scenario
from counterpoise.lab.assumptions import VENUES, Assumptions
from counterpoise.lab.result import LabDecision
from counterpoise.lab.stress.account import Outcome, StressRun
from counterpoise.lab.stress.markets import play
from counterpoise.lab.stress.tapes import (
    DARK_KINDS,
    OPENED_NS,
    SIGNAL_SECONDS,
    TAKING_KINDS,
    make_stress_tape,
)
from counterpoise.lab.tape import signal_parameters
from counterpoise.risk.guard import GuardParameters
from counterpoise.signals.state import Signals
from counterpoise.strategy.parameters import StrategyParameters

#: Seeds whose markets are computed at once.
BATCH_SEEDS: Final = 64
#: Market time after the scenario's end, and of a scenario without one, seconds.
AFTER_SECONDS: Final = 1_800.0
CALM_SECONDS: Final = 6 * 3_600.0
#: Longest market time of one seed: some scenarios end with a venue that never comes back.
SECONDS_MAX: Final = 86_400.0
#: History that signals are warmed with, one for all seeds.
WARM_SEED: Final = 0
WARM_CANDLE_MINUTES: Final = 5

#: Figures of the table: the name, and whether more is worse.
FIGURES: Final = {
    "liquidations": True,
    "leverage_max": True,
    "leverage_above_3_seconds": True,
    "day_worst_fraction": False,
    "drawdown_max_fraction": True,
    "naked_leg_seconds": True,
    "return_fraction": False,
}
#: Failing seeds that are listed.
LISTED_MAX: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class StressPlan:
    """What every seed is run with."""

    strategy: StrategyParameters
    guard: GuardParameters
    assumptions: Assumptions
    #: Seeds are `first_seed`, `first_seed` + 1, ...
    first_seed: int
    count: int
    #: Processes.
    workers: int = 1


def market_seconds(scenario: Scenario) -> float:
    """Return how long a seed of the scenario is played, seconds of its market."""
    # A fault that never ends does not make the scenario longer: phases and its beginning count.
    if not scenario.phases:
        return CALM_SECONDS
    return min(scenario.duration_seconds + AFTER_SECONDS, SECONDS_MAX)


def stress(
    plan: StressPlan, scenario: Scenario, told: Callable[[int], None] = lambda _: None
) -> list[Outcome]:
    """Return the outcome of every seed, in the order of the seeds; `told` hears of each batch."""
    seeds = range(plan.first_seed, plan.first_seed + plan.count)
    # Few seeds are shared out as well: every process gets some.
    each = min(BATCH_SEEDS, -(-plan.count // max(plan.workers, 1)))
    batches = [tuple(seeds[at : at + each]) for at in range(0, len(seeds), each)]
    if plan.workers <= 1 or len(batches) <= 1:
        found = []
        for batch in batches:
            found += _batch(plan, scenario, batch)
            told(len(batch))
        return found
    # A fresh interpreter each: nothing of the parent is inherited, on any platform.
    with ProcessPoolExecutor(plan.workers, mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_batch, plan, scenario, batch) for batch in batches]
        found = []
        for future in futures:
            part = future.result()
            told(len(part))
            found += part
        return found


def one_seed(
    plan: StressPlan, scenario: Scenario, seed: int
) -> tuple[Outcome, tuple[LabDecision, ...]]:
    """Return the outcome of one seed and every decision and act on the way."""
    parameters = _parameters(plan)
    markets = play(parameters, scenario, (seed,), market_seconds(scenario))
    tape, taken = make_stress_tape(
        parameters, scenario, markets, 0, plan.strategy.side, _warm(plan)
    )
    run = StressRun(tape, taken, plan.strategy, plan.assumptions, plan.guard)
    return run.live(seed), run.recorder.decisions()


def market_time(time_ns: int) -> str:
    """Return a moment as minutes and seconds since the opening."""
    seconds = (time_ns - OPENED_NS) / NS_PER_SECOND
    return f"{int(seconds // 60):4d}:{seconds % 60:05.2f}"


def summary(scenario: Scenario, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the worst, the middle and the failing seeds of a scenario, as JSON has them."""
    worst = {}
    middle = {}
    for name, more in FIGURES.items():
        values = [(getattr(each, name), each.seed) for each in outcomes]
        # Of equals the first seed.
        value, seed = max(values, key=lambda pair: (pair[0] if more else -pair[0], -pair[1]))
        worst[name] = {"value": _plain(value), "seed": seed}
        middle[name] = _plain(median(value for value, _ in values))
    failing = [each.seed for each in outcomes if each.failed]
    left_out = {each.kind for each in scenario.faults} - DARK_KINDS - TAKING_KINDS
    return {
        "seeds": len(outcomes),
        "first_seed": outcomes[0].seed,
        "market_seconds": market_seconds(scenario),
        "worst": worst,
        "median": middle,
        "seeds_liquidated": sum(each.liquidations > 0 for each in outcomes),
        "seeds_above_3": sum(each.leverage_max > 3.0 for each in outcomes),
        "failing_seeds": failing[:LISTED_MAX],
        "faults_left_out": sorted(left_out),
    }


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as JSON has it."""
    return {name: _plain(value) for name, value in asdict(outcome).items()}


def workers_usable() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _batch(plan: StressPlan, scenario: Scenario, seeds: tuple[int, ...]) -> list[Outcome]:
    parameters = _parameters(plan)
    markets = play(parameters, scenario, seeds, market_seconds(scenario))
    found = []
    for place, seed in enumerate(seeds):
        tape, taken = make_stress_tape(
            parameters, scenario, markets, place, plan.strategy.side, _warm(plan)
        )
        run = StressRun(tape, taken, plan.strategy, plan.assumptions, plan.guard)
        found.append(run.live(seed))
    return found


def _parameters(plan: StressPlan) -> ExchangeParameters:
    # The core comes first on a tape.
    strategy = plan.strategy
    return _ordered(plan.assumptions.venue, (strategy.core_instrument, *strategy.hedge_candidates))


@cache
def _ordered(venue: str, names: tuple[str, ...]) -> ExchangeParameters:
    listed = VENUES[venue]
    by_name = {each.instrument.instrument_id: each for each in listed.instruments}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise SettingsError(f"{unknown[0]}: allowed is one of {', '.join(sorted(by_name))}")
    return replace(listed, instruments=tuple(by_name[name] for name in names))


@cache
def _warmed(venue: str, names: tuple[str, ...], core_sign: int) -> Signals:
    # Thirty days of five minutes of one seed's calm market, up to the opening.
    parameters = replace(_ordered(venue, names), seed=WARM_SEED)
    past = history(parameters, OPENED_NS)
    ticks = [each.instrument.tick_size for each in parameters.instruments]
    step_ns = WARM_CANDLE_MINUTES * NS_PER_MINUTE
    first = -(-past.open_ns // step_ns) * step_ns
    offset = (first - past.open_ns) // NS_PER_MINUTE
    closes = past.bars[:, offset + WARM_CANDLE_MINUTES - 1 :: WARM_CANDLE_MINUTES, 3]
    signals = Signals(names[0], core_sign, names, signal_parameters(SIGNAL_SECONDS))
    signals.warm(
        {
            name: [
                (first + at * step_ns, step_ns // NS_PER_SECOND, close * float(tick))
                for at, close in enumerate(closes[column].tolist())
            ]
            for column, (name, tick) in enumerate(zip(names, ticks, strict=True))
        }
    )
    return signals


def _warm(plan: StressPlan) -> Signals:
    strategy = plan.strategy
    names = (strategy.core_instrument, *strategy.hedge_candidates)
    return signals_before(plan.assumptions.venue, names, strategy.side)


def signals_before(venue: str, names: tuple[str, ...], core_sign: int) -> Signals:
    """Return signals as they stand at the opening, the same for every seed; core first."""
    return deepcopy(_warmed(venue, names, core_sign))


def _plain(value: float) -> float | str:
    return value if isfinite(value) else "infinite"
