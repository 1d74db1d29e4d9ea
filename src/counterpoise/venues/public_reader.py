"""What the public readers of all venues have in common: opening, closing, and what is listed.

A reader holds no key and its client refuses to make a private request (`session.public_only`).
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final, Generic, NoReturn, TypeVar

from counterpoise.domain.errors import StartRefused, VenueUnreachable
from counterpoise.domain.events import FundingRate, MarkPrice
from counterpoise.domain.instruments import Instrument
from counterpoise.ports import Clock
from counterpoise.venues.session import RestSession

#: How long one request may take, ms.
TIMEOUT_MS: Final = 5_000

S = TypeVar("S", bound=RestSession)
L = TypeVar("L")


class PublicReader(ABC, Generic[S, L]):
    """Half of `ports.PublicVenue`; a venue's own class has the rest."""

    name: str
    #: How people write the venue.
    label: ClassVar[str]

    def __init__(self, clock: Clock, *, settle: str = "USDT") -> None:
        self._clock = clock
        self._settle = settle
        self._session: S | None = None
        #: What was ever listed: positions may outlive it.
        self._listings: dict[str, L] = {}
        self._offset_ns = 0

    async def open(self) -> None:
        """Load what is listed and measure the clock. VenueUnreachable or VenueRejected."""
        await self.close()
        self._session = self._connect()
        try:
            self._listings |= await self._listed()
            await self.clock_offset_ns()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Release connections; safe to call twice."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def instruments(self, instrument_ids: Sequence[str]) -> tuple[Instrument, ...]:
        """Return their rules now. StartRefused names an instrument that is not listed."""
        listed = await self._listed()
        found = [listed.get(each) or self._unlisted(each) for each in instrument_ids]
        self._listings |= listed
        return tuple(await asyncio.gather(*(self._rules(each) for each in found)))

    async def clock_offset_ns(self) -> int:
        """Measure the venue's clock minus ours, ns; used from now on."""
        self._offset_ns = await self._measured_ns()
        return self._offset_ns

    async def present(self, instrument_ids: Sequence[str]) -> tuple[MarkPrice | FundingRate, ...]:
        """Return the mark and the next funding of each now."""
        found = await asyncio.gather(*(self._present(self._known(each)) for each in instrument_ids))
        return tuple(event for events in found for event in events)

    @abstractmethod
    def contract_size(self, instrument_id: str) -> Decimal:
        """Return base units per contract, 1 where the venue has none."""

    @abstractmethod
    def _connect(self) -> S: ...

    @abstractmethod
    async def _listed(self) -> dict[str, L]: ...

    @abstractmethod
    async def _rules(self, listing: L) -> Instrument: ...

    @abstractmethod
    async def _measured_ns(self) -> int: ...

    @abstractmethod
    async def _present(self, listing: L) -> list[MarkPrice | FundingRate]: ...

    @property
    def _opened(self) -> S:
        if self._session is None:
            raise VenueUnreachable(f"the connection to {self.label} is not open")
        return self._session

    def _venue_ns(self) -> int:
        return self._clock.now_ns() + self._offset_ns

    def _known(self, instrument_id: str) -> L:
        return self._listings.get(instrument_id) or self._unlisted(instrument_id)

    def _unlisted(self, instrument_id: str) -> NoReturn:
        raise StartRefused(
            f"{self.label} lists no linear perpetual {instrument_id} settled in {self._settle}; "
            "remove it from the configured instruments"
        )
