"""Whatever the messages, a book is the last word on each price."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from counterpoise.market.book import OrderBook

LEVELS = st.lists(
    st.tuples(
        st.integers(min_value=1, max_value=40).map(lambda ticks: str(Decimal(ticks) / 10)),
        st.sampled_from(["0", "0.00", "1", "2.50"]),
    ),
    max_size=12,
).map(tuple)


@given(st.lists(st.tuples(LEVELS, LEVELS, st.booleans()), max_size=15))
def test_book_equals_a_plain_dict_of_prices(messages):
    book = OrderBook(Decimal(1))
    book.apply_snapshot((), ())
    plain = ({}, {})
    for bids, asks, look in messages:
        book.apply_delta(bids, asks)
        for side, levels in zip(plain, (bids, asks), strict=True):
            for level in levels:
                side[Decimal(level[0])] = level
        if look:
            # Looking in between must change nothing.
            book.best_bid()
            book.best_ask()
    expected_bids, expected_asks = (
        {price: level for price, level in side.items() if Decimal(level[1]) > 0} for side in plain
    )
    assert book.best_bid() == max(expected_bids, default=None)
    assert book.best_ask() == min(expected_asks, default=None)
    bids, asks = book.levels(100)
    assert bids == tuple(expected_bids[price] for price in sorted(expected_bids, reverse=True))
    assert asks == tuple(expected_asks[price] for price in sorted(expected_asks))


@given(LEVELS, LEVELS, LEVELS, LEVELS)
def test_split_messages_give_the_same_book(first_bids, first_asks, more_bids, more_asks):
    whole, split = OrderBook(Decimal(1)), OrderBook(Decimal(1))
    whole.apply_delta(first_bids + more_bids, first_asks + more_asks)
    split.apply_delta(first_bids, first_asks)
    split.apply_delta(more_bids, more_asks)
    assert whole.levels(100) == split.levels(100)
    assert (whole.best_bid(), whole.best_ask()) == (split.best_bid(), split.best_ask())
    assert whole.depth_quote_within(25) == split.depth_quote_within(25)
