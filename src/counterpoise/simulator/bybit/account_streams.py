"""Private pushes: orders, executions, positions and the wallet, as they change.

They leave a moment after they happened, so that the answer to the request behind them, which only
says "taken", is on the wire first. None of the topics has a snapshot.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.events import (
    Deleveraged,
    ExchangeEvent,
    FundingCharged,
    Liquidated,
    OrderChanged,
    PositionChanged,
    SettingsChanged,
    TriggerChanged,
    WalletChanged,
)
from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder
from counterpoise.simulator.bybit import account, conditional, order_queries, order_rows, positions
from counterpoise.simulator.bybit.account_rows import position_push
from counterpoise.simulator.bybit.calls import Desk
from counterpoise.simulator.bybit.errors import Row, encoded
from counterpoise.simulator.bybit.sockets import Sessions
from counterpoise.simulator.bybit.topics import Topic

#: How long after the fact a private push leaves, seconds.
LAG_SECONDS: Final = 0.002

_AccountEvent = (
    OrderChanged
    | TriggerChanged
    | PositionChanged
    | WalletChanged
    | FundingCharged
    | Liquidated
    | Deleveraged
    | SettingsChanged
)


class AccountStreams:
    """Pushes of the private topics; hears the venue."""

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self._desk = desk
        self._sessions = sessions
        self._waiting: deque[tuple[Topic, bytes]] = deque()
        self._pushes = 0

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened to the account, in the order it happened, the wallet last."""
        if not self._sessions.listening(
            "order", "execution", "execution.fast", "position", "wallet"
        ):
            return
        own = [
            event
            for event in events
            if isinstance(event, _AccountEvent) and event.account_id == self._desk.account_id
        ]
        for event in own:
            if isinstance(event, OrderChanged):
                self._push("order", order_rows.order_push(event.order))
                if event.fill is not None:
                    self._push_fill(event.fill, event.order)
            elif isinstance(event, TriggerChanged):
                self._push("order", conditional.trigger_push(event.trigger))
            elif isinstance(event, Liquidated | Deleveraged):
                # The venue's own orders are told once, with their execution.
                self._push("order", order_rows.order_push(event.order))
                self._push_fill(event.fill, event.order)
            elif isinstance(event, FundingCharged):
                self._push_funding(event)
            elif isinstance(event, PositionChanged):
                row = positions.row(self._desk, event.position)
                self._push("position", position_push(row))
        if not all(isinstance(event, TriggerChanged) for event in own):
            self._push("wallet", account.balance_row(self._desk))

    def _push_funding(self, event: FundingCharged) -> None:
        exchange, account_id = self._desk.venue.exchange, self._desk.account_id
        fills = exchange.fills(account_id, 0)
        for bill in exchange.bills(account_id, event.event_ns):
            if bill.bill_id == event.bill_id:
                row = order_queries.funding_row(bill, fills)
                if row is not None:
                    self._push("execution", {**row, "category": "linear", "isLeverage": "0"})

    def _push_fill(self, fill: ExchangeFill, order: ExchangeOrder | None) -> None:
        mark = self._desk.venue.display.mark(fill.instrument_id)
        self._push("execution", order_rows.execution_push(fill, order, mark))
        self._push("execution.fast", order_rows.fast_row(fill))

    def _push(self, channel: str, row: Row) -> None:
        now_ms = self._desk.venue.clock.told_ns() // units.NS_PER_MS
        for topic in self._sessions.listening(channel):
            self._pushes += 1
            body = {
                "id": f"{self._desk.account_id}_{row.get('symbol', '')}_{now_ms}{self._pushes:06d}",
                "topic": topic.name,
                "creationTime": now_ms,
                "data": [row],
            }
            if not self._waiting:
                asyncio.get_running_loop().call_later(LAG_SECONDS, self._flush)
            self._waiting.append((topic, encoded(body)))

    def _flush(self) -> None:
        while self._waiting:
            topic, frame = self._waiting.popleft()
            self._sessions.push(topic, frame)
