"""`counterpoise doctor` with each thing wrong in turn, against a real server.

A venue joins by a row of `VENUES`; the tests know none by name.
"""

import asyncio
import math
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest

from counterpoise.app import configuration
from counterpoise.app.clock import SystemClock
from counterpoise.app.doctor.examining import Examination, examine
from counterpoise.app.doctor.findings import Finding, Outcome, has_failed
from counterpoise.app.settings import Settings
from counterpoise.ledger import migrate
from counterpoise.simulator import client

pytestmark = pytest.mark.timeout(120)

HEDGES = "ETHUSDT,DOGEUSDT"
QUICK = Examination(samples=5, pause_seconds=0.0, stream_seconds=0.8)
#: Shared machines delay frames: lines far away, where latency is not what is tested.
PATIENT = {"latency_ms_warn": 4_000, "latency_ms_max": 5_000}


@dataclass
class Case:
    """One thing that is wrong."""

    #: The line that tells it.
    check: str
    outcome: Outcome
    #: What its words and its remedy contain.
    found: str
    remedy: str
    #: The fault ordered at the venue; empty = none.
    fault: dict[str, object] = field(default_factory=dict)
    #: Settings and ways of looking that are other than usual.
    settings: dict[str, object] = field(default_factory=dict)
    how: dict[str, object] = field(default_factory=dict)


@dataclass
class VenueRow:
    """How a venue is configured, and what can be wrong there."""

    #: Settings that lead to the server of a state directory.
    settings: dict[str, object]
    cases: tuple[Case, ...]
    #: Settings that lead to a server by addresses, as a real venue is led to.
    addresses: Callable[[int], dict[str, object]]


def _okx_addresses(port: int) -> dict[str, object]:
    return {
        "venue": "okx",
        "okx_rest_url": f"http://127.0.0.1:{port}",
        "okx_public_url": f"ws://127.0.0.1:{port}/ws/v5/public",
        "okx_private_url": f"ws://127.0.0.1:{port}/ws/v5/private",
    }


def _binance_addresses(port: int) -> dict[str, object]:
    return {
        "venue": "binance",
        "binance_rest_url": f"http://127.0.0.1:{port}",
        "binance_stream_url": f"ws://127.0.0.1:{port}",
    }


def _bybit_addresses(port: int) -> dict[str, object]:
    return {
        "venue": "bybit",
        "bybit_rest_url": f"http://127.0.0.1:{port}",
        "bybit_public_url": f"ws://127.0.0.1:{port}/v5/public/linear",
        "bybit_private_url": f"ws://127.0.0.1:{port}/v5/private",
    }


FAILED, WARNING = Outcome.FAILED, Outcome.WARNING

#: What goes wrong alike everywhere.
EVERYWHERE = (
    Case("clock", FAILED, "differs", "NTP", {"kind": "clock_jump", "value": "5"}),
    Case(
        "key permissions",
        FAILED,
        "withdraw",
        "read and trade",
        {"kind": "key_permission", "value": "withdraw"},
    ),
    Case(
        "key permissions",
        FAILED,
        "may not trade",
        "read and trade",
        {"kind": "key_permission", "value": "read_only"},
    ),
    Case("key address", WARNING, "every address", "bind it", {"kind": "key_unbound"}),
    Case(
        "position mode",
        WARNING,
        "apart: the start sets it otherwise",
        "net (one-way)",
        {"kind": "position_mode", "value": "hedge"},
    ),
    Case("fees", WARNING, "taker 9 bps", "COUNTERPOISE_FEE_BPS=9", {"kind": "fee", "value": "9"}),
    Case(
        "instrument BTCUSDT",
        FAILED,
        "suspended",
        "wait",
        {"kind": "instrument_state", "symbol": "BTCUSDT", "value": "suspend"},
    ),
    Case(
        "instrument ETHUSDT",
        WARNING,
        "suspended",
        "choose another",
        {"kind": "instrument_state", "symbol": "ETHUSDT", "value": "suspend"},
    ),
    Case(
        "instrument NOSUCHUSDT",
        FAILED,
        "does not list",
        "take it out",
        settings={"hedge_candidates": "ETHUSDT,NOSUCHUSDT"},
    ),
    Case(
        "stream latency",
        FAILED,
        "no mark or book update",
        "firewall",
        {"kind": "silent_streams", "duration_seconds": 20},
    ),
    Case("disk", WARNING, "GiB free", "larger disk", how={"disk_bytes_min": 2**60}),
    Case("capital", FAILED, "the core cannot", "more capital", how={"equity": Decimal(3)}),
    Case(
        "capital",
        WARNING,
        "cannot be sized: ETHUSDT",
        "other candidates",
        {"kind": "lot_size", "symbol": "ETHUSDT", "value": "10"},
    ),
    Case(
        "lots ETHUSDT",
        WARNING,
        "cannot be sized",
        "of equity",
        {"kind": "lot_size", "symbol": "ETHUSDT", "value": "10"},
    ),
    Case("fees a month", WARNING, "bps of equity", "band", how={"turnover_month": Decimal(30)}),
)

#: OKX has no permission of its own for it.
TRANSFER = Case(
    "key permissions",
    FAILED,
    "may transfer",
    "read and trade",
    {"kind": "key_permission", "value": "transfer"},
)

VENUES = {
    "okx": VenueRow(
        settings={"venue": "simulator", "simulator_venue": "okx"},
        addresses=_okx_addresses,
        cases=(
            *EVERYWHERE,
            Case(
                "account mode",
                FAILED,
                "mode 1",
                "Futures mode",
                {"kind": "account_mode", "value": "1"},
            ),
            Case(
                "assets",
                WARNING,
                "count as margin",
                "settlement currency only",
                {"kind": "account_mode", "value": "3"},
            ),
            Case(
                "REST latency",
                FAILED,
                "over 100 ms",
                "nearer",
                {"kind": "delay", "path_contains": "account/config", "seconds": 0.15, "count": 40},
                settings={"latency_ms_warn": 50, "latency_ms_max": 100},
            ),
        ),
    ),
    "binance": VenueRow(
        settings={"venue": "simulator", "simulator_venue": "binance"},
        addresses=_binance_addresses,
        cases=(
            *EVERYWHERE,
            Case(
                "account mode",
                WARNING,
                "count as margin at a haircut: the start sets it otherwise",
                "single-asset",
                {"kind": "account_mode", "value": "multi_asset"},
            ),
            TRANSFER,
        ),
    ),
    "bybit": VenueRow(
        settings={"venue": "simulator", "simulator_venue": "bybit", "fee_bps": 5.5},
        addresses=_bybit_addresses,
        cases=(
            *EVERYWHERE,
            Case(
                "margin mode",
                WARNING,
                "margin of their own",
                "cross margin",
                {"kind": "account_mode", "value": "ISOLATED_MARGIN"},
            ),
            TRANSFER,
        ),
    ),
}


@pytest.fixture(scope="module", params=list(VENUES))
def row(request: pytest.FixtureRequest) -> VenueRow:
    return VENUES[request.param]


@pytest.fixture(scope="module")
def state_dir(row: VenueRow, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    found = tmp_path_factory.mktemp("doctor")
    venue = str(row.settings["simulator_venue"])
    client.ensure_running(found / "simulator", seed=7, fresh=True, venue=venue)
    yield found
    client.stop(found / "simulator")


@pytest.fixture
def settings_of(row: VenueRow, state_dir: Path, database: str):
    def load(**changed: object) -> Settings:
        values = {"hedge_candidates": HEDGES, "database_url": database, **PATIENT, **changed}
        return configuration.load("demo", state_dir=state_dir, **{**row.settings, **values})

    return load


def examined(settings: Settings, **how: object) -> dict[str, Finding]:
    found = asyncio.run(examine(settings, SystemClock(), replace(QUICK, **how)))
    named = {each.check: each for each in found}
    assert len(named) == len(found)
    return named


def test_nothing_is_wrong(settings_of) -> None:
    found = examined(settings_of(), stream_seconds=5)
    wrong = [f"{each}" for each in found.values() if each.outcome is not Outcome.OK]
    assert not wrong, "\n".join(wrong)
    assert list(found)[:5] == ["disk", "database", "migrations", "names", "venue"]
    assert {"lots BTCUSDT", "lots ETHUSDT", "lots DOGEUSDT", "armed"} <= set(found)
    # Less than nothing where the venue's clock was measured a little ahead.
    assert math.isfinite(float(found["stream latency"].figures["p99_ms"]))


def test_each_thing_that_is_wrong_is_told_with_its_remedy(
    row: VenueRow, settings_of, state_dir: Path
) -> None:
    misses = []
    for case in row.cases:
        order = dict(case.fault)
        if order:
            client.fault(state_dir / "simulator", str(order.pop("kind")), **order)
        line = examined(settings_of(**case.settings), **case.how)[case.check]
        undo(state_dir / "simulator", case)
        told = (line.outcome, case.found in line.found, case.remedy in line.remedy)
        if told != (case.outcome, True, True):
            misses.append(f"{case.check} ({case.found}): {line}")
    assert not misses, "\n".join(misses)


def undo(simulator: Path, case: Case) -> None:
    client.fault(simulator, "clear")
    kind = case.fault.get("kind")
    if kind == "position_mode":
        client.fault(simulator, "position_mode", value="one_way")
    if kind == "lot_size":
        client.fault(simulator, "lot_size", symbol=str(case.fault["symbol"]), value="0.01")
    if kind == "instrument_state":
        symbol = str(case.fault["symbol"])
        client.fault(simulator, "instrument_state", symbol=symbol, value="live")


def test_a_leverage_setting_in_use_is_left_and_told(settings_of, state_dir: Path) -> None:
    client.fault(state_dir / "simulator", "leverage", value="9")
    line = examined(settings_of())["leverage setting"]
    client.fault(state_dir / "simulator", "leverage", value="3")
    assert (line.outcome, "the start sets 3" in line.found) == (Outcome.OK, True)


# -- what is wrong before a venue is asked ---------------------------------------------------


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_a_database_that_is_away(settings_of, closed_port: int) -> None:
    away = f"postgresql://nobody:hidden-word@127.0.0.1:{closed_port}/x"
    found = examined(settings_of(database_url=away))
    assert found["database"].outcome is Outcome.FAILED
    assert "start that server" in found["database"].remedy
    assert found["migrations"].outcome is Outcome.SKIPPED
    assert not any("hidden-word" in str(each.as_dict()) for each in found.values())


def test_a_schema_that_is_older_newer_or_absent(settings_of, database, empty_database) -> None:
    from counterpoise.app.doctor import machine

    def line(url: str) -> Finding:
        return machine.database(settings_of(database_url=url))[1]

    newest = migrate.head(migrate.find_scripts())
    words = f"schema revision {newest}"
    assert (line(database).outcome, line(database).found) == (Outcome.OK, words)
    assert (line(empty_database).outcome, line(empty_database).found[:20]) == (
        Outcome.WARNING,
        "schema revision none",
    )
    migrate.downgrade(database, migrate.find_scripts(), "0007")
    assert line(database).outcome is Outcome.WARNING
    assert "database upgrade" in line(database).remedy
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE ops.schema_version SET version_num = '9999'")
    assert line(database).outcome is Outcome.FAILED
    assert "9999" in line(database).found


def test_the_embedded_database_is_looked_at_without_making_one(settings_of, tmp_path) -> None:
    from counterpoise.app.doctor import machine

    settings = settings_of().model_copy(update={"database_url": None, "state_dir": tmp_path})
    assert [each.outcome for each in machine.database(settings)] == [Outcome.OK, Outcome.OK]
    assert list(tmp_path.iterdir()) == []


WRONG_KEY = {
    "api_key": "wrong-key-1",
    "api_secret": "secret-22",
    "api_passphrase": "phrase-33",
}


def test_a_host_without_an_address_ends_the_look_at_the_venue(row, settings_of) -> None:
    real = {"environment": "production", "live_trading": "somebody"}
    found = examined(settings_of(**real, **WRONG_KEY, **_elsewhere(row.addresses(1))))
    assert found["names"].outcome is Outcome.FAILED
    assert "venue.invalid" in found["names"].found
    assert found["venue"].outcome is Outcome.SKIPPED
    assert found["capital"].outcome is Outcome.SKIPPED
    assert has_failed(found.values())


def _elsewhere(addresses: dict[str, object]) -> dict[str, object]:
    return {
        name: "https://venue.invalid" if name.endswith("rest_url") else value
        for name, value in addresses.items()
    }


def test_a_wrong_key_and_a_venue_that_is_away(
    row, settings_of, state_dir: Path, closed_port: int
) -> None:
    port = client.read_port(state_dir / "simulator")
    assert port is not None
    for there in (port, closed_port):
        found = examined(settings_of(**WRONG_KEY, **row.addresses(there)))
        assert found["venue"].outcome is Outcome.FAILED
        assert found["key permissions"].outcome is Outcome.SKIPPED
        assert not any("secret-22" in str(each.as_dict()) for each in found.values())


def test_real_money_that_is_not_armed_for_this_account(row, settings_of, state_dir: Path) -> None:
    port = client.read_port(state_dir / "simulator")
    assert port is not None
    key = client.credentials(state_dir / "simulator")
    armed = {
        "environment": "production",
        "live_trading": "somebody-else",
        "api_key": key.api_key,
        "api_secret": key.secret,
        "api_passphrase": key.passphrase,
        **row.addresses(port),
    }
    found = examined(settings_of(**armed))
    if found["names"].outcome is Outcome.FAILED:
        pytest.skip("one of its hosts of real money has no setting and is not on this machine")
    assert found["armed"].outcome is Outcome.FAILED
    assert key.account_id in found["armed"].found
    assert found["key permissions"].outcome is Outcome.OK
    armed["live_trading"] = key.account_id
    assert examined(settings_of(**armed))["armed"].outcome is Outcome.OK


def test_a_paper_account_has_no_key_to_look_at(row, settings_of, state_dir: Path) -> None:
    port = client.read_port(state_dir / "simulator")
    assert port is not None
    settings = settings_of(environment="paper", **row.addresses(port))
    found = examined(settings, stream_seconds=5)
    assert [each for each in found.values() if each.outcome is Outcome.FAILED] == []
    assert "no key" in found["key permissions"].found
    assert found["key address"].found == "no key"
    assert "nothing to arm" in found["armed"].found
    assert found["account mode"].found == "mode paper"
    assert "taker" in found["fees"].found
    assert "funding every 8 h" in found["instrument BTCUSDT"].found
    # Looking opened no account.
    assert not (state_dir / "paper").exists()


def test_a_paper_account_of_a_venue_that_is_away(row, settings_of, closed_port: int) -> None:
    found = examined(settings_of(environment="paper", **row.addresses(closed_port)))
    assert found["venue"].outcome is Outcome.FAILED
    assert found["venue"].remedy == "mend the addresses, or wait for the venue"
