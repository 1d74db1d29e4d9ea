"""Books keep the venue's text, find the best lazily and refuse what is no level."""

from decimal import Decimal

import pytest

from counterpoise.market.book import LEVELS_PER_SIDE_MAX, OrderBook


def book(bids, asks, unit="1"):
    result = OrderBook(Decimal(unit))
    result.apply_snapshot(tuple(bids), tuple(asks))
    return result


def test_empty_book_knows_nothing():
    empty = OrderBook(Decimal(1))
    assert empty.best_bid() is None
    assert empty.best_ask() is None
    assert not empty.crossed
    assert empty.levels(5) == ((), ())
    assert empty.depth_quote_within(25) == 0
    assert empty.depth_and_spread(25) is None


def test_best_of_unsorted_levels_is_exactly_what_the_venue_wrote():
    one = book([("99.10", "1"), ("99.50", "2")], [("100.700", "3"), ("100.20", "4")])
    assert str(one.best_bid()) == "99.50"
    assert str(one.best_ask()) == "100.20"
    assert one.levels(1) == ((("99.50", "2"),), (("100.20", "4"),))
    assert one.levels(9) == (
        (("99.50", "2"), ("99.10", "1")),
        (("100.20", "4"), ("100.700", "3")),
    )


def test_delta_moves_the_best_both_ways():
    one = book([("99", "1"), ("98", "1")], [("101", "1"), ("102", "1")])
    assert (one.best_bid(), one.best_ask()) == (99, 101)
    one.apply_delta((("99.5", "1"),), (("100.5", "1"),))
    assert (one.best_bid(), one.best_ask()) == (Decimal("99.5"), Decimal("100.5"))
    one.apply_delta((("99.5", "0"), ("99", "0.000")), (("100.5", "0"), ("101", "0")))
    assert (one.best_bid(), one.best_ask()) == (98, 102)


def test_deleting_an_absent_or_worse_level_keeps_the_best():
    one = book([("99", "1"), ("98", "1")], [("101", "1")])
    assert one.best_bid() == 99
    one.apply_delta((("98", "0"), ("97", "0")), ())
    assert one.levels(5) == ((("99", "1"),), (("101", "1"),))


def test_other_spelling_of_a_price_is_the_same_level_and_the_newest_text_stays():
    one = book([("1.1", "5")], [("1.2", "5")])
    one.apply_delta((("1.10", "7"),), ())
    assert one.levels(5)[0] == (("1.10", "7"),)


def test_snapshot_forgets_what_was_there():
    one = book([("99", "1")], [("101", "1")])
    one.apply_snapshot((("50", "1"),), (("51", "1"),))
    assert one.levels(5) == ((("50", "1"),), (("51", "1"),))


@pytest.mark.parametrize(
    ("bid", "ask", "crossed"), [("99", "101", False), ("100", "100", True), ("101", "99", True)]
)
def test_crossed(bid, ask, crossed):
    assert book([(bid, "1")], [(ask, "1")]).crossed is crossed


@pytest.mark.parametrize(
    "level",
    [("nan", "1"), ("0", "1"), ("-1", "1"), ("inf", "1"), ("1", "-1"), ("1", "nan"), ("x", "1")],
)
def test_what_is_no_level_is_refused(level):
    with pytest.raises(ValueError, match=r"level=|could not convert"):
        book([level], [])


def test_depth_is_the_thinner_side_within_reach_in_quote():
    # Mid 100, 25 bps: 99.75 to 100.25, both ends included.
    one = book(
        [("99.9", "10"), ("99.75", "2"), ("99.7", "1000")],
        [("100.1", "20"), ("100.25", "30"), ("100.26", "1000")],
        unit="0.01",
    )
    expected = (999 + 199.5) * 0.01
    assert float(one.depth_quote_within(25)) == pytest.approx(expected, rel=1e-12)
    depth, spread = one.depth_and_spread(25)
    assert depth == pytest.approx(expected, rel=1e-12)
    assert spread == pytest.approx(0.002, rel=1e-12)


def test_what_is_just_out_of_reach_is_out():
    one = book([("99.9", "1"), ("99.749", "9")], [("100.1", "9")])
    assert one.depth_quote_within(25) == Decimal("99.9")


def test_crossed_book_has_no_sample():
    crossed = book([("101", "1")], [("99", "1")])
    assert crossed.depth_and_spread(25) is None
    assert crossed.depth_quote_within(25) == 0


def test_a_side_is_bounded_and_keeps_its_best_levels():
    one = OrderBook(Decimal(1))
    count = 2 * LEVELS_PER_SIDE_MAX + 1
    one.apply_delta(
        tuple((str(price), "1") for price in range(1, count + 1)),
        tuple((str(price), "1") for price in range(count + 1, 2 * count + 1)),
    )
    bids, asks = one.levels(2 * count)
    assert [int(price) for price, _ in bids] == list(range(count, count - LEVELS_PER_SIDE_MAX, -1))
    assert [int(price) for price, _ in asks] == list(
        range(count + 1, count + 1 + LEVELS_PER_SIDE_MAX)
    )
