"""A sample of the crash matrix (`make crash`): daemons die, the next ones must understand it all."""

import pytest

import crash_matrix
import crash_run
from crash_points import POINTS
from crash_venues import FAULTS, VENUES

pytestmark = pytest.mark.timeout(400)

#: Points of every part of the path, with every trouble of the venues, each venue in turn.
SAMPLE = (
    ("pair_opened", "late", "okx"),
    ("commit_before", "twice", "binance"),
    ("stamp_after", "partial", "bybit"),
    ("memory_kept", "none", "okx"),
    ("sent", "silence", "binance"),
    ("ship_after", "unknown", "bybit"),
    ("answered", "partial", "okx"),
    ("accepted_told", "lost", "binance"),
    ("pair_half_filled", "late", "bybit"),
    ("fill_spooled", "twice", "okx"),
    ("reduction_sent", "none", "binance"),
    ("again_decisions_adopted", "lost", "bybit"),
    ("sent", "slow_request", "okx"),
    ("commit_after", "empty", "binance"),
    ("position_appended", "cut", "bybit"),
    ("cancel_sent", "none", "okx"),
    ("guard_decision", "partial", "binance"),
    ("outcome_before", "late", "bybit"),
    ("again_resolver_asked", "silence", "okx"),
    ("spool_before_fsync", "none", "binance"),
)
GROUPS = 5
#: Runs side by side in one group: much of a run is waiting.
JOBS = 2


@pytest.mark.parametrize("group", range(GROUPS))
def test_a_daemon_that_died_anywhere_is_understood_by_the_next(group, postgres_server) -> None:
    cases = [
        # Numbers from 0 on: all of them on the shared server.
        crash_run.Case(
            number=number, point=point, fault=fault, seed=700 + group * 100 + number, venue=venue
        )
        for number, (point, fault, venue) in enumerate(SAMPLE[group::GROUPS])
    ]
    outcomes = crash_matrix.run_all(cases, postgres_server, jobs=JOBS, verbose=False)
    found = [
        f"{finding} ({outcome.case.command})"
        for outcome in outcomes
        for finding in outcome.findings
    ]
    assert found == [], "\n".join(found)
    # A run whose point never came proves nothing about it; a busy machine may spoil one of five.
    assert sum(outcome.reached for outcome in outcomes) >= len(cases) - 1


def test_the_matrix_visits_every_point_and_every_pair_in_time() -> None:
    cases = crash_run.cases(runs=len(VENUES) * 10 * (len(POINTS) + 1), seed=1)
    pairs = {(case.point, case.fault, case.venue) for case in cases}
    assert {case.point for case in cases} == {*POINTS, crash_run.RANDOM}
    assert len(pairs) == (len(POINTS) + 1) * len(FAULTS) * len(VENUES)
    assert len(POINTS) >= 25
