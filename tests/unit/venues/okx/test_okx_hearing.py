"""Orders and positions that do not follow each other cost the connection; ADL does not."""

import pytest

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.connection import Dropped
from counterpoise.venues.okx.hearing import TradeWatch

BTC = "BTCUSDT"


def at(seconds: float) -> int:
    return 1_700_000_000 * NS_PER_SECOND + round(seconds * NS_PER_SECOND)


@pytest.fixture
def watch() -> TradeWatch:
    made = TradeWatch()
    made.begin(at(0))
    # What was held before, and two trades that both channels tell.
    made.position(BTC, "150", at(1))
    made.fill(BTC, "151", at(20))
    made.position(BTC, "151", at(20.1))
    made.position(BTC, "152", at(30))
    made.fill(BTC, "152", at(30.1))
    return made


def test_channels_that_follow_each_other_are_well(watch: TradeWatch) -> None:
    for moment in range(31, 200):
        watch.position(BTC, "152", at(moment))
        watch.look(at(moment))


def test_a_position_moved_by_a_trade_that_no_order_told_means_orders_are_lost(watch) -> None:
    watch.position(BTC, "160", at(40))
    watch.position(BTC, "160", at(45))
    watch.look(at(50))
    with pytest.raises(Dropped, match="orders did not tell a trade in BTCUSDT") as dropped:
        watch.look(at(50.1))
    assert dropped.value.at_once


def test_an_order_that_comes_late_is_no_loss(watch: TradeWatch) -> None:
    watch.position(BTC, "160", at(40))
    watch.fill(BTC, "160", at(48))
    watch.look(at(60))


def test_a_fill_that_moves_no_position_means_positions_are_lost(watch: TradeWatch) -> None:
    watch.fill("ETHUSDT", "7", at(40))
    watch.look(at(50))
    with pytest.raises(Dropped, match="positions did not tell a trade in ETHUSDT"):
        watch.look(at(50.1))
    # A closed position may name no trade any more.
    watch.position("ETHUSDT", "", at(51))
    watch.look(at(90))


@pytest.mark.parametrize("trade_id", ["152", "-3", ""])
def test_a_position_that_the_venue_took_is_no_lost_order(watch: TradeWatch, trade_id: str) -> None:
    watch.position(BTC, trade_id, at(40))
    watch.look(at(90))


def test_a_new_connection_begins_anew(watch: TradeWatch) -> None:
    watch.position(BTC, "160", at(40))
    watch.begin(at(60))
    watch.look(at(90))
    watch.position(BTC, "170", at(61))
    watch.look(at(90))
