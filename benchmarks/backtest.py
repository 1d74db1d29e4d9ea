"""A year of 1-minute bars of 10 symbols, decided every 15 minutes: ours beside its peers, one run.

Only the ratios carry over; times are of the processor, so that other work beside it counts little.
The peers run in an interpreter that has them:
`COUNTERPOISE_BENCH_PYTHON=/path/to/python`, or the first argument; without one they are left out.
`COUNTERPOISE_BENCH_DAYS` shortens the year. Peers are given their orders; ours decides, with the
live strategy, gate and guard, and checks margins within every bar.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.backtest import PolicyRun, run_policies
from counterpoise.lab.bars import BarTable
from counterpoise.lab.funding import assumed_funding
from counterpoise.lab.path import POINTS
from counterpoise.lab.tape import Tape, make_frame, make_tape, signal_views
from counterpoise.lab.watch import Watch
from counterpoise.risk.guard import GuardParameters
from counterpoise.strategy.parameters import StrategyParameters

NAMES = tuple(
    f"{base}USDT"
    for base in ["BTC", "ETH", "SOL", "XRP", "DOGE", "LTC", "LINK", "UNI", "ADA", "BNB"]
)
DAYS = int(os.environ.get("COUNTERPOISE_BENCH_DAYS", "365"))
MINUTES_PER_DAY = 1_440
ASSUMPTIONS = Assumptions()
RIVALS = Path(__file__).with_name("backtest_rivals.py")


def make_bars(seed: int) -> BarTable:
    """Return correlated random bars, three days more than are decided on."""
    random = np.random.default_rng(seed)
    rows, columns = (DAYS + 3) * MINUTES_PER_DAY, len(NAMES)
    shared = random.normal(0.0, 0.0004, rows)[:, None]
    closes = 100.0 * np.exp(np.cumsum(shared + random.normal(0.0, 0.0003, (rows, columns)), axis=0))
    opens = np.vstack((np.full((1, columns), 100.0), closes[:-1]))
    reach = np.abs(random.normal(0.0, 0.0003, (2, rows, columns)))
    return BarTable(
        instrument_ids=NAMES,
        step_seconds=60,
        open_ns=1_790_000_100 * 10**9 + np.arange(rows, dtype=np.int64) * 60 * 10**9,
        open=opens,
        high=np.maximum(opens, closes) * (1.0 + reach[0]),
        low=np.minimum(opens, closes) * (1.0 - reach[1]),
        close=closes,
        volume=np.full((rows, columns), 1e5),
    )


def watched(tape: Tape) -> float:
    """Return seconds for the margin checks of every bar alone, without a decision."""
    watch = Watch(tape, GuardParameters(), ASSUMPTIONS.taker_fee_bps)
    began = time.process_time()
    for index in range(len(tape)):
        first, last = int(tape.rows[index]) * POINTS, tape.row_after(index) * POINTS
        watch.figures(tape.path.points[first:last])
    return time.process_time() - began


def lived(tape: Tape, policy: str) -> float:
    """Return seconds for a whole backtest on a tape."""
    parameters = StrategyParameters(
        core_instrument=NAMES[0], hedge_candidates=NAMES[1:], policy=policy
    )
    began = time.process_time()
    run_policies(tape, [PolicyRun(tape, parameters, ASSUMPTIONS, GuardParameters())])
    return time.process_time() - began


def rivals(python: str, bars: BarTable) -> dict[str, float]:
    """Return symbol-bars per second of every peer that the interpreter has."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bars.npz"
        np.savez(path, **{f: getattr(bars, f) for f in ("open", "high", "low", "close", "volume")})
        done = subprocess.run(
            [python, str(RIVALS), str(path)], capture_output=True, check=True, text=True
        )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print."""
    bars = make_bars(seed=7)
    symbol_bars = DAYS * MINUTES_PER_DAY * len(NAMES)
    frame = make_frame(bars, None, None)
    began = time.process_time()
    views = signal_views(frame, 1, 0, len(frame.times_ns))
    signals = time.process_time() - began
    funding = tuple(assumed_funding(ASSUMPTIONS.funding_rate) for _ in NAMES)
    tape = make_tape(frame, views, 1, funding, ASSUMPTIONS)
    seconds = {
        "margin checks alone (limit)": watched(tape),
        "whole run, policy flat": lived(tape, "flat"),
        "whole run, policy static_hedge": lived(tape, "static_hedge"),
        "whole run, policy counterpoise": lived(tape, "counterpoise"),
        "signals, once per data set": signals,
    }
    rates = {name: symbol_bars / each for name, each in seconds.items()}
    python = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("COUNTERPOISE_BENCH_PYTHON")
    peers = rivals(python, bars) if python else {}
    print(f"{len(NAMES)} symbols, {DAYS} days of 1-minute bars, {len(tape)} decisions")
    print(f"{'':34}{'symbol-bars/s':>16}" + "".join(f"{'x ' + name:>24}" for name in peers))
    for name, rate in {**rates, **peers}.items():
        print(f"{name:34}{rate:16,.0f}" + "".join(f"{rate / p:24.3f}" for p in peers.values()))
    if not peers:
        print("no peers: name an interpreter with vectorbt and backtrader as the argument")


if __name__ == "__main__":
    main()
