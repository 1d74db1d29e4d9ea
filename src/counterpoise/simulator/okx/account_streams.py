"""Private pushes: orders, positions and cash as they change, and the last two every 5 s anyway."""

from collections.abc import Sequence
from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.events import (
    Deleveraged,
    ExchangeEvent,
    FundingCharged,
    Liquidated,
    OrderChanged,
    PositionChanged,
    TriggerChanged,
    WalletChanged,
)
from counterpoise.simulator.okx import account, algo_rows, algos, order_rows
from counterpoise.simulator.okx.calls import Desk
from counterpoise.simulator.okx.channels import Channels, both_position, wants
from counterpoise.simulator.okx.errors import Row
from counterpoise.simulator.okx.sockets import Sessions, Topic
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT, milliseconds

#: Balance and positions are pushed this often even if nothing happened, ns.
REGULAR_NS: Final = 5 * units.NS_PER_SECOND

#: `eventType` of balance_and_position by what moved the wallet.
_WALLET_EVENTS: Final = {
    BillKind.DEPOSIT: "transferred",
    BillKind.TRADE: "filled",
    BillKind.FUNDING: "funding_fee",
    BillKind.LIQUIDATION: "liquidation",
    BillKind.INSURANCE: "claw_back",
    BillKind.WITHDRAWAL: "transferred",
    BillKind.ADL: "adl",
    BillKind.DELISTING: "delivered",
}

_AccountEvent = (
    OrderChanged
    | TriggerChanged
    | PositionChanged
    | WalletChanged
    | FundingCharged
    | Liquidated
    | Deleveraged
)


class AccountStreams:
    """Pushes of the private channels. A listener of the venue, and driven by the tick."""

    def __init__(self, desk: Desk, sessions: Sessions, channels: Channels) -> None:
        self._desk = desk
        self._sessions = sessions
        self._channels = channels
        self._regular_ns = 0

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened to the account, orders first, in the order it happened."""
        listened = self._sessions.listening("private")
        if not listened:
            return
        own = [
            event
            for event in events
            if isinstance(event, _AccountEvent) and event.account_id == self._desk.account_id
        ]
        if not own:
            return
        for event in own:
            self._tell(event, listened)
        if all(isinstance(event, TriggerChanged) for event in own):
            # Neither cash nor margin moved.
            return
        for topic in listened:
            if topic.channel == "account":
                self._sessions.push(topic, self._channels.account_frame(topic, "event_update"))
            elif topic.channel == "balance_and_position":
                self._push_both(own, topic)

    def _tell(self, event: _AccountEvent, listened: Sequence[Topic]) -> None:
        # The venue's own orders are told like any other; their `category` says what they are.
        if isinstance(event, OrderChanged | Liquidated | Deleveraged):
            self._push_order(event, [each for each in listened if each.channel == "orders"])
        elif isinstance(event, TriggerChanged):
            self._push_algo(event, [each for each in listened if each.channel == "orders-algo"])
        elif isinstance(event, PositionChanged):
            self._push_position(event, [each for each in listened if each.channel == "positions"])

    def tick(self) -> None:
        """Push balance and positions if it is time again."""
        now_ns = self._desk.venue.exchange.now_ns
        if now_ns - self._regular_ns < REGULAR_NS:
            return
        self._regular_ns = now_ns
        for topic in self._sessions.listening("private"):
            if topic.channel in ("account", "positions"):
                for push in self._channels.private_snapshot(topic):
                    self._sessions.push(topic, push)

    def _push_order(
        self, event: OrderChanged | Liquidated | Deleveraged, topics: Sequence[Topic]
    ) -> None:
        order = event.order
        mark = self._desk.venue.display.mark(order.instrument_id)
        row = order_rows.order_push(order, event.fill, mark)
        for topic in topics:
            if wants(topic, order.instrument_id):
                self._sessions.push(topic, self._channels.order_frame(topic, row))

    def _push_algo(self, event: TriggerChanged, topics: Sequence[Topic]) -> None:
        instrument_id = event.trigger.instrument_id
        mark = self._desk.venue.display.mark(instrument_id)
        row = algo_rows.algo_push(algos.row_of(self._desk, event.trigger), event.trigger, mark=mark)
        for topic in topics:
            if wants(topic, instrument_id):
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

    def _push_both(self, own: Sequence[_AccountEvent], topic: Topic) -> None:
        cause = _cause(own)
        if cause is None:
            return
        state = self._desk.venue.exchange.account(self._desk.account_id)
        last_states = {
            event.position.instrument_id: event.position
            for event in own
            if isinstance(event, PositionChanged)
        }
        positions = [
            both_position(account.position_row(self._desk, position, state))
            for position in last_states.values()
        ]
        filled = [_fill_mention(event) for event in own if _has_fill(event)]
        self._sessions.push(topic, self._channels.both_frame(topic, positions, cause, filled))


def _cause(own: Sequence[_AccountEvent]) -> str | None:
    # None = an order changed and neither cash nor a position did.
    cause: str | None = None
    for event in own:
        if isinstance(event, Liquidated):
            return "liquidation"
        if isinstance(event, WalletChanged):
            cause = _WALLET_EVENTS[event.cause]
        elif isinstance(event, PositionChanged):
            cause = cause or "filled"
    return cause


def _has_fill(event: _AccountEvent) -> bool:
    return isinstance(event, OrderChanged) and event.fill is not None


def _fill_mention(event: _AccountEvent) -> Row:
    assert isinstance(event, OrderChanged)
    assert event.fill is not None
    return {
        "instId": BY_INSTRUMENT[event.order.instrument_id].symbol,
        "tradeId": str(event.fill.trade_sequence),
    }
