"""What each venue tells without a key, asked of a real server; a private question never leaves."""

import time
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from counterpoise.app.venue_table import VENUES
from counterpoise.domain.errors import StartRefused, VenueError, VenueUnreachable
from counterpoise.domain.events import FundingRate, MarkPrice
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_MS, NS_PER_SECOND
from venue_rigs import RunningVenue, WallClock, running_venue

IDS = ("BTCUSDT", "DOGEUSDT")

#: A private question of each venue.
PRIVATE = {
    "okx": "privateGetAccountBalance",
    "binance": "fapiPrivateV3GetAccount",
    "bybit": "privateGetV5AccountInfo",
}


@pytest.fixture(scope="module", params=list(VENUES))
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningVenue]:
    with running_venue(request.param, tmp_path_factory.mktemp("public"), seed=7) as found:
        yield found


@pytest.fixture
async def reader(running: RunningVenue) -> Any:
    public = VENUES[running.name].public()
    made: Any = public.reader(public.loopback(running.port), WallClock())
    await made.open()
    yield made
    await made.close()


async def test_rules_are_those_the_account_sees(reader: Any, running: RunningVenue) -> None:
    row = VENUES[running.name].adapters()
    key = row.credentials(running.key.api_key, running.key.secret, running.key.passphrase)
    venue = row.venue(row.loopback(running.port), key, WallClock())
    await venue.open()
    try:
        expected = await venue.instruments(IDS)
        found = await reader.instruments(IDS)
        symbols = [(venue.venue_symbol(each), venue.contract_size(each)) for each in IDS]
    finally:
        await venue.close()
    assert [replace(each, tiers=()) for each in found] == [
        replace(each, tiers=()) for each in expected
    ]
    # Binance tells its tiers to its customers only.
    assert [bool(each.tiers) for each in found] == [running.name != "binance"] * 2
    assert [(reader.venue_symbol(e), reader.contract_size(e)) for e in IDS] == symbols


async def test_the_present_is_a_mark_and_the_next_funding_of_each(reader: Any) -> None:
    found = await reader.present(IDS)
    assert [(type(each), each.instrument_id) for each in found] == [
        (kind, name) for name in IDS for kind in (MarkPrice, FundingRate)
    ]
    for mark, funding in (found[:2], found[2:]):
        assert mark.mark > 0
        assert abs(mark.event_ns - time.time_ns()) < 5 * NS_PER_SECOND
        assert funding.interval_hours == Decimal(8)
        assert 0 < funding.funding_ns - time.time_ns() <= 8 * NS_PER_HOUR
        assert abs(funding.rate) < Decimal("0.01")


async def test_clock_states_and_candles(reader: Any) -> None:
    assert abs(await reader.clock_offset_ns()) < 250 * NS_PER_MS
    assert await reader.instrument_states(["BTCUSDT", "NOSUCHUSDT"]) == {
        "BTCUSDT": InstrumentState.LIVE,
        "NOSUCHUSDT": InstrumentState.DELISTED,
    }
    now_ns = time.time_ns()
    bars = await reader.mark_candles("BTCUSDT", 60, now_ns - NS_PER_HOUR, now_ns)
    assert 57 <= len(bars) <= 60


async def test_an_instrument_that_is_not_listed_is_named(reader: Any) -> None:
    with pytest.raises(StartRefused, match="NOSUCHUSDT"):
        await reader.instruments(["NOSUCHUSDT"])


async def test_a_private_question_never_leaves(reader: Any, running: RunningVenue) -> None:
    client = reader._session.reads
    assert reader._session.orders is client
    assert not client.apiKey
    assert not client.secret
    # A key would not help: the client refuses before it signs.
    client.apiKey = client.secret = client.password = "x"
    with pytest.raises(VenueError, match="is private, and there is no key"):
        await reader._session.answer(getattr(client, PRIVATE[running.name]), {})


async def test_a_closed_reader_says_so(running: RunningVenue) -> None:
    public = VENUES[running.name].public()
    made: Any = public.reader(public.loopback(running.port), WallClock())
    with pytest.raises(VenueUnreachable, match="is not open"):
        await made.instruments(IDS)
    await made.close()
