"""The checksum OKX sent with every book until 2026-06-23; since then the field is always 0.

Only recordings from before need it: those older than sequence numbers have nothing else that
tells whether a change is missing. Source: OKX API v5 "Order book channel", worked in venues.md 5.2.
"""

import zlib
from typing import Final

from counterpoise.domain.events import Level

#: Levels of each side it is made of.
LEVELS: Final = 25

#: What stands in the field since the checksum is no more.
NONE: Final = 0


def checksum(bids: tuple[Level, ...], asks: tuple[Level, ...]) -> int:
    """Return the signed CRC-32 of the best levels, bids and asks in turn, as OKX wrote them."""
    parts: list[str] = []
    for place in range(LEVELS):
        for side in (bids, asks):
            if place < len(side):
                parts.extend(side[place][:2])
    unsigned = zlib.crc32(":".join(parts).encode())
    return unsigned - (1 << 32) if unsigned & (1 << 31) else unsigned
