"""Whether a private stream still tells what happens: a stream that lost it goes on answering pings.

What it must have told is known from elsewhere: cash from REST. A difference that stays means that
the stream is deaf, and only a new connection makes everybody ask for what was missed.
"""

from decimal import Decimal

from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.venues.connection import Dropped


class CashWatch:
    """Compares the cash a stream told with the account's by REST."""

    def __init__(self, within_seconds: float) -> None:
        """Cash that REST has must be told within this."""
        self._within_ns = round(within_seconds * NS_PER_SECOND)
        #: Cash as the stream told it last, or as it was before it told any; None = not known.
        self._told: Decimal | None = None
        #: Since when REST has other cash than the stream told, our clock, ns; None = it has not.
        self._untold_since_ns: int | None = None

    def begin(self) -> None:
        """Forget what an earlier connection told."""
        self._told = self._untold_since_ns = None

    def tell(self, cash: Decimal) -> None:
        """Take the cash the stream tells."""
        self._told, self._untold_since_ns = cash, None

    def compare(self, cash: Decimal, now_ns: int) -> bool:
        """Take the account's cash by REST; True = it differs and is to be looked at again soon."""
        if self._told is None:
            self._told = cash
        if cash == self._told:
            self._untold_since_ns = None
            return False
        # News on its way, or an answer older than them: either is settled in a moment.
        if self._untold_since_ns is None:
            self._untold_since_ns = now_ns
        return True

    def look(self, now_ns: int) -> None:
        """Raise Dropped if the stream did not tell in time."""
        since_ns = self._untold_since_ns
        if since_ns is not None and now_ns - since_ns > self._within_ns:
            raise Dropped("cash changed and the stream did not tell", at_once=True)
