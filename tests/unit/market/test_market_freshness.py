"""Ages follow proofs of life; latencies are counted over one minute and bounded."""

import pytest

from counterpoise.market.freshness import (
    LATENCY_MS_MAX,
    Confirmation,
    FreshnessLimits,
    LatencyTracker,
    Liveness,
)

MS = 1_000_000
SECOND = 1_000 * MS


def test_limits_have_the_documented_defaults():
    limits = FreshnessLimits()
    assert (limits.mark_ms_max, limits.book_ms_max, limits.account_ms_max) == (15000, 60000, 15000)
    assert (limits.latency_ms_max, limits.latency_ms_warn) == (200, 100)
    assert limits.clock_offset_ms_max == 500


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mark_ms_max": 0}, "mark_ms_max=0 must be positive"),
        ({"latency_ms_warn": 300}, "latency_ms_warn=300 must not be above"),
    ],
)
def test_limits_refuse_nonsense(change, message):
    with pytest.raises(ValueError, match=message):
        FreshnessLimits(**change)


def test_a_value_never_seen_has_no_age():
    assert Confirmation().age_ms(Liveness(), 5 * SECOND) is None


def test_an_unchanged_value_is_as_young_as_its_streams_last_proof():
    stream, value = Liveness(), Confirmation()
    stream.prove(10 * SECOND)
    value.renew()
    assert value.age_ms(stream, 12 * SECOND) == 2_000
    stream.prove(30 * SECOND)
    stream.prove(29 * SECOND)
    assert value.age_ms(stream, 31 * SECOND) == 1_000


def test_age_is_rounded_up_and_never_negative():
    stream, value = Liveness(), Confirmation()
    stream.prove(10 * SECOND)
    value.renew()
    assert value.age_ms(stream, 10 * SECOND + 1) == 1
    assert value.age_ms(stream, 10 * SECOND + MS) == 1
    assert value.age_ms(stream, 9 * SECOND) == 0


def test_after_a_disconnect_only_a_new_value_is_young_again():
    stream, value = Liveness(), Confirmation()
    stream.prove(10 * SECOND)
    value.renew()
    value.freeze(stream)
    stream.prove(40 * SECOND)
    value.freeze(stream)
    assert value.age_ms(stream, 41 * SECOND) == 31_000
    value.renew()
    assert value.age_ms(stream, 41 * SECOND) == 1_000


def test_a_forgotten_value_has_no_age():
    stream, value = Liveness(), Confirmation()
    stream.prove(10 * SECOND)
    value.renew()
    value.forget()
    assert value.age_ms(stream, 11 * SECOND) is None


def test_latency_quantiles_by_nearest_rank():
    tracker = LatencyTracker()
    assert tracker.quantiles_ms(0) is None
    for latency_ms in range(1, 101):
        received = 100 * SECOND + latency_ms * MS
        tracker.record(received - latency_ms * MS, received)
    assert tracker.quantiles_ms(101 * SECOND) == (50.0, 99.0)


def test_latency_is_corrected_by_the_clock_offset():
    tracker = LatencyTracker()
    # The venue's clock is 40 ms ahead: an event stamped now was made 40 ms ago.
    tracker.clock_offset_ns = 40 * MS
    tracker.record(100 * SECOND, 100 * SECOND)
    assert tracker.quantiles_ms(100 * SECOND) == (40.0, 40.0)


def test_latency_forgets_after_a_minute():
    tracker = LatencyTracker()
    tracker.record(100 * SECOND - 5 * MS, 100 * SECOND)
    tracker.record(130 * SECOND - 7 * MS, 130 * SECOND)
    assert tracker.quantiles_ms(159 * SECOND) == (5.0, 7.0)
    assert tracker.quantiles_ms(160 * SECOND) == (7.0, 7.0)
    assert tracker.quantiles_ms(190 * SECOND) is None
    # The next message pushes out for good what has run out.
    tracker.record(170 * SECOND - 9 * MS, 170 * SECOND)
    assert tracker.quantiles_ms(170 * SECOND) == (7.0, 9.0)
    tracker.record(300 * SECOND - 7 * MS, 300 * SECOND)
    assert tracker.quantiles_ms(300 * SECOND) == (7.0, 7.0)


def test_latency_is_bounded_both_ways():
    tracker = LatencyTracker()
    tracker.record(0, 10**18)
    assert tracker.quantiles_ms(10**18) == (LATENCY_MS_MAX, LATENCY_MS_MAX)
    tracker = LatencyTracker()
    tracker.record(10**18, 100 * SECOND)
    assert tracker.quantiles_ms(100 * SECOND) == (-LATENCY_MS_MAX, -LATENCY_MS_MAX)
