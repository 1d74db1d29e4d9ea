"""Ten bars, one core, one funding charge, one act of the guard: every figure worked out by hand.

Three quiet days at 50,000 go before, since no decision is made without history. Fees are 5 bps,
the calm half spread is 1 bps (0.2 x 5), impact is off, latency is 300 ms of stretches that last
300 s. The guard acts at leverage 1.8 and reduces to 1.6.
"""

from decimal import Decimal
from math import sqrt

import numpy as np
import pytest

from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.metrics import daily_returns, figures
from counterpoise.risk.guard import GuardParameters
from lab_world import DAY_NS, START_NS, charged, quiet, ran, table, tape_of

BARS = [
    # open, high, low, close
    (50_000, 50_000, 50_000, 50_000),
    (50_000, 52_000, 50_000, 52_000),
    (52_000, 52_500, 48_000, 49_000),
    (49_000, 49_000, 34_000, 36_000),
    *[(36_000, 36_000, 36_000, 36_000)] * 6,
]
SECOND_NS = 10**9
FIRST_NS = START_NS + 3 * DAY_NS


@pytest.fixture(scope="module")
def finished():
    assumptions = Assumptions(latency_ms=300, spread_factor=5.0, impact_factor=0.0)
    guard = GuardParameters(leverage_trigger=Decimal("1.8"), leverage_target=Decimal("1.6"))
    bars = table({"BTCUSDT": [*quiet(50_000), *BARS]})
    funding = charged([FIRST_NS + 1_800 * SECOND_NS], ["0.0001"])
    return ran(tape_of(bars, assumptions, (funding,)), assumptions, guard, policy="unhedged")


def test_ten_bars_are_ten_decisions(finished):
    cycles = [each for each in finished.recorder.decisions() if each.kind == "cycle"]

    assert [(each.time_ns - FIRST_NS) // (900 * SECOND_NS) for each in cycles] == list(range(10))


def test_the_first_decision_buys_the_base(finished):
    # Base 0.6 x 2.5 = 1.5 of 100,000 = 150,000, at 50,000 that is 3 BTC.
    # Price 50,000 x (1 + 1 bps) = 50,005; fee 3 x 50,005 x 5 bps = 75.0075.
    fill = finished.recorder.decisions()[0].fills[0]

    assert (fill.quantity, fill.price, fill.fee) == (3, 50_005, Decimal("75.0075"))
    assert fill.reference == 50_000
    assert fill.time_ns - FIRST_NS == 300_000_000


def test_equity_follows_the_closes(finished):
    # Wallet 100,000 - 75.0075 = 99,924.9925.
    # Bar 0: 99,924.9925 + 3 x (50,000 - 50,005) =  99,909.9925
    # Bar 1: 99,924.9925 + 3 x (52,000 - 50,005) = 105,909.9925
    # Funding before bar 2: 3 x 52,000 x 0.0001 = 15.6 paid: wallet 99,909.3925.
    # Bar 2: 99,909.3925 + 3 x (49,000 - 50,005) =  96,894.3925
    equity = finished.recorder.series().equity

    assert equity[:3].tolist() == pytest.approx([99_909.9925, 105_909.9925, 96_894.3925])
    assert finished.account.funding == Decimal("-15.6")


def test_drawdown_is_taken_at_the_extremes(finished):
    # Bar 2 falls, so it visits its high first: 99,909.3925 + 3 x 2,495 = 107,394.3925 is the peak,
    # then its low: 99,909.3925 - 3 x 2,005 = 93,894.3925.
    # 1 - 93,894.3925 / 107,394.3925 = 0.12570488724...
    series = finished.recorder.series()

    assert series.equity_high[2] == pytest.approx(107_394.3925)
    assert series.equity_low[2] == pytest.approx(93_894.3925)
    assert series.drawdown[2] == pytest.approx(0.1257048872, abs=1e-10)


def test_the_guard_acts_where_leverage_crosses(finished):
    # 3 P = 1.8 x (99,909.3925 + 3 P - 150,015), so P = 1.8 x 50,105.6075 / (0.8 x 3)
    # = 37,579.205625. Equity there 99,909.3925 + 3 x (P - 50,005) = 62,632.009375.
    # On the stretch from 49,000 to 34,000 that is 11,420.794375 / 15,000 = 0.7613862917 of 300 s;
    # the stretch begins 300 s into bar 3: 2,700 + 300 + 228.41588750 s.
    act = next(each for each in finished.recorder.decisions() if each.kind == "guard")

    assert act.reasons == ("LEVERAGE",)
    assert float(act.equity) == pytest.approx(62_632.009375, abs=1e-3)
    assert (act.time_ns - FIRST_NS) / SECOND_NS == pytest.approx(3_228.4158875, abs=1e-5)


def test_the_guard_reduces_to_its_target(finished):
    # Gross 3 x 37,579.205625 = 112,737.616875; excess over 1.6 x 62,632.009375 = 100,211.215 is
    # 12,526.401875; with its own cost / (1 - 1.6 x 15 bps) = 12,556.537565; of gross 0.111378420,
    # of 3 BTC 0.33413526, up to the next lot 0.3342.
    # 300 ms later the price is 15,000 x 0.001 = 15 lower: 37,564.205625. The hour's volatility is
    # all there is in 292 bars, of which 4 are the hour: the spread is sqrt(292 / 4) = 8.544 times
    # the calm one, and the price 37,564.205625 x (1 - 8.544 bps) = 37,532.1107.
    # Fee 0.3342 x 37,532.1107 x 5 bps = 6.2716.
    # Realised 0.3342 x (37,532.1107 - 50,005) = -4,168.4396.
    act = next(each for each in finished.recorder.decisions() if each.kind == "guard")
    (fill,) = act.fills

    assert fill.quantity == Decimal("-0.3342")
    assert float(fill.reference) == pytest.approx(37_564.205625, abs=1e-3)
    spread = sqrt(292 / 4) * 1e-4
    assert float(fill.price) == pytest.approx(37_564.205625 * (1 - spread), abs=1e-3)
    assert float(fill.fee) == pytest.approx(6.2716, abs=1e-4)
    assert float(fill.realised_pnl) == pytest.approx(-4_168.4396, abs=1e-3)


def test_the_rest_of_the_bar_is_lived_with_the_rest_of_the_book(finished):
    # Wallet 99,909.3925 - 4,168.4396 - 6.2716 = 95,734.6813; 2.6658 BTC are left.
    # Low 34,000: 95,734.6813 - 2.6658 x 16,005 = 53,068.5523.
    # Close 36,000: 95,734.6813 - 2.6658 x 14,005 = 58,400.1523.
    # Highest leverage: at the fill, before it: 3 x 37,564.205625 / 62,587.009375 = 1.800575.
    series = finished.recorder.series()

    assert series.equity_low[3] == pytest.approx(53_068.5523, abs=1e-3)
    assert series.equity[3] == pytest.approx(58_400.1523, abs=1e-3)
    assert series.leverage_max[3] == pytest.approx(1.800575, abs=1e-6)
    assert series.leverage[3] == pytest.approx(2.6658 * 36_000 / 58_400.1523, abs=1e-6)


def test_nothing_else_happens(finished):
    # The policy keeps what the guard left; prices stand still.
    series = finished.recorder.series()

    assert np.ptp(series.equity[3:]) == 0.0
    assert finished.account.quantity("BTCUSDT") == Decimal("2.6658")
    assert finished.liquidations == 0


def test_the_published_figures(finished):
    # All ten bars lie in one day: 58,400.1523 / 100,000 - 1 = -0.415998.
    # Drawdown: 1 - 53,068.5523 / 107,394.3925 = 0.505854.
    # Traded 150,015 + 0.3342 x 37,532.1107 = 162,558.2314, mean equity of the ten ends 71,151.5...
    # Costs: fees 81.2791 + slippage 15 + 0.3342 x 32.0949 = 25.7261.
    series = finished.recorder.series()
    days, returns = daily_returns(series, 100_000.0, FIRST_NS)
    found = figures(
        series,
        returns,
        returns,
        equity_start=100_000.0,
        start_ns=FIRST_NS,
        liquidations=finished.liquidations,
        above_seconds=finished.watch.above_seconds,
    )
    mean = (99_909.9925 + 105_909.9925 + 96_894.3925 + 7 * 58_400.1523) / 10
    years = 9_000 / (365 * 86_400)

    assert days.tolist() == [FIRST_NS // DAY_NS]
    assert found["return_fraction"] == pytest.approx(-0.415998, abs=1e-6)
    assert found["drawdown_max_fraction"] == pytest.approx(0.505854, abs=1e-6)
    assert found["day_worst_fraction"] == found["cvar99_day_fraction"] == returns[0]
    assert found["turnover"] == pytest.approx(162_558.2314 / mean / years, rel=1e-8)
    assert found["cost_fraction"] == pytest.approx((81.2791 + 25.7261) / mean, rel=1e-6)
    assert found["funding_fraction"] == pytest.approx(-15.6 / mean)
    assert found["leverage_max"] == pytest.approx(1.800575, abs=1e-6)
    assert (found["leverage_above_3_seconds"], found["liquidations"]) == (0.0, 0)
    assert found["decisions"] == 10
