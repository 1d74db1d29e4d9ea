"""From the venue's and the ledger's word to the first state; nothing is closed on the way."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.app import boot, configuration
from counterpoise.app.settings import Settings
from counterpoise.domain.account import OpenOrder
from counterpoise.domain.errors import StartRefused
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.records import AccountLooked, IncidentOpened
from counterpoise.engine.pairing import Pair
from counterpoise.engine.trading_state import Cause
from counterpoise.ledger import codec
from counterpoise.strategy.memory import Memory
from engine_world import INSTRUMENTS, START_NS, World, make_run, make_state
from scripted_venue import SettableClock


@pytest.fixture
def settings(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path))
    return configuration.load("demo")


def test_what_is_held_and_on_record_is_followed_though_no_longer_configured(
    settings: Settings,
) -> None:
    snapshot = World(state=make_state()).snapshot(positions={"BCHUSDT": ("1", "400")})
    ids = boot.universe(settings, snapshot, {"BCHUSDT": Decimal(1)}).instrument_ids
    assert ids[0] == "BTCUSDT"
    assert ids[-1] == "BCHUSDT"


def test_what_nobody_knows_is_refused_by_name(settings: Settings) -> None:
    snapshot = World(state=make_state()).snapshot(positions={"BCHUSDT": ("1", "400")})
    with pytest.raises(StartRefused, match="BCHUSDT"):
        boot.universe(settings, snapshot, {})


def test_an_open_order_that_is_not_ours_is_refused_by_its_id(settings: Settings) -> None:
    order = OpenOrder(
        client_order_id="web1",
        venue_order_id="v77",
        instrument_id="BTCUSDT",
        side=Side.BUY,
        quantity=Decimal(1),
        filled_quantity=Decimal(0),
        price_limit=Decimal(1),
        reduce_only=False,
        state=OrderState.ACCEPTED,
    )
    snapshot = World(state=make_state()).snapshot(orders=(order,))
    with pytest.raises(StartRefused, match="v77"):
        boot.universe(settings, snapshot, {})


def test_foreign_things_are_followed_and_only_adopted_ones_are_managed(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path))
    snapshot = World(state=make_state()).snapshot(
        positions={"BCHUSDT": ("1", "400"), "XLMUSDT": ("1", "1")}
    )
    recorded = {"XLMUSDT": Decimal(1)}
    for policy, unmanaged in (("adopt", set()), ("ignore", {"BCHUSDT"})):
        settings = configuration.load("demo", foreign=policy)
        found = boot.universe(settings, snapshot, recorded)
        assert {"BCHUSDT", "XLMUSDT"} <= set(found.instrument_ids)
        assert found.unmanaged == unmanaged


def test_cash_and_executions_are_asked_for_from_the_older_record() -> None:
    clock = SettableClock(START_NS)
    assert boot.asked_from_ns(5, 3, clock) == 3
    assert boot.asked_from_ns(2, 3, clock) == 2
    assert boot.asked_from_ns(None, 3, clock) == 3
    assert boot.asked_from_ns(None, None, clock) == START_NS - 10**9


def test_memory_is_read_back_or_refused_but_never_forgotten() -> None:
    assert boot.restore_memory(None) == Memory.first()
    kept = Memory(scale=0.5, nav_high_water=Decimal("1.25"))
    row = {"decision_id": "d", "body": codec.encode(kept)}
    assert boot.restore_memory(row) == kept
    with pytest.raises(StartRefused, match="cannot be read"):
        boot.restore_memory({"decision_id": "d", "body": '{"scale": "much"}'})


def test_only_what_a_person_or_a_defect_left_survives_a_restart() -> None:
    row = {"causes": ["operator", "database", "flattening", "invariant", "stopping"]}
    assert boot.restore_causes(row) == {Cause.OPERATOR, Cause.FLATTENING, Cause.INVARIANT}
    assert boot.restore_causes(None) == set()


@pytest.mark.parametrize(
    ("kinds", "leg", "core"),
    [
        (set(), False, False),
        ({"leg.vanished"}, True, False),
        ({"stop.acted"}, True, False),
        ({"core.vanished", "stop.acted"}, True, True),
    ],
)
def test_what_the_venue_took_is_answered_by_the_next_run_too(
    kinds: set[str], *, leg: bool, core: bool
) -> None:
    state = make_state()
    boot.take_up_losses(state, kinds)
    assert (state.leg_vanished, state.core_vanished) == (leg, core)


def fill_row(fill_id: str, quantity: Decimal, event_ns: int) -> dict[str, object]:
    return {
        "fill_id": fill_id, "instrument_id": "BTCUSDT", "client_order_id": "cp1",
        "venue_order_id": "v1", "side": "buy", "quantity": quantity,
        "price": Decimal(50_000), "fee": Decimal(1), "fee_currency": "USDT",
        "realised_pnl": Decimal(0), "event_ns": event_ns, "received_ns": event_ns + 1,
    }  # fmt: skip


@pytest.mark.parametrize(("unplaced", "found"), [(True, "first"), (False, "doubted")])
def test_a_fill_whose_position_row_a_crash_kept_away_explains_the_position(
    found: str, *, unplaced: bool
) -> None:
    state = make_state()
    boot.take_up_positions(state, {"ETHUSDT": Decimal(-1)})
    boot.take_up_fills(state, [fill_row("f1", Decimal("0.1"), 5)] if unplaced else [])
    world = World(state=state)
    world.reconcile(positions={"ETHUSDT": ("-1", "2500"), "BTCUSDT": ("0.1", "50000")})
    (looked,) = world.records(AccountLooked)
    assert isinstance(looked, AccountLooked)
    assert looked.result == found
    assert world.records(IncidentOpened) == []


EXECUTIONS = {"f1": Decimal("0.006"), "f2": Decimal("0.045"), "f3": Decimal("0.013")}


@pytest.mark.parametrize(
    ("venue", "told", "found"),
    [
        # All three of the stamp, though the row has the first two and the last is told first.
        ("0.064", ("f3",), "first"),
        ("0.064", ("f1", "f3"), "first"),
        ("0.064", ("f3", "f1"), "first"),
        # Nothing is told any more: what is on record is all there is.
        ("0.064", (), "doubted"),
        # One that nobody told of.
        ("0.060", ("f3",), "doubted"),
    ],
)
def test_a_position_on_record_with_part_of_its_last_stamp_is_explained_by_the_rest(
    venue: str, told: tuple[str, ...], found: str
) -> None:
    state = make_state()
    boot.take_up_positions(state, {"ETHUSDT": Decimal(-1), "BTCUSDT": Decimal("0.058")})
    recorded = [name for name in EXECUTIONS if name not in told and (told or name != "f3")]
    row = {
        "instrument_id": "BTCUSDT", "since_ns": START_NS, "before": Decimal(0),
        "fill_ids": recorded, "quantities": [EXECUTIONS[name] for name in recorded],
    }  # fmt: skip
    boot.take_up_instants(state, [row])
    world = World(state=state)
    boot.take_up_fills(state, [fill_row(name, EXECUTIONS[name], START_NS) for name in told])
    world.reconcile(positions={"ETHUSDT": ("-1", "2500"), "BTCUSDT": (venue, "50000")})
    (looked,) = world.records(AccountLooked)
    assert isinstance(looked, AccountLooked)
    assert looked.result == found


def test_an_intent_without_an_end_is_unknown_and_counts_in_full() -> None:
    state = make_state()
    row = {
        "client_order_id": "cp" + "1" * 30,
        "venue_order_id": None,
        "instrument_id": "BTCUSDT",
        "side": "buy",
        "quantity": Decimal("0.5"),
        "filled_quantity": None,
        "executed": Decimal(0),
        "price_limit": Decimal(50_000),
        "reduce_only": False,
        "created_ns": START_NS,
        "expires_ns": START_NS,
        "time_in_force": "gtc",
        "trigger_price": None,
    }
    assert boot.take_up_intents(state, [row]) == 1
    (order,) = state.orders.open_orders()
    assert (order.state, order.remaining) == (OrderState.UNKNOWN, Decimal("0.5"))
    assert state.orders.unresolved() == {"BTCUSDT"}
    # Executions on record count, and those told from now on come on top.
    again = make_state()
    boot.take_up_intents(again, [row | {"executed": Decimal("0.2")}])
    again.orders.executed("BTCUSDT", "cp" + "1" * 30, Decimal("0.1"))
    (order,) = again.orders.open_orders()
    assert order.filled_quantity == Decimal("0.3")


def test_a_pair_is_taken_up_with_what_its_ended_increases_filled() -> None:
    state = make_state()
    pair = Pair(
        start={},
        planned={"BTCUSDT": Decimal("0.2"), "ETHUSDT": Decimal(-4)},
        weights={"BTCUSDT": Decimal(50_000), "ETHUSDT": Decimal(2_500)},
        core_id="BTCUSDT",
        notional=Decimal(10_000),
        tolerance=Decimal(200),
    )
    row = {
        "decision_id": "before",
        "body": codec.encode(pair),
        "naked_leg_seconds": Decimal(20),
        "attempt_last": 1,
        "client_order_ids": ["cp" + "1" * 30, "cp" + "2" * 30],
        "orders_filled": 1,
        "increased": '{"ETHUSDT":"4"}',
        "overtaken": False,
    }
    assert boot.take_up_pairs(state, [row], START_NS) == {"before"}
    progress = state.plans["before"].pair
    assert progress is not None
    assert (progress.pair, progress.resumed) == (pair, True)
    assert progress.increased_before == {"ETHUSDT": Decimal(4)}


@pytest.mark.parametrize(("ceiling", "setting"), [("3", "3"), ("2.4", "3"), ("2", "2")])
def test_the_venue_is_told_the_ceiling_up_to_the_next_whole_number(
    ceiling: str, setting: str
) -> None:
    assert boot.leverage_setting(Decimal(ceiling)) == Decimal(setting)


def test_a_core_that_is_not_live_at_the_start_holds_back_from_the_start(settings: Settings) -> None:
    def causes(state: InstrumentState) -> set[Cause]:
        rules = [replace(INSTRUMENTS[0], state=state), INSTRUMENTS[1]]
        return boot.new_state(settings, make_run(), rules, Memory.first()).causes

    assert causes(InstrumentState.LIVE) == set()
    assert causes(InstrumentState.POST_ONLY) == {Cause.CORE}
