"""Bybit v5 as one wire: the parts of this package put together over a floor."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from counterpoise.domain import units
from counterpoise.exchange.events import ExchangeEvent
from counterpoise.simulator.bybit import orders
from counterpoise.simulator.bybit.account_streams import AccountStreams
from counterpoise.simulator.bybit.auth import KeyRules
from counterpoise.simulator.bybit.calls import Desk
from counterpoise.simulator.bybit.errors import Code, envelope
from counterpoise.simulator.bybit.limits import Allowance, Limits
from counterpoise.simulator.bybit.market_streams import MarketStreams
from counterpoise.simulator.bybit.protection import Protection
from counterpoise.simulator.bybit.rest import Rest
from counterpoise.simulator.bybit.sockets import PRIVATE_PATH, PUBLIC_PATH, TRADE_PATH, Sessions
from counterpoise.simulator.bybit.tape import Tape
from counterpoise.simulator.bybit.trade_stream import TradeStream
from counterpoise.simulator.wire import Floor, Trouble

#: Each trouble as Bybit answers it: code and HTTP status (docs v5 "Error Codes").
_TROUBLES: Final = {
    Trouble.UNKNOWN_OUTCOME: (Code.TIMEOUT, 200),
    Trouble.UNAVAILABLE: (Code.SERVER, 503),
    Trouble.RATE_LIMITED: (Code.RATE, 200),
    Trouble.MAINTENANCE: (Code.SERVER, 503),
}


class BybitWire:
    """Bybit's REST and WebSocket."""

    def __init__(
        self, floor: Floor, *, rules: KeyRules | None = None, protection_enabled: bool = False
    ) -> None:
        self._clock = floor.venue.clock
        self._listed = floor.listed
        desk = Desk(
            venue=floor.venue,
            account_id=floor.account_id,
            api_key=floor.credentials.api_key,
            rules=rules or KeyRules(addresses=("127.0.0.1",)),
            listed=floor.listed,
            tape=Tape({name: floor.venue.exchange.funding(name) for name in floor.listed}),
            protection=Protection(floor.venue, floor.account_id, enabled=protection_enabled),
            faults=floor.faults,
        )
        # Counted in market time: a lock-step client meets the same limits in every run.
        limits = Limits(lambda: self._clock.now_ns() / units.NS_PER_SECOND)
        trade = TradeStream(desk, limits)
        self._tape = desk.tape
        self._sessions = Sessions(desk, floor.credentials, floor.links, trade)
        self._market = MarketStreams(desk, self._sessions)
        self._sessions.open_with(self._market)
        self._account = AccountStreams(desk, self._sessions)
        self._rest = Rest(desk, floor.credentials, limits)

    def add_routes(self, application: web.Application) -> None:
        """Add /v5/public/linear, /v5/private, /v5/trade and, for all else, the REST frame."""
        for path in (PUBLIC_PATH, PRIVATE_PATH, TRADE_PATH):
            application.router.add_get(path, self._sessions.serve)
        application.router.add_route("*", "/{tail:.*}", self._rest.serve)

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened."""
        self._tape.hear(events)
        self._account.hear(events)
        self._market.hear(events)

    def tick(self) -> None:
        """Push what is due by the clock and close silent sessions."""
        self._market.tick()
        self._sessions.close_idle()

    def trouble(self, trouble: Trouble, request: web.Request, *, seconds: float) -> web.Response:
        """Return a trouble in Bybit's words; a shut-out address gets a bare 403."""
        del request
        now_ns = self._clock.told_ns()
        if trouble is Trouble.BANNED:
            return web.Response(status=403, text="access too frequent")
        code, status = _TROUBLES[trouble]
        headers: dict[str, str] = {}
        if trouble is Trouble.RATE_LIMITED:
            reset_ms = now_ns // units.NS_PER_MS + round(seconds * 1_000)
            headers = Allowance(granted=False, most=10, left=0, reset_ms=reset_ms).headers
        return envelope({}, now_ns=now_ns, code=code, headers=headers, status=status)

    def is_order_entry(self, request: web.Request) -> bool:
        """Tell whether a request places, amends or cancels orders."""
        return request.method == "POST" and request.path in orders.ENTRY

    def notify_upgrade(self) -> None:
        """Do nothing: Bybit closes its sockets without a word."""

    def forget(self, channel: str) -> int:
        """Lose private subscriptions without a word; return how many."""
        return self._sessions.forget(channel)

    def instrument_of(self, name: str) -> str | None:
        """Return our id; Bybit's symbols are the same."""
        return name if name in self._listed else None


def make(floor: Floor) -> BybitWire:
    """Return Bybit's wire over a floor."""
    return BybitWire(floor)
