"""Binance USD-M as one wire: the parts of this package put together over a floor."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from counterpoise.domain import units
from counterpoise.exchange.events import ExchangeEvent, InstrumentChanged
from counterpoise.simulator.binance import errors, trade
from counterpoise.simulator.binance.account_streams import AccountStreams
from counterpoise.simulator.binance.calls import Desk
from counterpoise.simulator.binance.errors import Code, WireError
from counterpoise.simulator.binance.limits import Limits, Usage
from counterpoise.simulator.binance.listen_keys import ListenKeys
from counterpoise.simulator.binance.market_streams import MarketStreams
from counterpoise.simulator.binance.numbers import UpdateNumbers
from counterpoise.simulator.binance.rest import ORDER_PATHS, Rest
from counterpoise.simulator.binance.sockets import Sessions
from counterpoise.simulator.binance.tape import Tape
from counterpoise.simulator.wire import Floor, Trouble

#: HTTP 503 of a request that failed for sure.
_UNAVAILABLE: Final = "Service Unavailable."


class BinanceWire:
    """Binance's REST and WebSocket."""

    def __init__(self, floor: Floor) -> None:
        clock, weight = floor.venue.clock, floor.weight_minute
        # What was delisted before a restart stays so.
        in_force = {each.instrument_id for each in floor.venue.exchange.instruments()}
        self._desk = Desk(
            floor=floor,
            listed={name: each for name, each in floor.listed.items() if name in in_force},
            listen_keys=ListenKeys(floor.account_id, clock.now_ns),
            countdowns={},
            tape=Tape({each: floor.venue.exchange.funding(each) for each in floor.listed}),
            # Milliseconds grow faster than the numbers taken, so a restart begins above the last.
            numbers=UpdateNumbers(floor.venue.exchange.now_ns // units.NS_PER_MS * 100),
            usage=Usage() if weight is None else Usage(limits=Limits(weight_minute=weight)),
        )
        self._sessions = Sessions(floor.links, self._desk.listen_keys)
        self._market = MarketStreams(self._desk, self._sessions)
        self._account = AccountStreams(self._desk, self._sessions)
        self._rest = Rest(self._desk)

    def add_routes(self, application: web.Application) -> None:
        """Add the streams' paths and, for all other paths, the REST frame with its own 404."""
        self._sessions.add_routes(application)
        application.router.add_route("*", "/{tail:.*}", self._rest.serve)

    def hear(self, events: Sequence[ExchangeEvent]) -> None:
        """Push what happened."""
        for event in events:
            if isinstance(event, InstrumentChanged) and event.delisted:
                self._desk.listed.pop(event.instrument.instrument_id, None)
        self._account.hear(events)
        self._market.hear(events)

    def tick(self) -> None:
        """Push what is due by the clock; ping, close and cancel what has to be."""
        trade.count_down(self._desk)
        self._account.tick()
        self._market.tick()
        self._sessions.tick()

    def trouble(self, trouble: Trouble, request: web.Request, *, seconds: float) -> web.Response:
        """Return a bad answer in Binance's form."""
        del request
        match trouble:
            case Trouble.UNKNOWN_OUTCOME:
                # HTTP 408 and -1007: "execution status unknown".
                return errors.refusal(WireError(Code.TIMEOUT, status=408))
            case Trouble.UNAVAILABLE:
                return web.Response(status=503, text=_UNAVAILABLE)
            case Trouble.MAINTENANCE:
                return errors.refusal(WireError(Code.UNAVAILABLE, status=503))
            case Trouble.RATE_LIMITED | Trouble.BANNED:
                status = 429 if trouble is Trouble.RATE_LIMITED else 418
                refused = WireError(Code.TOO_MANY_REQUESTS, status=status)
                headers = {"Retry-After": str(max(1, round(seconds)))}
                return errors.refusal(refused, headers=headers)

    def is_order_entry(self, request: web.Request) -> bool:
        """Tell whether a request places, amends or cancels orders."""
        return request.method != "GET" and request.path in ORDER_PATHS

    def notify_upgrade(self) -> None:
        """Binance closes without a word."""

    def forget(self, channel: str) -> int:
        """Lose private subscriptions without a word; return how many."""
        return self._sessions.forget(channel)

    def instrument_of(self, name: str) -> str | None:
        """Return our id of a symbol in either case; None = not listed."""
        return name.upper() if name.upper() in self._desk.listed else None


def make(floor: Floor) -> BinanceWire:
    """Return Binance's wire over a floor."""
    return BinanceWire(floor)
