"""Market events over a pipe, one way: a length, then JSON. The first frame introduces the twin."""

import asyncio
import os
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from counterpoise.domain.events import (
    BookDelta,
    BookGap,
    BookSnapshot,
    Event,
    FundingRate,
    LiquidationPrinted,
    MarkPrice,
    StreamAlive,
    StreamDown,
    StreamName,
)

#: A frame longer than this is none of ours, bytes.
FRAME_BYTES_MAX: Final = 16 * 1024 * 1024
_LENGTH_BYTES: Final = 4

#: What a twin hears of the market.
KINDS: Final[dict[str, type[Any]]] = {
    kind.__name__: kind
    for kind in (
        BookDelta,
        BookGap,
        BookSnapshot,
        FundingRate,
        LiquidationPrinted,
        MarkPrice,
        StreamAlive,
        StreamDown,
    )
}

_ENCODER: Final = msgspec.json.Encoder()
_HEADS: Final = {kind: f'["{name}",'.encode() for name, kind in KINDS.items()}
_FRAME: Final = msgspec.json.Decoder(tuple[str, msgspec.Raw])
_DECODERS: Final = {name: msgspec.json.Decoder(kind) for name, kind in KINDS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Introduction:
    """What a twin is told first. It holds the database's address and no key of a venue."""

    #: The settings of the twin, by field.
    settings: dict[str, Any]
    #: Whose market it is: "okx", "binance" or "bybit".
    venue: str
    #: Public addresses in use, by field of the venue's endpoints.
    addresses: dict[str, Any]
    #: The twin's account.
    account_id: str


def of_the_market(event: Event) -> bool:
    """Tell whether a twin hears of an event."""
    if isinstance(event, StreamAlive | StreamDown):
        return event.stream is not StreamName.ACCOUNT
    return type(event) in _HEADS


def frame(event: Event) -> bytes:
    """Return a market event as a frame."""
    return _framed(_HEADS[type(event)] + _ENCODER.encode(event) + b"]")


def introduction(value: Introduction) -> bytes:
    """Return the first frame."""
    return _framed(_ENCODER.encode(value))


def read_introduction(descriptor: int) -> Introduction:
    """Read the first frame, blocking. Raises EOFError or ValueError."""
    length = int.from_bytes(_exactly(descriptor, _LENGTH_BYTES))
    _check(length)
    return msgspec.json.decode(_exactly(descriptor, length), type=Introduction)


async def read_event(reader: asyncio.StreamReader) -> Event:
    """Read the next event. Raises IncompleteReadError at the end, or ValueError."""
    length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES))
    _check(length)
    name, body = _FRAME.decode(await reader.readexactly(length))
    event: Event = _DECODERS[name].decode(body)
    return event


def _framed(body: bytes) -> bytes:
    return len(body).to_bytes(_LENGTH_BYTES) + body


def _check(length: int) -> None:
    if length > FRAME_BYTES_MAX:
        raise ValueError(f"a frame of {length} bytes is longer than {FRAME_BYTES_MAX}")


def _exactly(descriptor: int, length: int) -> bytes:
    found = b""
    while len(found) < length:
        part = os.read(descriptor, length - len(found))
        if not part:
            raise EOFError("the pipe ended before the introduction")
        found += part
    return found
