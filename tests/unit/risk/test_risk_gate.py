"""The gate: every refusal in its order, worst-case leverage, capped reductions."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from counterpoise.domain.account import TradingState
from counterpoise.domain.instruments import InstrumentState, MarginTier
from counterpoise.domain.orders import ApprovedOrder, OrderKind, OrderState, Side
from counterpoise.domain.units import NS_PER_MS
from counterpoise.risk import denials, gate
from counterpoise.risk.ceiling import LEVERAGE_MAX, ceiling
from counterpoise.risk.denials import MEANINGS, Denial, DenialReason
from counterpoise.risk.view import ACCOUNT
from counterpoise.risk.worst_case import worst_case
from risk_world import INSTRUMENTS, intent, order, view
from strategy_world import CORE, ETH, MARKS, NOW_NS, SOL, TIERS, instrument

DOCUMENT = Path(__file__).parents[3] / "docs" / "denials.md"


def with_core(**rules: Any) -> dict[str, Any]:
    base = {"lot_size": Decimal("0.001"), "tick_size": Decimal("0.1")}
    return {"instruments": INSTRUMENTS | {CORE: instrument(CORE, **(base | rules))}}


CASES: list[tuple[DenialReason, dict[str, Any], dict[str, Any]]] = [
    (DenialReason.LEASE_NOT_HELD, {"lease_held": False}, {}),
    (DenialReason.LEDGER_UNAVAILABLE, {"ledger_available": False}, {}),
    (DenialReason.TRADING_HALTED, {"trading_state": TradingState.HALTED}, {}),
    (DenialReason.TRADING_REDUCING, {"trading_state": TradingState.REDUCING}, {}),
    (DenialReason.CEILING_INVALID, {"leverage_ceiling": Decimal("3.1")}, {}),
    (DenialReason.CEILING_INVALID, {"leverage_ceiling": Decimal(0)}, {}),
    (DenialReason.CEILING_INVALID, {"leverage_ceiling": Decimal("NaN")}, {}),
    (DenialReason.ACCOUNT_DATA_MISSING, {"missing": {ACCOUNT: ("ACCOUNT_STALE",)}}, {}),
    (DenialReason.ACCOUNT_CONTRADICTORY, {"equity": Decimal("NaN")}, {}),
    (DenialReason.ACCOUNT_CONTRADICTORY, {"marks": MARKS | {SOL: Decimal(0)}}, {}),
    (DenialReason.ACCOUNT_CONTRADICTORY, {"marks": MARKS | {SOL: Decimal("Infinity")}}, {}),
    (DenialReason.ACCOUNT_CONTRADICTORY, {"quantities": {CORE: Decimal("NaN")}}, {}),
    (
        DenialReason.ACCOUNT_CONTRADICTORY,
        {"open_orders": (order(filled_quantity=Decimal("0.2")),)},
        {},
    ),
    (
        DenialReason.ACCOUNT_CONTRADICTORY,
        {"open_orders": (order(filled_quantity=Decimal("NaN")),)},
        {},
    ),
    (DenialReason.EQUITY_UNKNOWN, {"equity": None}, {}),
    (DenialReason.EQUITY_NOT_POSITIVE, {"equity": Decimal(0)}, {}),
    (DenialReason.CLOCK_OFFSET, {"clock_offset_ms": -500.1}, {}),
    (DenialReason.CLOCK_OFFSET, {"clock_offset_ms": None}, {}),
    (DenialReason.CLOCK_OFFSET, {"clock_offset_ms": float("nan")}, {}),
    (DenialReason.FEED_LATENCY, {"latency_ms_p99": 200.1}, {}),
    (DenialReason.FEED_LATENCY, {"latency_ms_p99": None}, {}),
    (DenialReason.FEED_LATENCY, {"latency_ms_p99": float("inf")}, {}),
    (DenialReason.INSTRUMENT_UNKNOWN, {"instruments": {}}, {}),
    (DenialReason.INSTRUMENT_NOT_LIVE, with_core(state=InstrumentState.POST_ONLY), {}),
    (DenialReason.MARGIN_TIERS_UNKNOWN, with_core(tiers=()), {}),
    (DenialReason.INSTRUMENT_DATA_MISSING, {"missing": {CORE: ("BOOK_STALE",)}}, {}),
    (DenialReason.MARK_MISSING, {"marks": {ETH: MARKS[ETH]}}, {}),
    (DenialReason.HELD_MARK_MISSING, {"marks": {CORE: MARKS[CORE]}}, {}),
    (
        DenialReason.HELD_MARK_MISSING,
        {"marks": {CORE: MARKS[CORE], ETH: MARKS[ETH]}, "open_orders": (order(SOL),)},
        {},
    ),
    (DenialReason.ORDER_UNRESOLVED, {"unresolved": frozenset({CORE})}, {}),
    (DenialReason.QUANTITY_OFF_GRID, {}, {"quantity": Decimal("0.1005")}),
    (DenialReason.QUANTITY_TOO_SMALL, with_core(quantity_min=Decimal("0.2")), {}),
    (DenialReason.QUANTITY_TOO_LARGE, with_core(limit_quantity_max=Decimal("0.09")), {}),
    (
        DenialReason.QUANTITY_TOO_LARGE,
        with_core(market_quantity_max=Decimal("0.09")),
        {"kind": OrderKind.MARKET},
    ),
    (DenialReason.NOTIONAL_TOO_SMALL, with_core(notional_min=Decimal(6001)), {}),
    (
        DenialReason.NOTIONAL_TOO_SMALL,
        with_core(notional_min=Decimal(6000)),
        {"price_limit": Decimal(59_990)},
    ),
    (DenialReason.PRICE_OFF_GRID, {}, {"price_limit": Decimal("60000.05")}),
    (DenialReason.PRICE_OFF_GRID, with_core(notional_min=None), {"price_limit": Decimal(0)}),
    (DenialReason.PRICE_TOO_FAR, {}, {"price_limit": Decimal("60600.1")}),
    (DenialReason.PRICE_TOO_FAR, {}, {"price_limit": Decimal("59399.9"), "side": Side.SELL}),
    (
        DenialReason.MARGIN_TIER_EXCEEDED,
        with_core(
            tiers=(
                MarginTier(
                    notional_max=Decimal(155_999),
                    maintenance_margin_fraction=Decimal("0.004"),
                    initial_margin_fraction=Decimal("0.01"),
                ),
            )
        ),
        {},
    ),
    (DenialReason.LEVERAGE_EXCEEDED, {}, {"quantity": Decimal("0.834")}),
    (DenialReason.LEVERAGE_EXCEEDED, {"equity": Decimal(1)}, {}),
]


@pytest.mark.parametrize(("reason", "changes", "wish"), CASES)
def test_each_refusal(reason: DenialReason, changes: dict[str, Any], wish: dict[str, Any]) -> None:
    answer = gate.approve_increase(intent(**wish), view(**changes))
    assert isinstance(answer, Denial)
    assert answer.reason is reason
    assert answer.message.startswith(MEANINGS[reason])


def test_every_reason_is_tried_and_documented() -> None:
    assert {case[0] for case in CASES} == set(DenialReason) == set(MEANINGS)
    assert DOCUMENT.read_text(encoding="utf-8") == denials.document()


def test_the_first_reason_wins() -> None:
    answer = gate.approve_increase(
        intent(quantity=Decimal("0.1005")),
        view(lease_held=False, equity=None, missing={CORE: ("MARK_STALE",)}),
    )
    assert isinstance(answer, Denial)
    assert answer.reason is DenialReason.LEASE_NOT_HELD


def test_an_increase_within_the_ceiling_is_approved_whole() -> None:
    wish = intent()
    answer = gate.approve_increase(wish, view())
    assert isinstance(answer, ApprovedOrder)
    assert (answer.intent, answer.quantity) == (wish, Decimal("0.1"))
    # Gross 150,000 + 99,999 + 6,000; the fee of 5 bps on 6,000 is 3.
    assert answer.leverage_worst == Decimal(255_999) / Decimal(99_997)
    assert answer.approved_ns == NOW_NS
    assert answer.expires_ns == NOW_NS + 2000 * NS_PER_MS


def test_a_market_increase_pays_the_slippage_cap_and_its_fee() -> None:
    answer = gate.approve_increase(intent(kind=OrderKind.MARKET), view())
    assert isinstance(answer, ApprovedOrder)
    # 10 bps of 6,000 is 6, the fee on 6,006 is 3.003.
    assert answer.leverage_worst == Decimal(255_999) / (Decimal(100_000) - Decimal("9.003"))


def test_the_ceiling_is_met_exactly_and_not_passed() -> None:
    flat = view(quantities={}, taker_fee_bps=Decimal(0))
    assert isinstance(gate.approve_increase(intent(quantity=Decimal(5)), flat), ApprovedOrder)
    over = gate.approve_increase(intent(quantity=Decimal("5.001")), flat)
    assert isinstance(over, Denial)
    assert over.figures["leverage_worst"] == "3.0006"
    lower = replace(flat, leverage_ceiling=Decimal(2))
    assert isinstance(gate.approve_increase(intent(quantity=Decimal(5)), lower), Denial)


def test_a_rebate_is_no_gain() -> None:
    flat = view(quantities={}, taker_fee_bps=Decimal(-5))
    answer = gate.approve_increase(intent(quantity=Decimal(5)), flat)
    assert isinstance(answer, ApprovedOrder)
    assert answer.leverage_worst == 3


def test_leverage_beyond_all_equity_is_infinite() -> None:
    answer = gate.approve_increase(intent(), view(equity=Decimal(1)))
    assert isinstance(answer, Denial)
    assert answer.figures["leverage_worst"] == "infinite"


def test_another_leg_with_a_missing_book_denies_nothing() -> None:
    answer = gate.approve_increase(
        intent(),
        view(missing={ETH: ("BOOK_STALE",), CORE: ()}, unresolved=frozenset({ETH})),
    )
    assert isinstance(answer, ApprovedOrder)


def test_the_worst_case_counts_every_increase_and_no_reduction() -> None:
    orders = (
        order(quantity=Decimal("0.5"), filled_quantity=Decimal("0.2")),
        order(quantity=Decimal(3), side=Side.SELL),
        order(ETH, quantity=Decimal(30), reduce_only=True),
        order(SOL, quantity=Decimal(100), state=OrderState.UNKNOWN, filled_quantity=Decimal(40)),
    )
    after = worst_case(view(taker_fee_bps=Decimal(0)), orders)
    assert after is not None
    # Once a reduction took the 2.5 off, the 3 sold beat 2.5 + 0.3; the unknown order counts whole.
    assert after.quantities == {CORE: Decimal(3), ETH: Decimal("33.333"), SOL: Decimal(100)}
    assert after.gross == Decimal(180_000) + Decimal(99_999) + Decimal(15_000)
    assert after.equity == 100_000


def test_the_worst_case_of_a_sell_can_be_the_other_side() -> None:
    after = worst_case(view(), (order(quantity=Decimal(6), side=Side.SELL),))
    assert after is not None
    # A reduction of the 2.5 held may come before it, at any time.
    assert after.quantities[CORE] == Decimal(6)


def test_a_reduction_beside_an_increase_of_its_side_costs_what_it_costs() -> None:
    sold = order(quantity=Decimal(6), side=Side.SELL, price_limit=MARKS[CORE])
    reduction = replace(sold, quantity=Decimal(2), reduce_only=True)
    alone, beside = (worst_case(view(), orders) for orders in ((sold,), (sold, reduction)))
    assert alone is not None
    assert beside is not None
    assert beside.quantities == alone.quantities
    assert alone.equity - beside.equity == 2 * MARKS[CORE] * 5 / 10_000


def test_a_limit_beyond_the_mark_costs_equity() -> None:
    after = worst_case(view(), (order(price_limit=Decimal(60_100)),))
    assert after is not None
    # 0.1 x (100 + 60,100 x 5 bps)
    assert after.equity == Decimal(100_000) - Decimal("13.005")


def test_the_worst_case_is_unknown_without_equity_or_marks() -> None:
    assert worst_case(view(equity=None), ()) is None
    assert worst_case(view(marks={CORE: MARKS[CORE]}), ()) is None
    assert worst_case(view(marks={}, quantities={}), (order(),)) is None
    flat = worst_case(view(quantities={CORE: Decimal(0)}, marks={}), ())
    assert flat is not None
    assert flat.leverage == 0


def reduction(name: str = CORE, **changes: Any) -> Any:
    return intent(name, **({"reduce_only": True, "side": Side.SELL} | changes))


def test_a_reduction_is_capped_to_the_position() -> None:
    answer = gate.approve_reduction(reduction(quantity=Decimal(9)), view())
    assert answer is not None
    assert answer.quantity == Decimal("2.5")
    assert answer.leverage_worst == Decimal("2.49999")


def test_there_is_nothing_to_reduce_when_flat_or_on_the_same_side() -> None:
    assert gate.approve_reduction(reduction(SOL), view()) is None
    assert gate.approve_reduction(reduction(side=Side.BUY), view()) is None
    assert gate.approve_reduction(reduction(ETH), view()) is None


def test_a_reduction_is_never_denied() -> None:
    blind = view(
        equity=None,
        marks={},
        missing={ACCOUNT: ("X",), CORE: ("Y",)},
        trading_state=TradingState.HALTED,
        lease_held=False,
        ledger_available=False,
        latency_ms_p99=None,
        clock_offset_ms=None,
        instruments={},
        unresolved=frozenset({CORE}),
    )
    answer = gate.approve_reduction(reduction(), blind)
    assert answer is not None
    assert (answer.quantity, answer.leverage_worst) == (Decimal("0.1"), None)


def test_review_counts_each_approval_for_the_next() -> None:
    wishes = (
        reduction(quantity=Decimal(2)),
        reduction(quantity=Decimal(2), client_order_id="cp" + "2" * 30),
        reduction(quantity=Decimal(2), client_order_id="cp" + "3" * 30),
        intent(ETH, side=Side.SELL, quantity=Decimal(10)),
        intent(SOL, quantity=Decimal(200)),
    )
    first, second, third, hedge, denied = gate.review(wishes, view())
    assert isinstance(first, ApprovedOrder)
    assert isinstance(second, ApprovedOrder)
    assert (first.quantity, second.quantity, third) == (Decimal(2), Decimal("0.5"), None)
    assert isinstance(hedge, ApprovedOrder)
    # The reductions help no increase: 249,999 + 30,000 + 30,000 is above 3.
    assert isinstance(denied, Denial)
    assert denied.reason is DenialReason.LEVERAGE_EXCEEDED


def test_an_intent_goes_through_its_own_door() -> None:
    with pytest.raises(AssertionError):
        gate.approve_increase(reduction(), view())
    with pytest.raises(AssertionError):
        gate.approve_reduction(intent(), view())


def test_the_ceiling_can_only_be_lowered() -> None:
    assert Decimal(3) == LEVERAGE_MAX
    assert ceiling(Decimal("2.5")) == Decimal("2.5")
    for value in ("3.000001", "0", "-1", "NaN", "Infinity"):
        with pytest.raises(ValueError, match="configuration can only lower"):
            ceiling(Decimal(value))
    assert len(TIERS) == 2


def test_increases_are_denied_together_for_what_only_all_of_them_reach() -> None:
    flat = view(quantities={}, taker_fee_bps=Decimal(0))
    hedge = intent(ETH, side=Side.SELL, quantity=Decimal(50))
    core = intent(quantity=Decimal("2.5"))
    assert gate.denied_together((hedge, core), flat) is None
    more = intent(quantity=Decimal("2.501"))
    assert isinstance(gate.approve_increase(more, flat), ApprovedOrder)
    found = gate.denied_together((hedge, more), flat)
    assert found is not None
    assert (found[0], found[1].reason) == (more, DenialReason.LEVERAGE_EXCEEDED)


def test_of_several_denied_together_the_first_is_told() -> None:
    hedge = intent(ETH, side=Side.SELL, quantity=Decimal(1))
    core = intent()
    found = gate.denied_together((hedge, core), view(unresolved=frozenset({CORE})))
    assert found is not None
    assert (found[0], found[1].reason) == (core, DenialReason.ORDER_UNRESOLVED)
    paused = gate.denied_together((hedge, core), view(trading_state=TradingState.REDUCING))
    assert paused is not None
    assert paused[0] == hedge
    assert gate.denied_together((), view(lease_held=False)) is None


def test_what_goes_out_in_several_orders_is_judged_whole() -> None:
    small = {CORE: instrument(CORE, lot_size=Decimal("0.001"), limit_quantity_max=Decimal("0.05"))}
    seen = view(instruments=INSTRUMENTS | small)
    assert isinstance(gate.approve_increase(intent(), seen), Denial)
    assert gate.denied_together((intent(),), seen) is None
