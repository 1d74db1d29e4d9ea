"""Recording a venue's public frames into a file until a limit or a signal ends it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from counterpoise.domain.errors import DataError
from counterpoise.ports import MarketFeed
from counterpoise.venues.capture import CapturedFrame, CaptureFile, Tap

#: What was heard is handed to the system this often, seconds: a kill costs no more.
FLUSH_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """When a recording ends by itself."""

    #: None = it does not, by time.
    seconds: float | None
    #: Bytes of lines before compression; None = it does not, by size.
    bytes_max: int | None


async def record(make_feed: Callable[[Tap], MarketFeed], path: Path, limits: Limits) -> CaptureFile:
    """Record a feed into a new file; return it, closed.

    Ended by a limit or by being cancelled; what was heard until then is in the file. Raises
    DataError if the file is there already or cannot be written.
    """
    try:
        with CaptureFile(path) as file:
            await _record(make_feed, file, limits)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    return file


async def _record(
    make_feed: Callable[[Tap], MarketFeed], file: CaptureFile, limits: Limits
) -> None:
    full = False
    failed: OSError | None = None

    def take(frame: CapturedFrame) -> None:
        # Called from inside the feed, which an error of the disk is no concern of.
        nonlocal full, failed
        if full:
            return
        try:
            file.write(frame)
        except OSError as error:
            failed = error
        full = failed is not None or (
            limits.bytes_max is not None and file.bytes >= limits.bytes_max
        )

    feed = asyncio.create_task(make_feed(take).run(lambda _event: None))
    clock = asyncio.get_running_loop().time
    end = float("inf") if limits.seconds is None else clock() + limits.seconds
    try:
        while not full and not feed.done() and clock() < end:
            await asyncio.wait({feed}, timeout=min(FLUSH_SECONDS, end - clock()))
            file.flush()
    finally:
        feed.cancel()
        await asyncio.wait({feed})
    if failed is not None:
        raise failed
    if not feed.cancelled():
        # A feed ends by itself only by failing.
        feed.result()
