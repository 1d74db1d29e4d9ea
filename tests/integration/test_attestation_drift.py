"""The daemon's watch on a real adapter: each thing that can drift, and what it is told as.

A venue joins by a row; the tests know none by name.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from counterpoise.app import attesting
from counterpoise.app.attestation_watch import AGAIN_SECONDS, EVERY_SECONDS, AttestationWatch
from counterpoise.app.clock import SystemClock
from counterpoise.app.runner import Runner
from counterpoise.domain.account import TradingState
from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.events import AccountAttested, Event, ReconciliationFailed
from counterpoise.domain.records import IncidentOpened
from counterpoise.domain.units import NS_PER_HOUR
from counterpoise.engine import actions
from counterpoise.engine.trading_state import Cause
from counterpoise.execution.performer import Performer
from counterpoise.ports import Venue
from counterpoise.simulator import client
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.orders import OkxVenue
from engine_world import START_NS, make_state
from scripted_venue import SettableClock

IDS = ("BTCUSDT", "ETHUSDT")


def okx(state_dir: Path) -> Venue:
    port = client.ensure_running(state_dir, seed=7, fresh=True)
    key = client.credentials(state_dir)
    credentials = OkxCredentials(api_key=key.api_key, secret=key.secret, passphrase=key.passphrase)
    return OkxVenue(OkxEndpoints.loopback(port), credentials, SystemClock())


@dataclass
class Row:
    """What one venue is said to be, and by which field the difference is named."""

    make: object
    drifts: tuple[tuple[dict[str, str], str, str, str], ...]


ROWS = {
    "okx": Row(
        make=okx,
        drifts=(
            ({"kind": "position_mode", "value": "hedge"}, "position_mode", "one_way", "hedge"),
            ({"kind": "account_mode", "value": "3"}, "account_mode", "2", "3"),
            ({"kind": "account_mode", "value": "3"}, "multi_asset", "false", "true"),
            ({"kind": "fee", "value": "8"}, "taker_fee_bps", "5", "8"),
            ({"kind": "key_unbound"}, "ip_bound", "true", "false"),
            (
                {"kind": "key_permission", "value": "withdraw"},
                "permissions",
                "read_only,trade",
                "read_only,trade,withdraw",
            ),
            (
                {"kind": "leverage", "symbol": "BTCUSDT", "value": "9"},
                "BTCUSDT.leverage_setting",
                "3",
                "9",
            ),
            (
                {"kind": "contract_size", "symbol": "ETHUSDT", "value": "10"},
                "ETHUSDT.contract_size",
                "0.1",
                "1",
            ),
            (
                {"kind": "funding_interval", "symbol": "ETHUSDT", "value": "4"},
                "ETHUSDT.funding_interval_hours",
                "8",
                "4",
            ),
            (
                {"kind": "lot_size", "symbol": "ETHUSDT", "value": "0.01"},
                "ETHUSDT.lot_size",
                "0.001",
                "0.01",
            ),
            (
                {"kind": "tick_size", "symbol": "ETHUSDT", "value": "0.1"},
                "ETHUSDT.tick_size",
                "0.01",
                "0.1",
            ),
            ({"kind": "tiers", "symbol": "BTCUSDT", "value": "2"}, "BTCUSDT.tier_margins", "", ""),
        ),
    )
}


class Kept:
    """A performer that keeps what it is to do."""

    def __init__(self) -> None:
        self.done: list[actions.Action] = []

    def perform(self, done: list[actions.Action]) -> None:
        self.done += done

    def incidents(self) -> list[IncidentOpened]:
        records = [getattr(action, "record", None) for action in self.done]
        return [record for record in records if isinstance(record, IncidentOpened)]


@pytest.fixture(scope="module", params=list(ROWS))
def row(request: pytest.FixtureRequest) -> Row:
    return ROWS[request.param]


@pytest.fixture(scope="module")
def state_dir(row: Row, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("attested")
    yield found
    client.stop(found)


@pytest.fixture
async def venue(row: Row, state_dir: Path) -> AsyncIterator[Venue]:
    made = cast("Venue", row.make(state_dir))  # type: ignore[operator]
    await made.open()
    yield made
    await made.close()


def watched(venue: Venue, attestation: object, clock: object) -> tuple[AttestationWatch, Kept]:
    runner, kept = Runner(make_state(), clock), Kept()  # type: ignore[arg-type]
    runner.attach(cast("Performer", kept))
    watch = AttestationWatch(venue, runner, clock, attestation)  # type: ignore[arg-type]
    runner.watch(watch.told)
    return watch, kept


async def test_each_thing_that_drifts_is_named(row: Row, venue: Venue, state_dir: Path) -> None:
    attestation = await attesting.attest(venue, IDS)
    attesting.check(attestation, 500)
    again = attesting.facts(await attesting.attest(venue, IDS))
    assert again == attesting.facts(attestation)
    for order, field, expected, found in row.drifts:
        details = dict(order)
        client.fault(state_dir, details.pop("kind"), **details)
        now = attesting.facts(await attesting.attest(venue, IDS))
        named = {each.field: each for each in attesting.differences(again, now)}
        assert field in named, (order, named)
        if found:
            assert (named[field].expected, named[field].found) == (expected, found)
        client.fault(state_dir, "clear")
        # What was changed for good is what the next one is compared with.
        again = attesting.facts(await attesting.attest(venue, IDS))


async def test_the_watch_reduces_and_lets_go(venue: Venue, state_dir: Path) -> None:
    watch, kept = watched(venue, await attesting.attest(venue, IDS), SystemClock())
    state = watch._runner.state
    await watch.look()
    assert (state.trading_state, kept.done[1:]) == (TradingState.ACTIVE, [])
    client.fault(state_dir, "key_permission", value="withdraw")
    await watch.look()
    assert state.trading_state is TradingState.REDUCING
    (incident,) = kept.incidents()
    assert "permissions is read_only,trade,withdraw" in incident.summary
    assert watch._wait_seconds == AGAIN_SECONDS
    client.fault(state_dir, "clear")
    await watch.look()
    assert Cause.ATTESTATION not in state.causes
    assert watch._wait_seconds == EVERY_SECONDS


async def test_an_incident_of_another_kind_makes_it_look(venue: Venue) -> None:
    watch, kept = watched(venue, await attesting.attest(venue, IDS), SystemClock())

    def opened(kind: str) -> None:
        record = IncidentOpened(
            incident_id="i",
            run_id="r",
            severity="error",
            kind=kind,
            summary="",
            body="{}",
            opened_ns=1,
        )
        event = ReconciliationFailed(cause="cycle", message="", received_ns=1)
        watch.told(event, [actions.Write(record=record)])

    opened("attestation.drift")
    assert not watch._incident.is_set()
    opened("position.drift")
    assert watch._incident.is_set()
    await watch.look()
    assert not watch._incident.is_set()
    assert kept.incidents() == []


async def test_silence_of_hours_is_a_difference_and_a_refused_key_is_one_at_once(
    venue: Venue,
) -> None:
    clock = SettableClock(START_NS)
    watch, kept = watched(venue, await attesting.attest(venue, IDS), clock)
    events: list[Event] = []
    watch._runner.watch(lambda event, _done: events.append(event))
    await venue.close()
    await watch.look()
    assert events == []
    clock.ns += 3 * NS_PER_HOUR
    await watch.look()
    await watch.look()
    assert [type(event) for event in events] == [AccountAttested, AccountAttested]
    (incident,) = kept.incidents()
    assert "not answered for hours" in incident.summary
    with pytest.raises(VenueUnreachable):
        await venue.account()


async def test_the_account_is_prepared_while_flat(venue: Venue, state_dir: Path) -> None:
    client.fault(state_dir, "leverage", value="9")
    before = await attesting.attest(venue, IDS)
    done = await attesting.prepare(venue, before, await venue.account(), Decimal(3))
    assert done == (True, [])
    after = await attesting.attest(venue, IDS)
    assert after.leverage_settings == dict.fromkeys(IDS, Decimal(3))


async def test_it_looks_by_itself_after_an_incident(
    venue: Venue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("counterpoise.app.attestation_watch.GAP_SECONDS", 0.01)
    watch, _ = watched(venue, await attesting.attest(venue, IDS), SystemClock())
    seen: list[Event] = []
    watch._runner.watch(lambda event, _done: seen.append(event))
    task = asyncio.create_task(watch.run())
    try:
        await asyncio.sleep(0.2)
        assert seen == []
        watch._incident.set()
        async with asyncio.timeout(20):
            while not seen:  # noqa: ASYNC110  it is a condition
                await asyncio.sleep(0.05)
    finally:
        task.cancel()
