"""Lanes as a venue tells them while it runs: other limits, and closed for a time."""

import asyncio
import time
from dataclasses import replace

import pytest

from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.venues.throttle import CLOSED_SECONDS_MAX, IN_FLIGHT_MAX, Lane, LaneLimits, Lanes

LIMITS = LaneLimits(period_seconds=60.0, reads=2, candles=2, increases=2, cancels=2)


async def passes(lane) -> bool:
    """Whether a lane lets a request in at once."""
    try:
        async with asyncio.timeout(0.05):
            async with lane:
                return True
    except TimeoutError:
        return False


async def test_other_limits_count_from_the_next_request_on():
    lanes = Lanes(LIMITS)
    assert [await passes(lanes.read()) for _ in range(3)] == [True, True, False]
    lanes.allow(replace(LIMITS, reads=4))
    assert [await passes(lanes.read()) for _ in range(3)] == [True, True, False]
    lanes.allow(replace(LIMITS, reads=4, increases=1))
    assert [await passes(lanes.order(reduce_only=False)) for _ in range(2)] == [True, False]
    assert lanes.limits.increases == 1


async def test_a_closed_lane_waits_and_the_others_do_not():
    lanes = Lanes(LIMITS)
    lanes.close(0.2, Lane.READS, Lane.INCREASES)
    started = time.monotonic()
    assert await passes(lanes.candle())
    assert await passes(lanes.cancel())
    assert await passes(lanes.order(reduce_only=True))
    assert not await passes(lanes.order(reduce_only=False))
    async with lanes.read():
        assert time.monotonic() - started >= 0.2
    assert lanes.closed_seconds(Lane.READS) == 0


async def test_what_is_closed_for_long_is_refused_at_once_and_reductions_still_pass():
    lanes = Lanes(LIMITS)
    lanes.close(120.0, Lane.READS, Lane.INCREASES)
    # Of two times told the later one counts.
    lanes.close(1.0, Lane.READS)
    for lane in (lanes.read(), lanes.order(reduce_only=False)):
        with pytest.raises(VenueUnreachable, match="another 120 s; nothing was sent"):
            async with lane:
                raise AssertionError("let in")
    assert await passes(lanes.order(reduce_only=True))
    lanes.close(1e9, Lane.CANDLES)
    assert lanes.closed_seconds(Lane.CANDLES) <= CLOSED_SECONDS_MAX


@pytest.mark.parametrize("at_once", [0, 1])
async def test_whoever_waits_for_a_lane_that_was_closed_anew_keeps_nobody_behind(at_once):
    # The first is in the middle of what it weighs when the venue closes the lane for a second, and
    # sleeps when the lane is closed for long: who comes then is told so, and does not queue.
    lanes = Lanes(replace(LIMITS, period_seconds=0.4, reads=4, reads_at_once=at_once))
    first = asyncio.ensure_future(_read(lanes, weight=6))
    await asyncio.sleep(0.05)
    lanes.close(1.0, Lane.READS)
    await asyncio.sleep(0.5)
    lanes.close(120.0, Lane.READS)
    async with asyncio.timeout(0.2):
        with pytest.raises(VenueUnreachable, match="another 120 s; nothing was sent"):
            await _read(lanes)
    assert await passes(lanes.order(reduce_only=True))
    # The first is told as well, once the time it slept is over.
    with pytest.raises(VenueUnreachable, match="nothing was sent"):
        await first


@pytest.mark.parametrize("at_once", [0, 1])
async def test_a_lane_that_was_closed_while_its_window_was_waited_for_lets_nothing_in(at_once):
    lanes = Lanes(replace(LIMITS, period_seconds=0.3, reads=1, reads_at_once=at_once))
    await _read(lanes)
    began = time.monotonic()
    waiting = asyncio.ensure_future(_read(lanes))
    await asyncio.sleep(0.05)
    lanes.close(0.6, Lane.READS)
    await waiting
    assert time.monotonic() - began >= 0.64


async def _read(lanes: Lanes, weight: int = 1) -> None:
    async with lanes.read(weight):
        pass


async def test_an_increase_that_is_not_let_in_soon_is_given_up_and_keeps_no_place():
    lanes = Lanes(LIMITS)
    for _ in range(LIMITS.increases):
        assert await passes(lanes.order(reduce_only=False))
    started = time.monotonic()
    refused = await asyncio.gather(
        *(_enter(lanes) for _ in range(2 * IN_FLIGHT_MAX)), return_exceptions=True
    )
    assert time.monotonic() - started < 5
    assert {getattr(error, "code", error) for error in refused} == {"LANE_BUSY"}
    assert all(isinstance(error, VenueRejected) for error in refused)
    lanes.allow(replace(LIMITS, increases=2 * LIMITS.increases))
    assert [await passes(lanes.order(reduce_only=False)) for _ in range(3)] == [True, True, False]


async def _enter(lanes: Lanes) -> None:
    async with lanes.order(reduce_only=False):
        raise AssertionError("let in")


async def test_reads_beyond_what_may_come_at_once_follow_evenly():
    lanes = Lanes(replace(LIMITS, period_seconds=2.0, reads=20, reads_at_once=3))
    entered = await _entered(lanes, [1] * 8)
    # Three at once, then one each tenth of a second.
    assert [round(at, 1) for at in entered] == [0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5]
    # What the venue tells counts here too.
    lanes.allow(replace(LIMITS, period_seconds=2.0, reads=200, reads_at_once=3))
    first, *_, last = await _entered(lanes, [1] * 11)
    assert last - first == pytest.approx(0.1, abs=0.05)


@pytest.mark.parametrize("at_once", [0, 2])
async def test_a_heavy_request_enters_before_those_that_came_after_it(at_once):
    lanes = Lanes(replace(LIMITS, period_seconds=0.2, reads=4, reads_at_once=at_once))
    entered = await _entered(lanes, [4, 1, 4, 1, 1, 1])
    assert entered == sorted(entered)


async def _entered(lanes: Lanes, weights: list[int]) -> list[float]:
    # When each was let in, seconds from now, in the order of asking.
    began = time.monotonic()

    async def enter(weight: int) -> float:
        async with lanes.read(weight):
            return time.monotonic() - began

    return await asyncio.gather(*(enter(weight) for weight in weights))
