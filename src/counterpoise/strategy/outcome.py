"""What a decision leaves behind: changes, targets, memory, a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import LegChange, LegRole
from counterpoise.domain.rounding import quantize_toward_zero
from counterpoise.strategy.book import Book, quantity_of
from counterpoise.strategy.candidates import leg_correlation
from counterpoise.strategy.case import Case, Wish
from counterpoise.strategy.changes import LegGap, after_changes, leg_changes, ordered
from counterpoise.strategy.decision import DecisionAction, DecisionInputs, TargetLeg
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.numbers import gross, net_beta
from counterpoise.strategy.reasons import TRADE_CODES, Reason

_ZERO: Final = Decimal(0)


def changes_to(
    inputs: DecisionInputs, book: Book, legs: Mapping[str, float], exact: Mapping[str, Decimal]
) -> tuple[tuple[LegChange, ...], tuple[Reason, ...]]:
    """Return the changes from the held book to `legs`, in sending order, and what is left out.

    `exact` gives the signed base units of legs that are not figured from their multiple of equity.
    """
    found: dict[str, tuple[LegChange, ...]] = {}
    reasons: list[Reason] = []
    for name in sorted({*legs, *book.legs}):
        gap = _gap(inputs, book, name, legs.get(name, 0.0), exact.get(name))
        found[name], left_out = leg_changes(gap)
        reasons.extend(left_out)
    return ordered(found), tuple(reasons)


def targets(case: Case, wish: Wish) -> dict[str, TargetLeg]:
    """Return where every wanted or held leg should stand."""
    inputs, book, legs = case.inputs, case.book, case.waterfall.legs
    # What the permission cut off the wish is no exact quantity any more.
    exact = wish.exact if not wish.stops else {}
    result: dict[str, TargetLeg] = {}
    for name in sorted({*legs, *book.legs}):
        leg = legs.get(name, 0.0)
        instrument = inputs.market.instruments[name].instrument
        wanted = _wanted(inputs, book, name, leg, exact.get(name))
        side = wish.sides.get(name)
        rho = None
        if side is not None:
            rho = leg_correlation(name, side, inputs.signals, inputs.parameters)
        result[name] = TargetLeg(
            role=_role(inputs, name),
            quantity=quantize_toward_zero(wanted, instrument.lot_size),
            notional_fraction=leg,
            held_fraction=book.held(name),
            beta=book.betas.get(name),
            leg_correlation=rho,
        )
    return result


def memory(case: Case, wish: Wish, changes: tuple[LegChange, ...]) -> Memory:
    """Return what the next decision is given: the policy's memory, and what the changes leave."""
    core, side = case.inputs.parameters.core_instrument, case.inputs.parameters.side
    wanted = abs(case.waterfall.legs.get(core, 0.0))
    return replace(
        wish.memory,
        core_quantity_floor=_floor(case, core, side, changes),
        core_fraction=wanted if changes else case.inputs.memory.core_fraction,
        policy_floors={
            name: _floor(case, name, 1 if quantity >= 0 else -1, changes)
            for name, quantity in wish.memory.policy_quantities.items()
        },
    )


def summary(action: DecisionAction, case: Case, changes: Sequence[LegChange]) -> str:
    """Return one sentence for a person."""
    held, wanted = gross(case.book.legs), gross(case.waterfall.legs)
    net = net_beta(case.waterfall.legs, case.book.betas)
    spoken = [item for item in case.reasons if item.code in TRADE_CODES]
    why = spoken[-1].text if spoken else case.reasons[-1].text
    return (
        f"{action.value.capitalize()}: gross {held:.2f} of equity held, {wanted:.2f} wanted, "
        f"net beta {net:+.2f}, {case.regime.regime.value}, {len(changes)} changes. {why}"
    )


def _floor(case: Case, name: str, side: int, changes: tuple[LegChange, ...]) -> Decimal:
    # The least that can be held on `side` once the changes filled, wholly, partly or not at all.
    held = case.book.quantities.get(name, _ZERO)
    planned = after_changes(
        held, tuple(change for change in changes if change.instrument_id == name)
    )
    return max(min(held * side, planned * side), _ZERO)


def _gap(
    inputs: DecisionInputs, book: Book, name: str, leg: float, exact: Decimal | None
) -> LegGap:
    view = inputs.market.instruments[name]
    assert view.mark is not None, "only instruments with a mark are sized or held"
    return LegGap(
        instrument=view.instrument,
        role=_role(inputs, name),
        held=book.quantities.get(name, _ZERO),
        wanted=_wanted(inputs, book, name, leg, exact),
        mark=view.mark,
    )


def _role(inputs: DecisionInputs, name: str) -> LegRole:
    return LegRole.CORE if name == inputs.parameters.core_instrument else LegRole.HEDGE


def _wanted(
    inputs: DecisionInputs, book: Book, name: str, leg: float, exact: Decimal | None
) -> Decimal:
    # Signed base units off the grid.
    if exact is not None:
        return exact
    if leg == book.held(name):
        # A leg that no rule changed keeps its exact quantity: no trip through a float.
        return book.quantities.get(name, _ZERO)
    mark = inputs.market.instruments[name].mark
    assert mark is not None, "only instruments with a mark are sized or held"
    return quantity_of(leg, book.equity, mark)
