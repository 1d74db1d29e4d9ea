"""Frame bytes to best prices: our OKX path beside ccxt.pro's and a textbook one, in one run.

Only the ratios carry over. Every path takes the same frames (20 changed levels each) and must end
at the same best bid and ask.
"""

import json
import random
import time
from collections.abc import Callable
from decimal import Decimal

import orjson
from ccxt.pro import okx as ccxt_okx
from sortedcontainers import SortedDict

from counterpoise.domain.instruments import Instrument
from counterpoise.market.freshness import FreshnessLimits
from counterpoise.market.state import Market
from counterpoise.venues.okx.endpoints import OkxEndpoints
from counterpoise.venues.okx.market_stream import BookConversation

FRAMES = 4_000
ROUNDS = 5
INST_ID = "BTC-USDT-SWAP"
CONTRACT = Decimal("0.01")


def make_frames(seed: int) -> list[bytes]:
    """Return a snapshot of 400 levels a side and updates of ten changed levels a side."""
    source = random.Random(seed)
    mid = 500_000

    def side(step: int, count: int, reach: int) -> list[list[str]]:
        ticks = source.sample(range(1, reach), count)
        return [
            [f"{(mid + step * t) / 10:.1f}", str(source.choice([0, *range(1, 900)])), "0", "3"]
            for t in ticks
        ]

    frames = []
    for number in range(FRAMES):
        first = number == 0
        count, reach = (400, 401) if first else (10, 400)
        bids, asks = side(-1, count, reach), side(1, count, reach)
        if first:
            bids = [[p, "5", "0", "1"] for p, *_ in bids]
            asks = [[p, "5", "0", "1"] for p, *_ in asks]
        row = {
            "asks": asks,
            "bids": bids,
            "ts": str(1_790_000_000_000 + number),
            "checksum": 0,
            "prevSeqId": -1 if first else 10 + number - 1,
            "seqId": 10 + number,
        }
        action = "snapshot" if first else "update"
        frame = {"arg": {"channel": "books", "instId": INST_ID}, "action": action, "data": [row]}
        frames.append(json.dumps(frame, separators=(",", ":")).encode())
    return frames


def ours(frames: list[bytes]) -> tuple[float, float]:
    """The product's own path: typed decoding, sequence check, events, market state."""
    instrument = Instrument(
        instrument_id="BTCUSDT",
        base="BTC",
        quote="USDT",
        settle="USDT",
        tick_size=Decimal("0.1"),
        lot_size=Decimal("0.0001"),
        quantity_min=Decimal("0.0001"),
    )
    market = Market([instrument], FreshnessLimits())
    talk = BookConversation(OkxEndpoints.loopback(1), {"BTCUSDT": (INST_ID, CONTRACT)})
    talk.begin(0)
    bid = ask = None
    for number, frame in enumerate(frames):
        for event in talk.hear(frame, 1_790_000_000_000_000_000 + number) or ():
            market.apply(event)
        bid, ask = market.top("BTCUSDT")
    assert bid is not None
    assert ask is not None
    return float(bid), float(ask)


def textbook(frames: list[bytes]) -> tuple[float, float]:
    """Parse with orjson into two sorted dicts, check the sequence, look at both ends."""
    bids, asks, last = SortedDict(), SortedDict(), -1
    for frame in frames:
        row = orjson.loads(frame)["data"][0]
        assert row["prevSeqId"] in (-1, last)
        last = row["seqId"]
        for book, levels in ((bids, row["bids"]), (asks, row["asks"])):
            for level in levels:
                mark, quantity = float(level[0]), float(level[1])
                if quantity:
                    book[mark] = quantity
                else:
                    book.pop(mark, None)
        best = bids.peekitem(-1)[0], asks.peekitem(0)[0]
    return best


class _Client:
    """What ccxt's handler wants of a connection."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, object] = {}

    def resolve(self, book: object, _hash: str) -> object:
        return book

    def reject(self, error: Exception, _hash: str | None = None) -> None:
        raise error


def ccxt_pro(frames: list[bytes]) -> tuple[float, float]:
    """ccxt.pro's own handler on parsed frames, as its receive loop calls it."""
    exchange = ccxt_okx({"options": {"watchOrderBook": {"checksum": False}}})
    market = exchange.safe_market_structure(
        {"id": INST_ID, "symbol": "BTC/USDT:USDT", "swap": True, "contract": True, "type": "swap"}
    )
    exchange.markets = {market["symbol"]: market}
    exchange.markets_by_id = {INST_ID: [market]}
    client = _Client()
    for frame in frames:
        exchange.handle_order_book(client, orjson.loads(frame))
    book = exchange.orderbooks["BTC/USDT:USDT"]
    return book["bids"][0][0], book["asks"][0][0]


def main() -> None:
    """Interleave the paths and print CPU per message as medians, and their ratios."""
    paths: dict[str, Callable[[list[bytes]], tuple[float, float]]] = {
        "counterpoise": ours,
        "orjson + SortedDict": textbook,
        "ccxt.pro": ccxt_pro,
    }
    frames = make_frames(7)
    spent: dict[str, list[float]] = {name: [] for name in paths}
    ends: dict[str, tuple[float, float]] = {}
    for _ in range(ROUNDS):
        for name, path in paths.items():
            began = time.process_time()
            ends[name] = path(frames)
            spent[name].append((time.process_time() - began) / FRAMES * 1e6)
    assert len(set(ends.values())) == 1, f"the paths end at different prices: {ends}"
    median = {name: sorted(times)[ROUNDS // 2] for name, times in spent.items()}
    print(f"{'path':22} {'us CPU per message':>20} {'times ours':>12}")
    for name, value in median.items():
        print(f"{name:22} {value:20.1f} {value / median['counterpoise']:12.2f}")


if __name__ == "__main__":
    main()
