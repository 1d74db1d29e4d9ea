"""A paper account, the venue it trades in as a script, and its streams, without any socket."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

from counterpoise.domain.errors import StartRefused
from counterpoise.domain.events import BookSnapshot, FundingRate, MarkPrice
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.ports import Candle
from counterpoise.venues.paper.account import PaperAccount, PaperTerms
from counterpoise.venues.paper.orders import PaperVenue
from mirror_world import BTC, ETH, instrument
from venue_rigs import WallClock

#: Their margin tiers are the model's.
NAMES = (BTC, ETH)


class ScriptedPublic:
    """A venue's public REST with answers a test sets (`ports.PublicVenue`)."""

    name = "okx"

    def __init__(self, clock: WallClock) -> None:
        self._clock = clock
        self.marks = {BTC: Decimal("100.05"), ETH: Decimal(50)}
        self.states: dict[str, InstrumentState] = {}
        self.rules = {each: instrument(each) for each in NAMES}
        self.offset_ns = 0
        self.asked: list[str] = []
        self.opened = 0

    async def open(self) -> None:
        self.opened += 1

    async def close(self) -> None:
        self.opened = 0

    async def instruments(self, instrument_ids: Sequence[str]) -> tuple[Instrument, ...]:
        absent = [each for each in instrument_ids if each not in self.rules]
        if absent:
            raise StartRefused(f"lists no {absent[0]}")
        return tuple(self.rules[each] for each in instrument_ids)

    def venue_symbol(self, instrument_id: str) -> str:
        return f"{instrument_id}-X"

    def contract_size(self, instrument_id: str) -> Decimal:
        return Decimal(1)

    async def mark_candles(
        self, instrument_id: str, step_seconds: int, since_ns: int, until_ns: int
    ) -> tuple[Candle, ...]:
        price = self.marks[instrument_id]
        return (
            Candle(
                open_ns=until_ns - 60 * NS_PER_SECOND,
                step_seconds=60,
                open=price,
                high=price,
                low=price,
                close=price,
            ),
        )

    async def clock_offset_ns(self) -> int:
        return self.offset_ns

    async def instrument_states(self, instrument_ids: Sequence[str]) -> dict[str, InstrumentState]:
        return {each: self.states.get(each, InstrumentState.LIVE) for each in instrument_ids}

    async def present(self, instrument_ids: Sequence[str]) -> tuple[MarkPrice | FundingRate, ...]:
        self.asked += instrument_ids
        found: list[MarkPrice | FundingRate] = []
        for name in instrument_ids:
            now_ns = self._clock.now_ns()
            found.append(
                MarkPrice(
                    instrument_id=name,
                    mark=self.marks[name],
                    index=self.marks[name],
                    event_ns=now_ns,
                    received_ns=now_ns,
                )
            )
            found.append(
                FundingRate(
                    instrument_id=name,
                    rate=Decimal("0.0001"),
                    funding_ns=(now_ns // NS_PER_HOUR + 1) * NS_PER_HOUR,
                    interval_hours=Decimal(1),
                    event_ns=now_ns,
                    received_ns=now_ns,
                )
            )
        return tuple(found)


class PaperWorld:
    """One account's directory and whoever has it open."""

    def __init__(self, directory: Path, *, latency_ms: int = 5, equity: str = "10000") -> None:
        self.clock = WallClock()
        self.public = ScriptedPublic(self.clock)
        self.terms = PaperTerms(
            venue="okx",
            path=directory / "paper" / "okx.account",
            equity=Decimal(equity),
            latency_ms=latency_ms,
        )
        self.account = PaperAccount(self.terms, self.clock)
        self.venue = self.made()

    def made(self, *, keep: bool = True, fresh: bool = False) -> PaperVenue:
        """Return an unopened venue on an account object of its own."""
        self.account = PaperAccount(self.terms, self.clock)
        self.venue = PaperVenue(
            self.account,
            self.public,
            self.clock,
            rest_url="http://127.0.0.1:9",
            keep=keep,
            fresh=fresh,
        )
        return self.venue

    async def opened(self, *, keep: bool = True, fresh: bool = False) -> PaperVenue:
        """Open it anew, list the instruments and tell a book and a mark of each."""
        await self.venue.close()
        venue = self.made(keep=keep, fresh=fresh)
        await venue.open()
        await venue.instruments(NAMES)
        await venue.attest(NAMES)
        self.book()
        return venue

    def book(self, bid: str = "100", ask: str = "100.1", quantity: str = "5") -> None:
        """Tell a book of one level a side."""
        now_ns = self.clock.now_ns()
        self.account.hear(
            BookSnapshot(
                instrument_id=BTC,
                bids=((bid, quantity),),
                asks=((ask, quantity),),
                quantity_unit=Decimal(1),
                sequence=1,
                event_ns=now_ns,
                received_ns=now_ns,
            )
        )

    def mark(self, mark: str) -> None:
        """Tell a mark."""
        now_ns = self.clock.now_ns()
        self.public.marks[BTC] = Decimal(mark)
        self.account.hear(
            MarkPrice(
                instrument_id=BTC,
                mark=Decimal(mark),
                index=Decimal(mark),
                event_ns=now_ns,
                received_ns=now_ns,
            )
        )
