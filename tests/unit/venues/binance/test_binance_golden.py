"""Raw frames -> events, value by value. `UPDATE=1` rewrites; the diff is the review.

The frames are written by hand in the shapes Binance documents. A snapshot of each book is given
after the messages that wait for it, as REST would.
"""

import dataclasses
import json
import os
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from counterpoise.venues.binance.account_stream import AccountConversation
from counterpoise.venues.binance.books import BookConversation
from counterpoise.venues.binance.endpoints import BinanceEndpoints
from counterpoise.venues.binance.frames import DepthSnapshot
from counterpoise.venues.binance.market_stream import RHYTHM, MarkConversation
from counterpoise.venues.connection import MALFORMED

GOLDEN = Path(__file__).parents[3] / "golden" / "binance"
NAMES = sorted(path.name.removesuffix(".frames.jsonl") for path in GOLDEN.glob("*.frames.jsonl"))
RECEIVED_NS = 1_767_225_600_000_000_000
SYMBOLS = {"BTCUSDT": ("BTCUSDT", Decimal(1)), "ETHUSDT": ("ETHUSDT", Decimal(1))}
ENDPOINTS = BinanceEndpoints.loopback(1)

#: After which frame a book's snapshot arrives: (symbol, last update it holds).
SNAPSHOTS = {2: ("BTCUSDT", 105), 6: ("BTCUSDT", 145), 3: ("ETHUSDT", 10)}


def conversation_of(stream):
    made = {
        "books": lambda: BookConversation(ENDPOINTS, SYMBOLS, RHYTHM),
        "marks": lambda: MarkConversation(ENDPOINTS, SYMBOLS, {"BTCUSDT": Decimal(8)}),
        "account": lambda: AccountConversation(SYMBOLS, lambda: None),
    }[stream]()
    made.begin(RECEIVED_NS)
    made.requests.clear()
    if stream == "books":
        for symbol, _ in SYMBOLS.values():
            made.collect(symbol)
    return made


def told(event):
    return {"event": type(event).__name__} | dataclasses.asdict(event)


def replay(lines):
    """One entry per frame: its events, whether a book is still wanted, or that it was malformed."""
    conversations = {}
    for number, line in enumerate(lines):
        stream = line["stream"]
        if stream not in conversations:
            conversations[stream] = conversation_of(stream)
        conversation = conversations[stream]
        entry = {"frame": number, "established": conversation.established}
        try:
            events = conversation.hear(line["frame"].encode(), RECEIVED_NS + number)
            entry["events"] = None if events is None else [told(event) for event in events]
        except MALFORMED as error:
            entry["malformed"] = type(error).__name__
        if stream == "books":
            if number in SNAPSHOTS:
                symbol, last = SNAPSHOTS[number]
                levels = ((("95000.00", "1"),), (("97000.00", "2"),))
                conversation.collect(symbol)
                entry["seeded"] = conversation.seed(
                    symbol, DepthSnapshot(last, *levels, 1), RECEIVED_NS + number
                )
            entry["complete"] = conversation.complete
        yield msgspec.json.encode(entry, order="sorted").decode()


def test_there_is_a_file_for_every_stream():
    assert NAMES == ["account", "books", "marks"]


@pytest.mark.parametrize("name", NAMES)
def test_frames_become_these_events(name):
    frames = (GOLDEN / f"{name}.frames.jsonl").read_text().splitlines()
    found = list(replay([json.loads(line) for line in frames]))
    path = GOLDEN / f"{name}.events.jsonl"
    if os.environ.get("UPDATE") == "1":
        path.write_text("\n".join(found) + "\n")
    assert found == path.read_text().splitlines()
