"""Positions and orders of somebody else: refused, left alone or wound down, as configured."""

import signal
from decimal import Decimal

import pytest

from daemon_process import Daemon, daemon, wait_until
from other_client import close, rest_an_order, trade

pytestmark = [pytest.mark.timeout(240), pytest.mark.usefixtures("venue")]

#: Not among the configured instruments.
FOREIGN = "XRPUSDT"
NOTIONAL = 3_000
CONFIGURED = {"hedge_candidates": "ETHUSDT,SOLUSDT", "cycle_seconds": 15}


def foreign_held(made: Daemon) -> Decimal:
    return abs(made.venue_positions()[FOREIGN])


def foreign_orders_sent(made: Daemon, after: int = 0) -> list[dict[str, object]]:
    sent = made.events("order.sent", after=after)
    return [order for order in sent if order["instrument"] == FOREIGN]


def causes_now(made: Daemon) -> set[str]:
    changes = made.events("trading_state.changed")
    return set(changes[-1]["causes"].split(",")) - {""} if changes else set()


def test_what_a_start_finds_is_refused_left_alone_or_wound_down() -> None:
    with daemon(**CONFIGURED) as made:
        made.open_venue(wallet=Decimal(10_000))
        trade(made, FOREIGN, "buy", NOTIONAL)
        theirs = made.venue_positions()
        assert set(theirs) == {FOREIGN}

        refused = made.cli("run")
        assert refused.returncode == 1
        assert f"the account holds {FOREIGN}" in refused.stderr
        assert made.venue_positions() == theirs

        # Ignored: counted in the book, traded by nobody, not even by a flatten.
        made.variables["foreign"] = "ignore"
        made.start()
        made.wait_for("decision.ended", outcome="done")
        assert made.venue_positions()[FOREIGN] == theirs[FOREIGN]
        with made.reader() as reader:
            account_id = reader.runs()[0]["account_id"]

            def counted() -> bool:
                gross = {
                    name: abs(Decimal(str(p["quantity"]))) * Decimal(str(p["mark"]))
                    for name, p in made.venue()["positions"].items()
                }
                told = reader.equity_history(account_id, 0)[-1]["gross_exposure"]
                return len(gross) > 1 and abs(told - sum(gross.values())) < gross[FOREIGN] / 3

            wait_until("theirs to be counted with ours", counted)
        assert made.cli("flatten").returncode == 0
        wait_until("nothing but theirs", lambda: made.venue_positions() == theirs)
        assert foreign_orders_sent(made) == []
        made.send(signal.SIGTERM)
        assert made.wait_exit(60) == 0

        # Adopted: the position is a leg that the strategy winds down; the order stays.
        rest_an_order(made, "resting1")
        made.variables["foreign"] = "adopt"
        mark = made.log_size()
        made.start()
        assert made.cli("resume").returncode == 0
        wait_until("theirs to be wound down", lambda: FOREIGN not in made.venue_positions())
        sent = foreign_orders_sent(made, mark)
        assert sent
        assert all(order["reduce_only"] for order in sent)
        # Beside what the daemon itself leaves in the book by now.
        assert "resting1" in [o["client_order_id"] for o in made.venue()["open_orders"]]
        assert "foreign" not in causes_now(made)


def test_a_position_that_appears_holds_back_until_it_is_gone() -> None:
    with daemon(**CONFIGURED, foreign="adopt") as made:
        made.start()
        made.wait_for("decision.ended", outcome="done")
        mark = made.log_size()
        trade(made, FOREIGN, "sell", NOTIONAL)
        # Nobody follows its mark: it holds back under every setting.
        made.wait_for("incident.opened", after=mark, kind="account.foreign")
        assert "foreign" in causes_now(made)
        held_back = made.log_size()
        decided = made.wait_for("decision.made", after=held_back)
        assert decided["state"] == "reducing"
        assert all(order["reduce_only"] for order in made.events("order.sent", after=held_back))
        assert foreign_orders_sent(made, mark) == []
        close(made, FOREIGN, "buy", foreign_held(made))
        wait_until("it to be active again", lambda: "foreign" not in causes_now(made))
        assert made.cli("replay", "--all").returncode == 0
