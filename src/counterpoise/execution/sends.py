"""Until when a venue may still carry out what was sent to it."""

from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

from counterpoise.domain.errors import StampRefused
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.ports import Clock

T = TypeVar("T")

#: How far clocks may be apart, and how long a venue may take over what it let in, at the end of
#: what may be carried out.
SETTLE_NS: Final = 10 * NS_PER_SECOND


class SendPermit(Protocol):
    """The account's lease, as the last check before a send."""

    def may_increase(self) -> bool:
        """Return True while this daemon is certainly the only writer."""
        ...

    @property
    def fenced(self) -> bool:
        """True once another daemon took over."""
        ...


async def stamped_anew(
    send: Callable[[], Awaitable[T]],
    permit: SendPermit,
    *,
    may_follow: Callable[[], bool] = lambda: True,
) -> T:
    """Send what lowers risk; refused for its stamp alone, it is sent once more.

    A clock of ours that stepped must not silence a reduction. Not if this process lost its lease
    meanwhile, nor if `may_follow` says no: it is asked just before an order's bytes would leave
    again. Then the refusal stands, and StampRefused is raised as any other is.
    """
    try:
        return await send()
    except StampRefused:
        if permit.fenced or not may_follow():
            raise
    return await send()


class Sends:
    """One per account.

    An increase ends with its approval, and the venue is told so, whoever sent it. A reduction goes out whatever the
    time is, so it lives as long as the venue takes its stamp, `valid_ns` after it was sent. Of one
    that another process sent only that much is known: it did so before this one began.
    """

    def __init__(self, clock: Clock, valid_ns: int) -> None:
        self._clock = clock
        #: What is sent now may be carried out for this long; 0 = nothing is ever on its way.
        self._valid_seconds = (valid_ns + SETTLE_NS) / NS_PER_SECOND if valid_ns else 0.0
        self._began = clock.monotonic()
        #: By our id: until when it may be carried out, monotonic seconds; None = its call is at
        #: work.
        self._until: dict[str, float | None] = {}
        #: By our id, while its call is at work: the end of its approval, monotonic seconds.
        self._approved_until: dict[str, float] = {}
        #: Those of them that are not to be sent any more.
        self._withdrawn: set[str] = set()

    def begin(self, client_order_id: str, expires_ns: int) -> None:
        """Note that an order is about to be sent: nothing ends it until `end`.

        `expires_ns` = end of its approval by our clock now; a step of it later changes nothing.
        """
        self._until[client_order_id] = None
        left_ns = max(0, expires_ns - self._clock.now_ns())
        self._approved_until[client_order_id] = self._clock.monotonic() + left_ns / NS_PER_SECOND

    def withdraw(self, client_order_id: str) -> None:
        """Note that an order is not to be sent any more; nothing if its call is not at work."""
        if client_order_id in self._approved_until:
            self._withdrawn.add(client_order_id)

    def is_withdrawn(self, client_order_id: str) -> bool:
        """Tell whether an order is not to be sent any more; asked just before its bytes leave."""
        return client_order_id in self._withdrawn

    def end(self, client_order_id: str, *, reduce_only: bool) -> None:
        """Note that its call is over, whatever came of it."""
        now = self._clock.monotonic()
        # What is over says as little as an order of another process by now: it is forgotten.
        if self._of_others_over(now):
            over = [key for key, until in self._until.items() if until is not None and until <= now]
            for key in over:
                del self._until[key]
        self._withdrawn.discard(client_order_id)
        approved_until = self._approved_until.pop(client_order_id)
        self._until[client_order_id] = (
            now + self._valid_seconds if reduce_only else approved_until + SETTLE_NS / NS_PER_SECOND
        )

    def may_arrive(self, client_order_id: str, expires_ns: int, *, reduce_only: bool) -> bool:
        """Tell whether an order may still be carried out; `expires_ns` = end of its approval."""
        if self._clock.now_ns() < expires_ns + SETTLE_NS:
            return True
        now = self._clock.monotonic()
        if client_order_id not in self._until:
            return reduce_only and not self._of_others_over(now)
        until = self._until[client_order_id]
        return until is None or now < until

    def _of_others_over(self, now: float) -> bool:
        return now >= self._began + self._valid_seconds
