"""Time of one decision, of one view of the signals and of one sample, ten instruments, in µs.

Processor time, so that a busy neighbour shows less: the decisions follow a seeded market, the
signals are real ones fed with four days of minutes. Medians of rounds; only ratios carry over to
other machines.
"""

import random
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from math import exp
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.signals.parameters import SignalParameters
from counterpoise.signals.state import Signals
from counterpoise.strategy.decide import decide
from counterpoise.strategy.decision import DecisionAction, DecisionInputs
from counterpoise.strategy.parameters import POLICY_NAMES
from strategy_walk import NAMES, PARAMETERS, Walk

ROUNDS = 7
DECISIONS = 300
MINUTES = 4 * 24 * 60
START = 1_790_000_000 // 900 * 900


def microseconds(run: Callable[[], object], count: int) -> float:
    """Return the median over the rounds of one call's time."""
    taken = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for _ in range(count):
            run()
        taken.append((time.process_time() - started) / count * 1e6)
    return statistics.median(taken)


def decided(policy: str) -> dict[DecisionAction, list[DecisionInputs]]:
    """Return the inputs of a walk's decisions by what came of them."""
    found: dict[DecisionAction, list[DecisionInputs]] = {}
    for inputs, decision in Walk(1, replace(PARAMETERS, policy=policy)).decisions(DECISIONS):
        found.setdefault(decision.action, []).append(inputs)
    return found


def fed_signals() -> Signals:
    """Return signals after four days of one-minute marks."""
    source = random.Random(3)
    logs = [5.0 + place / 10 for place in range(len(NAMES))]
    signals = Signals(NAMES[0], 1, NAMES, SignalParameters(grid_seconds=60))
    for minute in range(MINUTES):
        shared = source.gauss(0.0, 6e-4)
        logs = [log + shared + source.gauss(0.0, 4e-4) for log in logs]
        marks = {name: exp(log) for name, log in zip(NAMES, logs, strict=True)}
        signals.observe((START + 60 * minute) * NS_PER_SECOND, marks)
    return signals


def decide_all(cases: list[DecisionInputs]) -> None:
    """Decide every case."""
    for case in cases:
        decide(case)


def main() -> None:
    """Print one line per figure."""
    for policy in POLICY_NAMES:
        for action, cases in sorted(decided(policy).items()):
            if len(cases) >= 10:
                each = microseconds(lambda cases=cases: decide_all(cases), 1) / len(cases)
                print(f"decide {policy:18} {action.value:10} {each:8.1f} us, {len(cases)} cases")
    signals = fed_signals()
    now_ns = (START + 60 * MINUTES) * NS_PER_SECOND
    marks = {name: float(Decimal(100 + place)) for place, name in enumerate(NAMES)}
    clock = [START + 60 * MINUTES]

    def view_anew() -> None:
        signals._viewed = None  # noqa: SLF001 - as after a sample
        signals.view(now_ns)

    print(f"signals.view                         {microseconds(view_anew, 200):8.1f} us")

    def observe() -> None:
        clock[0] += 60
        signals.observe(clock[0] * NS_PER_SECOND, marks)

    print(f"signals.observe (one sample)         {microseconds(observe, 600):8.1f} us")

    def cycle() -> None:
        for _ in range(15):
            observe()
        signals.view(clock[0] * NS_PER_SECOND)

    print(f"15 samples and a view                {microseconds(cycle, 60):8.1f} us")


if __name__ == "__main__":
    main()
