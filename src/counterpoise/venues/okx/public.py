"""What OKX tells without a key, by REST; implements `ports.PublicVenue`."""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import FundingRate, MarkPrice
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.units import NS_PER_HOUR
from counterpoise.ports import Candle, Clock
from counterpoise.venues.figures import ns_from_ms, optional_decimal
from counterpoise.venues.okx import attest, candles, convert, reads
from counterpoise.venues.okx.convert import Contract
from counterpoise.venues.okx.endpoints import OkxEndpoints
from counterpoise.venues.okx.market_stream import FUNDING_HOURS
from counterpoise.venues.okx.session import OkxSession
from counterpoise.venues.public_reader import TIMEOUT_MS, PublicReader
from counterpoise.venues.unreadable import adapter


@adapter("OKX")
class OkxPublic(PublicReader[OkxSession, Contract]):
    """OKX's linear swaps as anybody may see them."""

    name: str = "okx"
    label: ClassVar[str] = "OKX"

    def __init__(self, endpoints: OkxEndpoints, clock: Clock) -> None:
        super().__init__(clock)
        self._endpoints = endpoints

    def venue_symbol(self, instrument_id: str) -> str:
        """Return "BTC-USDT-SWAP" for "BTCUSDT"."""
        return self._known(instrument_id).inst_id

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return base units per contract."""
        return self._known(instrument_id).contract_size

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Return complete mark candles opened in [since, until), oldest first."""
        inst_id = self._known(instrument_id).inst_id
        return await candles.mark_candles(
            self._opened, inst_id, step_seconds, since_ns, until_ns, self._venue_ns()
        )

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return each instrument's state; one that OKX no longer lists is DELISTED."""
        return await reads.instrument_states(self._opened, self._settle, instrument_ids)

    def _connect(self) -> OkxSession:
        return OkxSession(self._endpoints, None, self._clock, timeout_ms=TIMEOUT_MS)

    async def _listed(self) -> dict[str, Contract]:
        answer = await self._opened.read("publicGetPublicInstruments", instType="SWAP")
        return convert.listed(answer, self._settle).found

    async def _rules(self, listing: Contract) -> Instrument:
        return await attest.instrument(self._opened, listing)

    async def _measured_ns(self) -> int:
        return await self._opened.measure_clock()

    async def _present(self, listing: Contract) -> list[MarkPrice | FundingRate]:
        session, name = self._opened, listing.instrument_id
        marks = await session.read(
            "publicGetPublicMarkPrice", instType="SWAP", instId=listing.inst_id
        )
        rates = await session.read("publicGetPublicFundingRate", instId=listing.inst_id)
        mark = optional_decimal(marks[0].get("markPx")) if marks else None
        rate = optional_decimal(rates[0].get("fundingRate")) if rates else None
        if mark is None or rate is None:
            raise VenueUnreachable(f"OKX answered no mark or funding rate of {listing.inst_id}")
        received_ns, row = self._clock.now_ns(), rates[0]
        funding_ns = ns_from_ms(row.get("fundingTime"))
        between_ns = ns_from_ms(row.get("nextFundingTime")) - funding_ns
        return [
            MarkPrice(
                instrument_id=name,
                mark=mark,
                index=None,
                event_ns=ns_from_ms(marks[0].get("ts")) or self._venue_ns(),
                received_ns=received_ns,
            ),
            FundingRate(
                instrument_id=name,
                rate=rate,
                funding_ns=funding_ns,
                interval_hours=(
                    Decimal(between_ns) / NS_PER_HOUR if between_ns > 0 else FUNDING_HOURS
                ),
                event_ns=ns_from_ms(row.get("ts")) or self._venue_ns(),
                received_ns=received_ns,
            ),
        ]
