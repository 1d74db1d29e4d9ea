"""When daemons lived, as the auditor of the crash matrix is told, follows from their logs."""

import json
from decimal import Decimal

import crash_lives
from crash_points import DIED

SECOND = 10**9
BEGAN_NS = 1_790_000_000 * SECOND


def said(event, at_seconds, **fields):
    stamps = {"time": f"2026-09-21T14:13:{20 + at_seconds:02}.500000Z"}
    return json.dumps({"event": event, **stamps, **fields}) + "\n"


def test_a_life_has_a_beginning_a_first_look_and_an_end_of_its_own(tmp_path) -> None:
    made = crash_lives.CrashingDaemon(tmp_path)
    first = said("decision.made", 1, kind="cycle") + said("daemon.started", 3)
    first += said("decision.made", 7, kind="guard")
    first += "\n" + json.dumps({"event": DIED, "at_ns": BEGAN_NS + 9 * SECOND}) + "\n"
    second = said("decision.made", 12, kind="guard") + said("daemon.started", 13)
    made.log_path.write_text(first + second)
    end = len(first + second)
    made._starts = [(BEGAN_NS, 0), (BEGAN_NS + 10 * SECOND, len(first)), (BEGAN_NS, end)]
    half = SECOND // 2
    assert made.lives() == [
        {
            "began_ns": BEGAN_NS,
            "looked_ns": BEGAN_NS + 3 * SECOND + half,
            "ended_ns": BEGAN_NS + 9 * SECOND,
        },
        {
            "began_ns": BEGAN_NS + 10 * SECOND,
            "looked_ns": BEGAN_NS + 12 * SECOND + half,
            "ended_ns": None,
        },
        {"began_ns": BEGAN_NS, "looked_ns": None, "ended_ns": None},
    ]


def test_what_the_daemon_wrote_above_the_ceiling_is_judged_with_the_looks(tmp_path) -> None:
    made = crash_lives.CrashingDaemon(tmp_path)
    made._starts = [(BEGAN_NS, 0)]
    made.log_path.write_text(said("daemon.started", 3))
    watch = crash_lives.LeverageWatch(tmp_path)
    grown = {
        "instrument_id": "BTCUSDT",
        "side": "buy",
        "quantity": "1",
        "price": "100",
        "fee": "0",
        "event_ns": BEGAN_NS + 5 * SECOND,
    }
    rows = [
        {"event_ns": BEGAN_NS + 6 * SECOND, "leverage": leverage}
        for leverage in (Decimal(3), None, Decimal("3.001"))
    ]
    (found,) = crash_lives.audit_leverage(made, watch, [grown], rows)
    assert found == "leverage 3.001: an execution buy 1 BTCUSDT increased"
    assert watch.end() == 0
