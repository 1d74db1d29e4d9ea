from contextlib import asynccontextmanager

import pytest

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.venues.clock_offset import ClockOffset, measure, more_exact

START_NS = 1_700_000_000 * NS_PER_SECOND


class Way:
    """A venue whose clock is ahead of ours, at the end of a way that takes its time."""

    def __init__(self, ahead_ms, ways):
        self.ns = START_NS
        self.ahead_ns = ahead_ms * NS_PER_MS
        self.ways = list(ways)

    def now_ns(self):
        return self.ns

    async def venue_ms(self):
        there_ms, back_ms = self.ways.pop(0)
        self.ns += there_ms * NS_PER_MS
        answer = (self.ns + self.ahead_ns) // NS_PER_MS
        self.ns += back_ms * NS_PER_MS
        return answer


async def test_the_quickest_answer_counts():
    way = Way(700, [(400, 0), (10, 10), (0, 300)])
    found = await measure(way.venue_ms, way)
    assert found == ClockOffset(offset_ns=700 * NS_PER_MS, error_ns=10 * NS_PER_MS)


async def test_an_answer_is_never_wrong_by_more_than_its_error():
    way = Way(700, [(4_000, 0)])
    found = await measure(way.venue_ms, way, samples=1)
    assert found == ClockOffset(offset_ns=2_700 * NS_PER_MS, error_ns=2_000 * NS_PER_MS)


async def test_the_wait_in_the_lane_is_no_part_of_the_way():
    way = Way(700, [(10, 10)] * 3)

    @asynccontextmanager
    async def lane():
        way.ns += 480 * NS_PER_MS
        yield

    found = await measure(way.venue_ms, way, lane=lane)
    assert found == ClockOffset(offset_ns=700 * NS_PER_MS, error_ns=10 * NS_PER_MS)


async def test_no_answer_is_no_measurement():
    async def venue_ms():
        raise VenueUnreachable("away")

    with pytest.raises(VenueUnreachable):
        await measure(venue_ms, Way(0, []))


def known(offset_ms, error_ms):
    return ClockOffset(offset_ns=offset_ms * NS_PER_MS, error_ns=error_ms * NS_PER_MS)


@pytest.mark.parametrize(
    ("before", "found", "kept"),
    [
        # The first one, a better one, one that contradicts what was known: a step of our clock.
        (None, known(2_000, 2_000), known(2_000, 2_000)),
        (known(2_000, 2_000), known(10, 20), known(10, 20)),
        (known(0, 10), known(5_000, 2_000), known(5_000, 2_000)),
        (known(0, 10), known(300, 12), known(300, 12)),
        # A slow way says nothing against what was measured on a quick one.
        (known(0, 10), known(2_000, 2_000), known(0, 10)),
    ],
)
def test_a_coarse_measurement_does_not_replace_an_exact_one_that_it_allows(before, found, kept):
    assert more_exact(before, found) == kept
