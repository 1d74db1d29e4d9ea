"""One crash: a daemon dies at a point, the next one goes on, and the whole record is audited."""

import json
import random
import shutil
import signal
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

import crash_lives
import naive_auditor
from counterpoise.app import replay
from counterpoise.ledger.postgres import LocalPostgres
from counterpoise.ledger.reader import LedgerReader
from counterpoise.risk.guard import GuardParameters
from counterpoise.simulator import client
from crash_lives import CrashingDaemon, LeverageWatch, leverage_of
from crash_points import POINTS
from crash_venues import FAULTS, VENUES, faults
from daemon_process import Daemon

#: What a scene needs beside the plain configuration.
SCENES: Final[dict[str, dict[str, object]]] = {
    "open": {"passive_seconds": 0},
    "again": {"passive_seconds": 0},
    "flatten": {"passive_seconds": 0},
    # A market so calm by definition that the first leg waits in the book before it crosses.
    "patient": {
        "passive_seconds": 1,
        "regime_stress_elevated": 8,
        "regime_stress_stressed": 9,
        "regime_correlation_stressed": "0.999",
    },
    "guard": {"passive_seconds": 0, "hedge_ratio": "3.0", "leverage_soft": "2.75"},
}
#: Where the first of two crashes is.
FIRST_OF_TWO: Final = ("stamp_after", "sent", "answered", "fill_appended", "pair_half_filled")
#: A point that is not reached by then is not in this run: it dies there and then, seconds.
REACH_SECONDS: Final = 20.0
#: The next daemon has this long to bring everything to its end, seconds.
SETTLE_SECONDS: Final = 150.0
CASH_START: Final = Decimal(10_000)
#: Steps of one hundredth in which the hedges rise until the guard acts.
SQUEEZE_STEPS_MAX: Final = 15
#: They rise no further from here: a hundredth above the guard's trigger.
SQUEEZED_LEVERAGE: Final = GuardParameters().leverage_trigger + Decimal("0.01")
#: Kinds of incidents that would say the restart did not understand what it found.
INCIDENTS_REFUSED: Final = {"account.drift", "order.overfilled", "account.foreign"}
#: Name of the run that dies at no point but at a random time.
RANDOM: Final = "random_time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What one run is; its seed decides the rest."""

    number: int
    point: str
    fault: str
    seed: int
    #: Whose protocol and rules the built-in venue has.
    venue: str = "okx"

    @property
    def command(self) -> str:
        """Return what repeats it."""
        only = f"ONLY={self.point}:{self.fault}"
        return f"make crash RUNS=1 VENUE={self.venue} {only} SEED={self.seed}"


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a run."""

    case: Case
    #: True = it died at its point; False = at a later moment, since its point did not come.
    reached: bool = False
    findings: list[str] = field(default_factory=list)
    #: What had happened when it died, and how the next daemon resolved it.
    stage: str = ""
    resolved: str = ""
    orders: int = 0
    fills: int = 0
    leverage_max: Decimal = Decimal(0)
    seconds: float = 0.0
    #: Seconds from the next start to everything being at its end.
    settled_seconds: float = 0.0
    log: str = ""


def run_case(case: Case, server: LocalPostgres | None) -> Outcome:
    """Run one case in a directory of its own; `server` None = the daemon's embedded Postgres."""
    began = time.monotonic()
    draw = random.Random(case.seed)
    state_dir = Path(tempfile.mkdtemp(prefix="counterpoise-crash-", dir="/var/tmp"))
    state_dir.chmod(0o755)
    outcome = Outcome(case=case)
    scene = _scene(case)
    variables = {
        "cycle_seconds": 3_600,
        "hedge_candidates": "ETHUSDT,SOLUSDT",
        "clock_seconds": 240,
        "simulator_seed": case.seed % 1_000 + 1,
        "simulator_venue": case.venue,
        **SCENES[scene],
    }
    database = None
    if server is not None:
        database = _database(server, state_dir.name)
        variables["database_url"] = server.dsn(database)
    made = CrashingDaemon(state_dir, **variables)
    watch = LeverageWatch(made.simulator_dir)
    try:
        made.open_venue()
        watch.start()
        _crash(made, case, scene, draw, outcome)
        _recover(made, watch, outcome, server, database)
    except (AssertionError, TimeoutError, client.SimulatorUnavailable) as error:
        outcome.findings.append(str(error).partition("\n")[0])
    finally:
        outcome.leverage_max = watch.end()
        outcome.log = made.log_path.read_text(errors="replace") if made.log_path.exists() else ""
        made.close()
        shutil.rmtree(state_dir, ignore_errors=True)
        if server is not None and database is not None:
            _drop(server, database)
    outcome.seconds = time.monotonic() - began
    return outcome


# -- the crash -------------------------------------------------------------------------------


def _scene(case: Case) -> str:
    return "open" if case.point == RANDOM else POINTS[case.point].scene


def _crash(
    made: CrashingDaemon, case: Case, scene: str, draw: random.Random, outcome: Outcome
) -> None:
    for kind, details in faults(case.venue, case.fault):
        client.fault(made.simulator_dir, kind, **details)
    if case.point == RANDOM:
        made.start(wait=False)
        made.wait_for("daemon.started")
        made.dead_within(draw.uniform(0.0, 2.0))
        outcome.reached = True
    elif scene == "again":
        _die_at(made, case, draw.choice(FIRST_OF_TWO), draw)
        outcome.reached = _die_at(made, case, case.point, draw)
    else:
        outcome.reached = _die_at(made, case, case.point, draw, scene)
    if made.process is not None and made.process.poll() is None:
        made.kill()
    outcome.stage = _stage(made)


def _die_at(
    made: CrashingDaemon, case: Case, name: str, draw: random.Random, scene: str = "open"
) -> bool:
    mark = made.log_size()
    made.trap = (name, draw.randint(1, POINTS[name].passages), case.venue)
    made.start(wait=False)
    made.trap = None
    assert made.process is not None
    if scene in {"guard", "flatten"}:
        made.wait_for("decision.ended", after=mark)
        if scene == "flatten":
            made.send(signal.SIGQUIT)
        if scene == "guard":
            _squeeze(made, mark)
    deadline = time.monotonic() + REACH_SECONDS + 160
    ended: float | None = None
    while time.monotonic() < deadline:
        if made.dead_within(0.2):
            # A daemon that left by itself (a refused start, a flatten that was done) died nowhere.
            return made.process.returncode == -signal.SIGKILL
        if ended is None and made.events("decision.ended", after=mark):
            ended = time.monotonic()
        if ended is not None and time.monotonic() - ended > (
            REACH_SECONDS if scene == "guard" else 6
        ):
            break
    made.kill()
    return False


def _squeeze(made: CrashingDaemon, mark: int) -> None:
    # Small steps, so that the trigger is crossed and the ceiling, with nobody there, is not; and none
    # beyond it, however long a busy machine takes to act.
    for _ in range(SQUEEZE_STEPS_MAX):
        if leverage_of(made.venue()) < SQUEEZED_LEVERAGE:
            for name in ("ETHUSDT", "SOLUSDT"):
                client.shock(made.simulator_dir, name, Decimal("0.01"), 0.3)
        guarded = any(e["kind"] == "guard" for e in made.events("decision.made", after=mark))
        if made.dead_within(0.8) or guarded:
            return


def _stage(made: Daemon) -> str:
    truth = made.venue()
    states = {order["state"] for order in _state_of_venue(made)["orders"]}
    filled = truth["fills_count"]
    if not states:
        return "nothing at the venue"
    if truth["open_orders"]:
        return "resting"
    return "filled" if states == {"filled"} else "partly filled" if filled else "ended unfilled"


# -- the next daemon -------------------------------------------------------------------------


def _recover(
    made: CrashingDaemon,
    watch: LeverageWatch,
    outcome: Outcome,
    server: LocalPostgres | None,
    database: str | None,
) -> None:
    mark, began = made.log_size(), time.monotonic()
    made.start(wait=False)
    said = made.wait_for("decision.made", after=mark)
    made.wait_for("decision.ended", after=mark, decision=said["decision"])
    if server is not None:
        assert database is not None
        with psycopg.connect(server.dsn(database), autocommit=True, row_factory=dict_row) as known:
            _settle(made, known)
            outcome.settled_seconds = time.monotonic() - began
            _leave(made)
            _audit(made, watch, known, server.dsn(database), outcome)
        return
    with made.reader() as reader:
        _settle(made, _dict_rows(reader))
        outcome.settled_seconds = time.monotonic() - began
    _leave(made)
    from counterpoise.ledger.postgres import open_for_cli

    with (
        open_for_cli(made.state_dir / "postgres") as embedded,
        psycopg.connect(embedded.dsn(), autocommit=True, row_factory=dict_row) as known,
    ):
        _audit(made, watch, known, embedded.dsn(), outcome)


def _dict_rows(reader: LedgerReader) -> Any:
    connection = reader._connection
    connection.row_factory = dict_row
    return connection


def _settle(made: Daemon, known: Any) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    missing = "the daemon's end"
    while time.monotonic() < deadline:
        assert made.process is not None
        assert made.process.poll() is None, f"the next daemon ended: {made.log_tail()[-900:]}"
        missing = _missing(made, known)
        if not missing:
            return
        time.sleep(0.2)
    raise AssertionError(f"after {SETTLE_SECONDS:.0f} s: {missing}")


_OPEN_INTENTS = """
    SELECT i.client_order_id FROM audit.order_intent i
    WHERE NOT EXISTS (
      SELECT FROM audit.order_event e WHERE e.client_order_id = i.client_order_id
        AND e.state IN ('filled', 'canceled', 'expired', 'rejected'))
"""
_UNENDED = """
    SELECT d.decision_id FROM audit.decision d
    LEFT JOIN audit.decision_outcome o USING (decision_id) WHERE o.decision_id IS NULL
"""


def _missing(made: Daemon, known: Any) -> str:
    unended = [row["decision_id"] for row in known.execute(_UNENDED).fetchall()]
    if unended:
        return f"decisions without an outcome: {unended}"
    # Stops that rest are meant to be open; one that a crash left on its way has to be found out.
    triggers = _state_of_venue(made)["trigger_orders"]
    resting = {row["client_order_id"] for row in triggers if row["state"] == "live"}
    rows = known.execute(_OPEN_INTENTS).fetchall()
    unresolved = [row["client_order_id"] for row in rows if row["client_order_id"] not in resting]
    if unresolved:
        return f"intents without an end: {unresolved}"
    if made.venue()["open_orders"]:
        return "orders still stand at the venue"
    count = known.execute("SELECT count(*) AS count FROM audit.fill").fetchone()["count"]
    at_venue = made.venue()["fills_count"]
    return "" if count == at_venue else f"{count} executions in the ledger, {at_venue} happened"


def _leave(made: CrashingDaemon) -> None:
    made.send(signal.SIGTERM)
    code = made.wait_exit(30)
    assert code == 0, f"the next daemon left with {code}: {made.log_tail()[-900:]}"


# -- the audit -------------------------------------------------------------------------------


def _state_of_venue(made: Daemon) -> dict[str, Any]:
    url = f"http://127.0.0.1:{client.read_port(made.simulator_dir)}/_state"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        found = json.loads(answer.read())
    assert isinstance(found, dict)
    return found


def _audit(
    made: CrashingDaemon, watch: LeverageWatch, known: Any, dsn: str, outcome: Outcome
) -> None:
    def rows(table: str, order: str = "spool_seq") -> list[dict[str, Any]]:
        return list(known.execute(f"SELECT * FROM audit.{table} ORDER BY {order}").fetchall())

    truth, state = made.venue(), _state_of_venue(made)
    intents, fills, events = rows("order_intent"), rows("fill"), rows("order_event")
    decisions = rows("decision")
    # What a stop sends has no id of ours at the venue and is on record under the stop's.
    stops = {row["trigger_order_id"]: row["client_order_id"] for row in state["trigger_orders"]}
    sent = {row["order_id"]: stops[row["trigger_order_id"]] for row in state["orders"]
            if row["trigger_order_id"]}  # fmt: skip
    at_venue = [
        {**each, "fill_id": VENUES[outcome.case.venue].fill_id(each),
         "client_order_id": sent.get(each["order_id"], each["client_order_id"])}
        for each in state["fills"]
    ]  # fmt: skip
    taken = [each for each in state["orders"] if each["order_id"] not in sent]
    recorded: dict[str, Decimal] = {}
    for row in rows("position", "recorded_ns, spool_seq"):
        recorded[row["instrument_id"]] = row["quantity"]
    other_cash = sum((row["payment"] for row in rows("funding")), Decimal(0))
    found = outcome.findings
    found += naive_auditor.audit_fills(fills, at_venue)
    found += naive_auditor.audit_orders(intents, taken)
    stop_findings, resting = naive_auditor.audit_stops(intents, events, state["trigger_orders"])
    found += stop_findings
    found += naive_auditor.audit_plans(planned(decisions), intents, fills)
    found += naive_auditor.audit_ends(intents, events, resting)
    watch.end()
    found += crash_lives.audit_leverage(made, watch, state["fills"], rows("equity"))
    books, _ = naive_auditor.audit_books(CASH_START, at_venue, other_cash, truth, recorded)
    found += books
    found += [f"refused by Postgres: {row['table_name']}" for row in rows("refused_record")]
    ended = {row["decision_id"]: row["outcome"] for row in rows("decision_outcome")}
    found += [f"decision {r['decision_id']} has no outcome" for r in decisions
              if r["decision_id"] not in ended]  # fmt: skip
    found += [
        f"incident {row['kind']}: {row['summary']}"
        for row in rows("incident")
        if row["kind"] in INCIDENTS_REFUSED
    ]
    with LedgerReader(dsn) as reader:
        found += [
            f"replay of {each.decision_id}: {each.result.value} {each.detail}"
            for each in replay.replay(reader.decision_records())
            if each.result is not replay.ReplayResult.EQUAL
        ]
    outcome.orders, outcome.fills = len(intents), len(fills)
    first = ended.get(decisions[0]["decision_id"], "") if decisions else ""
    outcome.resolved = first or "no decision"


def planned(decisions: list[dict[str, Any]]) -> list[Mapping[str, Any]]:
    """Return what each decision of a cycle wanted to trade, signed, from its stored outputs."""
    found: list[Mapping[str, Any]] = []
    for row in decisions:
        outputs = row["outputs"] if isinstance(row["outputs"], dict) else json.loads(row["outputs"])
        changes = outputs["decision"]["changes"] if row["kind"] == "cycle" else ()
        found.append(
            {
                "decision_id": row["decision_id"],
                "planned": {
                    each["instrument_id"]: Decimal(each["quantity"])
                    * naive_auditor.sign(each["side"])
                    for each in changes
                },
            }
        )
    return found


# -- databases -------------------------------------------------------------------------------


def _database(server: LocalPostgres, state_name: str) -> str:
    name = "crash_" + "".join(c for c in state_name.rpartition("-")[2].lower() if c.isalnum())
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        made = sql.SQL("CREATE DATABASE {} TEMPLATE migrated STRATEGY file_copy")
        connection.execute(made.format(sql.Identifier(name)))
    return name


def _drop(server: LocalPostgres, name: str) -> None:
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        dropped = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
        connection.execute(dropped.format(sql.Identifier(name)))


def cases(
    runs: int,
    seed: int,
    only: Callable[[str, str], bool] | None = None,
    venues: Sequence[str] = tuple(VENUES),
) -> list[Case]:
    """Return runs that visit the points in turn, each time with another fault of the venue.

    Each point comes on each of the venues before the next one does.
    """
    names, kinds = [*POINTS, RANDOM], list(FAULTS)
    # A step that shares no factor with the number of faults: all pairs come in turn.
    pairs = [
        (name, kinds[(at * 3 + turn) % len(kinds)])
        for turn in range(len(kinds))
        for at, name in enumerate(names)
    ]
    if only is not None:
        pairs = [(name, kind) for name in names for kind in kinds if only(name, kind)]
    found = []
    for n in range(runs):
        point, fault = pairs[n // len(venues) % len(pairs)]
        venue = venues[n % len(venues)]
        found.append(Case(number=n, point=point, fault=fault, seed=seed + n, venue=venue))
    return found
