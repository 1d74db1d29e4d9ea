"""What was traded in 24 h, asked for by REST: a stream would tell it many times a second."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import structlog

from counterpoise.domain.errors import VenueError
from counterpoise.domain.events import TradedVolume
from counterpoise.ports import Clock, Feed
from counterpoise.venues import plausible
from counterpoise.venues.connection import MALFORMED

_log = structlog.get_logger(__name__)

#: Asked for first when the streams had time to come up, then this often; sooner after a failure.
FIRST_SECONDS: Final = 3.0
EVERY_SECONDS: Final = 300.0
RETRY_SECONDS: Final = 60.0

#: Asks for the rows of all instruments.
Ask = Callable[[], Awaitable[list[Any]]]

#: Reads a row: the venue's symbol, quote notional of 24 h, and when, ns. Raises one of MALFORMED.
Read = Callable[[Mapping[str, Any]], tuple[str, str, int]]


async def follow(
    ask: Ask, read: Read, instruments: Mapping[str, str], feed: Feed, clock: Clock
) -> None:
    """Tell the volume of instruments (by the venue's symbol) again and again, until cancelled."""
    await asyncio.sleep(FIRST_SECONDS)
    while True:
        try:
            rows = await ask()
        except VenueError as error:
            _log.warning("volumes.not_had", error=str(error))
            await asyncio.sleep(RETRY_SECONDS)
            continue
        received_ns = clock.now_ns()
        for row in rows:
            event = _event(read, row, instruments, received_ns)
            if event is not None:
                feed(event)
        await asyncio.sleep(EVERY_SECONDS)


def _event(
    read: Read, row: Any, instruments: Mapping[str, str], received_ns: int
) -> TradedVolume | None:
    # A row that cannot be read is left out: the others are true.
    try:
        symbol, volume, event_ns = read(row)
        instrument_id = instruments.get(symbol)
        if instrument_id is None:
            return None
        event = TradedVolume(
            instrument_id=instrument_id,
            volume_quote=plausible.figure(volume),
            event_ns=event_ns,
            received_ns=received_ns,
        )
        plausible.check(event)
    except MALFORMED as error:
        _log.warning("volume.malformed", error=f"{type(error).__name__}: {error}"[:100])
        return None
    return event
