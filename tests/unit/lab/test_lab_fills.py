"""What an order's limit covers is filled, and nothing else."""

from decimal import Decimal

import numpy as np
import pytest

from counterpoise.lab.assumptions import Assumptions
from lab_world import quiet, ran, table, tape_of

NAME = "BTCUSDT"
FLAT = (50_000.0,) * 4


def lived(rows, volume=1e6, **changes):
    assumptions = Assumptions(**{"spread_factor": 0.0, "impact_factor": 0.0, **changes})
    bars = table({NAME: [*quiet(50_000.0), *rows]}, volume=volume)
    return ran(tape_of(bars, assumptions), assumptions, policy="unhedged")


def first(run):
    return run.recorder.decisions()[0]


def test_an_increase_does_not_chase_a_jump_beyond_its_limit():
    # The decision is priced at 50,000 with 20 bps of room: up to 50,100.
    inside = lived([(50_090.0,) * 4, FLAT])
    outside = lived([(50_110.0,) * 4, (50_110.0,) * 4])

    (fill,) = first(inside).fills
    assert (fill.quantity, fill.price) == (3, 50_090)
    assert first(outside).fills == ()
    assert first(outside).notes == (f"{NAME}: 3 not filled within the limit",)
    # The next decision is priced where the market stands then.
    (later,) = outside.recorder.decisions()[1].fills
    assert later.price == 50_110


def test_a_better_price_is_taken_as_it_is():
    (fill,) = first(lived([(49_900.0,) * 4, FLAT])).fills

    assert fill.price == fill.reference == 49_900


def test_latency_takes_the_price_further_along_the_way():
    # The bar rises: first its low, 300 s from the open; 30 s are a tenth of that.
    run = lived([(50_000.0, 50_100.0, 49_900.0, 50_050.0), FLAT], latency_ms=30_000)

    (fill,) = first(run).fills
    assert fill.reference == 49_990


def test_a_large_order_fills_as_far_as_its_limit_covers():
    # Every bar spans 1 % and trades little: the square root of the notional reaches 20 bps.
    wide = (50_000.0, 50_250.0, 49_750.0, 50_000.0)
    run = lived([wide, wide, wide], impact_factor=1.0, volume=1.0)
    filled = first(run).fills

    # Three tries of the same order, each as large as 20 bps of impact allow.
    assert len(filled) == 3
    sizes = [fill.quantity for fill in filled]
    assert sizes[0] == sizes[1] == sizes[2]
    assert sum(sizes) < 3
    for fill in filled:
        paid_bps = float(fill.price / fill.reference - 1) * 1e4
        assert paid_bps == pytest.approx(20.0, abs=0.1)
    assert first(run).notes[0].endswith("not filled within the limit")


def test_costs_are_what_the_account_lost():
    run = lived([FLAT, FLAT], spread_factor=5.0, taker_fee_bps=Decimal(4))
    (fill,) = first(run).fills
    equity = run.recorder.series().equity

    assert fill.price == Decimal(50005)
    assert fill.fee == 3 * Decimal(50005) * 4 / 10_000
    assert np.allclose(equity, 100_000 - 15 - float(fill.fee))
    assert run.account.slippage == 15
