"""Books by REST: one that cannot be read is asked for again, and the others go on."""

import json
from decimal import Decimal

import pytest

from answered_rows import RIGS
from counterpoise.venues.binance.books import BookConversation
from counterpoise.venues.binance.endpoints import BinanceEndpoints
from counterpoise.venues.binance.market_stream import RHYTHM
from counterpoise.venues.binance.snapshots import SnapshotDesk

SYMBOLS = {"BTCUSDT": ("BTCUSDT", Decimal(1))}
BOOK = {"lastUpdateId": 105, "bids": [["100", "1"]], "asks": [["101", "2"]], "T": 7}


def depth(first: int, final: int, previous: int, bids: list[list[str]]) -> bytes:
    return json.dumps(
        {
            "e": "depthUpdate", "s": "BTCUSDT", "U": first, "u": final, "pu": previous,
            "b": bids, "a": [], "T": 8,
        }
    ).encode()  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "bids"),
    [
        (BOOK | {"bids": [["", "1"]]}, []),
        (BOOK | {"asks": [["101"]]}, []),
        (BOOK | {"asks": [[None, "1"]]}, []),
        (BOOK | {"T": "x"}, []),
        ({}, []),
        ([], []),
        # The message that follows the snapshot is no better.
        (BOOK, [["100", "x"]]),
    ],
)
async def test_a_book_that_cannot_be_read_is_wanted_again(answer, bids):
    rig = RIGS["binance"]()
    session = rig.account._session
    clock = rig.account._clock
    conversation = BookConversation(BinanceEndpoints.loopback(1), SYMBOLS, RHYTHM)
    conversation.begin(clock.now_ns())
    conversation.established = True
    desk = SnapshotDesk(session, [conversation], clock, books=1)
    conversation.collect("BTCUSDT")
    conversation.hear(depth(100, 110, 99, bids), clock.now_ns())
    rig.client.answers["fapiPublicGetDepth"] = answer
    await desk._serve(conversation, "BTCUSDT")
    assert not conversation.complete
    # Put off, then asked for anew.
    later_ns = clock.now_ns() + 3_600 * 10**9
    assert conversation.wanted(later_ns) == "BTCUSDT"
    conversation.collect("BTCUSDT")
    conversation.hear(depth(111, 120, 110, [["99", "3"]]), later_ns)
    rig.client.answers["fapiPublicGetDepth"] = BOOK | {"lastUpdateId": 115}
    await desk._serve(conversation, "BTCUSDT")
    assert conversation.complete
    book, *_ = conversation.hear(depth(121, 130, 120, []), later_ns)
    assert (book.bids, book.asks) == ((("100", "1"), ("99", "3")), (("101", "2"),))
