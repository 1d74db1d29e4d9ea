"""User data pushes: orders, positions, cash and settings as they change ("User Data Streams")."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from counterpoise.exchange.accounts import BillKind
from counterpoise.exchange.events import (
    Deleveraged,
    ExchangeEvent,
    Liquidated,
    OrderChanged,
    PositionChanged,
    SettingsChanged,
    TriggerChanged,
    WalletChanged,
)
from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder, OrderCategory
from counterpoise.exchange.triggers import TriggerState
from counterpoise.simulator.binance import account_rows, algo_rows, algos, order_rows, symbols
from counterpoise.simulator.binance.calls import Desk
from counterpoise.simulator.binance.errors import Row
from counterpoise.simulator.binance.sockets import Sessions
from counterpoise.simulator.binance.symbols import CURRENCY, money, quotient, text

#: Why an ACCOUNT_UPDATE came.
_CAUSES: Final = {
    BillKind.DEPOSIT: "DEPOSIT",
    BillKind.WITHDRAWAL: "WITHDRAW",
    BillKind.FUNDING: "FUNDING_FEE",
    BillKind.INSURANCE: "INSURANCE_CLEAR",
}

_AccountEvent = (
    OrderChanged | TriggerChanged | PositionChanged | WalletChanged | Liquidated | Deleveraged
)


class AccountStreams:
    """Pushes of /private. A listener of the venue, and driven by the tick."""

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self._desk = desk
        self._sessions = sessions
        #: Open orders already told of; an order's second event is no NEW.
        self._known: dict[str, None] = {}
        exchange = desk.venue.exchange
        #: Leverage settings as they are known.
        self._leverage = {
            each: exchange.leverage_setting(desk.account_id, each) for each in desk.listed
        }

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened to the account, in the order it happened."""
        changed = [each for each in events if isinstance(each, SettingsChanged)]
        if not self._sessions.has_users:
            self._remember(changed)
            return
        self._push_settings(changed)
        own = [
            event
            for event in events
            if isinstance(event, _AccountEvent) and event.account_id == self._desk.account_id
        ]
        hidden = {
            event.order.order_id
            for event in own
            if isinstance(event, OrderChanged) and not order_rows.recorded(event.order)
        }
        position: PositionChanged | None = None
        for event in own:
            match event:
                case OrderChanged():
                    if event.order.order_id not in hidden:
                        self._push_order(event)
                    self._push_finished(event)
                case TriggerChanged():
                    self._push_algo(event)
                case PositionChanged():
                    position = event
                case WalletChanged():
                    self._push_account(event, position)
                    position = None
                case Liquidated() | Deleveraged():
                    self._push_seizure(event)

    def tick(self) -> None:
        """Tell the listeners of keys that ran out."""
        for key in self._desk.listen_keys.expired():
            payload = {"e": "listenKeyExpired", "E": self._desk.now_ms(), "listenKey": key}
            self._sessions.push_user(payload, key=key)

    def _push(self, kind: str, event_ns: int, **parts: object) -> None:
        stamp = symbols.milliseconds(event_ns)
        self._sessions.push_user({"e": kind, "E": self._desk.now_ms(), "T": stamp, **parts})

    def _push_order(self, event: OrderChanged) -> None:
        order, fill = event.order, event.fill
        if order.category is not OrderCategory.NORMAL:
            # The venue's own closes are told by their own events.
            return
        first = (
            fill is None
            and order.open
            and order.order_id not in self._known
            and order.created_ns == order.updated_ns
        )
        if order.open:
            self._known[order.order_id] = None
        else:
            self._known.pop(order.order_id, None)
        execution = order_rows.execution_name(order, fill, first=first)
        if fill is not None:
            self._push_trade(order, fill)
        row = order_rows.event_row(order, fill, execution)
        self._push("ORDER_TRADE_UPDATE", event.event_ns, o=row)

    def _push_algo(self, event: TriggerChanged) -> None:
        order = event.trigger
        child = algos.child_of(self._desk, order)
        states = [algo_rows.status(order, child)]
        if order.state is TriggerState.TRIGGERED:
            # What its order comes to follows with the order's own events.
            states = ["TRIGGERING", "TRIGGERED"]
        elif order.state is TriggerState.FAILED:
            states = ["TRIGGERING", *states]
        for state in states:
            row = algo_rows.event_row(order, None, state)
            self._push("ALGO_UPDATE", event.event_ns, o=row)

    def _push_finished(self, event: OrderChanged) -> None:
        child = event.order
        if child.trigger is None or child.open:
            return
        order = self._desk.venue.exchange.trigger_order(
            event.account_id, order_id=child.trigger.trigger_order_id
        )
        if order is not None:
            row = algo_rows.event_row(order, child, "FINISHED")
            self._push("ALGO_UPDATE", event.event_ns, o=row)

    def _push_trade(self, order: ExchangeOrder, fill: ExchangeFill) -> None:
        row = order_rows.event_row(order, fill, "TRADE")
        lite = {name: row[name] for name in ("s", "q", "p", "m", "c", "S", "L", "l", "t", "i")}
        self._push("TRADE_LITE", fill.event_ns, **lite)

    def _push_seizure(self, event: Liquidated | Deleveraged) -> None:
        row = order_rows.event_row(event.order, event.fill, "CALCULATED")
        self._push("ORDER_TRADE_UPDATE", event.event_ns, o=row)

    def _push_account(self, event: WalletChanged, position: PositionChanged | None) -> None:
        cause = _CAUSES.get(event.cause, "ORDER")
        balance = {
            "a": CURRENCY,
            "wb": money(event.wallet_balance),
            "cw": money(event.wallet_balance),
            # Everything but realised profit and commission.
            "bc": money(event.change if event.cause in _CAUSES else Decimal(0)),
        }
        positions = [] if position is None else [self._position_row(position)]
        update = {"B": [balance], "P": positions, "m": cause}
        self._push("ACCOUNT_UPDATE", event.event_ns, a=update)

    def _position_row(self, event: PositionChanged) -> Row:
        position = event.position
        fee_bps = self._desk.venue.exchange.fee_tier(self._desk.account_id).taker_fee_bps
        return {
            "s": position.instrument_id,
            "pa": text(position.quantity),
            "ep": text(position.entry_price or Decimal(0)),
            "bep": quotient(account_rows.break_even(position, fee_bps)),
            "cr": text(position.realised_pnl),
            "up": money(position.unrealised_pnl),
            "mt": "cross",
            "iw": "0",
            "ps": order_rows.POSITION_SIDES[position.position_side],
            "ma": CURRENCY,
        }

    def _push_settings(self, changed: Sequence[SettingsChanged]) -> None:
        # Only leverage is told; a changed position mode is silent, as at Binance.
        for event in self._remember(changed):
            told = {"s": event.instrument_id, "l": int(event.leverage_setting)}
            self._push("ACCOUNT_CONFIG_UPDATE", event.event_ns, ac=told)

    def _remember(self, changed: Sequence[SettingsChanged]) -> list[SettingsChanged]:
        # Returns those of another leverage than before.
        news = []
        for event in changed:
            if event.account_id != self._desk.account_id:
                continue
            if self._leverage.get(event.instrument_id) != event.leverage_setting:
                self._leverage[event.instrument_id] = event.leverage_setting
                news.append(event)
        return news
