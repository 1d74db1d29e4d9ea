"""A squeeze between cycles: hedges up, core flat, and the daemon must not wait for its cycle."""

from decimal import Decimal

import pytest

from counterpoise.simulator import client
from daemon_process import daemon, wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("venue")]

HEDGES = ("ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "LTCUSDT")


def test_a_squeeze_is_reduced_before_the_next_cycle() -> None:
    # A cycle of an hour: whatever happens after the first decision is the guard's work. A soft
    # limit just under the trigger starts the book above 2.5x.
    with daemon(cycle_seconds=3_600, hedge_ratio="3.0", leverage_soft="2.75") as made:
        made.start_with_whole_book(Decimal("2.5"))
        mark = made.log_size()
        before = made.venue_positions()
        for name in HEDGES:
            client.shock(made.simulator_dir, name, Decimal("0.12"), 6)
        decided = made.wait_for("decision.made", after=mark, kind="guard")
        made.wait_for("decision.ended", after=mark, decision=decided["decision"])
        sent = made.events("order.sent", after=mark)
        assert sent
        assert all(order["reduce_only"] for order in sent)
        assert all(order["source"] == "guard" for order in sent)
        wait_until(
            "the excess to be gone",
            lambda: leverage_of(made.venue()) < Decimal("2.9") or None,
        )
        after = made.venue_positions()
        assert all(abs(after.get(name, Decimal(0))) <= abs(before[name]) for name in before)
        highest = wait_until("its row", lambda: guard_leverage_max(made))
        assert highest >= Decimal("2.9")
        assert highest < 3, "the guard was too late"
        assert made.cli("replay", "--all").returncode == 0


def leverage_of(truth: dict[str, object]) -> Decimal:
    return Decimal(str(truth["gross_exposure"])) / Decimal(str(truth["equity"]))


def guard_leverage_max(made: object) -> Decimal | None:
    with made.reader() as reader:  # type: ignore[attr-defined]
        rows = [row for row in reader.decisions(limit=50) if row["kind"] == "guard"]
    return max((row["leverage_max"] for row in rows), default=None)
