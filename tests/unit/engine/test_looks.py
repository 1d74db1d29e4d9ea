"""Each answer of the venue for the whole account is recorded with what came of it."""

import json
from decimal import Decimal

from counterpoise.domain.events import CycleDue, Tick
from counterpoise.domain.records import AccountLooked, MarketSeen
from engine_world import World, ready

HELD = {"BTCUSDT": ("0.1", "50000"), "ETHUSDT": ("-1", "2500")}


def looks(world: World) -> list[AccountLooked]:
    return [row for row in world.records(AccountLooked) if isinstance(row, AccountLooked)]


def test_an_answer_that_adds_up_is_kept_too() -> None:
    world = ready(positions=HELD)
    world.after(1)
    world.reconcile("cycle", positions=HELD)
    first, second = looks(world)
    assert (first.result, second.result, second.cause) == ("first", "balanced", "cycle")
    assert second.wallet_balance == Decimal(10_000)
    assert second.currency == "USDT"
    assert json.loads(second.body) == {
        "found": {},
        "positions": {"BTCUSDT": "0.1", "ETHUSDT": "-1"},
    }
    assert second.balance_ns <= second.positions_ns <= second.recorded_ns
    assert first.reconciliation_id != second.reconciliation_id


def test_what_is_not_explained_is_doubted_before_it_is_believed() -> None:
    world = ready(positions=HELD)
    world.after(1)
    world.reconcile("cycle", positions=HELD, wallet="9900")
    for _ in range(4):
        world.feed(Tick(now_ns=world.after(1)))
    world.reconcile("doubt", positions=HELD, wallet="9900")
    world.after(1)
    world.reconcile("cycle", positions=HELD, wallet="9900")
    assert [look.result for look in looks(world)] == [
        "first",
        "doubted",
        "unexplained",
        "balanced",
    ]
    assert [json.loads(look.body)["found"] for look in looks(world)] == [
        {},
        {"cash_unexplained": "-100"},
        {"cash_unexplained": "-100"},
        {},
    ]


def test_an_answer_while_something_just_traded_is_unsettled() -> None:
    world = ready(positions=HELD)
    world.state.account.filled_ns = world.now_ns
    world.after(1)
    world.reconcile("reconnect", positions=HELD, wallet="9900")
    last = looks(world)[-1]
    assert last.result == "unsettled"
    assert json.loads(last.body)["found"] == {"cash_unexplained": "-100"}
    assert last.wallet_balance == Decimal(9900)


def test_a_decision_records_what_each_leg_held() -> None:
    world = ready(positions=HELD)
    world.market()
    world.feed(CycleDue(slot_ns=world.now_ns, now_ns=world.after(1)))
    world.reconcile("cycle", positions=HELD)
    rows = {r.instrument_id: r for r in world.records(MarketSeen) if isinstance(r, MarketSeen)}
    assert (rows["BTCUSDT"].quantity, rows["BTCUSDT"].leg) == (Decimal("0.1"), "core")
    assert (rows["ETHUSDT"].quantity, rows["ETHUSDT"].leg) == (Decimal(-1), "hedge")
    assert {row.quantity for name, row in rows.items() if name not in HELD} <= {Decimal(0)}
