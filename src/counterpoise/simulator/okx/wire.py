"""OKX v5 as one wire: the parts of this package put together over a floor."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from counterpoise.exchange.events import ExchangeEvent
from counterpoise.simulator.okx import symbols
from counterpoise.simulator.okx.account_streams import AccountStreams
from counterpoise.simulator.okx.calls import Desk
from counterpoise.simulator.okx.channels import Channels, Sequencer
from counterpoise.simulator.okx.errors import MESSAGES, Code, envelope
from counterpoise.simulator.okx.fundings import Fundings
from counterpoise.simulator.okx.limits import Limits
from counterpoise.simulator.okx.market_streams import MarketStreams
from counterpoise.simulator.okx.rest import Rest
from counterpoise.simulator.okx.risk_streams import RiskStreams
from counterpoise.simulator.okx.sockets import Sessions
from counterpoise.simulator.wire import Floor, Trouble

#: Each trouble as OKX answers it: code and HTTP status (docs-v5 "Error Code").
_TROUBLES: Final = {
    Trouble.UNKNOWN_OUTCOME: (Code.ENDPOINT_TIMEOUT, 200),
    Trouble.UNAVAILABLE: (Code.SYSTEM, 503),
    Trouble.RATE_LIMITED: (Code.RATE, 429),
    Trouble.BANNED: (Code.RATE, 429),
    Trouble.MAINTENANCE: (Code.UNAVAILABLE, 503),
}
_ORDER_ENTRY: Final = frozenset(
    f"/api/v5/trade/{name}"
    for name in (
        "order",
        "batch-orders",
        "cancel-order",
        "cancel-batch-orders",
        "amend-order",
        "amend-batch-orders",
        "order-algo",
        "cancel-algos",
        "amend-algos",
    )
)


class OkxWire:
    """OKX's REST and WebSocket."""

    def __init__(self, floor: Floor) -> None:
        exchange = floor.venue.exchange
        desk = Desk(
            venue=floor.venue,
            account_id=floor.account_id,
            listed=floor.listed,
            maker_fee_bps=exchange.parameters.maker_fee_bps,
            taker_fee_bps=exchange.parameters.taker_fee_bps,
            faults=floor.faults,
            # In lock-step the wall clock must not decide what is taken.
            limits=Limits(None) if floor.venue.clock.lock_step else Limits(),
            fundings=Fundings({name: exchange.funding(name) for name in floor.listed}),
        )
        self._fundings = desk.fundings
        # Milliseconds grow faster than the numbers taken, so a restart begins above the last.
        sequencer = Sequencer(exchange.now_ns // 1_000_000)
        channels = Channels(desk, sequencer)
        self._listed = floor.listed
        self._sessions = Sessions(floor.credentials, channels, floor.links, floor.venue.clock)
        self._risk = RiskStreams(desk, self._sessions)
        self._market = MarketStreams(desk, self._sessions, channels, sequencer, floor.faults)
        self._account = AccountStreams(desk, self._sessions, channels)
        self._rest = Rest(desk, floor.credentials)

    def add_routes(self, application: web.Application) -> None:
        """Add /ws/v5/* and, for all other paths, the REST frame with its own 404."""
        for path in ("public", "private", "business"):
            application.router.add_get(f"/ws/v5/{path}", self._sessions.serve)
        application.router.add_route("*", "/{tail:.*}", self._rest.serve)

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened."""
        self._fundings.hear(events)
        self._account.hear(events)
        self._market.hear(events)
        self._risk.hear(events)

    def tick(self) -> None:
        """Push what is due by the clock and close silent sessions."""
        self._account.tick()
        self._market.tick()
        self._risk.tick()
        self._sessions.close_idle()

    def trouble(self, trouble: Trouble, request: web.Request, *, seconds: float) -> web.Response:
        """Return OKX's envelope with the code of a trouble."""
        del request, seconds
        code, status = _TROUBLES[trouble]
        return envelope([], code=code, message=MESSAGES[code], status=status)

    def is_order_entry(self, request: web.Request) -> bool:
        """Tell whether a request places, amends or cancels orders."""
        return request.method == "POST" and request.path in _ORDER_ENTRY

    def notify_upgrade(self) -> None:
        """Push OKX's 64008 notice to every session."""
        self._sessions.notify_upgrade()

    def forget(self, channel: str) -> int:
        """Lose private subscriptions without a word; return how many."""
        return self._sessions.forget(channel)

    def instrument_of(self, name: str) -> str | None:
        """Return our id for either spelling."""
        found = symbols.instrument_of(name)
        return found if found in self._listed else None


def make(floor: Floor) -> OkxWire:
    """Return OKX's wire over a floor."""
    return OkxWire(floor)
