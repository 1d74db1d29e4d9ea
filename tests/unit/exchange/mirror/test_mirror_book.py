"""Takers walk what is shown and take it once; makers stand behind all that is shown."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.events import BookGap, BookSnapshot, StreamDown, StreamName
from counterpoise.domain.orders import OrderState, Side
from mirror_world import BTC, ETH, MirrorWorld


@pytest.fixture
def world():
    made = MirrorWorld()
    made.market()
    return made


def state(world, order_id):
    return world.exchange.order("paper", order_id=order_id).state


def test_a_taker_walks_the_levels_as_they_are_shown(world):
    taker = world.order(Side.BUY, "3", "100.2")
    assert world.fills(taker) == [("2", "100.1", "taker"), ("1", "100.2", "taker")]
    assert world.position() == 3


def test_what_is_beyond_the_limit_is_not_met(world):
    taker = world.order(Side.BUY, "3", "100.1")
    assert world.fills(taker) == [("2", "100.1", "taker")]
    assert state(world, taker) is OrderState.CANCELED


def test_a_level_that_was_taken_is_not_met_again_until_it_changes(world):
    world.order(Side.BUY, "2", "100.1")
    again = world.order(Side.BUY, "1", "100.1")
    assert world.fills(again) == []
    # Other levels move, and a mark comes: the taken one is still taken.
    world.levels({"99.8": "1"}, {"100.3": "1"})
    world.mark("100.06")
    assert world.fills(world.order(Side.BUY, "1", "100.1")) == []
    world.levels({}, {"100.1": "1.5"})
    assert world.fills(world.order(Side.BUY, "2", "100.1")) == [("1.5", "100.1", "taker")]


def test_a_level_taken_in_part_gives_the_rest_once(world):
    world.order(Side.BUY, "0.5", "100.1")
    assert world.fills(world.order(Side.BUY, "2", "100.1")) == [("1.5", "100.1", "taker")]
    assert world.fills(world.order(Side.BUY, "2", "100.1")) == []


def test_a_whole_book_told_again_gives_nothing_back(world):
    world.order(Side.BUY, "2", "100.1")
    world.book({"100": "5", "99.9": "5"}, {"100.1": "2", "100.2": "4"})
    assert world.fills(world.order(Side.BUY, "3", "100.2")) == [("3", "100.2", "taker")]


def test_a_level_that_left_and_came_back_is_new(world):
    world.order(Side.BUY, "2", "100.1")
    world.levels({}, {"100.1": "0"})
    assert world.fills(world.order(Side.BUY, "1", "100.1")) == []
    world.levels({}, {"100.1": "2"})
    assert world.fills(world.order(Side.BUY, "1", "100.1")) == [("1", "100.1", "taker")]


def test_a_maker_does_not_fill_while_the_other_side_stays_away(world):
    maker = world.rest(Side.BUY, "1", "100")
    # The queue in front of it shrinks and is gone: that may have been cancels.
    world.levels({"100": "1"}, {})
    world.levels({"100": "0"}, {})
    world.mark("99.9")
    assert world.fills(maker) == []
    assert state(world, maker) is OrderState.ACCEPTED


@pytest.mark.parametrize("through", ["100", "99.9"])
def test_a_maker_fills_at_its_own_price_for_what_is_shown_there_or_beyond(world, through):
    maker = world.rest(Side.BUY, "1", "100")
    world.levels({"100": "0", "99.9": "0"}, {through: "0.4"})
    assert world.fills(maker) == [("0.4", "100", "maker")]
    assert state(world, maker) is OrderState.PARTIALLY_FILLED
    # The same shown quantity fills nobody twice.
    world.mark("99.9")
    assert len(world.fills(maker)) == 1
    world.levels({}, {through: "0.7"})
    assert world.fills(maker)[1:] == [("0.6", "100", "maker")]
    assert state(world, maker) is OrderState.FILLED


def test_post_only_is_canceled_where_it_would_take(world):
    taker = world.rest(Side.BUY, "1", "100.1", post_only=True)
    assert (state(world, taker), world.fills(taker)) == (OrderState.CANCELED, [])
    assert state(world, world.rest(Side.BUY, "1", "100", post_only=True)) is OrderState.ACCEPTED


def test_a_book_that_crosses_itself_fills_nobody(world):
    maker = world.rest(Side.BUY, "1", "100")
    world.levels({}, {"99.8": "1"})
    assert world.fills(maker) == []


def test_the_rest_of_a_taker_joins_its_price(world):
    order = world.rest(Side.BUY, "3", "100.1")
    assert world.fills(order) == [("2", "100.1", "taker")]
    world.levels({}, {"100.1": "0.5"})
    assert world.fills(order)[1:] == [("0.5", "100.1", "maker")]


def test_a_book_that_was_lost_is_not_quoted_until_it_is_told_anew(world):
    assert world.exchange.quoted(BTC)
    world.hear(BookGap(instrument_id=BTC, expected=3, found=9, received_ns=world.now_ns))
    assert not world.exchange.quoted(BTC)
    world.levels({}, {"100.1": "9"})
    assert not world.exchange.quoted(BTC)
    world.market()
    assert world.exchange.quoted(BTC)
    world.hear(StreamDown(stream=StreamName.BOOKS, reason="cut", received_ns=world.now_ns))
    assert not world.exchange.quoted(BTC)


def test_a_part_of_the_stream_that_is_gone_loses_its_books_alone(world):
    down = StreamDown(
        stream=StreamName.BOOKS, reason="cut", received_ns=world.now_ns, instrument_ids=(ETH,)
    )
    world.hear(down)
    assert world.exchange.quoted(BTC)
    world.hear(replace(down, instrument_ids=(BTC, "NOSUCHUSDT")))
    assert not world.exchange.quoted(BTC)


def test_a_level_that_is_no_figure_loses_the_book(world):
    world.levels({"100": "many"}, {})
    assert not world.exchange.quoted(BTC)


def test_quantities_in_contracts_become_lots(world):
    world.hear(
        BookSnapshot(
            instrument_id=BTC,
            bids=(("100", "10"),),
            asks=(("100.1", "25"),),
            quantity_unit=Decimal("0.01"),
            sequence=1,
            event_ns=world.now_ns,
            received_ns=world.now_ns,
        )
    )
    assert world.fills(world.order(Side.BUY, "1", "100.1")) == [("0.25", "100.1", "taker")]
