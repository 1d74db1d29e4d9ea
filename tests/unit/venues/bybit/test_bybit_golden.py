"""Frames of the built-in Bybit -> events, value by value. `UPDATE=1` rewrites; the diff is the review."""

import dataclasses
import json
import os
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from counterpoise.venues.bybit.account_stream import AccountConversation
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.market_stream import BookConversation, MarkConversation
from counterpoise.venues.connection import MALFORMED

GOLDEN = Path(__file__).parents[3] / "golden" / "bybit"
NAMES = sorted(path.name.removesuffix(".frames.jsonl") for path in GOLDEN.glob("*.frames.jsonl"))
RECEIVED_NS = 1_795_334_590_000_000_000
SYMBOLS = {"BTCUSDT": ("BTCUSDT", Decimal(1))}
ENDPOINTS = BybitEndpoints.loopback(1)
CREDENTIALS = BybitCredentials(api_key="key-7", secret="secret-8")


def conversation_of(stream):
    made = {
        "books": lambda: BookConversation(ENDPOINTS, SYMBOLS),
        "marks": lambda: MarkConversation(ENDPOINTS, SYMBOLS),
        "account": lambda: AccountConversation(ENDPOINTS, CREDENTIALS, SYMBOLS),
    }[stream]()
    made.begin(RECEIVED_NS)
    made.requests.clear()
    return made


def told(event):
    return {"event": type(event).__name__} | dataclasses.asdict(event)


def replay(lines):
    """One entry per frame: its events, what it asked for, or that it was malformed."""
    conversations = {}
    for number, line in enumerate(lines):
        stream = line["stream"]
        if stream not in conversations:
            conversations[stream] = conversation_of(stream)
        conversation = conversations[stream]
        entry = {"frame": number}
        try:
            events = conversation.hear(line["frame"].encode(), RECEIVED_NS + number)
            entry["events"] = None if events is None else [told(event) for event in events]
        except MALFORMED as error:
            entry["malformed"] = type(error).__name__
        entry["requests"] = [json.loads(request) for request in conversation.requests]
        conversation.requests.clear()
        yield msgspec.json.encode(entry, order="sorted").decode()


def test_there_is_a_file_for_every_stream():
    assert NAMES == ["simulated_account", "simulated_books", "simulated_marks"]


@pytest.mark.parametrize("name", NAMES)
def test_frames_become_these_events(name):
    frames = (GOLDEN / f"{name}.frames.jsonl").read_text().splitlines()
    found = list(replay([json.loads(line) for line in frames]))
    path = GOLDEN / f"{name}.events.jsonl"
    if os.environ.get("UPDATE") == "1":
        path.write_text("\n".join(found) + "\n")
    assert found == path.read_text().splitlines()


def test_the_account_ends_flat_and_its_money_adds_up():
    frames = (GOLDEN / "simulated_account.frames.jsonl").read_text().splitlines()
    entries = [json.loads(entry) for entry in replay(map(json.loads, frames))]
    events = [event for entry in entries for event in entry["events"] or []]
    fills = [event["fill"] for event in events if event["event"] == "FillReported"]
    signs = {"buy": 1, "sell": -1}
    assert [fill["client_order_id"][-1] for fill in fills] == ["1", "3"]
    assert sum(signs[fill["side"]] * Decimal(fill["quantity"]) for fill in fills) == 0
    positions = [e["position"] for e in events if e["event"] == "PositionUpdate"]
    assert Decimal(positions[-1]["quantity"]) == 0
    balances = [e["balance"] for e in events if e["event"] == "BalanceUpdate"]
    first, second = fills
    change = Decimal(balances[-1]["wallet_balance"]) - Decimal(balances[0]["wallet_balance"])
    assert change == Decimal(second["realised_pnl"]) - Decimal(second["fee"])
    # Each order's end is told after its execution, whatever came first on the wire.
    names = [
        (event["event"], (event.get("fill") or event)["client_order_id"][-1])
        for event in events
        if event["event"] in {"FillReported", "OrderUpdate"}
    ]
    assert names.index(("FillReported", "1")) < max(
        number for number, name in enumerate(names) if name == ("OrderUpdate", "1")
    )
    assert first["liquidity"] == "taker"
