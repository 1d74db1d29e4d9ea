"""Events change the market; a view tells what is there, how old, and what is missing."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    FundingRate,
    MarkPrice,
    StreamAlive,
    StreamDown,
    StreamName,
    Tick,
    TradedVolume,
)
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.market.freshness import FreshnessLimits
from counterpoise.market.state import Market

MS = 1_000_000
SECOND = 1_000 * MS
MINUTE = 60 * SECOND
NOW = 1_700_000_040 * SECOND
BTC = Instrument(
    instrument_id="BTCUSDT",
    base="BTC",
    quote="USDT",
    settle="USDT",
    tick_size=Decimal("0.1"),
    lot_size=Decimal("0.001"),
    quantity_min=Decimal("0.001"),
)
ETH = replace(BTC, instrument_id="ETHUSDT", base="ETH")


def mark(value="100", at=NOW, event_at=None, index=None, instrument_id="BTCUSDT"):
    return MarkPrice(
        instrument_id=instrument_id,
        mark=Decimal(value),
        index=None if index is None else Decimal(index),
        event_ns=at if event_at is None else event_at,
        received_ns=at,
    )


def snapshot(bid="99.9", ask="100.1", at=NOW, instrument_id="BTCUSDT", quantity="10"):
    return BookSnapshot(
        instrument_id=instrument_id,
        bids=((bid, quantity),),
        asks=((ask, quantity),),
        quantity_unit=Decimal("0.01"),
        sequence=1,
        event_ns=at,
        received_ns=at,
    )


def delta(bids=(), asks=(), at=NOW, latency_ms=0, instrument_id="BTCUSDT"):
    return BookDelta(
        instrument_id=instrument_id,
        bids=tuple(bids),
        asks=tuple(asks),
        sequence=2,
        event_ns=at - latency_ms * MS,
        received_ns=at,
    )


def funding(rate="0.0001", at=NOW, event_at=None, hours="8", instrument_id="BTCUSDT"):
    return FundingRate(
        instrument_id=instrument_id,
        rate=Decimal(rate),
        funding_ns=NOW + MINUTE,
        interval_hours=Decimal(hours),
        event_ns=at if event_at is None else event_at,
        received_ns=at,
    )


def market(*events, instruments=(BTC,)):
    result = Market(instruments, FreshnessLimits())
    for event in events:
        result.apply(event)
    return result


def seen(one, at=NOW, instrument_id="BTCUSDT"):
    return one.view(at).instruments[instrument_id]


def test_nothing_seen():
    one = market()
    view = one.view(NOW)
    assert (view.now_ns, view.latency_ms_p50, view.latency_ms_p99) == (NOW, None, None)
    entry = view.instruments["BTCUSDT"]
    assert entry.instrument is BTC
    assert entry.missing == ("MARK_MISSING", "BOOK_MISSING")
    assert (entry.mark, entry.index, entry.bid, entry.ask) == (None, None, None, None)
    assert (entry.mark_age_ms, entry.book_age_ms, entry.depth_quote) == (None, None, None)
    assert (entry.funding_rate, entry.funding_ns, entry.funding_interval_hours) == (None,) * 3
    assert (entry.depth_fraction, entry.spread_ratio) == (None, None)
    assert one.mark("BTCUSDT") is None
    assert one.mark_age_ms("BTCUSDT", NOW) is None
    assert one.fresh_marks(NOW) == {}
    assert one.top("BTCUSDT") == (None, None)
    assert one.stream_age_ms(StreamName.MARKS, NOW) is None
    assert one.limits == FreshnessLimits()


def test_everything_seen():
    entry = seen(market(mark("100", index="99.5"), funding(), snapshot()), NOW + SECOND)
    assert (entry.mark, entry.index) == (100, Decimal("99.5"))
    assert (entry.bid, entry.ask) == (Decimal("99.9"), Decimal("100.1"))
    assert float(entry.depth_quote) == pytest.approx(9.99, rel=1e-12)
    assert (entry.funding_rate, entry.funding_ns) == (Decimal("0.0001"), NOW + MINUTE)
    assert entry.funding_interval_hours == 8
    assert (entry.mark_age_ms, entry.book_age_ms) == (1_000, 1_000)
    assert entry.missing == ()


def test_unknown_instruments_change_no_value():
    one = market(
        mark(instrument_id="X"),
        funding(instrument_id="X"),
        snapshot(instrument_id="X"),
        delta(instrument_id="X"),
        BookGap(instrument_id="X", expected=1, found=3, received_ns=NOW),
    )
    assert list(one.view(NOW).instruments) == ["BTCUSDT"]
    assert one.mark("X") is None
    assert one.mark_age_ms("X", NOW) is None
    assert one.top("X") == (None, None)
    assert seen(one).missing == ("MARK_MISSING", "BOOK_MISSING")


def test_an_older_mark_changes_nothing():
    one = market(mark("100", index="90"), mark("50", NOW + SECOND, NOW - 1, index="45"))
    assert one.mark("BTCUSDT") == 100
    assert seen(one).index == 90


def test_a_newer_mark_without_index_keeps_the_index():
    one = market(mark("100", index="90"), mark("101", NOW + SECOND))
    assert (one.mark("BTCUSDT"), seen(one).index) == (101, 90)


@pytest.mark.parametrize("value", ["0", "-1", "NaN", "Infinity"])
def test_what_is_no_price_is_not_taken(value):
    one = market(mark("100", index="90"), mark(value, NOW + SECOND))
    assert one.mark("BTCUSDT") == 100
    one.apply(mark("101", NOW + SECOND, index=value))
    assert (one.mark("BTCUSDT"), seen(one).index) == (101, 90)


def test_an_event_from_the_far_future_does_not_freeze_the_mark():
    one = market(mark("50", NOW, NOW + 61 * SECOND), mark("100", NOW + SECOND))
    assert one.mark("BTCUSDT") == 100
    one.apply(funding("0.5", NOW, NOW + 61 * SECOND))
    assert seen(one).funding_rate is None


@pytest.mark.parametrize("ahead", [3, 59, 60])
def test_a_stamp_ahead_hides_no_later_mark_for_longer_than_two_seconds(ahead):
    one = market(mark("50", NOW, NOW + ahead * SECOND))
    assert one.mark("BTCUSDT") == 50
    one.apply(mark("60", NOW + 2 * SECOND))
    assert one.mark("BTCUSDT") == 60
    # Order still counts among those after it.
    one.apply(mark("70", NOW + 3 * SECOND, NOW + SECOND))
    assert one.mark("BTCUSDT") == 60


def test_a_stamp_ahead_hides_no_later_funding_for_longer_than_two_seconds():
    one = market(funding("0.5", NOW, NOW + 59 * SECOND))
    one.apply(funding("0.0002", NOW + 2 * SECOND))
    assert seen(one).funding_rate == Decimal("0.0002")
    one.apply(funding("0.5", NOW + 3 * SECOND, NOW + SECOND))
    assert seen(one).funding_rate == Decimal("0.0002")


def test_how_far_a_stamp_is_ahead_is_told_by_the_venue_s_clock():
    # The venue's clock is 90 s before ours: what it stamps is believed, and in its order.
    one = market()
    one.set_clock_offset(90 * SECOND)
    one.apply(mark("50", NOW, NOW + 90 * SECOND))
    one.apply(mark("60", NOW + SECOND, NOW + 89 * SECOND))
    assert one.mark("BTCUSDT") == 50
    one.apply(mark("70", NOW + SECOND, NOW + 151 * SECOND + 1))
    assert one.mark("BTCUSDT") == 50
    # And ours is before the venue's: 30 s before it is two at most.
    one = market()
    one.set_clock_offset(-30 * SECOND)
    one.apply(mark("50", NOW, NOW))
    one.apply(mark("60", NOW + 2 * SECOND, NOW - 28 * SECOND))
    assert one.mark("BTCUSDT") == 60


def test_older_or_senseless_funding_changes_nothing():
    one = market(funding(), funding("0.5", NOW + SECOND, NOW - 1))
    one.apply(funding("NaN", NOW + SECOND))
    one.apply(funding("0.5", NOW + SECOND, hours="0"))
    assert seen(one).funding_rate == Decimal("0.0001")
    one.apply(funding("-0.0002", NOW + SECOND))
    assert seen(one).funding_rate == Decimal("-0.0002")


def test_a_mark_is_stale_beyond_its_limit():
    one = market(mark(), snapshot())
    at_limit, beyond = NOW + 15 * SECOND, NOW + 15 * SECOND + 1
    assert seen(one, at_limit).missing == ()
    assert one.fresh_marks(at_limit) == {"BTCUSDT": Decimal(100)}
    assert seen(one, beyond).missing == ("MARK_STALE",)
    assert one.fresh_marks(beyond) == {}
    assert one.mark("BTCUSDT") == 100


def test_a_pong_or_any_data_of_the_stream_keeps_an_unchanged_mark_fresh():
    one = market(mark(), mark("7", instrument_id="ETHUSDT"), instruments=(BTC, ETH))
    one.apply(StreamAlive(stream=StreamName.MARKS, received_ns=NOW + 20 * SECOND))
    assert one.mark_age_ms("BTCUSDT", NOW + 30 * SECOND) == 10_000
    one.apply(mark("8", NOW + 40 * SECOND, instrument_id="ETHUSDT"))
    assert one.mark_age_ms("BTCUSDT", NOW + 41 * SECOND) == 1_000
    assert one.stream_age_ms(StreamName.MARKS, NOW + 41 * SECOND) == 1_000


def test_a_lost_stream_ages_its_values_until_they_come_again():
    one = market(mark(), snapshot())
    one.apply(StreamDown(stream=StreamName.MARKS, reason="reset", received_ns=NOW))
    one.apply(StreamAlive(stream=StreamName.MARKS, received_ns=NOW + 16 * SECOND))
    assert seen(one, NOW + 16 * SECOND).missing == ("MARK_STALE",)
    assert seen(one, NOW + 16 * SECOND).book_age_ms == 16_000
    one.apply(mark("100", NOW + 17 * SECOND))
    assert seen(one, NOW + 17 * SECOND).missing == ()


def test_the_account_stream_going_down_ages_neither_marks_nor_books():
    one = market(mark(), snapshot())
    one.apply(StreamDown(stream=StreamName.ACCOUNT, reason="reset", received_ns=NOW))
    one.apply(mark("100", NOW + 20 * SECOND))
    one.apply(delta(at=NOW + 20 * SECOND))
    assert seen(one, NOW + 20 * SECOND).missing == ()


def test_a_book_is_stale_beyond_its_limit():
    one = market(mark(at=NOW + MINUTE), snapshot())
    assert seen(one, NOW + MINUTE).missing == ()
    assert seen(one, NOW + MINUTE + MS).missing == ("BOOK_STALE",)


def test_deltas_follow_a_snapshot_only():
    one = market(delta([("99", "1")], [("101", "1")]))
    assert one.top("BTCUSDT") == (None, None)
    one.apply(snapshot())
    one.apply(delta([("99.95", "1")]))
    assert one.top("BTCUSDT") == (Decimal("99.95"), Decimal("100.1"))


def test_a_gap_makes_the_book_unknown_until_the_next_snapshot():
    one = market(mark(), snapshot())
    one.apply(BookGap(instrument_id="BTCUSDT", expected=2, found=4, received_ns=NOW))
    one.apply(delta([("99.95", "1")]))
    entry = seen(one)
    assert (entry.bid, entry.ask, entry.book_age_ms) == (None, None, None)
    assert entry.missing == ("BOOK_MISSING",)
    one.apply(snapshot())
    assert seen(one).missing == ()


def test_after_a_disconnect_the_old_book_ages_and_takes_no_delta():
    one = market(mark(at=NOW + MINUTE), snapshot())
    one.apply(StreamDown(stream=StreamName.BOOKS, reason="reset", received_ns=NOW))
    one.apply(delta([("99.95", "1")], at=NOW + MINUTE))
    assert one.top("BTCUSDT") == (Decimal("99.9"), Decimal("100.1"))
    assert seen(one, NOW + MINUTE + MS).missing == ("BOOK_STALE",)
    one.apply(snapshot(at=NOW + MINUTE))
    one.apply(delta([("99.95", "1")], at=NOW + MINUTE))
    assert seen(one, NOW + MINUTE + MS).missing == ()
    assert one.top("BTCUSDT") == (Decimal("99.95"), Decimal("100.1"))


def test_a_part_of_a_stream_that_is_gone_leaves_the_others_alone():
    one = market(mark(), snapshot())
    for stream in (StreamName.BOOKS, StreamName.MARKS):
        others = StreamDown(
            stream=stream, reason="reset", received_ns=NOW, instrument_ids=("ETHUSDT", "NOSUCH")
        )
        one.apply(others)
    # Its own connection goes on, and tells no snapshot again.
    later = NOW + MINUTE
    one.apply(mark("100", later))
    one.apply(delta([("99.95", "1")], at=later))
    assert one.top("BTCUSDT") == (Decimal("99.95"), Decimal("100.1"))
    assert seen(one, later).missing == ()
    ours = StreamDown(
        stream=StreamName.BOOKS, reason="reset", received_ns=later, instrument_ids=("BTCUSDT",)
    )
    one.apply(ours)
    one.apply(delta([("99.97", "1")], at=later + MINUTE))
    assert one.top("BTCUSDT") == (Decimal("99.95"), Decimal("100.1"))
    assert "BOOK_STALE" in seen(one, later + MINUTE + MS).missing


def test_a_crossed_book_is_no_book():
    one = market(mark(), snapshot("101", "100"))
    entry = seen(one)
    assert (entry.bid, entry.ask, entry.depth_quote, entry.book_age_ms) == (None,) * 4
    assert entry.missing == ("BOOK_MISSING",)
    assert one.top("BTCUSDT") == (None, None)


def test_a_one_sided_book_is_missing():
    one = market(mark(), snapshot(), delta(asks=[("100.1", "0")]))
    entry = seen(one)
    assert (entry.bid, entry.ask) == (Decimal("99.9"), None)
    assert entry.missing == ("BOOK_MISSING",)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("100", "0"),
        ("99.9", "0"),
        ("100.1", "0"),
        ("125.125", "0.2"),
        ("79.92", "0.2"),
        ("98.901", "0.01"),
    ],
)
def test_a_mark_is_held_against_the_book(told, expected):
    assert seen(market(mark(told), snapshot())).mark_divergence == Decimal(expected)


def test_a_wide_or_senseless_book_says_nothing_against_a_mark():
    assert seen(market(mark("100"), snapshot(bid="50", ask="200"))).mark_divergence == 0
    far = seen(market(mark("100"), snapshot(bid="1e-30", ask="2e-30")))
    assert far.mark_divergence == 1


def test_a_mark_is_held_against_a_fresh_book_only():
    one = market(mark("120"), snapshot())
    assert seen(one).mark_divergence > 0
    # The mark's stream lives on, the book's is silent; then the other way round.
    one.apply(mark("120", NOW + 61 * SECOND))
    assert seen(one, NOW + 61 * SECOND).mark_divergence is None
    one.apply(snapshot(at=NOW + 90 * SECOND))
    assert seen(one, NOW + 90 * SECOND).mark_divergence is None
    assert seen(market(mark("120"))).mark_divergence is None
    assert seen(market(snapshot())).mark_divergence is None
    assert seen(market(mark("120"), snapshot(bid="101", ask="100"))).mark_divergence is None


def test_a_senseless_level_drops_the_book():
    one = market(mark(), snapshot(), delta([("nan", "1")]))
    assert seen(one).missing == ("BOOK_MISSING",)
    one.apply(snapshot())
    assert seen(one).missing == ()
    one.apply(snapshot(quantity="-1"))
    assert seen(one).missing == ("BOOK_MISSING",)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (InstrumentState.SUSPENDED, "INSTRUMENT_SUSPENDED"),
        (InstrumentState.POST_ONLY, "INSTRUMENT_SUSPENDED"),
        (InstrumentState.CLOSING, "INSTRUMENT_CLOSING"),
    ],
)
def test_rules_are_replaced_and_data_stay(state, code):
    one = market(mark(), snapshot())
    one.set_instrument(replace(BTC, state=state))
    assert seen(one).missing == (code,)
    assert seen(one).mark == 100
    one.set_instrument(ETH)
    assert seen(one, instrument_id="ETHUSDT").missing == ("MARK_MISSING", "BOOK_MISSING")


def test_latency_of_marks_and_deltas_after_clock_correction():
    one = market(snapshot(at=NOW))
    assert one.view(NOW).latency_ms_p99 is None
    one.apply(delta(at=NOW, latency_ms=30))
    one.apply(mark("100", NOW, NOW - 10 * MS))
    view = one.view(NOW)
    assert (view.latency_ms_p50, view.latency_ms_p99) == (10.0, 30.0)
    one.set_clock_offset(5 * MS)
    one.apply(delta(at=NOW, latency_ms=100))
    assert one.view(NOW).latency_ms_p99 == 105.0


def test_depth_and_spread_against_what_was_normal():
    one = market()
    for minute in range(61):
        one.apply(snapshot(at=NOW + minute * MINUTE))
    now = NOW + 61 * MINUTE
    one.apply(delta([("99.9", "4")], [("100.1", "0"), ("100.3", "4")], at=now))
    entry = seen(one, now)
    assert entry.spread_ratio == pytest.approx((0.4 / 100.1) / 0.002)
    # The window of 60 s holds this sample only, the one before is 60 s old.
    assert entry.depth_fraction == pytest.approx(0.4)


def test_a_tick_samples_quiet_books_while_their_stream_lives():
    one = market(snapshot())
    for second in range(1, 3_700):
        at = NOW + second * SECOND
        one.apply(StreamAlive(stream=StreamName.BOOKS, received_ns=at))
        one.apply(Tick(now_ns=at))
    now = NOW + 3_699 * SECOND
    assert seen(one, now).depth_fraction == pytest.approx(1.0)
    one.apply(StreamDown(stream=StreamName.BOOKS, reason="reset", received_ns=now))
    for second in range(1, 61):
        one.apply(Tick(now_ns=now + second * SECOND))
    assert seen(one, now + MINUTE).depth_fraction is None
    one.apply(Tick(now_ns=now + 100 * SECOND))
    assert seen(one, now + 100 * SECOND).depth_fraction is None


def test_a_crossed_book_is_not_sampled():
    one = market()
    for minute in range(62):
        one.apply(snapshot("101", "100", at=NOW + minute * MINUTE))
    assert seen(one, NOW + 61 * MINUTE).spread_ratio is None


def volume(value: str, at: int = NOW, instrument_id: str = "BTCUSDT") -> TradedVolume:
    return TradedVolume(
        instrument_id=instrument_id, volume_quote=Decimal(value), event_ns=at, received_ns=at
    )


def test_the_volume_of_a_day_is_known_for_an_hour():
    market = Market([BTC, ETH], FreshnessLimits())
    assert market.view(NOW).instruments["BTCUSDT"].volume_quote is None
    market.apply(volume("1234567.5"))
    market.apply(volume("9", instrument_id="NOSUCH"))
    view = market.view(NOW + 60 * MINUTE)
    assert view.instruments["BTCUSDT"].volume_quote == 1_234_567.5
    assert view.instruments["ETHUSDT"].volume_quote is None
    assert market.view(NOW + 60 * MINUTE + 1).instruments["BTCUSDT"].volume_quote is None
    # A market that stands still has none; a figure nobody means changes nothing.
    market.apply(volume("0", at=NOW + MINUTE))
    for figure in ("-1", "NaN", "Infinity"):
        market.apply(volume(figure, at=NOW + MINUTE))
    assert market.view(NOW + MINUTE).instruments["BTCUSDT"].volume_quote == 0.0
