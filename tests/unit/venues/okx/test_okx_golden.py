"""Raw frames -> events, value by value. `UPDATE=1` rewrites; the diff is the review.

`books`, `marks` and `account` are written by hand; `simulated_*` are frames of the simulator.
"""

import dataclasses
import json
import os
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from counterpoise.venues.connection import MALFORMED
from counterpoise.venues.okx.account_stream import AccountConversation
from counterpoise.venues.okx.endpoints import OkxEndpoints
from counterpoise.venues.okx.market_stream import BookConversation, MarkConversation

GOLDEN = Path(__file__).parents[3] / "golden" / "okx"
NAMES = sorted(path.name.removesuffix(".frames.jsonl") for path in GOLDEN.glob("*.frames.jsonl"))
RECEIVED_NS = 1_767_225_600_000_000_000


def conversation_of(stream, symbols, credentials):
    endpoints = OkxEndpoints.loopback(1)
    made = {
        "books": lambda: BookConversation(endpoints, symbols),
        "marks": lambda: MarkConversation(endpoints, symbols),
        "account": lambda: AccountConversation(endpoints, credentials, symbols),
    }[stream]()
    made.begin(RECEIVED_NS)
    made.requests.clear()
    return made


def told(event):
    return {"event": type(event).__name__} | dataclasses.asdict(event)


def replay(lines, symbols, credentials):
    """One entry per frame: its events, what it asked for, or that it was malformed."""
    conversations = {}
    for number, line in enumerate(lines):
        stream = line["stream"]
        if stream not in conversations:
            conversations[stream] = conversation_of(stream, symbols, credentials)
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
    assert {"books", "marks", "account"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_frames_become_these_events(name, symbols, credentials):
    frames = (GOLDEN / f"{name}.frames.jsonl").read_text().splitlines()
    found = list(replay([json.loads(line) for line in frames], symbols, credentials))
    path = GOLDEN / f"{name}.events.jsonl"
    if os.environ.get("UPDATE") == "1":
        path.write_text("\n".join(found) + "\n")
    assert found == path.read_text().splitlines()


def test_the_simulators_account_ends_flat_and_its_fills_add_up(symbols, credentials):
    frames = (GOLDEN / "simulated_account.frames.jsonl").read_text().splitlines()
    entries = [json.loads(e) for e in replay(map(json.loads, frames), symbols, credentials)]
    events = [event for entry in entries for event in entry["events"] or []]
    fills = {e["fill"]["fill_id"]: e["fill"] for e in events if e["event"] == "FillReported"}
    signs = {"buy": 1, "sell": -1}
    assert sum(signs[fill["side"]] * Decimal(fill["quantity"]) for fill in fills.values()) == 0
    positions = [e["position"] for e in events if e["event"] == "PositionUpdate"]
    assert Decimal(positions[-1]["quantity"]) == 0
    balances = [e["balance"] for e in events if e["event"] == "BalanceUpdate"]
    paid = sum(Decimal(fill["fee"]) for fill in fills.values())
    made = sum(Decimal(fill["realised_pnl"]) for fill in fills.values())
    change = Decimal(balances[-1]["wallet_balance"]) - Decimal(balances[0]["wallet_balance"])
    assert change == made - paid
