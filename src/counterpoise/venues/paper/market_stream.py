"""The real venue's public streams, heard by the paper account first."""

from collections.abc import Callable

from counterpoise.domain.events import Event
from counterpoise.ports import Feed, MarketFeed
from counterpoise.venues.paper.account import PaperAccount


class PaperMarketStream:
    """Implements `ports.MarketFeed`: what is told is the venue's own, unchanged."""

    def __init__(self, account: PaperAccount, streams: MarketFeed) -> None:
        """`streams` are the venue's."""
        self._account = account
        self._streams = streams

    async def run(self, feed: Feed) -> None:
        """Stream until cancelled. VenueUnreachable: the account's disk fails."""
        await self._streams.run(self.heard_by(feed))

    def heard_by(self, feed: Feed) -> Callable[[Event], None]:
        """Return a feed that the account hears before `feed` does."""

        def hear(event: Event) -> None:
            self._account.hear(event)
            feed(event)

        return hear
