"""How long the venue takes to answer, and how old a frame of its streams is when it arrives."""

import asyncio
from collections.abc import Sequence
from math import ceil

from counterpoise.app.doctor import findings
from counterpoise.app.doctor.findings import Finding
from counterpoise.app.settings import Settings
from counterpoise.domain.errors import StartRefused, VenueError
from counterpoise.domain.events import BookDelta, Event, MarkPrice
from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Clock, MarketFeed, Venue

_NEARER = "run nearer to the venue, or mend the line"


async def rest(
    venue: Venue, settings: Settings, clock: Clock, *, samples: int, pause_seconds: float
) -> Finding:
    """Measure signed requests, one after the other; a pause keeps our own limiter out of it."""
    taken: list[float] = []
    for _ in range(samples):
        begun = clock.monotonic()
        try:
            await venue.account_id()
        except VenueError as error:
            return findings.failed(
                "REST latency", f"request {len(taken) + 1} failed: {error}", _NEARER
            )
        taken.append((clock.monotonic() - begun) * 1_000)
        await asyncio.sleep(pause_seconds)
    return judged("REST latency", taken, settings, "requests", blocks=False)


async def stream(
    feed: MarketFeed, settings: Settings, *, offset_ns: int, seconds: float
) -> Finding:
    """Measure marks and book updates for some time; `offset_ns` is the venue's clock less ours."""
    ages: list[float] = []
    greeted: set[str] = set()

    def take(event: Event) -> None:
        # What greets a subscriber is as old as the last change before; it proves no stream.
        if isinstance(event, MarkPrice) and event.instrument_id not in greeted:
            greeted.add(event.instrument_id)
        elif isinstance(event, (MarkPrice, BookDelta)) and event.event_ns:
            ages.append((event.received_ns + offset_ns - event.event_ns) / NS_PER_MS)

    task = asyncio.ensure_future(feed.run(take))
    done, _ = await asyncio.wait({task}, timeout=seconds)
    task.cancel()
    ended = (await asyncio.gather(task, return_exceptions=True))[0]
    if done and isinstance(ended, (VenueError, StartRefused)):
        return findings.failed("stream latency", f"the stream ended: {ended}", _NEARER)
    if done and isinstance(ended, BaseException):
        raise ended
    if not ages:
        return findings.failed(
            "stream latency",
            f"no mark or book update came within {seconds:g} s",
            "see whether a proxy or a firewall holds WebSockets up, and the addresses",
        )
    return judged("stream latency", ages, settings, "frames", blocks=True)


def judged(
    check: str, taken_ms: Sequence[float], settings: Settings, what: str, *, blocks: bool
) -> Finding:
    """Judge latencies by the lines at which the daemon warns and stops increasing.

    A slow median fails; a slow p99 fails where the daemon would not increase because of it
    (`blocks`), and is a warning elsewhere.
    """
    p50, p99 = quantile(taken_ms, 0.50), quantile(taken_ms, 0.99)
    warn_ms, limit_ms = settings.latency_ms_warn, settings.latency_ms_max
    words = f"p50 {p50:.1f} ms, p99 {p99:.1f} ms of {len(taken_ms)} {what}"
    figures = {"p50_ms": f"{p50:.3f}", "p99_ms": f"{p99:.3f}", "count": len(taken_ms)}
    if p50 > limit_ms or (blocks and p99 > limit_ms):
        words += f", over {limit_ms} ms"
        return findings.failed(check, words, f"nothing would increase; {_NEARER}", **figures)
    if p50 > warn_ms or p99 > warn_ms:
        return findings.warning(check, f"{words}, over {warn_ms} ms", _NEARER, **figures)
    return findings.ok(check, words, **figures)


def quantile(values: Sequence[float], fraction: float) -> float:
    """Return the smallest value that a fraction of all does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, ceil(fraction * len(ordered)) - 1)]
