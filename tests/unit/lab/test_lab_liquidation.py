"""Gaps the guard cannot do anything about: the venue takes over, by its own steps."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.lab.account import LabAccount
from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.metrics import daily_returns
from counterpoise.lab.venue import LabVenue
from lab_world import DAY_NS, START_NS, quiet, ran, table, tape_of

ASSUMPTIONS = Assumptions(spread_factor=0.0, impact_factor=0.0, latency_ms=0)


def lived(rows, names=("BTCUSDT",), **changes):
    assumptions = replace(ASSUMPTIONS, **changes)
    columns = {name: [*quiet(50_000.0), *rows] for name in names}
    return ran(tape_of(table(columns), assumptions), assumptions, policy="unhedged")


def test_a_jump_through_everything_ends_at_zero():
    # 1.5 times equity long: at -70 % equity is gone at the open.
    done = lived([(50_000.0,) * 4, (15_000.0,) * 4, (20_000.0,) * 4, (60_000.0,) * 4])
    series = done.recorder.series()

    assert done.liquidations == 1
    assert done.account.flat
    assert series.equity.tolist()[1:] == [0.0, 0.0, 0.0]
    assert series.drawdown[1] > 1.0 - 1e-9
    assert series.leverage_max[1] == float("inf")
    # A wiped out account decides nothing any more and stays flat.
    last = done.recorder.decisions()[-1]
    assert (last.action, last.reasons) == ("skipped", ("EQUITY_NOT_POSITIVE",))
    days, returns = daily_returns(series, 100_000.0, START_NS + 3 * DAY_NS)
    assert returns.tolist() == [-1.0]
    assert len(days) == 1


def test_the_guard_is_faster_than_the_venue_where_there_is_time():
    done = lived([(50_000.0,) * 4, (50_000.0, 50_000.0, 15_000.0, 15_000.0)])

    kinds = {each.kind for each in done.recorder.decisions()}
    assert "guard" in kinds
    assert done.liquidations == 0
    # A lone core's net beta is its leverage, and that trigger is the lower one.
    assert done.recorder.series().leverage_max.max() == pytest.approx(2.0, abs=1e-6)
    assert done.watch.above_seconds == 0.0


def test_without_the_guard_the_venue_liquidates():
    # Bankrupt at 50,000 x (1 - 1 / 1.5) = 16,666; OKX's smallest tier keeps 0.4 % and 5 bps.
    done = lived([(50_000.0,) * 4, (50_000.0, 50_000.0, 16_700.0, 17_000.0)], guard=False)
    series = done.recorder.series()

    assert done.liquidations == 1
    assert done.account.flat
    # Closed at the low it was touched at: 33,300 under the entry, less fees.
    assert 0.0 <= series.equity[1] < 100.0


def test_time_above_three_is_measured_on_the_path():
    # 3 BTC at 50,000, fee 75: leverage is 3 where 3 P = 3 (99,925 + 3 (P - 50,000)),
    # P = 50,075 / 2 = 25,037.5; the stretch from 50,000 to 20,000 lasts 300 s.
    done = lived([(50_000.0,) * 4, (50_000.0, 50_000.0, 20_000.0, 30_000.0)], guard=False)
    high = 3 * 20_000.0 / (99_925.0 - 90_000.0)
    start = 150_000.0 / 99_925.0
    end = 3 * 30_000.0 / (99_925.0 - 60_000.0)
    # Leverage is taken to move evenly from point to point: down, and up again.
    expected = 300.0 * (high - 3.0) / (high - start) + 300.0 * (high - 3.0) / (high - end)

    assert done.recorder.series().leverage_max[1] == pytest.approx(high)
    assert done.watch.above_seconds == pytest.approx(expected)
    assert done.watch.above_jumps == 0


def test_a_jump_above_three_is_counted_as_one():
    done = lived([(50_000.0,) * 4, (22_000.0,) * 4], guard=False)

    assert done.watch.above_jumps == 1
    assert done.watch.above_seconds == pytest.approx(900.0)


def world(wallet, positions, rows=2):
    names = tuple(positions)
    bars = table({name: quiet(100.0, 288 + rows) for name in names})
    tape = tape_of(bars, ASSUMPTIONS)
    venue = LabVenue(ASSUMPTIONS.exchange, tape.rules, tape.costs)
    account = LabAccount(Decimal(wallet))
    for name, (quantity, entry) in positions.items():
        price = Decimal(entry)
        account.trade(name, Decimal(quantity), price, Decimal(0), price, START_NS)
    return venue, account


def test_what_is_needed_is_the_tier_and_the_fee():
    # 1,000 SOL at 100: first tier 0.65 %, and 5 bps of liquidation fee count at OKX.
    venue, account = world(10_000, {"SOLUSDT": ("1000", "100")})
    marks = {"SOLUSDT": Decimal(100)}

    assert venue.needed(account, marks) == Decimal(650) + Decimal(50)
    assert not venue.must_liquidate(account, marks)
    # Equity 10,000 - 1,000 x 9.3 = 700 is what is needed at 90.7 x 0.7 % = 634.9: not yet.
    assert not venue.must_liquidate(account, {"SOLUSDT": Decimal("90.7")})
    assert venue.must_liquidate(account, {"SOLUSDT": Decimal("90.6")})


def test_a_position_in_a_high_tier_shrinks_by_steps():
    # 120,000 SOL at 100 is 12 million: the fourth tier (4 %), which goes down two at a time.
    venue, account = world(480_000, {"SOLUSDT": ("120000", "100")})
    marks = {"SOLUSDT": Decimal(100)}

    fills = venue.liquidate(account, marks, "BTCUSDT", 288, START_NS)

    # Needed: 12 million x 4.05 % = 486,000 > 480,000. Down to the second tier's 5 million.
    assert [(fill.quantity, fill.fee) for fill in fills] == [(Decimal(-70_000), Decimal(3_500))]
    assert fills[0].leg == "hedge"
    assert account.quantity("SOLUSDT") == 50_000
    assert not venue.must_liquidate(account, marks)


def test_the_largest_position_goes_first_and_what_the_book_loses_is_bounded():
    venue, account = world(1_000, {"SOLUSDT": ("1000", "101"), "XRPUSDT": ("-900", "100")})
    marks = {"SOLUSDT": Decimal(100), "XRPUSDT": Decimal(100)}

    fills = venue.liquidate(account, marks, "SOLUSDT", 288, START_NS)

    # Equity is 1,000 - 1,000 = 0: everything goes at the bankruptcy price, which is the mark.
    assert [fill.instrument_id for fill in fills] == ["SOLUSDT", "XRPUSDT"]
    assert account.flat
    assert account.wallet == 0
