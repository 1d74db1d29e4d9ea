"""Two ccxt clients of one account: one for orders, one for everything else.

ccxt signs, sends and recognises a venue's errors; whatever it raises leaves here as a
`VenueError`. Its limiter and its retries are off: an order is sent once or its outcome is unknown.
Its list of markets stays empty: requests are made of what we know, and no list refuses an order.
"""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import nullcontext
from decimal import localcontext
from typing import Any, ClassVar, Final

from ccxt.base import errors as ccxt_errors  # type: ignore[import-untyped,unused-ignore]

from counterpoise.domain.errors import OutcomeUnknown
from counterpoise.domain.units import NS_PER_MS
from counterpoise.ports import Clock
from counterpoise.venues.clock_offset import SAMPLES, ClockOffset, measure, more_exact
from counterpoise.venues.outcomes import RAISED, OutcomeTable
from counterpoise.venues.redirects import without_redirects
from counterpoise.venues.throttle import Lanes

#: Options every client of ccxt is made with.
UNLIMITED: Final[Mapping[str, Any]] = {"enableRateLimit": False}

Row = Mapping[str, Any]
Call = Callable[[dict[str, Any]], Awaitable[Any]]

#: Is shown the address, status, headers and body of an answer.
Listener = Callable[[str, int, Mapping[str, str], str], None]


class RestSession(ABC):
    """Opens, signs and closes; knows no meaning of any endpoint. A venue derives its own."""

    #: What this venue's refusals mean.
    outcomes: ClassVar[OutcomeTable]
    #: Requests are stamped this long before the venue's present, ms.
    stamped_behind_ms: ClassVar[int] = 0

    def __init__(self, orders: Any, reads: Any, lanes: Lanes, clock: Clock) -> None:
        """`orders` carries orders and cancels only: its sockets never queue behind reads.

        `clock` is the one the venue's is measured against, so the one that stamps are made with.
        """
        self.lanes = lanes
        self.clock = clock
        #: ccxt client for orders and cancels.
        self.orders: Any = orders
        #: ccxt client for everything else.
        self.reads: Any = reads
        #: The venue's clock as it is known now; None = it was never measured.
        self.clock_known: ClockOffset | None = None
        for client in (orders, reads):
            self._stamp(client)

    @property
    def offset_ns(self) -> int:
        """The venue's clock minus ours, ns; 0 until it was measured."""
        return 0 if self.clock_known is None else self.clock_known.offset_ns

    @property
    def venue_ns(self) -> int:
        """The venue's present as far as it is known, ns."""
        return self.clock.now_ns() + self.offset_ns

    async def measure_clock(self, *, for_reduction: bool = False) -> int:
        """Return the venue's clock minus ours, ns, and stamp requests by it from now on.

        `for_reduction` = one waits for it: asked once, and not in the lane of reads, which may be
        closed for a minute. Raises VenueUnreachable or VenueRejected; what was known then stays.
        """
        found = await measure(
            self.venue_ms,
            self.clock,
            samples=1 if for_reduction else SAMPLES,
            lane=nullcontext if for_reduction else self.lanes.read,
        )
        self.clock_known = more_exact(self.clock_known, found)
        return self.offset_ns

    def take_clock(self, offset_ns: int) -> None:
        """Stamp requests by what another session measured: the venue's clock minus ours, ns."""
        self.clock_known = ClockOffset(offset_ns=offset_ns, error_ns=0)

    @abstractmethod
    async def venue_ms(self) -> int:
        """Return the venue's clock as it answers now, on the orders' sockets and in no lane.

        Raises VenueRejected, or VenueUnreachable also for an answer that is no time.
        """

    async def close(self) -> None:
        """Release both clients' connections; safe to call twice."""
        await self.orders.close()
        await self.reads.close()

    def _stamp(self, client: Any) -> None:
        # ccxt stamps by the wall clock, which may be set back while ours goes on.
        client.nonce = lambda: self.venue_ns // NS_PER_MS - self.stamped_behind_ms
        client.milliseconds = lambda: self.clock.now_ns() // NS_PER_MS

    @classmethod
    async def answer(cls, call: Call, parameters: dict[str, Any]) -> Any:
        """Return the answer of one read. Raises VenueUnreachable or VenueRejected."""
        try:
            # ccxt changes the rounding of the context it runs in; the caller's is not its to change.
            with localcontext():
                return await call(parameters)
        except RAISED as exception:
            raise cls.outcomes.classify(exception, placing=False) from exception

    @classmethod
    async def change(cls, call: Callable[[], Awaitable[Any]]) -> Row:
        """Return the answer to a request that changes something.

        Raises VenueRejected, VenueUnreachable or OutcomeUnknown, the last also for an answer
        that is no object (an empty body or a page of HTML raises nothing in ccxt).
        """
        try:
            with localcontext():
                answer = await call()
        except RAISED as exception:
            raise cls.outcomes.classify(exception, placing=True) from exception
        if not isinstance(answer, dict):
            raise OutcomeUnknown(
                f"{cls.outcomes.venue} answered nothing we can read: {str(answer)[:80]!r}"
            )
        return answer


def public_only(client: Any) -> Any:
    """Return a client that refuses to make any request but a public one, key or no key."""
    sign = client.sign

    def sign_public(path: str, api: Any = "public", *rest: Any, **named: Any) -> Any:
        if "public" not in str(api).lower():
            raise ccxt_errors.AuthenticationError(f"{path} is private, and there is no key")
        return sign(path, api, *rest, **named)

    client.sign = sign_public
    return client


def without_retries(client: Any) -> Any:
    """Return a client that sends each request once, to one host, and leaves nothing open."""
    client.options["maxRetriesOnFailure"] = 0
    client.has["fetchCurrencies"] = False
    client.timeout_on_exit = 0
    return without_redirects(client)


def heard_by(client: Any, listener: Listener) -> None:
    """Show a listener every answer of a client, before ccxt makes anything of it."""
    usual = client.on_rest_response

    def hear(
        code: int,
        reason: str,
        url: str,
        method: str,
        response_headers: Mapping[str, str],
        response_body: str,
        *rest: Any,
    ) -> Any:
        listener(url, code, response_headers, response_body)
        return usual(code, reason, url, method, response_headers, response_body, *rest)

    client.on_rest_response = hear
