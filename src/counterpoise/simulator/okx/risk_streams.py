"""Public pushes of what the venue takes from traders: forced orders and warnings of ADL."""

from collections import deque
from collections.abc import Sequence
from typing import Final

from counterpoise.domain import units
from counterpoise.domain.orders import Side
from counterpoise.exchange.events import (
    Deleveraged,
    ExchangeEvent,
    Liquidated,
    LiquidationPrinted,
)
from counterpoise.exchange.orders import OrderCategory
from counterpoise.simulator.forced import Forced, ForcedOrders
from counterpoise.simulator.okx.calls import Desk
from counterpoise.simulator.okx.channels import frame
from counterpoise.simulator.okx.errors import Row
from counterpoise.simulator.okx.sockets import Sessions, Topic
from counterpoise.simulator.okx.symbols import BY_FAMILY, BY_INSTRUMENT, milliseconds, text

#: All forced orders of swaps.
LIQUIDATIONS: Final = Topic("public", "liquidation-orders", (("instType", "SWAP"),))
#: Time between two warnings of a family, ns.
WARNING_NS: Final = units.NS_PER_SECOND
#: ADL is said to go on for this long after the last position that it closed, ns.
ADL_NS: Final = 10 * units.NS_PER_SECOND
#: A warning is given when the fund has lost this share of its highest balance of the span.
FUND_LOSS_MAX: Final = 0.3
FUND_SPAN_NS: Final = 8 * units.NS_PER_HOUR


class RiskStreams:
    """Pushes of liquidation-orders and adl-warning; hears the venue, driven by the tick."""

    def __init__(self, desk: Desk, sessions: Sessions) -> None:
        self._desk = desk
        self._sessions = sessions
        self._forced = ForcedOrders()
        # Instrument -> when ADL last closed a position there.
        self._deleveraged_ns: dict[str, int] = {}
        # (when, fund) with falling balances: the first is the highest of the span.
        self._funds: deque[tuple[int, float]] = deque()
        self._warned_ns = 0

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push forced orders, and remember what ADL did."""
        for event in events:
            if isinstance(event, Liquidated | LiquidationPrinted):
                self._forced.take(event)
            elif isinstance(event, Deleveraged) and event.order.category is OrderCategory.ADL:
                self._deleveraged_ns[event.instrument_id] = event.event_ns
        self._push_forced()

    def tick(self) -> None:
        """Push what is due by the clock alone."""
        self._push_forced()
        now_ns = self._desk.venue.exchange.now_ns
        if now_ns - self._warned_ns < WARNING_NS:
            return
        self._warned_ns = now_ns
        low = self._fund_is_low(now_ns)
        for topic in self._sessions.listening("public"):
            if topic.channel == "adl-warning":
                self._warn(topic, now_ns, low=low)

    def _push_forced(self) -> None:
        for event in self._forced.due(self._desk.venue.exchange.now_ns):
            if self._sessions.listened(LIQUIDATIONS):
                self._sessions.push(LIQUIDATIONS, frame(LIQUIDATIONS, [_forced_row(event)]))

    def _fund_is_low(self, now_ns: int) -> bool:
        fund = self._desk.venue.exchange.insurance_fund
        if fund is None:
            return False
        funds, balance = self._funds, float(fund)
        while funds and funds[0][0] < now_ns - FUND_SPAN_NS:
            funds.popleft()
        while funds and funds[-1][1] <= balance:
            funds.pop()
        funds.append((now_ns, balance))
        return balance <= (1.0 - FUND_LOSS_MAX) * funds[0][1]

    def _warn(self, topic: Topic, now_ns: int, *, low: bool) -> None:
        family = topic.field("instFamily")
        contracts = [BY_FAMILY[family]] if family else [*BY_FAMILY.values()]
        fund = self._desk.venue.exchange.insurance_fund
        for contract in contracts:
            if contract.instrument_id not in self._desk.listed:
                continue
            since_ns = now_ns - self._deleveraged_ns.get(contract.instrument_id, -ADL_NS)
            state = "adl" if since_ns < ADL_NS else "warning" if low else "normal"
            if state == "normal":
                # Nothing is said of it since 2026-06-09.
                continue
            row = {
                "instType": "SWAP",
                "instFamily": contract.family,
                "state": state,
                "bal": "" if fund is None else text(fund),
                **dict.fromkeys(("ccy", "maxBal", "maxBalTs", "adlType", "adlBal"), ""),
                "adlRecBal": "",
                "ts": milliseconds(now_ns),
                **dict.fromkeys(("decRate", "adlRate", "adlRecRate"), ""),
            }
            self._sessions.push(topic, frame(topic, [row]))


def _forced_row(event: Forced) -> Row:
    contract = BY_INSTRUMENT[event.instrument_id]
    return {
        "details": [
            {
                "bkLoss": "0",
                "bkPx": text(event.price),
                "ccy": "",
                "posSide": "long" if event.side is Side.SELL else "short",
                "side": event.side.value,
                "sz": text(contract.contracts(event.quantity)),
                "ts": milliseconds(event.event_ns),
            }
        ],
        "instFamily": contract.family,
        "instId": contract.symbol,
        "instType": "SWAP",
        "uly": contract.family,
    }
