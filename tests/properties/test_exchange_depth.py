"""A depth says of every side what a sorted list of its levels says, and how it changed."""

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.exchange.background import LEVEL_LIFE_STEPS
from counterpoise.exchange.board import Board
from counterpoise.exchange.depth import Depth
from counterpoise.exchange.parameters import demo_parameters
from counterpoise.exchange.venues import okx_parameters

MARKETS, LEVELS = 2, 4
#: Prices near zero, where the lowest cannot be shown, and few of them, so that steps share many.
PRICES = st.lists(
    st.integers(-1, 8), min_size=LEVELS, max_size=LEVELS, unique=True
).filter(lambda prices: sorted(prices)[1] > 0)  # fmt: skip
LOTS = st.lists(st.integers(1, 3), min_size=LEVELS, max_size=LEVELS)
#: One step of all rows: the bids of both markets, then the asks.
STEPS = st.tuples(*[st.tuples(PRICES, LOTS)] * (2 * MARKETS))
KEPT = st.lists(st.booleans(), min_size=LEVELS, max_size=LEVELS)

Model = list[list[tuple[int, int]]]


def made(step: tuple[tuple[list[int], list[int]], ...]) -> tuple[Depth, Model]:
    """Return a depth and its rows as lists of (ticks, lots), best first."""
    rows: Model = []
    for row, (prices, lots) in enumerate(step):
        ordered = sorted(prices, reverse=row < MARKETS)
        rows.append(list(zip(ordered, lots, strict=True)))
    levels = np.array(rows, dtype=np.int64).reshape(2, MARKETS, LEVELS, 2)
    return Depth(levels[..., 0].copy(), levels[..., 1].copy()), rows


def changed(before: list[tuple[int, int]], after: list[tuple[int, int]], *, bids: bool) -> list:
    """Return what a reader of `before` must be told: new, other and gone levels, best first."""
    was, now = dict(before), dict(after)
    told = {at: now.get(at, 0) for at in was.keys() | now.keys() if was.get(at) != now.get(at)}
    return sorted(told.items(), reverse=bids)


@given(STEPS)
def test_levels_and_best_prices(step):
    depth, rows = made(step)
    for place in range(MARKETS):
        for bids in (True, False):
            row = depth.row(place, bids=bids)
            ticks, lots = depth.levels(row)
            model = rows[place if bids else MARKETS + place]
            assert list(zip(ticks, lots, strict=True)) == model
            best = max(model) if bids else min(model)
            assert depth.touch[row] == best[0]
            # The worst bid may be below the lowest price there is; such a row is not compared.
            assert depth.whole(row) is (model[-1][0] > 0)


@given(st.lists(STEPS, min_size=2, max_size=4))
def test_changes_lead_from_one_step_to_the_next(steps):
    depths = [made(each) for each in steps]
    held = [dict(row) for row in depths[0][1]]
    for (before, rows_before), (after, rows) in pairwise(depths):
        for row in range(2 * MARKETS):
            changes = after.changes(row, before)
            assert changes == changed(rows_before[row], rows[row], bids=row < MARKETS)
            for ticks, lots in changes:
                held[row].pop(ticks, None)
                if lots:
                    held[row][ticks] = lots
            assert held[row] == dict(rows[row])
            assert after.changes(row, before) == changes


@given(STEPS, STEPS, STEPS)
def test_changes_against_any_earlier_depth(first, second, third):
    (one, rows_one), (two, rows_two), (three, rows) = made(first), made(second), made(third)
    for row in range(2 * MARKETS):
        for since, before in ((two, rows_two), (one, rows_one), (two, rows_two)):
            told = three.changes(row, since)
            assert told == changed(before[row], rows[row], bids=row < MARKETS)


@given(STEPS, st.integers(0, 2 * MARKETS - 1), KEPT)
def test_a_cut_row_keeps_what_it_is_left_with(step, row, kept):
    depth, rows = made(step)
    depth.cut(row, np.array(kept))
    ticks, lots = depth.levels(row)
    left = [level for level, stays in zip(rows[row], kept, strict=True) if stays]
    assert list(zip(ticks, lots, strict=True)) == left
    assert not depth.whole(row)
    for other in set(range(2 * MARKETS)) - {row}:
        assert list(zip(*depth.levels(other), strict=True)) == rows[other]


@settings(max_examples=20, deadline=None)
@given(
    st.integers(0, 2**32), st.integers(0, 5), st.floats(-0.4, 0.4), st.sampled_from((50, 250))
)  # fmt: skip
def test_the_books_of_a_moving_market(seed, place, fraction, step_ms):
    for make in (demo_parameters, okx_parameters):
        parameters = replace(make(seed), step_ms=step_ms, history_days=1)
        board = Board(parameters, 1_800_000_000 * NS_PER_SECOND)
        step_ns = step_ms * NS_PER_SECOND // 1_000
        moved = parameters.instruments[place].instrument
        board.shock(moved.instrument_id, fraction, 1.0)
        before = board.frame.depth
        for _ in range(2 * LEVEL_LIFE_STEPS):
            board.step(board.stepped_ns + step_ns)
            depth = board.frame.depth
            for at in range(len(parameters.instruments)):
                rows = (depth.row(at, bids=True), depth.row(at, bids=False))
                bids, asks = (depth.levels(row) for row in rows)
                assert bids[0] == sorted(set(bids[0]), reverse=True)
                assert asks[0] == sorted(set(asks[0]))
                assert depth.touch[rows[0]] == bids[0][0] < asks[0][0] == depth.touch[rows[1]]
                assert min(*bids[1], *asks[1], bids[0][-1]) > 0
                # Somebody came or went: no step leaves a book as it was.
                assert depth.changes(rows[0], before) or depth.changes(rows[1], before)
            before = depth
        assert board.mark(moved.instrument_id) > Decimal(0)
