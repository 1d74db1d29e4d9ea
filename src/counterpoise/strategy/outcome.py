"""What a decision leaves behind: targets, memory, a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, TypeVar

from counterpoise.domain.orders import LegChange, LegRole
from counterpoise.strategy.book import Book, Waterfall, quantity_of
from counterpoise.strategy.candidates import leg_correlation
from counterpoise.strategy.changes import LegGap, after_changes, grid_target, leg_changes, ordered
from counterpoise.strategy.decision import DecisionAction, DecisionInputs, TargetLeg
from counterpoise.strategy.hedge import ProfitRule
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.nav import UnitNav
from counterpoise.strategy.numbers import gross, net_beta
from counterpoise.strategy.reasons import Reason, ReasonCode
from counterpoise.strategy.regime import RegimeState
from counterpoise.strategy.selection import Closings, Selection
from counterpoise.strategy.sizing import HedgeSize

_Value = TypeVar("_Value")

_TRADE_CODES: Final = frozenset(
    {
        ReasonCode.BAND_NOT_REACHED,
        ReasonCode.BAND_LEG,
        ReasonCode.BAND_NET_BETA,
        ReasonCode.DOWNSIZE,
        ReasonCode.LIMIT_DEMANDS,
        ReasonCode.REGIME_DEMANDS,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the rules want before the trading state has its say."""

    #: What is held.
    book: Book
    #: The account per unit.
    nav: UnitNav
    #: The regime after this cycle.
    regime: RegimeState
    #: The closing rule.
    closings: Closings
    #: The hedge legs.
    selection: Selection
    #: The profit rule.
    profit: ProfitRule
    #: The hedge's multipliers.
    hedge: HedgeSize
    #: Scale of the core.
    scale: float
    #: Why nothing may increase; empty = everything may.
    stops: tuple[Reason, ...]


def changes_to(
    inputs: DecisionInputs, book: Book, legs: Mapping[str, float]
) -> tuple[tuple[LegChange, ...], tuple[Reason, ...]]:
    """Return the changes from the held book to `legs`, in sending order, and what is left out."""
    found: dict[str, tuple[LegChange, ...]] = {}
    reasons: list[Reason] = []
    for name in sorted({*legs, *book.legs}):
        gap = _gap(inputs, book, name, legs.get(name, 0.0))
        found[name], left_out = leg_changes(gap)
        reasons.extend(left_out)
    return ordered(found), tuple(reasons)


def targets(inputs: DecisionInputs, wish: Wish, waterfall: Waterfall) -> dict[str, TargetLeg]:
    """Return where every wanted or held leg should stand."""
    result: dict[str, TargetLeg] = {}
    sides = {item.instrument_id: item.side for item in wish.selection.chosen}
    for name in sorted({*waterfall.legs, *wish.book.legs}):
        leg = waterfall.legs.get(name, 0.0)
        gap = _gap(inputs, wish.book, name, leg)
        side = sides.get(name)
        rho = None
        if side is not None:
            rho = leg_correlation(name, side, inputs.signals, inputs.parameters)
        result[name] = TargetLeg(
            role=gap.role,
            quantity=grid_target(gap),
            notional_fraction=leg,
            held_fraction=wish.book.held(name),
            beta=wish.book.betas.get(name),
            leg_correlation=rho,
        )
    return result


def memory(
    inputs: DecisionInputs,
    wish: Wish,
    waterfall: Waterfall,
    changes: tuple[LegChange, ...],
) -> Memory:
    """Return what the next decision is given."""
    before, core = inputs.memory, inputs.parameters.core_instrument
    held = wish.book.quantities.get(core, Decimal(0))
    planned = after_changes(
        held, tuple(change for change in changes if change.instrument_id == core)
    )
    floor = min(held * inputs.parameters.side, planned * inputs.parameters.side)
    rule, frozen = wish.hedge.correlation, wish.selection.frozen
    sides = {item.instrument_id: item.side for item in wish.selection.chosen}
    sides |= {name: before.incumbent_sides[name] for name in frozen}
    kept_multipliers = _only(before.correlation_multiplier, frozen)
    kept_seen = _only(before.correlation_seen, frozen)
    wanted = abs(waterfall.legs.get(core, 0.0))
    return Memory(
        scale=wish.scale,
        scale_ns=inputs.now_ns,
        core_quantity_floor=max(floor, Decimal(0)),
        core_fraction=wanted if changes else before.core_fraction,
        correlation_multiplier={**kept_multipliers, **rule.multipliers},
        correlation_seen={**kept_seen, **rule.seen},
        close_counts=_only(wish.closings.close_counts, tuple(sides)),
        closed=wish.closings.closed,
        incumbents=(*(item.instrument_id for item in wish.selection.chosen), *frozen),
        incumbent_sides=sides,
        challenger_counts=wish.selection.challenger_counts,
        profit_taken=wish.profit.taken,
        regime=wish.regime.regime,
        calm_cycles=wish.regime.calm_cycles,
        cycles_since_cascade=wish.regime.cycles_since_cascade,
        unit_count=wish.nav.unit_count,
        unit_nav=wish.nav.unit_nav,
        nav_high_water=wish.nav.nav_high_water,
        transfers_pending=Decimal(0),
        equity=wish.book.equity,
    )


def summary(
    action: DecisionAction,
    wish: Wish,
    waterfall: Waterfall,
    reasons: Sequence[Reason],
    changes: Sequence[LegChange],
) -> str:
    """Return one sentence for a person."""
    held, wanted = gross(wish.book.legs), gross(waterfall.legs)
    net = net_beta(waterfall.legs, wish.book.betas)
    spoken = [item for item in reasons if item.code in _TRADE_CODES]
    why = spoken[-1].text if spoken else reasons[-1].text
    return (
        f"{action.value.capitalize()}: gross {held:.2f} of equity held, {wanted:.2f} wanted, "
        f"net beta {net:+.2f}, {wish.regime.regime.value}, {len(changes)} changes. {why}"
    )


def _gap(inputs: DecisionInputs, book: Book, name: str, leg: float) -> LegGap:
    view = inputs.market.instruments[name]
    assert view.mark is not None, "only instruments with a mark are sized or held"
    held = book.quantities.get(name, Decimal(0))
    # A leg that no rule changed keeps its exact quantity: no trip through a float.
    unchanged = leg == book.held(name)
    wanted = held if unchanged else quantity_of(leg, book.equity, view.mark)
    core = name == inputs.parameters.core_instrument
    return LegGap(
        instrument=view.instrument,
        role=LegRole.CORE if core else LegRole.HEDGE,
        held=held,
        wanted=wanted,
        mark=view.mark,
    )


def _only(table: dict[str, _Value], names: tuple[str, ...]) -> dict[str, _Value]:
    return {name: table[name] for name in names if name in table}
