"""From what the exchange tells to what OKX pushes: each frame is made once, for all who listen."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.events import (
    BookChanged,
    ExchangeEvent,
    FundingRateChanged,
    Liquidated,
    MarkChanged,
    OrderChanged,
    PositionChanged,
    TradePrinted,
    WalletChanged,
)
from counterpoise.exchange.quotes import BookLevel
from counterpoise.simulator.okx import account, rows
from counterpoise.simulator.okx.calls import Desk
from counterpoise.simulator.okx.channels import (
    PRIVATE,
    REPLACING,
    Channels,
    Sequencer,
    both_position,
    frame,
    public_topic,
    wants,
)
from counterpoise.simulator.okx.errors import Row
from counterpoise.simulator.okx.market import level
from counterpoise.simulator.okx.sockets import Sessions, Topic
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT, Contract, milliseconds, text

#: Balance and positions are pushed this often even if nothing happened, ns.
REGULAR_NS: Final = 5 * units.NS_PER_SECOND
#: Marks, index and funding are pushed again after this long without a change, ns.
REPEAT_NS: Final = 10 * units.NS_PER_SECOND
#: An unchanged book says so after this, ns.
KEEP_ALIVE_NS: Final = units.NS_PER_MINUTE

#: `eventType` of balance_and_position by what moved the wallet.
_WALLET_EVENTS: Final = {
    BillKind.DEPOSIT: "transferred",
    BillKind.TRADE: "filled",
    BillKind.FUNDING: "funding_fee",
    BillKind.LIQUIDATION: "liquidation",
    BillKind.INSURANCE: "claw_back",
}


class Streams:
    """Pushes to the sessions. A listener of the venue, and driven once a tick for what is due."""

    def __init__(
        self, desk: Desk, sessions: Sessions, channels: Channels, sequencer: Sequencer
    ) -> None:
        self._desk = desk
        self._sessions = sessions
        self._channels = channels
        self._sequencer = sequencer
        self._regular_ns = 0
        self._repeat_ns = 0
        self._book_ns: dict[str, int] = {}
        #: Book updates still to be swallowed, per symbol; a fault for tests of the gap check.
        self.gaps: dict[str, int] = {}

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened; several changes of one book become one frame."""
        listened = set(self._sessions.topics())
        if not listened:
            return
        self._push_market(events, listened)
        private = [topic for topic in listened if topic.path == "private"]
        if private:
            self._push_account(events, private)

    def tick(self) -> None:
        """Push what is due by the clock alone."""
        now_ns = self._desk.venue.exchange.now_ns
        if now_ns - self._regular_ns >= REGULAR_NS:
            self._regular_ns = now_ns
            for topic in self._sessions.topics():
                if topic.channel in ("account", "positions"):
                    for push in self._channels.private_snapshot(topic):
                        self._sessions.push(topic, push)
        if now_ns - self._repeat_ns >= REPEAT_NS:
            self._repeat_ns = now_ns
            for instrument_id in self._desk.listed:
                contract = BY_INSTRUMENT[instrument_id]
                self._push_replacing(("mark-price", "funding-rate"), contract, contract.symbol)
                self._push_replacing(("index-tickers",), contract, contract.family)
        self._keep_books_alive(now_ns)

    def _push_replacing(
        self, channels: Sequence[str], contract: Contract, symbol: str
    ) -> None:
        listened = set(self._sessions.topics())
        for channel in channels:
            topic = public_topic(channel, symbol)
            if topic in listened:
                self._sessions.push(topic, self._channels.replacing(topic, contract))

    def _push_market(self, events: Sequence[ExchangeEvent], listened: set[Topic]) -> None:
        books: dict[str, tuple[dict[Decimal, BookLevel], dict[Decimal, BookLevel]]] = {}
        trades: dict[str, list[Row]] = {}
        marked: set[str] = set()
        funded: set[str] = set()
        for event in events:
            match event:
                case BookChanged():
                    bids, asks = books.setdefault(event.instrument_id, ({}, {}))
                    bids.update((each[0], each) for each in event.bids)
                    asks.update((each[0], each) for each in event.asks)
                case TradePrinted():
                    trades.setdefault(event.instrument_id, []).append(_trade_row(event))
                case MarkChanged():
                    marked.add(event.instrument_id)
                case FundingRateChanged():
                    funded.add(event.instrument_id)
                case _:
                    pass
        for instrument_id in self._desk.listed:
            contract = BY_INSTRUMENT[instrument_id]
            if instrument_id in marked:
                self._push_replacing(("mark-price",), contract, contract.symbol)
                self._push_replacing(("index-tickers",), contract, contract.family)
            if instrument_id in funded:
                self._push_replacing(("funding-rate",), contract, contract.symbol)
            if instrument_id in books:
                self._push_book(contract, *books[instrument_id], listened)
            if instrument_id in trades:
                topic = public_topic("trades", contract.symbol)
                if topic in listened:
                    self._sessions.push(topic, frame(topic, trades[instrument_id]))
            if instrument_id in books or instrument_id in trades:
                self._push_replacing(("tickers",), contract, contract.symbol)

    def _push_book(
        self,
        contract: Contract,
        bids: dict[Decimal, BookLevel],
        asks: dict[Decimal, BookLevel],
        listened: set[Topic],
    ) -> None:
        symbol = contract.symbol
        sequence, before = self._sequencer.following(symbol)
        now_ns = self._desk.venue.exchange.now_ns
        self._book_ns[symbol] = now_ns
        topic = public_topic("books", symbol)
        if topic in listened and not self._swallowed(symbol):
            row = {
                "asks": [level(contract, asks[price]) for price in sorted(asks)],
                "bids": [level(contract, bids[price]) for price in sorted(bids, reverse=True)],
                "ts": milliseconds(now_ns),
                "checksum": 0,
                "prevSeqId": before,
                "seqId": sequence,
            }
            self._sessions.push(topic, frame(topic, [row], action="update"))
        self._push_replacing(tuple(REPLACING), contract, symbol)

    def _swallowed(self, symbol: str) -> bool:
        left = self.gaps.get(symbol, 0)
        if left:
            self.gaps[symbol] = left - 1
        return left > 0

    def _keep_books_alive(self, now_ns: int) -> None:
        listened = set(self._sessions.topics())
        for instrument_id in self._desk.listed:
            symbol = BY_INSTRUMENT[instrument_id].symbol
            if now_ns - self._book_ns.setdefault(symbol, now_ns) < KEEP_ALIVE_NS:
                continue
            self._book_ns[symbol] = now_ns
            topic = public_topic("books", symbol)
            if topic in listened:
                last = self._sequencer.last(symbol)
                row = {
                    "asks": [],
                    "bids": [],
                    "ts": milliseconds(now_ns),
                    "checksum": 0,
                    "prevSeqId": last,
                    "seqId": last,
                }
                self._sessions.push(topic, frame(topic, [row], action="update"))

    def _push_account(self, events: Sequence[ExchangeEvent], topics: Sequence[Topic]) -> None:
        listened: dict[str, list[Topic]] = {channel: [] for channel in PRIVATE}
        for topic in topics:
            listened[topic.channel].append(topic)
        changed: set[str] = set()
        filled: list[Row] = []
        cause: str | None = None
        for event in events:
            match event:
                case OrderChanged() if event.account_id == self._desk.account_id:
                    self._push_order(event, listened["orders"])
                    if event.fill is not None:
                        filled.append(_fill_mention(event))
                case PositionChanged() if event.account_id == self._desk.account_id:
                    changed.add(event.position.instrument_id)
                    self._push_position(event, listened["positions"])
                    cause = cause or "filled"
                case WalletChanged() if event.account_id == self._desk.account_id:
                    cause = _WALLET_EVENTS[event.cause]
                case Liquidated() if event.account_id == self._desk.account_id:
                    cause = "liquidation"
                case _:
                    pass
        moved = any(
            isinstance(event, WalletChanged | PositionChanged | OrderChanged) for event in events
        )
        if moved:
            for topic in listened["account"]:
                self._sessions.push(topic, self._channels.account_frame(topic, "event_update"))
        if cause is not None:
            self._push_both(events, cause, filled, listened["balance_and_position"])

    def _push_order(self, event: OrderChanged, topics: Sequence[Topic]) -> None:
        mark = self._desk.venue.exchange.mark(event.order.instrument_id)
        row = rows.order_push(event.order, event.fill, mark)
        for topic in topics:
            if wants(topic, event.order.instrument_id):
                self._sessions.push(topic, self._channels.order_frame(topic, row))

    def _push_position(self, event: PositionChanged, topics: Sequence[Topic]) -> None:
        # Each change is pushed as it was, also a close: OKX then says pos 0.
        if not topics:
            return
        state = self._desk.venue.exchange.account(self._desk.account_id)
        row = account.position_row(self._desk, event.position, state)
        row["pTime"] = milliseconds(event.event_ns)
        for topic in topics:
            if wants(topic, event.position.instrument_id):
                self._sessions.push(topic, self._channels.position_frame(topic, row))

    def _push_both(
        self,
        events: Sequence[ExchangeEvent],
        cause: str,
        filled: Sequence[Row],
        topics: Sequence[Topic],
    ) -> None:
        if not topics:
            return
        state = self._desk.venue.exchange.account(self._desk.account_id)
        last_states = {
            event.position.instrument_id: event.position
            for event in events
            if isinstance(event, PositionChanged) and event.account_id == self._desk.account_id
        }
        positions = [
            both_position(account.position_row(self._desk, position, state))
            for position in last_states.values()
        ]
        for topic in topics:
            self._sessions.push(topic, self._channels.both_frame(topic, positions, cause, filled))


def _trade_row(event: TradePrinted) -> Row:
    contract = BY_INSTRUMENT[event.instrument_id]
    return {
        "count": "1",
        "instId": contract.symbol,
        "px": text(event.price),
        "seqId": event.trade_sequence,
        "side": event.side.value,
        "source": "0",
        "sz": text(contract.contracts(event.quantity)),
        "tradeId": str(event.trade_sequence),
        "ts": milliseconds(event.event_ns),
    }


def _fill_mention(event: OrderChanged) -> Row:
    assert event.fill is not None
    return {
        "instId": BY_INSTRUMENT[event.order.instrument_id].symbol,
        "tradeId": str(event.fill.trade_sequence),
    }
