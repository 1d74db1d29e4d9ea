"""The daemon's watch on a real adapter: each thing that can drift, and what it is told as.

A venue joins by a row of `ROWS`; the tests know none by name.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
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
from engine_world import START_NS, make_state
from scripted_venue import SettableClock
from venue_rigs import RIGS, RunningVenue, running_venue

IDS = ("BTCUSDT", "ETHUSDT")
#: Facts that every venue tells.
TOLD = {
    "taker_fee_bps",
    "maker_fee_bps",
    "fee_tier",
    "account_mode",
    "ip_bound",
    "BTCUSDT.funding_interval_hours",
    "BTCUSDT.leverage_setting",
    "BTCUSDT.tier_ends",
}


@dataclass(frozen=True, kw_only=True)
class Drift:
    """Something that changes, and how the difference is named."""

    kind: str
    #: The field that differs.
    field: str
    #: The fault's value; "x10" = ten times what the field says.
    value: str = ""
    symbol: str = ""
    #: What the field says then; None = not looked at.
    found: str | None = None


EVERYWHERE = (
    Drift(kind="position_mode", value="hedge", field="position_mode", found="hedge"),
    Drift(kind="fee", value="8", field="taker_fee_bps", found="8"),
    Drift(kind="key_unbound", field="ip_bound", found="false"),
    Drift(
        kind="key_permission",
        value="withdraw",
        field="permissions",
        found="read_only,trade,withdraw",
    ),
    Drift(
        kind="leverage",
        value="9",
        symbol="BTCUSDT",
        field="BTCUSDT.leverage_setting",
        found="9",
    ),
    Drift(
        kind="funding_interval",
        value="4",
        symbol="ETHUSDT",
        field="ETHUSDT.funding_interval_hours",
        found="4",
    ),
    Drift(kind="lot_size", value="x10", symbol="ETHUSDT", field="ETHUSDT.lot_size"),
    Drift(kind="tick_size", value="x10", symbol="ETHUSDT", field="ETHUSDT.tick_size"),
    Drift(kind="tiers", value="0.5", symbol="BTCUSDT", field="BTCUSDT.tier_margins"),
)

#: Venue -> what can drift there; all of it is an attestation's.
ROWS = {
    "okx": (
        *EVERYWHERE,
        Drift(kind="account_mode", value="3", field="account_mode", found="3"),
        Drift(kind="account_mode", value="3", field="multi_asset", found="true"),
        Drift(
            kind="contract_size",
            value="10",
            symbol="ETHUSDT",
            field="ETHUSDT.contract_size",
            found="1",
        ),
    ),
    "binance": (
        *EVERYWHERE,
        Drift(kind="account_mode", value="multi_asset", field="account_mode", found="multi-assets"),
        Drift(kind="account_mode", value="multi_asset", field="multi_asset", found="true"),
        Drift(
            kind="key_permission",
            value="transfer",
            field="permissions",
            found="read_only,trade,transfer",
        ),
    ),
    "bybit": (
        *EVERYWHERE,
        Drift(kind="account_mode", value="ISOLATED_MARGIN", field="margin_mode", found="isolated"),
        Drift(
            kind="key_permission",
            value="transfer",
            field="permissions",
            found="read_only,trade,transfer",
        ),
    ),
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
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningVenue]:
    with running_venue(request.param, tmp_path_factory.mktemp("attested"), seed=7) as found:
        yield found


@pytest.fixture
def state_dir(running: RunningVenue) -> Path:
    return running.state_dir


@pytest.fixture
async def venue(running: RunningVenue) -> AsyncIterator[Venue]:
    made: Venue = RIGS[running.name](running).make_venue()
    await made.open()
    yield made
    await made.close()


def watched(venue: Venue, attestation: object, clock: object) -> tuple[AttestationWatch, Kept]:
    runner, kept = Runner(make_state(), clock), Kept()  # type: ignore[arg-type]
    runner.attach(cast("Performer", kept))
    watch = AttestationWatch(venue, runner, clock, attestation)  # type: ignore[arg-type]
    runner.watch(watch.told)
    return watch, kept


async def test_each_thing_that_drifts_is_named(running: RunningVenue, venue: Venue) -> None:
    attestation = await attesting.attest(venue, IDS)
    attesting.check(attestation, 500)
    again = attesting.facts(await attesting.attest(venue, IDS))
    assert again == attesting.facts(attestation)
    for drift in ROWS[running.name]:
        value = drift.value
        if value == "x10":
            value = f"{10 * Decimal(again[drift.field]):f}"
        running.fault(drift.kind, symbol=drift.symbol, value=value)
        now = attesting.facts(await attesting.attest(venue, IDS))
        named = {each.field: each for each in attesting.differences(again, now)}
        assert drift.field in named, (drift, named)
        assert named[drift.field].expected == again[drift.field]
        if drift.found is not None:
            assert named[drift.field].found == drift.found
        running.fault("clear")
        # What was changed for good is what the next one is compared with.
        again = attesting.facts(await attesting.attest(venue, IDS))
    assert "not told" not in {text for field, text in again.items() if field in TOLD}


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
    held = SimpleNamespace(fenced=False, may_increase=lambda: True)
    done = await attesting.prepare(venue, before, await venue.account(), Decimal(3), held)
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
