"""What commands answer about a record that a daemon really made, crashes included."""

import asyncio
import html
import json
import re
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from typer.testing import CliRunner

import naive_effectiveness
import recorded_world
import virtual_loop
import virtual_world
from counterpoise.app import story
from counterpoise.app.cli.main import app
from counterpoise.domain import records
from counterpoise.domain.errors import SettingsError, StartRefused
from counterpoise.ledger.reader import LedgerReader
from memory_record import MemoryReader
from virtual_world import World

pytestmark = pytest.mark.timeout(180)

#: A day with four crashes, a withdrawal and orders that were still at work when the venue was asked.
SEED = 9_013


@pytest.fixture(scope="module")
def world() -> World:
    return virtual_loop.run(virtual_world.live_through(SEED))


def incident(world: World) -> records.IncidentOpened:
    return records.IncidentOpened(
        incident_id="told-by-a-test",
        run_id="run1",
        severity="warning",
        kind="funding.high",
        summary="Funding <of> a leg & more",
        body="{}",
        opened_ns=MemoryReader(world.kept).all(records.DecisionMade)[0].decided_ns,
    )


@pytest.fixture(scope="module")
def dsn(
    postgres_server: Any, world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as owner:
        owner.execute("CREATE DATABASE answers TEMPLATE migrated STRATEGY file_copy")
    address = postgres_server.dsn("answers")
    spool = tmp_path_factory.mktemp("answers") / "spool"
    kept = [*recorded_world.runs_of(world), *world.kept, incident(world)]
    asyncio.run(recorded_world.write_down(address, spool, kept))
    yield address
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as owner:
        owner.execute("DROP DATABASE answers WITH (FORCE)")


@pytest.fixture
def run(dsn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setenv("COUNTERPOISE_DATABASE_URL", dsn)
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path / "state"))

    def invoke(*words: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, list(words))
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert done.exit_code == code, done.output
        return done.output

    return invoke


def rows(dsn: str, statement: str, *values: object) -> list[dict[str, Any]]:
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        return connection.execute(statement.encode(), values).fetchall()


# -- books -----------------------------------------------------------------------------------


def test_the_books_are_those_of_the_venue(run: Any, dsn: str, world: World) -> None:
    told = json.loads(run("books", "--json"))
    assert [one["account_id"] for one in told] == [world.venue.account_id]
    books = told[0]
    venue = world.exchange.account(world.venue.account_id)
    assert Decimal(books["proof"]["assets"]) == venue.wallet_balance
    assert abs(Decimal(books["proof"]["difference"])) < Decimal("1e-20")
    balances = {
        (row["book"], row["commodity"]): Decimal(row["balance"]) for row in books["balances"]
    }
    fills = world.exchange.fills(world.venue.account_id, 0)
    held: dict[str, Decimal] = {}
    for fill in fills:
        name = fill.instrument_id
        held[name] = held.get(name, Decimal(0)) + fill.quantity * fill.side.sign
        fee = sum(f.fee for f in fills if f.instrument_id == name)
        realised = sum(f.realised_pnl for f in fills if f.instrument_id == name)
        assert balances[f"expenses:fees:{name}", "USDT"] == fee
        # What the venue closed by itself is booked under its cause.
        booked = sum(
            balances.get((f"income:{cause}:{name}", "USDT"), Decimal(0))
            for cause in ("realised", "adl", "liquidation", "settlement")
        )
        assert abs(booked + realised) < Decimal("1e-20")
    assert {n: q for n, q in held.items() if q} == {
        name.removeprefix("positions:"): balance
        for (name, commodity), balance in balances.items()
        if name == f"positions:{commodity}"
    }
    assert balances["equity:transfers", "USDT"] == -sum(
        row.transfer for row in MemoryReader(world.kept).all(records.TransferSeen)
    )


def test_every_answer_of_the_venue_is_explained(run: Any, world: World) -> None:
    said = run("books", "--since", "2000-01-01")
    looks = MemoryReader(world.kept).all(records.AccountLooked)
    assert f"balanced; {len(looks)} answers of the venue, 0 not explained" in said
    assert "NOT BALANCED" not in said
    told = json.loads(run("books", "--since", "2000-01-01", "--json"))[0]["cycles"]
    # The first answer has none before it.
    assert len(told) == len(looks) - 1
    assert {look["result"] for look in told} == {"balanced", "first", "unsettled"}
    assert all(abs(Decimal(look["difference"])) < Decimal("1e-20") for look in told)


def test_books_that_lack_a_fact_say_so(postgres_server: Any, world: World, tmp_path: Path) -> None:
    # The record as it would be had one execution never been told.
    lost = next(row for row in world.kept if isinstance(row, records.FillSeen))
    name = "answers_lost"
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as owner:
        owner.execute(f"CREATE DATABASE {name} TEMPLATE migrated STRATEGY file_copy")
    kept = [row for row in world.kept if row is not lost]
    address = postgres_server.dsn(name)
    asyncio.run(
        recorded_world.write_down(
            address, tmp_path / "spool", [*recorded_world.runs_of(world), *kept]
        )
    )
    cash = (lost.realised_pnl or 0) - lost.fee
    signed = lost.quantity if lost.side == "buy" else -lost.quantity
    proof = rows(address, "SELECT * FROM audit.book_proof")[0]
    assert abs(proof["difference"] - cash) < Decimal("1e-20")
    position = rows(
        address, "SELECT * FROM audit.book_positions WHERE instrument_id = %s", lost.instrument_id
    )
    assert [row["difference"] for row in position] == [signed]
    suspense = rows(
        address, "SELECT commodity, balance FROM audit.book_balances WHERE book = 'equity:suspense'"
    )
    found = {row["commodity"]: row["balance"] for row in suspense}
    assert found.keys() == {"USDT", lost.instrument_id}
    assert abs(found["USDT"] + cash) < Decimal("1e-20")
    assert found[lost.instrument_id] == -signed
    with psycopg.connect(postgres_server.dsn(), autocommit=True) as owner:
        owner.execute(f"DROP DATABASE {name} WITH (FORCE)")


# -- explain and replay ----------------------------------------------------------------------


def traded(world: World) -> records.DecisionMade:
    return next(
        row
        for row in MemoryReader(world.kept).all(records.DecisionMade)
        if row.kind == "cycle" and row.action == "traded"
    )


def test_a_trade_is_explained_from_base_to_paid(run: Any, dsn: str, world: World) -> None:
    decision = traded(world)
    said = run("explain", decision.decision_id)
    body = json.loads(decision.outputs)["decision"]
    for step in body["waterfall"]:
        assert step["rule"] in said
    for target in body["targets"].values():
        assert target["quantity"] in said
    assert "what risk said at the decision" in said
    with LedgerReader(dsn) as reader:
        found = reader.explain_rows(decision.decision_id)
    assert found is not None
    paid = {row["instrument_id"]: row for row in story.paid(found)}
    fills = rows(
        dsn,
        "SELECT f.instrument_id, sum(f.fee) AS fee, sum(f.quantity * f.price) AS notional "
        "FROM audit.fill f JOIN audit.order_intent i USING (client_order_id) "
        "WHERE i.decision_id = %s GROUP BY 1",
        decision.decision_id,
    )
    assert fills
    for row in fills:
        assert paid[row["instrument_id"]]["fee"] == row["fee"]
        assert paid[row["instrument_id"]]["notional"] == row["notional"]
    assert paid["all"]["fee"] == sum(row["fee"] for row in fills)
    assert "slippage" in said


def test_the_waterfall_leads_from_what_is_held_to_the_targets(world: World) -> None:
    outputs = json.loads(traded(world).outputs)
    steps = story.waterfall(outputs)
    targets = outputs["decision"]["targets"]
    assert [row["rule"] for row in steps] == [
        "held",
        *(step["rule"] for step in outputs["decision"]["waterfall"]),
        "target",
        "base units",
    ]
    last = outputs["decision"]["waterfall"][-1]["after"]
    for leg, target in targets.items():
        assert steps[0][leg] == f"{target['held_fraction']:+.3f}"
        assert steps[-2][leg] == f"{target['notional_fraction']:+.3f}" == f"{last[leg]:+.3f}"
    moved = re.compile(r"^[+-]\d\.\d{3} -> [+-]\d\.\d{3} \(([+-]\d\.\d{3})\)$")
    total = 0.0
    for row in steps[1:-2]:
        found = moved.match(row["BTCUSDT"])
        total += float(found[1]) if found else 0.0
    assert total == pytest.approx(last["BTCUSDT"], abs=0.002)


def test_why_nothing_was_sent(run: Any, world: World) -> None:
    decisions = MemoryReader(world.kept).all(records.DecisionMade)
    held = next(row for row in decisions if row.action == "unchanged")
    said = run("explain", held.decision_id, "--why-not")
    assert "Nothing was to be done" in said
    spoken = json.loads(held.outputs)["decision"]["reasons"]
    assert spoken[-1]["code"] in said
    assert "gap" in said
    sent = run("explain", traded(world).decision_id, "--why-not")
    assert "orders were sent for it" in sent
    for action, words in (("skipped", "was not known"), ("blocked", "might not go out")):
        for row in decisions:
            if row.action == action:
                assert words in run("explain", row.decision_id, "--why-not")


def test_a_replay_since_a_moment_takes_what_is_younger(run: Any, world: World) -> None:
    decisions = MemoryReader(world.kept).all(records.DecisionMade)
    assert f"replayed {len(decisions)} decisions: {len(decisions)} equal" in run("replay", "--all")
    middle = decisions[len(decisions) // 2].decided_ns
    moment = rows_moment(middle)
    younger = sum(row.decided_ns // 1_000_000 >= middle // 1_000_000 for row in decisions)
    assert f"replayed {younger} decisions: {younger} equal" in run("replay", "--since", moment)
    with pytest.raises(SettingsError, match="exclude each other"):
        run("replay", "--all", "--since", "1d")


def rows_moment(moment_ns: int) -> str:
    from counterpoise.ledger.rows import iso

    return iso(moment_ns)


# -- effectiveness ---------------------------------------------------------------------------


def test_effectiveness_is_that_of_a_naive_count(run: Any, dsn: str, world: World) -> None:
    told = json.loads(run("effectiveness", "--since", "2000-01-01", "--json"))
    assert len(told) == 1
    naive = naive_effectiveness.hedge_effectiveness(
        [_flat(row) for row in MemoryReader(world.kept).all(records.DecisionMade)],
        [_flat(row) for row in MemoryReader(world.kept).all(records.MarketSeen)],
        [_flat(row) for row in MemoryReader(world.kept).all(records.SignalsSeen)],
        core="BTCUSDT",
    )
    for name, value in naive.items():
        assert told[0][name] == pytest.approx(value, rel=1e-9), name
    ends = MemoryReader(world.kept).all(records.DecisionEnded)
    naked = sum(float(row.naked_notional_seconds or 0) for row in ends)
    assert told[0]["naked_dollar_seconds"] == pytest.approx(naked, rel=1e-9)
    fees = sum(
        float(row.fee)
        for row in MemoryReader(world.kept).all(records.FillSeen)
        if row.instrument_id != "BTCUSDT"
    )
    assert told[0]["hedge_fees"] == pytest.approx(fees, rel=1e-9)
    said = run("effectiveness", "--since", "2000-01-01")
    assert "residual" not in said.split("\n")[0]
    assert "move of the book per move of the core leg" in said
    assert "no two cycles are on record since 1s" in run("effectiveness", "--since", "1s")


def _flat(row: Any) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__dataclass_fields__}


# -- report ----------------------------------------------------------------------------------


def test_the_report_has_the_figures_of_the_schema(run: Any, dsn: str, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "report.html"
    run("report", "--since", "2000-01-01", "--out", str(out))
    text = out.read_text()
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', text)
    assert found is not None
    told = json.loads(found[1])
    equity = rows(
        dsn,
        "SELECT max(leverage_max) AS leverage, max(drawdown) AS drawdown, "
        "(array_agg(equity ORDER BY at DESC))[1] AS last FROM audit.equity_curve('2000-01-01')",
    )[0]
    assert Decimal(told["leverage_highest"]) == equity["leverage"] <= 3
    assert Decimal(told["drawdown_deepest"]) == equity["drawdown"]
    assert Decimal(told["equity_last"]) == equity["last"]
    flows = rows(
        dsn,
        "SELECT count(*) AS fills, sum(fee) AS fees, sum(quantity * price) AS turnover "
        "FROM audit.fill",
    )[0]
    assert told["fills"] == flows["fills"]
    assert Decimal(told["fees"]) == flows["fees"]
    assert Decimal(told["turnover"]) == flows["turnover"]
    for row in rows(dsn, "SELECT kind, action, count(*) AS n FROM audit.decision GROUP BY 1, 2"):
        assert told[f"decisions_{row['kind']}_{row['action']}"] == row["n"]
    incidents = rows(dsn, "SELECT severity, count(*) AS n FROM audit.incident GROUP BY 1")
    for row in incidents:
        assert told[f"incidents_{row['severity']}"] == row["n"]
    assert incidents
    effect = rows(dsn, "SELECT * FROM audit.hedge_effectiveness('2000-01-01')")[0]
    assert told["hedge_variance_reduction"] == pytest.approx(effect["variance_reduction"])
    assert told["hedge_residual_beta"] == pytest.approx(effect["residual_beta"])


def test_the_report_stands_alone(run: Any, dsn: str, tmp_path: Path) -> None:
    out = tmp_path / "report.html"
    run("report", "--since", "2000-01-01", "--out", str(out))
    text = out.read_text()
    assert "default-src 'none'" in text
    body = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="', body)
    for heading in (
        "Equity",
        "Drawdown",
        "Leverage against the ceiling",
        "Legs",
        "Fees and funding",
        "Decisions",
        "Hedge effectiveness by day",
        "Books",
        "Incidents",
        "Trades",
    ):
        assert f"<h2>{heading}</h2>" in text
    for row in rows(dsn, "SELECT summary FROM audit.incident"):
        assert html.escape(row["summary"]) in text


def test_without_plotly_the_report_says_what_to_install(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in [name for name in sys.modules if name.startswith("counterpoise.app.report")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "plotly", None)
    with pytest.raises(StartRefused, match=r"counterpoise\[lab\]"):
        run("report", "--out", str(tmp_path / "report.html"))
    assert not (tmp_path / "report.html").exists()
