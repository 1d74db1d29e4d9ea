"""Cash that REST has and a stream did not tell."""

from decimal import Decimal

import pytest

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.connection import Dropped
from counterpoise.venues.hearing import CashWatch


def at(seconds: float) -> int:
    return round(seconds * NS_PER_SECOND)


def test_cash_that_changed_must_be_told_in_time():
    watch = CashWatch(5)
    # What REST says first is how it was.
    assert not watch.compare(Decimal(100), at(0))
    assert not watch.compare(Decimal("100.0"), at(1))
    assert watch.compare(Decimal(99), at(2))
    assert watch.compare(Decimal(98), at(6))
    watch.look(at(7))
    with pytest.raises(Dropped, match="cash changed and the stream did not tell"):
        watch.look(at(7.1))
    watch.begin()
    watch.look(at(8))


def test_news_that_come_late_and_answers_that_are_old_settle_it():
    watch = CashWatch(5)
    watch.tell(Decimal(100))
    assert watch.compare(Decimal(99), at(2))
    watch.tell(Decimal(99))
    watch.look(at(60))
    # An answer older than the news: the next one is as they are.
    assert watch.compare(Decimal(100), at(61))
    assert not watch.compare(Decimal(99), at(62))
    watch.look(at(90))
