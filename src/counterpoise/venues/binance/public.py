"""What Binance USD-M tells without a key, by REST; implements `ports.PublicVenue`.

Margin tiers (fapi/v1/leverageBracket) are not public: instruments come without them.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import ClassVar

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import FundingRate, MarkPrice
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.ports import Candle, Clock
from counterpoise.venues.binance import candles, convert, reads
from counterpoise.venues.binance.convert import Listing
from counterpoise.venues.binance.endpoints import BinanceEndpoints
from counterpoise.venues.binance.session import BinanceSession
from counterpoise.venues.binance.snapshots import INTERVAL_HOURS
from counterpoise.venues.binance.throttle import Allowance
from counterpoise.venues.figures import decimal, ns_from_ms, optional_decimal
from counterpoise.venues.public_reader import TIMEOUT_MS, PublicReader
from counterpoise.venues.unreadable import adapter


@adapter("Binance")
class BinancePublic(PublicReader[BinanceSession, Listing]):
    """Binance's USDT-margined perpetuals as anybody may see them."""

    name: str = "binance"
    label: ClassVar[str] = "Binance"

    def __init__(self, endpoints: BinanceEndpoints, clock: Clock) -> None:
        super().__init__(clock)
        self._endpoints = endpoints

    def venue_symbol(self, instrument_id: str) -> str:
        """Return Binance's symbol, which is our id."""
        return self._known(instrument_id).symbol

    def contract_size(self, instrument_id: str) -> Decimal:
        """Return 1: Binance's quantities are base units."""
        self._known(instrument_id)
        return convert.CONTRACT_SIZE

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        """Return complete mark candles opened in [since, until), oldest first."""
        symbol = self._known(instrument_id).symbol
        return await candles.mark_candles(
            self._opened, symbol, step_seconds, since_ns, until_ns, self._venue_ns()
        )

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        """Return each instrument's state; one that Binance no longer lists is DELISTED."""
        return await reads.instrument_states(self._opened, self._settle, instrument_ids)

    def _connect(self) -> BinanceSession:
        return BinanceSession(
            self._endpoints, None, self._clock, Allowance.account_lanes, timeout_ms=TIMEOUT_MS
        )

    async def _listed(self) -> dict[str, Listing]:
        return convert.listed(await reads.listed_rows(self._opened), self._settle).found

    async def _rules(self, listing: Listing) -> Instrument:
        return convert.instrument(listing)

    async def _measured_ns(self) -> int:
        return await self._opened.measure_clock()

    async def _present(self, listing: Listing) -> list[MarkPrice | FundingRate]:
        session, symbol = self._opened, listing.symbol
        row = await session.row("fapiPublicGetPremiumIndex", symbol=symbol)
        mark = optional_decimal(row.get("markPrice"))
        rate = optional_decimal(row.get("lastFundingRate"))
        if mark is None or rate is None:
            raise VenueUnreachable(f"Binance answered no mark or funding rate of {symbol}")
        hours = {
            str(each.get("symbol")): each.get("fundingIntervalHours")
            for each in await session.rows("fapiPublicGetFundingInfo")
        }
        event_ns, received_ns = ns_from_ms(row.get("time")), self._clock.now_ns()
        return [
            MarkPrice(
                instrument_id=symbol,
                mark=mark,
                index=optional_decimal(row.get("indexPrice")),
                event_ns=event_ns or self._venue_ns(),
                received_ns=received_ns,
            ),
            FundingRate(
                instrument_id=symbol,
                rate=rate,
                funding_ns=ns_from_ms(row.get("nextFundingTime")),
                interval_hours=decimal(str(hours.get(symbol) or INTERVAL_HOURS)),
                event_ns=event_ns or self._venue_ns(),
                received_ns=received_ns,
            ),
        ]
