"""Bybit's messages as types: field names are Bybit's, every number stays the text it was.

Unknown fields are ignored (Bybit adds some each month); a missing one that we need is an error.
Sources: Bybit v5 "Orderbook" (stream).
"""

import msgspec

#: Price and base units; a quantity of "0" deletes.
RawLevel = tuple[str, ...]


class Frame(msgspec.Struct):
    """Any frame of a stream; `data` is left raw until the topic says what it is."""

    #: "orderbook.200.BTCUSDT", "tickers.BTCUSDT", "order"...; "" = an answer to a request.
    topic: str = ""
    #: "snapshot" or "delta".
    type: str = ""
    #: When it was sent, ms.
    ts: int = 0
    data: msgspec.Raw = msgspec.Raw(b"null")
    #: "subscribe", "unsubscribe", "auth", "ping", "pong".
    op: str = ""
    #: None = the frame is no answer, or one without a verdict.
    success: bool | None = None
    ret_msg: str = ""
    req_id: str | int = ""


class BookRow(msgspec.Struct):
    """One message of a book."""

    #: Instrument.
    s: str
    b: tuple[RawLevel, ...]
    a: tuple[RawLevel, ...]
    u: int
    seq: int = 0


FRAME = msgspec.json.Decoder(Frame)
BOOK = msgspec.json.Decoder(BookRow)
