"""The laboratory and the daemon, given the same candles and account, decide the same.

The daemon's side is its real engine: candles warm its signals, marks and books arrive as events,
and the cycle writes its row. The laboratory's side reads bars, makes a tape and builds its own
inputs. `recompute` is shared; what is tested is that both ways lead to the same targets.
"""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

import engine_world
from counterpoise.domain.events import CycleDue
from counterpoise.domain.records import DecisionMade
from counterpoise.engine.cycle import CycleInputs, CycleOutputs, recompute
from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.backtest import PolicyRun
from counterpoise.ledger import codec
from counterpoise.risk.guard import GuardParameters
from lab_world import START_NS, tape_of, walk

NAMES = ("BTCUSDT", "ETHUSDT")
DAYS = 5
ROWS = DAYS * 288
WARM = ROWS - 3
ASSUMPTIONS = Assumptions(equity_start=Decimal(10_000))


def bars_of(seed):
    bars = walk(NAMES, ROWS, seed)
    # Prices of the instruments' own size, so that lots and ticks mean the same.
    size = np.array([500.0, 25.0])
    return replace(
        bars,
        open=bars.open * size,
        high=bars.high * size,
        low=bars.low * size,
        close=bars.close * size,
    )


def recorded_cycle(bars, positions, monkeypatch):
    """What the daemon's engine writes at the instant after the bar WARM - 1."""
    now_ns = int(bars.open_ns[WARM])
    marks = {n: Decimal(repr(float(bars.close[WARM - 1, c]))) for c, n in enumerate(NAMES)}
    monkeypatch.setattr(engine_world, "MARKS", marks)
    world = engine_world.World(now_ns=now_ns)
    world.state.signals.warm(
        {
            name: [
                (open_ns, bars.step_seconds, close)
                for open_ns, close in zip(
                    bars.open_ns[:WARM].tolist(), bars.close[:WARM, column].tolist(), strict=True
                )
            ]
            for column, name in enumerate(NAMES)
        }
    )
    world.market()
    wallet = str(ASSUMPTIONS.equity_start)
    told = {name: (quantity, entry) for name, (quantity, entry) in positions.items()}
    equity = ASSUMPTIONS.equity_start + sum(
        Decimal(quantity) * (marks[name] - Decimal(entry))
        for name, (quantity, entry) in positions.items()
    )
    account = {"wallet": wallet, "positions": told, "equity": str(equity)}
    world.reconcile(**account)
    world.feed(CycleDue(slot_ns=now_ns, now_ns=now_ns))
    world.reconcile("cycle", **account)
    (row,) = [each for each in world.records(DecisionMade) if each.kind == "cycle"]
    return (
        codec.decode(row.inputs, CycleInputs),
        codec.decode(row.outputs, CycleOutputs),
        world.state.strategy,
    )


def lab_cycle(bars, positions, parameters):
    """What the laboratory makes of the same bars and account, on its own way."""
    tape = replace(tape_of(bars, ASSUMPTIONS), instruments=engine_world.INSTRUMENTS)
    (index,) = np.flatnonzero(tape.times_ns == bars.open_ns[WARM])
    run = PolicyRun(tape, parameters, ASSUMPTIONS, GuardParameters())
    for name, (quantity, entry) in positions.items():
        price = Decimal(entry)
        run.account.trade(name, Decimal(quantity), price, Decimal(0), price, START_NS)
    instant = tape.instant(int(index))
    equity = run.account.equity(instant.marks_last)
    return run.inputs(instant, equity), run.decide(instant, equity)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(
    "positions",
    [
        {},
        {"BTCUSDT": ("0.2512", "49000.5"), "ETHUSDT": ("-2.115", "2600.25")},
        {"BTCUSDT": ("0.3", "52000")},
    ],
)
def test_both_decide_the_same(seed, positions, monkeypatch):
    bars = bars_of(seed)

    live_inputs, live, parameters = recorded_cycle(bars, positions, monkeypatch)
    lab_inputs, lab = lab_cycle(bars, positions, parameters)

    assert live.decision.targets == lab.decision.targets
    assert live.decision.changes == lab.decision.changes
    assert live.decision.waterfall == lab.decision.waterfall
    assert live.decision.action == lab.decision.action
    assert [each.quantity_approved for each in live.review] == [
        each.quantity_approved for each in lab.review
    ]
    assert replace(live.decision.memory, scale_ns=None) == replace(
        lab.decision.memory, scale_ns=None
    )
    assert live_inputs.decision.account.equity == lab_inputs.decision.account.equity
    assert live.decision.targets, "an empty decision would prove nothing"


def test_both_see_the_same_signals(monkeypatch):
    bars = bars_of(7)

    live_inputs, _, parameters = recorded_cycle(bars, {}, monkeypatch)
    lab_inputs, _ = lab_cycle(bars, {}, parameters)

    # The daemon samples marks on a finer grid; from candles both know the same.
    live, lab = live_inputs.decision.signals, lab_inputs.decision.signals
    assert codec.encode(live) == codec.encode(lab)


def test_a_recorded_cycle_is_recomputed_by_the_shared_function(monkeypatch):
    bars = bars_of(4)

    inputs, outputs, _ = recorded_cycle(bars, {}, monkeypatch)

    assert codec.encode(recompute(inputs)) == codec.encode(outputs)
