"""Market pushes: what the exchange tells becomes OKX's frames, made once for all who listen."""

import functools
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.events import (
    BookChanged,
    ExchangeEvent,
    FundingRateChanged,
    MarkChanged,
    TradePrinted,
)
from counterpoise.exchange.quotes import BookLevel
from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.okx.calls import Desk
from counterpoise.simulator.okx.channels import (
    REPLACING,
    Channels,
    Sequencer,
    frame,
    public_topic,
)
from counterpoise.simulator.okx.errors import Row
from counterpoise.simulator.okx.sockets import Sessions, Topic
from counterpoise.simulator.okx.symbols import (
    BY_INSTRUMENT,
    BY_SYMBOL,
    Contract,
    milliseconds,
    text,
)

_MARKET_EVENTS: Final = (BookChanged, MarkChanged, FundingRateChanged, TradePrinted)

#: Marks, index and funding are pushed again after this long, changed or not, ns.
REPEAT_NS: Final = 10 * units.NS_PER_SECOND
#: Candles are pushed at most this often, ns.
CANDLE_NS: Final = units.NS_PER_SECOND
#: An unchanged book says so after this, ns.
KEEP_ALIVE_NS: Final = units.NS_PER_MINUTE


class _Changes:
    # What happened to one instrument between two pushes: the last word per level and price.

    def __init__(self) -> None:
        self.bids: Sequence[BookLevel] = ()
        self.asks: Sequence[BookLevel] = ()
        self.trades: list[Row] = []
        self.marked = False
        self.funded = False

    def take(self, event: BookChanged | MarkChanged | FundingRateChanged | TradePrinted) -> None:
        match event:
            case BookChanged():
                self.bids = _joined(self.bids, event.bids, falling=True)
                self.asks = _joined(self.asks, event.asks, falling=False)
            case TradePrinted():
                self.trades.append(_trade_row(event))
            case MarkChanged():
                self.marked = True
            case FundingRateChanged():
                self.funded = True


class MarketStreams:
    """Pushes of the public channels. A listener of the venue, and driven by the tick."""

    def __init__(
        self,
        desk: Desk,
        sessions: Sessions,
        channels: Channels,
        sequencer: Sequencer,
        faults: FaultPlan,
    ) -> None:
        self._desk = desk
        self._sessions = sessions
        self._channels = channels
        self._sequencer = sequencer
        self._repeat_ns = 0
        self._book_ns: dict[str, int] = {}
        # Before this no book can have been silent for too long.
        self._alive_ns = 0
        self._faults = faults
        self._candles: dict[Topic, list[str]] = {}
        self._candles_ns = 0
        # Channels somebody listens to: with hundreds of markets most questions end here.
        self._wanted: set[str] = set()

    def _look(self) -> None:
        self._wanted = {topic.channel for topic in self._sessions.listening("public")}

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened; several changes of one book become one frame."""
        self._look()
        if not self._wanted:
            return
        changes: dict[str, _Changes] = {}
        for event in events:
            if isinstance(event, _MARKET_EVENTS):
                changed = changes.get(event.instrument_id)
                if changed is None:
                    changed = changes[event.instrument_id] = _Changes()
                changed.take(event)
        for instrument_id, changed in changes.items():
            self._push(BY_INSTRUMENT[instrument_id], changed)

    def tick(self) -> None:
        """Push what is due by the clock alone."""
        self._look()
        now_ns = self._desk.venue.exchange.now_ns
        if now_ns - self._repeat_ns >= REPEAT_NS:
            self._repeat_ns = now_ns
            for instrument_id in self._desk.listed:
                contract = BY_INSTRUMENT[instrument_id]
                self._replace("mark-price", contract)
                self._replace("index-tickers", contract)
                self._replace("funding-rate", contract)
        if now_ns - self._candles_ns >= CANDLE_NS:
            self._candles_ns = now_ns
            self._push_candles()
        if now_ns >= self._alive_ns:
            for instrument_id in self._desk.listed:
                self._keep_book_alive(BY_INSTRUMENT[instrument_id].symbol, now_ns)
            self._alive_ns = min(self._book_ns.values(), default=0) + KEEP_ALIVE_NS

    def _push_candles(self) -> None:
        # Every bar that changed since its last push; a bar that ended is pushed as confirmed.
        listened = self._sessions.listening("business")
        self._candles = {topic: row for topic, row in self._candles.items() if topic in listened}
        for topic in listened:
            last = self._candles.get(topic)
            since_ns = 0 if last is None else int(last[0]) * units.NS_PER_MS
            rows = self._channels.candle_rows(topic, since_ns)
            for row in rows[-1:] if last is None else rows:
                if row != last:
                    self._candles[topic] = last = row
                    self._sessions.push(topic, frame(topic, [row]))

    def _push(self, contract: Contract, changed: _Changes) -> None:
        if changed.marked:
            self._replace("mark-price", contract)
            self._replace("index-tickers", contract)
        if changed.funded:
            self._replace("funding-rate", contract)
        if changed.bids or changed.asks:
            self._push_book(contract, changed)
        if changed.trades:
            topic = public_topic("trades", contract.symbol)
            if self._sessions.listened(topic):
                self._sessions.push(topic, frame(topic, changed.trades))
        if changed.trades or changed.bids or changed.asks:
            self._replace("tickers", contract)

    def _replace(self, channel: str, contract: Contract) -> None:
        if channel not in self._wanted:
            return
        symbol = contract.family if channel == "index-tickers" else contract.symbol
        topic = public_topic(channel, symbol)
        if self._sessions.listened(topic):
            self._sessions.push(topic, self._channels.replacing(topic, contract))

    def _push_book(self, contract: Contract, changed: _Changes) -> None:
        # The number is taken whether anybody listens or not: it belongs to the book.
        sequence, before = self._sequencer.following(contract.symbol)
        now_ns = self._desk.venue.exchange.now_ns
        self._book_ns[contract.symbol] = now_ns
        topic = public_topic("books", contract.symbol)
        if self._faults.takes(FaultKind.WRONG_SEQUENCE_BOOKS, contract.instrument_id):
            before += 1
        if self._sessions.listened(topic) and not self._swallowed(contract.instrument_id):
            chain = (before, sequence)
            self._sessions.push(topic, _book_update(topic, contract, changed, chain, now_ns))
        for channel in REPLACING:
            self._replace(channel, contract)

    def _swallowed(self, instrument_id: str) -> bool:
        return self._faults.takes(FaultKind.GAP_BOOKS, instrument_id) is not None

    def _keep_book_alive(self, symbol: str, now_ns: int) -> None:
        if now_ns - self._book_ns.setdefault(symbol, now_ns) < KEEP_ALIVE_NS:
            return
        self._book_ns[symbol] = now_ns
        topic = public_topic("books", symbol)
        if self._sessions.listened(topic):
            last = self._sequencer.last(symbol)
            contract = BY_SYMBOL[symbol]
            update = _book_update(topic, contract, _Changes(), (last, last), now_ns)
            self._sessions.push(topic, update)


def _joined(
    before: Sequence[BookLevel], after: Sequence[BookLevel], *, falling: bool
) -> Sequence[BookLevel]:
    # An event's levels come in order and once each; only several events need sorting.
    if not before:
        return after
    last = dict(before)
    last.update(after)
    return sorted(last.items(), reverse=falling)


def _book_update(
    topic: Topic, contract: Contract, changed: _Changes, chain: tuple[int, int], now_ns: int
) -> bytes:
    # Most of what the venue ever says: put together as text, since every figure is plain.
    # The checksum is always 0 since 2026-06-23; the chain of numbers is what counts.
    size = contract.contract_size
    return (
        f'{_update_head(topic)}"asks":[{_levels(changed.asks, size)}],'
        f'"bids":[{_levels(changed.bids, size)}],"ts":"{now_ns // units.NS_PER_MS}",'
        f'"checksum":0,"prevSeqId":{chain[0]},"seqId":{chain[1]}}}]}}'
    ).encode()


@functools.cache
def _update_head(topic: Topic) -> str:
    return frame(topic, [{}], action="update").decode().removesuffix("}]}")


def _levels(levels: Sequence[BookLevel], contract_size: Decimal) -> str:
    # As `market.level` has them.
    return ",".join(
        [
            f'["{text(price)}","{text(quantity / contract_size)}","0","1"]'
            if quantity
            else f'["{text(price)}","0","0","0"]'
            for price, quantity in levels
        ]
    )


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
