"""Recorded from a venue that stands still at the end, replayed: the books are the venue's own."""

import asyncio
import json
import urllib.request
from decimal import Decimal

import pytest

from counterpoise.app import frame_recording
from counterpoise.app.frame_recording import Limits
from counterpoise.domain.errors import DataError
from counterpoise.venues import capture
from counterpoise.venues.binance.recorded import BinanceRecording
from counterpoise.venues.bybit.recorded import BybitRecording
from counterpoise.venues.capture import CapturedFrame
from counterpoise.venues.connection import Timing
from counterpoise.venues.okx.recorded import OkxRecording
from counterpoise.venues.replaying import replay
from venue_process import VenueProcess
from venue_rigs import WallClock

pytestmark = pytest.mark.timeout(180)

SYMBOLS = {
    "okx": ("BTC-USDT-SWAP", "ETH-USDT-SWAP"),
    "binance": ("BTCUSDT", "ETHUSDT"),
    "bybit": ("BTCUSDT", "ETHUSDT"),
}
RECORDINGS = {"okx": OkxRecording, "binance": BinanceRecording, "bybit": BybitRecording}
BOOKS = {
    "okx": "/api/v5/market/books?instId={}&sz=5",
    "binance": "/fapi/v1/depth?symbol={}&limit=5",
    "bybit": "/v5/market/orderbook?category=linear&symbol={}&limit=5",
}
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def best_five(venue, port, symbol):
    """Bids and asks as the venue's REST has them, price and quantity."""
    address = f"http://127.0.0.1:{port}{BOOKS[venue].format(symbol)}"
    with _OPENER.open(address, timeout=30) as response:
        answer = json.loads(response.read())
    row = {
        "okx": lambda: answer["data"][0],
        "binance": lambda: answer,
        "bybit": lambda: {"bids": answer["result"]["b"], "asks": answer["result"]["a"]},
    }[venue]()
    return [[level[:2] for level in row[side][:5]] for side in ("bids", "asks")]


def feed_maker(venue, port):
    from counterpoise.app.venue_table import VENUES

    adapters = VENUES[venue].adapters()
    listed = {name: (name, Decimal(1)) for name in SYMBOLS[venue]}

    def make(tap):
        return adapters.market_feed(
            adapters.loopback(port), listed, WallClock(), timing=Timing(retry_first=0.05), tap=tap
        )

    return make


@pytest.mark.parametrize("venue", SYMBOLS)
async def test_a_recording_gives_the_venues_books(venue, tmp_path):
    process = VenueProcess(venue, tmp_path / "venue.log", seed=11, speed=0)
    path = tmp_path / "recording.jsonl.zst"
    try:
        port = await asyncio.to_thread(lambda: process.port)
        limits = Limits(seconds=None, bytes_max=None)
        recording = asyncio.create_task(
            frame_recording.record(feed_maker(venue, port), path, limits)
        )
        for _ in range(25):
            await asyncio.sleep(0.2)
            await asyncio.to_thread(process.ask, "/_control", {"advance_seconds": 0.5})
        await asyncio.sleep(2)
        recording.cancel()
        with pytest.raises(asyncio.CancelledError):
            await recording
        truth = {
            symbol: await asyncio.to_thread(best_five, venue, port, symbol)
            for symbol in SYMBOLS[venue]
        }
    finally:
        process.stop()
    skipped = capture.Skipped()
    rows = list(capture.read(path, skipped))
    result = replay(rows, RECORDINGS[venue]())
    assert (skipped, result.malformed) == (capture.Skipped(), 0)
    assert set(result.instruments) == set(SYMBOLS[venue])
    for symbol, told in result.instruments.items():
        assert [told["bids"], told["asks"]] == truth[symbol]
        assert (told["snapshots"], told["gaps"], told["crossed"]) == (1, 0, 0)
        assert told["applied"] > 5
    # Marks are in it as well, and every frame says where and when it was heard.
    assert result.other > 5
    assert all(row.received_ns > 0 and row.url for row in rows)


class WordyFeed:
    """A feed that says as much as it can."""

    def __init__(self, tap):
        self._tap = tap

    async def run(self, feed):
        while True:
            self._tap(CapturedFrame(received_ns=1, kind="ws", url="wss://here", frame="x" * 1_000))
            await asyncio.sleep(0)


async def test_a_recording_ends_at_its_size(tmp_path):
    made = await frame_recording.record(
        WordyFeed, tmp_path / "a", Limits(seconds=30, bytes_max=100_000)
    )
    assert 100_000 <= made.bytes < 102_000
    assert len(list(capture.read(tmp_path / "a", capture.Skipped()))) == made.frames


async def test_a_recording_ends_at_its_time(tmp_path):
    async with asyncio.timeout(10):
        made = await frame_recording.record(
            WordyFeed, tmp_path / "a", Limits(seconds=0.3, bytes_max=None)
        )
    assert made.frames > 0


async def test_a_feed_that_fails_ends_it_with_its_own_words(tmp_path):
    class FailingFeed(WordyFeed):
        async def run(self, feed):
            raise DataError("the venue is not there")

    with pytest.raises(DataError, match="not there"):
        await frame_recording.record(
            FailingFeed, tmp_path / "a", Limits(seconds=30, bytes_max=None)
        )


async def test_a_place_that_cannot_be_written_is_named(tmp_path):
    path = tmp_path / "nowhere" / "a"
    with pytest.raises(DataError, match="No such file"):
        await frame_recording.record(WordyFeed, path, Limits(seconds=1, bytes_max=1))
