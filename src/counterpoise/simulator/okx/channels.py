"""What can be subscribed: the channels' names, arguments and frames."""

import functools
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from counterpoise.domain import units
from counterpoise.simulator.okx import account
from counterpoise.simulator.okx.calls import Desk
from counterpoise.simulator.okx.errors import Row
from counterpoise.simulator.okx.market import BARS, level, mark_rows, ticker_row, trade_rows
from counterpoise.simulator.okx.public import BOOK_LEVELS_MAX, funding_row, index_row
from counterpoise.simulator.okx.sockets import ChannelUnknown, Topic
from counterpoise.simulator.okx.symbols import (
    BY_FAMILY,
    BY_SYMBOL,
    CURRENCY,
    Contract,
    milliseconds,
    text,
)

#: Public channels; all take `instId` alone.
PUBLIC: Final = frozenset(
    {
        "bbo-tbt",
        "books",
        "books5",
        "funding-rate",
        "index-tickers",
        "mark-price",
        "tickers",
        "trades",
    }
)

#: Public channels of a whole product -> the argument fields they know.
PRODUCT: Final = {
    "adl-warning": frozenset({"instType", "instFamily"}),
    "liquidation-orders": frozenset({"instType"}),
}

#: Candle channels of the business path: name -> kind and bar.
CANDLES: Final = {
    **{f"candle{bar}": ("last", bar) for bar in BARS},
    **{f"mark-price-candle{bar}": ("mark", bar) for bar in BARS},
}

#: Private channel -> the argument fields it knows.
PRIVATE: Final = {
    "account": frozenset({"ccy", "extraParams"}),
    "balance_and_position": frozenset[str](),
    "orders": frozenset({"instType", "instFamily", "instId"}),
    "orders-algo": frozenset({"instType", "instFamily", "instId"}),
    "positions": frozenset({"instType", "instFamily", "instId", "extraParams"}),
}

#: Private channel -> the path it is subscribed on.
PRIVATE_PATHS: Final = dict.fromkeys(PRIVATE, "private") | {"orders-algo": "business"}

#: Levels per side of the channels that replace the whole book.
REPLACING: Final = {"bbo-tbt": 1, "books5": 5}

_PRODUCTS: Final = ("ANY", "SWAP")
_ENCODER: Final = msgspec.json.Encoder()


@functools.cache
def public_topic(channel: str, symbol: str) -> Topic:
    """Return the topic of a public channel."""
    return Topic("public", channel, (("instId", symbol),))


def frame(topic: Topic, data: Sequence[object], **more: object) -> bytes:
    """Return a push: the argument, what more the channel says, the data."""
    return _ENCODER.encode({"arg": topic.arg, **more, "data": data})


class Sequencer:
    """OKX's book sequence numbers: they grow by irregular steps, one row per instrument."""

    #: Smallest and largest step.
    STEP_MIN: Final = 3
    STEP_SPAN: Final = 90

    def __init__(self, first: int) -> None:
        self._first = first
        self._last: dict[str, int] = {}

    def last(self, symbol: str) -> int:
        """Return the number of the instrument's last frame."""
        return self._last.setdefault(symbol, self._first)

    def following(self, symbol: str) -> tuple[int, int]:
        """Take the next number; return it and the one before."""
        before = self.last(symbol)
        # A multiplicative hash: irregular, and the same for the same numbers.
        after = before + self.STEP_MIN + (before * 2_654_435_761 >> 11) % self.STEP_SPAN
        self._last[symbol] = after
        return after, before


class Channels:
    """The channels over one venue: who may ask for what, and what a subscriber gets first."""

    def __init__(self, desk: Desk, sequencer: Sequencer) -> None:
        self._desk = desk
        self._sequencer = sequencer

    def topic(self, path: str, arg: Mapping[str, str]) -> Topic:
        """Return the topic an argument names; ChannelUnknown = 60018."""
        fields = {name: value for name, value in arg.items() if name != "channel"}
        channel = arg.get("channel", "")
        if path == "public" and channel in PUBLIC:
            listed = BY_FAMILY if channel == "index-tickers" else BY_SYMBOL
            symbol = fields.get("instId", "")
            if symbol not in listed:
                raise ChannelUnknown
            return public_topic(channel, symbol)
        if path == "public" and channel in PRODUCT:
            family = fields.get("instFamily")
            if fields.get("instType") != "SWAP" or (family and family not in BY_FAMILY):
                raise ChannelUnknown
            known = {name: value for name, value in fields.items() if name in PRODUCT[channel]}
            return Topic(path, channel, tuple(sorted(known.items())))
        if path == "business" and channel in CANDLES and fields.get("instId") in BY_SYMBOL:
            return Topic("business", channel, (("instId", fields["instId"]),))
        if path == PRIVATE_PATHS.get(channel):
            if fields.get("instType", "SWAP") not in _PRODUCTS:
                raise ChannelUnknown
            if "instId" in fields and fields["instId"] not in BY_SYMBOL:
                raise ChannelUnknown
            known = {name: value for name, value in fields.items() if name in PRIVATE[channel]}
            return Topic("private", channel, tuple(sorted(known.items())))
        raise ChannelUnknown

    def opening(self, topic: Topic) -> Sequence[bytes]:
        """Return what a new subscriber gets at once; the orders channel gives nothing."""
        if topic.path == "private":
            return self.private_snapshot(topic)
        if topic.path == "business":
            return [frame(topic, [row]) for row in self.candle_rows(topic, 0)[-1:]]
        if topic.channel in PRODUCT:
            return []
        symbol = topic.field("instId")
        contract = BY_FAMILY[symbol] if topic.channel == "index-tickers" else BY_SYMBOL[symbol]
        if topic.channel == "books":
            return [self.book_snapshot(topic, contract)]
        if topic.channel == "trades":
            return []
        return [self.replacing(topic, contract)]

    def replacing(self, topic: Topic, contract: Contract) -> bytes:
        """Return the present frame of a channel whose frames stand for themselves."""
        match topic.channel:
            case "mark-price":
                row = self._mark_row(contract)
            case "index-tickers":
                row = index_row(self._desk, contract)
            case "funding-rate":
                row = funding_row(self._desk, contract)
            case "tickers":
                row = ticker_row(self._desk, contract)
            case _:
                row = self._top_row(contract, REPLACING[topic.channel])
        return frame(topic, [row])

    def book_snapshot(self, topic: Topic, contract: Contract) -> bytes:
        """Return the whole book with the sequence number of the last update sent."""
        book = self._desk.venue.display.book(contract.instrument_id)
        row = {
            "asks": [level(contract, each) for each in book.asks[:BOOK_LEVELS_MAX]],
            "bids": [level(contract, each) for each in book.bids[:BOOK_LEVELS_MAX]],
            "ts": milliseconds(self._desk.venue.exchange.now_ns),
            "checksum": 0,
            "prevSeqId": -1,
            "seqId": self._sequencer.last(contract.symbol),
        }
        return frame(topic, [row], action="snapshot")

    def candle_rows(self, topic: Topic, since_ns: int) -> list[list[str]]:
        """Return a candle channel's bars opened at or after an instant, or the two latest."""
        kind, bar = CANDLES[topic.channel]
        contract = BY_SYMBOL[topic.field("instId")]
        now_ns = self._desk.venue.exchange.now_ns
        since_ns = max(since_ns, now_ns - 2 * BARS[bar] * units.NS_PER_SECOND)
        rows = self._desk.venue.exchange.candles(
            contract.instrument_id,
            BARS[bar],
            since_ns,
            now_ns + 1,
            kind="mark" if kind == "mark" else "last",
        )
        return mark_rows(rows) if kind == "mark" else trade_rows(contract, rows)

    def _mark_row(self, contract: Contract) -> Row:
        exchange = self._desk.venue.exchange
        return {
            "instId": contract.symbol,
            "instType": "SWAP",
            "markPx": text(self._desk.venue.display.mark(contract.instrument_id)),
            "ts": milliseconds(exchange.now_ns),
        }

    def _top_row(self, contract: Contract, levels: int) -> Row:
        book = self._desk.venue.display.book(contract.instrument_id)
        return {
            "asks": [level(contract, each) for each in book.asks[:levels]],
            "bids": [level(contract, each) for each in book.bids[:levels]],
            "instId": contract.symbol,
            "ts": milliseconds(self._desk.venue.exchange.now_ns),
            "seqId": self._sequencer.last(contract.symbol),
        }

    def private_snapshot(self, topic: Topic) -> Sequence[bytes]:
        """Return a private channel's state as it is pushed at first and every 5 s."""
        if topic.channel == "account":
            return [self.account_frame(topic, "snapshot")]
        if topic.channel == "positions":
            return [self._positions_frame(topic)]
        if topic.channel == "balance_and_position":
            state = self._desk.venue.exchange.account(self._desk.account_id)
            positions = [
                both_position(account.position_row(self._desk, position, state))
                for position in state.positions.values()
            ]
            return [self.both_frame(topic, positions, "snapshot", ())]
        return []

    def account_frame(self, topic: Topic, event: str) -> bytes:
        """Return a push of the balance."""
        return frame(
            self._with_uid(topic),
            [account.balance_row(self._desk)],
            eventType=event,
            curPage=1,
            lastPage=True,
        )

    def _positions_frame(self, topic: Topic) -> bytes:
        state = self._desk.venue.exchange.account(self._desk.account_id)
        pushed_ms = milliseconds(state.event_ns)
        data = [
            {**account.position_row(self._desk, position, state), "pTime": pushed_ms}
            for position in account.shown_positions(self._desk, state)
            if wants(topic, position.instrument_id)
        ]
        return frame(self._with_uid(topic), data, eventType="snapshot", curPage=1, lastPage=True)

    def position_frame(self, topic: Topic, row: Row) -> bytes:
        """Return a push of one changed position."""
        return frame(
            self._with_uid(topic), [row], eventType="event_update", curPage=1, lastPage=True
        )

    def both_frame(
        self, topic: Topic, positions: Sequence[Row], event: str, trades: Sequence[Row]
    ) -> bytes:
        """Return a push of cash and of some positions."""
        state = self._desk.venue.exchange.account(self._desk.account_id)
        pushed_ms = milliseconds(state.event_ns)
        cash = {
            "cashBal": text(state.wallet_balance),
            "ccy": CURRENCY,
            "uTime": pushed_ms,
        }
        row = {
            "balData": [cash],
            "eventType": event,
            "pTime": pushed_ms,
            "posData": positions,
            "trades": trades,
        }
        return frame(self._with_uid(topic), [row])

    def _with_uid(self, topic: Topic) -> Topic:
        return Topic(topic.path, topic.channel, (*topic.fields, ("uid", self._desk.account_id)))

    def order_frame(self, topic: Topic, row: Row) -> bytes:
        """Return a push of one order."""
        return frame(self._with_uid(topic), [row])


#: What balance_and_position shows of a position.
_BOTH_FIELDS: Final = (
    "avgPx",
    "baseBal",
    "ccy",
    "instId",
    "instType",
    "mgnMode",
    "nonSettleAvgPx",
    "pos",
    "posCcy",
    "posId",
    "posSide",
    "quoteBal",
    "settledPnl",
    "tradeId",
    "uTime",
)


def both_position(row: Row) -> Row:
    """Return what balance_and_position shows of a position."""
    return {name: row[name] for name in _BOTH_FIELDS}


def wants(topic: Topic, instrument_id: str) -> bool:
    """Tell whether a private topic's filters leave an instrument in."""
    family = topic.field("instFamily")
    symbol = topic.field("instId")
    if symbol:
        return BY_SYMBOL[symbol].instrument_id == instrument_id
    return not family or (family in BY_FAMILY and BY_FAMILY[family].instrument_id == instrument_id)
