"""What the paper account tells of itself, a latency after it happened."""

import asyncio
from typing import Final

from counterpoise.domain.events import BalanceUpdate, StreamAlive, StreamDown, StreamName
from counterpoise.ports import Clock, Feed
from counterpoise.venues.paper.account import PaperAccount

#: Between two signs of life, seconds.
ALIVE_SECONDS: Final = 1.0
#: Between two balances when nothing happens, seconds.
BALANCE_SECONDS: Final = 5.0


class PaperAccountStream:
    """Orders, fills, positions, balance and funding; implements `ports.AccountFeed`."""

    def __init__(self, account: PaperAccount, clock: Clock) -> None:
        self._account = account
        self._clock = clock
        self._balanced = 0.0

    async def run(self, feed: Feed) -> None:
        """Tell until cancelled. VenueUnreachable: the account's disk fails."""
        # What happened before somebody listened is asked for, not told.
        self._account.told.clear()
        self._balanced = self._clock.monotonic()
        while True:
            self._tell(feed)
            feed(StreamAlive(stream=StreamName.ACCOUNT, received_ns=self._clock.now_ns()))
            await self._until_more(self._clock.monotonic() + ALIVE_SECONDS, feed)

    async def _until_more(self, deadline: float, feed: Feed) -> None:
        while (left := deadline - self._clock.monotonic()) > 0:
            told = self._account.told
            if told:
                left = min(left, max(0.0, told[0][0] - self._clock.monotonic()))
            self._account.wake.clear()
            try:
                async with asyncio.timeout(left):
                    await self._account.wake.wait()
            except TimeoutError:
                pass
            self._tell(feed)

    def _tell(self, feed: Feed) -> None:
        account, now = self._account, self._clock.monotonic()
        if account.overflown:
            account.told.clear()
            account.overflown = False
            feed(
                StreamDown(
                    stream=StreamName.ACCOUNT,
                    reason="more happened than could be told",
                    received_ns=self._clock.now_ns(),
                )
            )
        while account.told and account.told[0][0] <= now:
            feed(account.told.popleft()[1])
        quiet = not account.told and now - self._balanced >= BALANCE_SECONDS
        if quiet and account.exchange.valued():
            self._balanced = now
            feed(BalanceUpdate(balance=account.balance(), received_ns=self._clock.now_ns()))
