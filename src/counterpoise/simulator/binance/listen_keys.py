"""Keys of user data streams: made, kept alive, ended, expired after an hour."""

import hashlib
from collections.abc import Callable
from typing import Final

from counterpoise.domain import units
from counterpoise.simulator.binance.errors import Code, WireError

#: A key that is not kept alive ends after this.
VALID_NS: Final = 60 * units.NS_PER_MINUTE


class ListenKeys:
    """The one account's listen key, and those before it."""

    def __init__(self, account_id: str, now_ns: Callable[[], int]) -> None:
        self._account_id = account_id
        self._now_ns = now_ns
        self._made = 0
        self._key: str | None = None
        self._expires_ns = 0
        self._expired: list[str] = []

    def start(self) -> str:
        """Return the valid key, prolonged, or a new one."""
        self._look()
        if self._key is None:
            self._made += 1
            seed = f"{self._account_id}:{self._made}:{self._now_ns()}"
            self._key = hashlib.sha256(seed.encode()).hexdigest()
        self._expires_ns = self._now_ns() + VALID_NS
        return self._key

    def keep_alive(self) -> str:
        """Prolong the valid key and return it; WireError -1125 = there is none."""
        self._look()
        if self._key is None:
            raise WireError(Code.LISTEN_KEY)
        self._expires_ns = self._now_ns() + VALID_NS
        return self._key

    def end(self) -> None:
        """Close the stream of the valid key, if there is one."""
        self._key = None

    def is_valid(self, key: str) -> bool:
        """Tell whether events flow to a key."""
        return key == self._key and self._now_ns() < self._expires_ns

    def expire(self) -> None:
        """End the valid key now, as if nobody had kept it alive."""
        if self._key is not None:
            self._expired.append(self._key)
            self._key = None

    def expired(self) -> list[str]:
        """Return the keys that ran out since the last call."""
        self._look()
        expired, self._expired = self._expired, []
        return expired

    def _look(self) -> None:
        if self._key is not None and self._now_ns() >= self._expires_ns:
            self.expire()
