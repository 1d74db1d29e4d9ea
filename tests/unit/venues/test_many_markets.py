"""Many instruments on one set of connections: limits kept, every book and mark told, rotated whole.

A sample runs with every test; `make many` runs as many instruments as a venue lists.
"""

import asyncio
import importlib
import resource
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from types import ModuleType
from typing import Any

import pytest

from counterpoise.domain.events import BookDelta, BookGap, BookSnapshot, MarkPrice, StreamDown
from counterpoise.venues.binance.endpoints import BinanceEndpoints
from counterpoise.venues.binance.snapshots import DEEP_BOOKS_MAX, SHALLOW
from counterpoise.venues.bybit.endpoints import BybitEndpoints
from counterpoise.venues.connection import Timing
from counterpoise.venues.okx.endpoints import OkxEndpoints
from many_markets import ManyBinance, ManyBybit, ManyOkx, ManyVenue

#: Instruments, and how many of them one connection carries (None = as the adapter has it).
SAMPLE = pytest.param(60, 20, id="60")
ALL = pytest.param(500, None, id="500", marks=[pytest.mark.many, pytest.mark.timeout(500)])

#: Nothing grows by more than this, MB.
GROWN_MB_MAX = 250


@dataclass(frozen=True, kw_only=True)
class Row:
    """One venue and what it takes of one connection."""

    name: str
    made: Callable[[], ManyVenue]
    endpoints: Callable[[int], Any]
    symbol: Callable[[str], str]
    #: Subscriptions, frames of ours in a second, and characters of a frame and of all names.
    subscriptions_max: int
    frames_second_max: int
    frame_max: int
    names_max: int

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(f"counterpoise.venues.{self.name}.market_stream")


def _swap(name: str) -> str:
    return f"{name.removesuffix('USDT')}-USDT-SWAP"


ROWS = {
    "binance": Row(
        name="binance", made=ManyBinance, endpoints=BinanceEndpoints.loopback, symbol=str,
        subscriptions_max=1_024, frames_second_max=10, frame_max=64_000, names_max=64_000,
    ),
    "bybit": Row(
        name="bybit", made=ManyBybit, endpoints=BybitEndpoints.loopback, symbol=str,
        subscriptions_max=21_000, frames_second_max=500, frame_max=21_000, names_max=21_000,
    ),
    "okx": Row(
        name="okx", made=ManyOkx, endpoints=OkxEndpoints.loopback, symbol=_swap,
        subscriptions_max=480, frames_second_max=480, frame_max=64_000, names_max=64_000,
    ),
}  # fmt: skip


class RealClock:
    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


class Heard:
    """What was told, by kind and instrument."""

    def __init__(self) -> None:
        self.told: dict[type, set[str]] = {}
        self.gaps: list[str] = []
        self.downs: list[str] = []
        self.clear()

    def clear(self) -> None:
        self.told = {BookSnapshot: set(), BookDelta: set(), MarkPrice: set()}

    def take(self, event: object) -> None:
        if isinstance(event, BookGap):
            self.gaps.append(event.instrument_id)
        elif isinstance(event, StreamDown):
            self.downs.append(f"{event.stream.value}: {event.reason}")
        elif type(event) in self.told:
            self.told[type(event)].add(event.instrument_id)  # type: ignore[attr-defined]

    async def until(self, done: Callable[[], bool], seconds: float) -> None:
        async with asyncio.timeout(seconds):
            while not done():  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def all_of(self, names: set[str], seconds: float) -> None:
        """Wait for a book, a change and a mark of every instrument."""
        await self.until(lambda: all(found == names for found in self.told.values()), seconds)


@pytest.fixture(params=list(ROWS))
def row(request: pytest.FixtureRequest) -> Row:
    return ROWS[request.param]


@asynccontextmanager
async def streaming(
    row: Row, names: list[str], timing: Timing
) -> AsyncIterator[tuple[ManyVenue, Heard]]:
    venue, heard = row.made(), Heard()
    (stream,) = (made for each, made in vars(row.module).items() if each.endswith("MarketStream"))
    async with venue.listening() as port:
        symbols = {name: (row.symbol(name), Decimal(1)) for name in names}
        feed = stream(row.endpoints(port), symbols, RealClock(), timing=timing)
        task = asyncio.create_task(feed.run(heard.take))
        try:
            yield venue, heard
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def carried(row: Row, monkeypatch: pytest.MonkeyPatch, per_connection: int | None) -> int:
    """Have a connection carry so many instruments; return how many it carries of books."""
    if per_connection is not None:
        monkeypatch.setattr(row.module, "BOOKS_PER_CONNECTION", per_connection)
        monkeypatch.setattr(row.module, "MARKS_PER_CONNECTION", per_connection)
    count: int = row.module.BOOKS_PER_CONNECTION
    return count


def check_limits(row: Row, venue: ManyVenue) -> None:
    for session in venue.sessions:
        assert session.asked <= row.subscriptions_max
        assert max(session.frames.values()) <= row.frames_second_max
        assert session.longest <= row.frame_max
        assert sum(map(len, session.names)) <= row.names_max


@pytest.mark.parametrize(("count", "per_connection"), [SAMPLE, ALL])
async def test_many_instruments_share_connections_within_every_limit(
    row: Row, count: int, per_connection: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = carried(row, monkeypatch, per_connection)
    names = [f"S{number}USDT" for number in range(count)]
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    async with streaming(row, names, Timing()) as (venue, heard):
        await heard.all_of(set(names), 100)
        books = [
            session for session in venue.sessions
            if any("depth" in name or "book" in name for name in session.names)
        ]  # fmt: skip
        assert len(books) == count // each
        # One book breaks: it alone is asked for again, the others go on.
        broken = "S7USDT"
        given = venue.whole.copy()
        heard.clear()
        venue.wrong.add(row.symbol(broken))
        await heard.until(lambda: broken in heard.told[BookSnapshot], 60)
        await heard.until(lambda: heard.told[BookDelta] == set(names), 60)
    assert heard.gaps == [broken]
    assert heard.told[BookSnapshot] == {broken}
    assert set(venue.whole - given) == {row.symbol(broken)}
    assert heard.downs == []
    check_limits(row, venue)
    if isinstance(venue, ManyBinance):
        assert count > DEEP_BOOKS_MAX
        assert venue.levels_asked == {str(SHALLOW[0])}
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1_024
    assert grown_mb < GROWN_MB_MAX


@pytest.mark.parametrize(("count", "per_connection"), [SAMPLE, ALL])
async def test_old_connections_are_followed_by_new_ones_without_a_break(
    row: Row, count: int, per_connection: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    carried(row, monkeypatch, per_connection)
    names = [f"S{number}USDT" for number in range(count)]
    # Five hundred books of Binance are asked for one by one, and a beat of all takes its time.
    timing = Timing(rotate_after=50.0 if count > 100 else 4.0, rotate_within=120.0)
    async with streaming(row, names, timing) as (venue, heard):
        await heard.all_of(set(names), 100)
        first = [session for session in venue.sessions if not session.socket.closed]
        heard.clear()
        # Every connection of the first set is closed once another has taken over, and each book
        # was told anew as a whole by the one that took over.
        await heard.until(lambda: all(session.socket.closed for session in first), 200)
        await heard.until(lambda: heard.told[BookSnapshot] == set(names), 60)
        heard.clear()
        await heard.until(lambda: heard.told[BookDelta] == set(names), 60)
        await heard.until(lambda: heard.told[MarkPrice] == set(names), 60)
    assert heard.gaps == []
    assert heard.downs == []
    check_limits(row, venue)
