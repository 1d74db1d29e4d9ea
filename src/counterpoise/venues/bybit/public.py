"""What Bybit tells without a key, by REST; implements `ports.PublicVenue`."""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar, Final

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import FundingRate, MarkPrice
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.ports import Candle, Clock
from counterpoise.venues.bybit import attest, candles, reads
from counterpoise.venues.bybit.convert import CATEGORY, Listing
from counterpoise.venues.bybit.endpoints import BybitEndpoints
from counterpoise.venues.bybit.session import BybitSession
from counterpoise.venues.figures import ns_from_ms, optional_decimal
from counterpoise.venues.public_reader import TIMEOUT_MS, PublicReader
from counterpoise.venues.unreadable import adapter

#: Where a ticker does not say how often funding is charged.
_USUAL_HOURS: Final = Decimal(8)


@adapter("Bybit")
class BybitPublic(PublicReader[BybitSession, Listing]):
    """Bybit's linear perpetuals as anybody may see them."""

    name: str = "bybit"
    label: ClassVar[str] = "Bybit"

    def __init__(self, endpoints: BybitEndpoints, clock: Clock) -> None:
        super().__init__(clock)
        self._endpoints = endpoints

    def venue_symbol(self, instrument_id: str) -> str:
        """Return the symbol, which is our id."""
        return self._known(instrument_id).instrument_id

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return 1: Bybit's quantities are base units."""
        self._known(instrument_id)
        return Decimal(1)

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Return complete mark candles opened in [since, until), oldest first."""
        symbol = self._known(instrument_id).instrument_id
        return await candles.mark_candles(
            self._opened, symbol, step_seconds, since_ns, until_ns, self._venue_ns()
        )

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return each instrument's state; one that Bybit no longer lists is DELISTED."""
        return await reads.instrument_states(self._opened, self._settle, instrument_ids)

    def _connect(self) -> BybitSession:
        return BybitSession(self._endpoints, None, self._clock, timeout_ms=TIMEOUT_MS)

    async def _listed(self) -> dict[str, Listing]:
        return await reads.listings(self._opened, self._settle)

    async def _rules(self, listing: Listing) -> Instrument:
        return await attest.instrument(self._opened, listing)

    async def _measured_ns(self) -> int:
        return await self._opened.measure_clock()

    async def _present(self, listing: Listing) -> list[MarkPrice | FundingRate]:
        name = listing.instrument_id
        answer = await self._opened.read("publicGetV5MarketTickers", category=CATEGORY, symbol=name)
        row = answer.rows[0] if answer.rows else {}
        mark, rate = (
            optional_decimal(row.get("markPrice")),
            optional_decimal(row.get("fundingRate")),
        )
        if mark is None or rate is None:
            raise VenueUnreachable(f"Bybit answered no mark or funding rate of {name}")
        event_ns, received_ns = answer.event_ns or self._venue_ns(), self._clock.now_ns()
        return [
            MarkPrice(
                instrument_id=name,
                mark=mark,
                index=optional_decimal(row.get("indexPrice")),
                event_ns=event_ns,
                received_ns=received_ns,
            ),
            FundingRate(
                instrument_id=name,
                rate=rate,
                funding_ns=ns_from_ms(row.get("nextFundingTime")),
                interval_hours=optional_decimal(row.get("fundingIntervalHour")) or _USUAL_HOURS,
                event_ns=event_ns,
                received_ns=received_ns,
            ),
        ]
