import time

import pytest
from aiohttp import web

from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.venues.okx.candles import RECENT_BARS

RECENT = "/api/v5/market/mark-price-candles"
HISTORY = "/api/v5/market/history-mark-price-candles"
STEP_MS = 300_000


def serve(stub, path, *, missing=()):
    """OKX's paging: newest first, cursors exclusive, the running bar unconfirmed."""

    async def candles(request, query):
        now_ms = time.time_ns() // NS_PER_MS
        newest = min(now_ms, int(query["after"]) - 1) // STEP_MS * STEP_MS
        rows = []
        opened = newest
        while opened > int(query["before"]) and len(rows) < int(query["limit"]):
            if opened not in missing:
                over = opened + STEP_MS <= now_ms
                price = str(opened // STEP_MS)
                rows.append([str(opened), price, price, price, price, "1" if over else "0"])
            opened -= STEP_MS
        return web.json_response({"code": "0", "msg": "", "data": rows})

    stub.answers[path] = candles


async def test_complete_bars_only_oldest_first(venue, stub):
    serve(stub, RECENT)
    now_ns = time.time_ns()
    since_ns = now_ns - 250 * STEP_MS * NS_PER_MS
    bars = await venue.mark_candles("BTCUSDT", 300, since_ns, now_ns)
    first = -(-since_ns // (STEP_MS * NS_PER_MS))
    last = now_ns // (STEP_MS * NS_PER_MS) - 1
    assert [bar.open_ns // (STEP_MS * NS_PER_MS) for bar in bars] == list(range(first, last + 1))
    assert bars[0].close == first
    assert {bar.step_seconds for bar in bars} == {300}


async def test_old_bars_come_from_the_history(venue, stub):
    serve(stub, RECENT)
    serve(stub, HISTORY)
    now_ns = time.time_ns()
    since_ns = now_ns - (RECENT_BARS + 500) * STEP_MS * NS_PER_MS
    bars = await venue.mark_candles("BTCUSDT", 300, since_ns, now_ns)
    opened = [bar.open_ns for bar in bars]
    assert opened == list(range(opened[0], opened[-1] + 1, STEP_MS * NS_PER_MS))
    assert len(stub.sent(HISTORY)) > 3
    oldest_ms = min(int(query["before"]) for query in stub.sent(RECENT))
    assert oldest_ms >= now_ns // NS_PER_MS - RECENT_BARS * STEP_MS
    assert {query["bar"] for query in stub.sent(HISTORY)} == {"5m"}


async def test_until_is_excluded_and_a_missing_bar_is_left_out(venue, stub):
    start_ms = (time.time_ns() // NS_PER_MS // STEP_MS - 100) * STEP_MS
    serve(stub, RECENT, missing={start_ms + STEP_MS})
    bars = await venue.mark_candles(
        "BTCUSDT", 300, start_ms * NS_PER_MS, (start_ms + 3 * STEP_MS) * NS_PER_MS
    )
    assert [bar.open_ns // NS_PER_MS for bar in bars] == [start_ms, start_ms + 2 * STEP_MS]


async def test_an_empty_span_asks_nothing(venue, stub):
    assert await venue.mark_candles("BTCUSDT", 300, 10**18, 10**18) == ()
    assert stub.sent(RECENT) == []


async def test_a_page_is_asked_again_but_not_for_ever(venue, stub):
    asked = []

    async def away(request, query):
        asked.append(query["after"])
        return web.Response(status=503)

    stub.answers[RECENT] = away
    now_ns = time.time_ns()
    with pytest.raises(VenueUnreachable):
        await venue.mark_candles("BTCUSDT", 300, now_ns - 3_600 * NS_PER_SECOND, now_ns)
    assert len(asked) == 3


@pytest.mark.parametrize(("step", "code"), [(7, "STEP_UNKNOWN"), (60, "SPAN_TOO_LONG")])
async def test_what_cannot_be_asked(venue, step, code):
    with pytest.raises(VenueRejected) as refusal:
        await venue.mark_candles("BTCUSDT", step, 0, time.time_ns())
    assert refusal.value.code == code
