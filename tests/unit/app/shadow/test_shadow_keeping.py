"""Whatever becomes of a twin's process, the daemon hears its market and goes on."""

import asyncio
import sys
from dataclasses import dataclass
from decimal import Decimal

import pytest

from counterpoise.app import configuration
from counterpoise.app.settings import Settings
from counterpoise.app.shadow import keeping
from counterpoise.domain.account import AccountSnapshot, Attestation, Balance
from counterpoise.domain.records import IncidentOpened
from counterpoise.venues.okx.endpoints import OkxEndpoints
from shadow_events import EVENTS, FIRST
from venue_rigs import WallClock

DSN = "postgresql://twin:word@localhost/record"


class Kept(list):
    def append(self, record):
        super().append(record)
        return len(self)


@dataclass
class Kit:
    journal: Kept
    shadow: keeping.Shadow
    heard: list

    def reasons(self):
        assert all(isinstance(each, IncidentOpened) for each in self.journal)
        return [each.summary for each in self.journal]


@pytest.fixture
async def kit(tmp_path, monkeypatch):
    """A twin whose program a test chooses by `programs`."""
    journal = Kept()
    shadow = keeping.Shadow(tmp_path / "shadow", journal, "run", WallClock())
    made = Kit(journal, shadow, [])
    yield made
    await shadow.stop()


def program(monkeypatch, text):
    # In the twin's place: the same call, another program.
    real = asyncio.create_subprocess_exec

    async def other(_python, _flag, _module, **more):
        return await real(sys.executable, "-c", text, **more)

    monkeypatch.setattr(keeping.asyncio, "create_subprocess_exec", other)


async def until(found, seconds=10.0):
    async with asyncio.timeout(seconds):
        while not found():  # noqa: ASYNC110  a process's end
            await asyncio.sleep(0.01)


async def test_it_hears_the_introduction_and_then_the_market(kit, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    program(
        monkeypatch,
        f"import sys; open({str(copy)!r}, 'wb').write(sys.stdin.buffer.read())",
    )
    await kit.shadow.start(lambda: FIRST)
    feed = kit.shadow.heard_by(kit.heard.append)
    for event in EVENTS:
        feed(event)
    assert kit.heard == EVENTS
    process = kit.shadow._process
    process.stdin.close()
    await process.wait()
    expected = keeping.pipe.introduction(FIRST)
    expected += b"".join(keeping.pipe.frame(each) for each in EVENTS)
    assert copy.read_bytes() == expected


async def test_one_that_ends_is_one_incident(kit, monkeypatch):
    program(monkeypatch, "import sys; sys.exit(7)")
    await kit.shadow.start(lambda: FIRST)
    watching = asyncio.create_task(kit.shadow.run())
    await until(lambda: kit.journal)
    feed = kit.shadow.heard_by(kit.heard.append)
    for event in EVENTS:
        feed(event)
    assert kit.heard == EVENTS
    assert not watching.done()
    watching.cancel()
    assert len(kit.reasons()) == 1
    assert "ended by itself with exit code 7" in kit.reasons()[0]
    assert "The daemon goes on" in kit.reasons()[0]


async def test_one_that_does_not_start_is_an_incident(kit, monkeypatch):
    async def fails(*_arguments, **_more):
        raise OSError(12, "no memory")

    monkeypatch.setattr(keeping.asyncio, "create_subprocess_exec", fails)
    await kit.shadow.start(lambda: FIRST)
    kit.shadow.heard_by(kit.heard.append)(EVENTS[0])
    assert kit.heard == [EVENTS[0]]
    assert "does not start" in kit.reasons()[0]


async def test_one_that_cannot_be_introduced_is_an_incident(kit):
    def breaks():
        raise ValueError("no such field")

    await kit.shadow.start(breaks)
    kit.shadow.heard_by(kit.heard.append)(EVENTS[0])
    watching = asyncio.create_task(kit.shadow.run())
    await asyncio.sleep(0.05)
    assert not watching.done()
    watching.cancel()
    assert kit.heard == [EVENTS[0]]
    assert "does not start: no such field" in kit.reasons()[0]


async def test_one_that_does_not_read_is_let_go(kit, monkeypatch):
    monkeypatch.setattr(keeping, "UNREAD_BYTES_MAX", 200_000)
    program(monkeypatch, "import time; time.sleep(60)")
    await kit.shadow.start(lambda: FIRST)
    feed = kit.shadow.heard_by(kit.heard.append)
    for _ in range(5_000):
        feed(EVENTS[0])
    assert len(kit.heard) == 5_000
    assert "does not keep up" in kit.reasons()[0]
    assert len(kit.reasons()) == 1
    await until(lambda: kit.shadow._process.returncode is not None)


async def test_an_event_that_cannot_be_told_costs_the_twin_alone(kit, monkeypatch):
    program(monkeypatch, "import time; time.sleep(60)")
    await kit.shadow.start(lambda: FIRST)

    def breaks(_event):
        raise ValueError("no such word")

    monkeypatch.setattr(keeping.pipe, "frame", breaks)
    kit.shadow.heard_by(kit.heard.append)(EVENTS[0])
    assert kit.heard == [EVENTS[0]]
    assert "could not be told: no such word" in kit.reasons()[0]


async def test_an_end_that_was_asked_for_is_no_incident(kit, monkeypatch):
    monkeypatch.setattr(keeping, "LEAVE_SECONDS_MAX", 0.3)
    program(
        monkeypatch,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)",
    )
    await kit.shadow.start(lambda: FIRST)
    await asyncio.sleep(0.2)
    await kit.shadow.stop()
    assert kit.shadow._process.returncode is not None
    assert kit.journal == []


# -- what a twin is told ---------------------------------------------------------------------


def snapshot(equity):
    balance = Balance(
        currency="USDT",
        wallet_balance=Decimal(equity),
        equity=Decimal(equity),
        available_margin=None,
        initial_margin=None,
        maintenance_margin=None,
        event_ns=1,
    )
    return AccountSnapshot(
        account_id="77", balance=balance, positions=(), open_orders=(), event_ns=1, received_ns=1
    )


def attestation():
    return Attestation(
        account_id="77",
        one_way=True,
        cross_margin=True,
        leverage_settings={},
        permissions=("trade",),
        taker_fee_bps=Decimal("4.5"),
        maker_fee_bps=None,
        clock_offset_ms=0.0,
    )


def test_a_twin_has_the_configuration_and_no_key(tmp_path, monkeypatch):
    secrets = {
        "api_key": "key-11",
        "api_secret": "secret-22",
        "api_passphrase": "phrase-33",
        "heartbeat_url": "https://watch.invalid/44",
    }
    settings = configuration.load(
        "live",
        live_trading="77",
        shadow=True,
        state_dir=tmp_path,
        hedge_ratio=1.1,
        okx_private_url="wss://ws.okx.com/ws/v5/private",
        **secrets,
    )
    endpoints = OkxEndpoints.production()
    found = keeping.introduced(settings, endpoints, snapshot(1234), attestation(), DSN)
    text = keeping.pipe.introduction(found).decode("utf-8", "replace")
    assert not [each for each in (*secrets.values(), "private") if each in text]
    twin = Settings(**found.settings)
    assert (twin.environment, twin.venue, twin.shadow) == ("paper", "okx", False)
    assert (twin.live_trading, twin.api_key, twin.heartbeat_url) == (None, None, None)
    assert (twin.paper_equity, twin.paper_taker_fee_bps) == (Decimal(1234), Decimal("4.5"))
    assert twin.paper_maker_fee_bps is None
    assert twin.state_dir == tmp_path / "shadow"
    assert twin.database_url.get_secret_value() == DSN
    assert (twin.hedge_ratio, twin.hedge_candidates) == (1.1, settings.hedge_candidates)
    assert found.account_id == "77-shadow"
    assert found.addresses["public_url"] == endpoints.public_url


def test_a_twin_of_an_account_without_equity_begins_with_the_usual(tmp_path):
    settings = configuration.load("demo", shadow=True, state_dir=tmp_path)
    endpoints = OkxEndpoints.loopback(1)
    found = keeping.introduced(settings, endpoints, snapshot(0), attestation(), DSN)
    assert Settings(**found.settings).paper_equity == Decimal(10_000)
