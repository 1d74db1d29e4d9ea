"""Fundings of the time nobody listened: all of them or none, each once."""

from decimal import Decimal

import pytest

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import BookSnapshot
from counterpoise.domain.orders import OrderKind, Side
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.exchange.orders import NewOrder
from counterpoise.ports import HistoricFunding
from counterpoise.venues.paper import absence
from paper_world import BTC, ETH, NAMES, PaperWorld


class History:
    """What the venue charged at some hours, and for whom it does not answer or not yet."""

    def __init__(self) -> None:
        self.due_ns: list[int] = []
        self.away: str | None = None
        self.late = False

    def __call__(self, _venue, *, address):
        assert address
        return self

    async def open(self, instrument_ids):
        pass

    async def close(self):
        pass

    def funding_page_ms(self):
        return 10**9

    async def fundings(self, instrument_id, _since_ms, _until_ms):
        if instrument_id == self.away:
            raise VenueUnreachable("away")
        return [] if self.late else [HistoricFunding(e // 10**6, 0.0001) for e in self.due_ns]


@pytest.fixture
def history(monkeypatch):
    made = History()
    monkeypatch.setattr(absence, "PublicHistory", made)
    return made


async def both_held(directory):
    """Return a world whose account held 2 of each when its process ended, and the hour then."""
    world = PaperWorld(directory)
    venue = await world.opened()
    now_ns = world.clock.now_ns()
    world.account.hear(
        BookSnapshot(
            instrument_id=ETH,
            bids=(("49.9", "50"),),
            asks=(("50", "50"),),
            quantity_unit=Decimal(1),
            sequence=1,
            event_ns=now_ns,
            received_ns=now_ns,
        )
    )
    exchange = world.account.exchange
    for name in (BTC, ETH):
        exchange.at(world.account.venue_ns())
        order = NewOrder(
            instrument_id=name, side=Side.BUY, quantity=Decimal(2), kind=OrderKind.MARKET
        )
        world.account.commit(exchange.place(exchange.account_id, order)[1])
    await venue.close()
    return world, exchange.now_ns // NS_PER_HOUR


async def started(world, venue_ns):
    """Start again at a moment of the venue's clock, as the daemon does."""
    world.public.offset_ns = venue_ns - world.clock.now_ns()
    venue = world.made()
    await venue.open()
    await venue.instruments(NAMES)
    await venue.attest(NAMES)
    return venue


async def paid(venue):
    found = await venue.funding_since(0)
    return sorted((e.instrument_id, e.event_ns // NS_PER_HOUR) for e in found)


async def test_a_start_that_fails_half_way_charges_nothing_and_the_next_one_all(tmp_path, history):
    world, hour = await both_held(tmp_path)
    history.due_ns = [(hour + n) * NS_PER_HOUR for n in (1, 2, 3)]
    history.away = ETH
    then_ns = (hour + 3) * NS_PER_HOUR + NS_PER_HOUR // 2
    with pytest.raises(VenueUnreachable, match="away"):
        await started(world, then_ns)
    history.away = None
    venue = await started(world, then_ns + NS_PER_SECOND)
    assert await paid(venue) == [(name, hour + n) for name in (BTC, ETH) for n in (1, 2, 3)]
    await venue.close()


async def test_a_funding_that_is_listed_late_is_charged_once(tmp_path, history):
    world, hour = await both_held(tmp_path)
    history.due_ns, history.late = [(hour + 1) * NS_PER_HOUR], True
    then_ns = (hour + 1) * NS_PER_HOUR + 2 * NS_PER_SECOND
    venue = await started(world, then_ns)
    once = [(BTC, hour + 1), (ETH, hour + 1)]
    assert await paid(venue) == once
    await venue.close()
    history.late = False
    venue = await started(world, then_ns + 600 * NS_PER_SECOND)
    assert await paid(venue) == once
    await venue.close()


async def test_one_the_venue_never_lists_was_none(tmp_path, history):
    world, hour = await both_held(tmp_path)
    venue = await started(world, (hour + 1) * NS_PER_HOUR + absence.LISTED_NS + NS_PER_SECOND)
    assert history.due_ns == []
    assert await paid(venue) == []
    await venue.close()


async def test_a_funding_without_a_mark_is_charged_at_the_entry(tmp_path, history, monkeypatch):
    world, hour = await both_held(tmp_path)
    history.due_ns = [(hour + 1) * NS_PER_HOUR]

    async def none(*_asked):
        return ()

    monkeypatch.setattr(world.public, "mark_candles", none)
    venue = await started(world, (hour + 2) * NS_PER_HOUR - NS_PER_SECOND)
    payments = {each.instrument_id: each.payment for each in await venue.funding_since(0)}
    rate = Decimal("0.0001")
    assert payments == {BTC: -2 * Decimal("100.1") * rate, ETH: -2 * Decimal(50) * rate}
    await venue.close()
