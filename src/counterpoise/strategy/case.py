"""What every policy starts from, and what it must say."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from counterpoise.market.divergence import MARK_DIVERGENCE_MAX
from counterpoise.market.view import MarketView
from counterpoise.strategy import nav, regime
from counterpoise.strategy.book import Book, Waterfall, held_book
from counterpoise.strategy.decision import DecisionInputs
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.nav import UnitNav
from counterpoise.strategy.parameters import COUNTERPOISE
from counterpoise.strategy.reasons import Reason, ReasonCode, reason
from counterpoise.strategy.regime import RegimeState


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One evaluation under way: a policy puts legs into the waterfall and gives its reasons."""

    #: What is known; the memory is the policy's own.
    inputs: DecisionInputs
    #: Core volatility as the scale rule takes it, annualised; None = unknown.
    volatility: float | None
    #: What is held.
    book: Book
    #: The account per unit.
    nav: UnitNav
    #: The regime after this cycle.
    regime: RegimeState
    #: The wanted legs on their way through the rules.
    waterfall: Waterfall
    #: In the order the rules spoke.
    reasons: list[Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a policy wants before the trading state has its say; its legs are in the waterfall."""

    #: Why all legs trade, or why none does (`HELD_CODES`).
    trade: Reason
    #: Why nothing may increase; empty = everything may.
    stops: tuple[Reason, ...]
    #: Hedge leg -> the side it is wanted on, for its leg correlation.
    sides: dict[str, int]
    #: What the next decision is given, but for what depends on the changes.
    memory: Memory
    #: Exact signed base units of wanted legs that do not come from a multiple of equity.
    exact: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """One way to decide what to hold."""

    #: Looks at the case and says what it wants.
    wish: Callable[[Case], Wish]
    #: True = without a volatility of the core nothing can be said.
    needs_volatility: bool = False


def open_case(inputs: DecisionInputs, equity: Decimal, volatility: float | None) -> Case:
    """Return the case of inputs that hold everything a decision needs."""
    reasons: list[Reason] = []
    memory = own_memory(inputs.memory, inputs.parameters.policy)
    if memory is not inputs.memory:
        inputs = replace(inputs, memory=memory)
        reasons.append(reason(ReasonCode.POLICY_CHANGED))
    market, parameters = inputs.market, inputs.parameters
    book = held_book(equity, inputs.account, market, inputs.signals, parameters)
    units = nav.advance(
        memory,
        equity,
        memory.transfers_pending + inputs.account.transfers,
        marks_trusted=not any(_diverges(market, name) for name in book.legs),
    )
    seen = regime.observe(market, inputs.signals, parameters)
    state = regime.advance(memory, seen, parameters)
    reasons.extend(state.reasons)
    return Case(
        inputs=inputs,
        volatility=volatility,
        book=book,
        nav=units,
        regime=state,
        waterfall=Waterfall(),
        reasons=reasons,
    )


def _diverges(market: MarketView, name: str) -> bool:
    view = market.instruments.get(name)
    divergence = None if view is None else view.mark_divergence
    return divergence is not None and divergence > MARK_DIVERGENCE_MAX


def own_memory(memory: Memory, policy: str) -> Memory:
    """Return `memory` if `policy` left it, else what belongs to the account and the market alone.

    NAV units and the high-water mark stay; scale, places and quantities of another policy go.
    """
    before = memory.policy or (policy if memory.scale is None else COUNTERPOISE)
    if before == policy:
        return memory
    return Memory(
        policy=policy,
        regime=memory.regime,
        calm_cycles=memory.calm_cycles,
        cycles_since_cascade=memory.cycles_since_cascade,
        unit_count=memory.unit_count,
        unit_nav=memory.unit_nav,
        nav_high_water=memory.nav_high_water,
        transfers_pending=memory.transfers_pending,
        equity=memory.equity,
    )


def foreign(case: Case) -> tuple[str, ...]:
    """Return the held instruments the configuration does not name, sorted."""
    parameters = case.inputs.parameters
    known = {parameters.core_instrument, *parameters.hedge_candidates}
    return tuple(sorted(set(case.book.legs) - known))


def foreign_reasons(case: Case) -> tuple[Reason, ...]:
    """Return a reason for each of them."""
    return tuple(
        reason(
            ReasonCode.FOREIGN_POSITION, f"{name} is held and is no part of the strategy.", leg=name
        )
        for name in foreign(case)
    )


def remembered(case: Case, **own: Any) -> Memory:
    """Return the memory a policy leaves: account and market, and fields of its own."""
    return Memory(
        policy=case.inputs.parameters.policy,
        regime=case.regime.regime,
        calm_cycles=case.regime.calm_cycles,
        cycles_since_cascade=case.regime.cycles_since_cascade,
        unit_count=case.nav.unit_count,
        unit_nav=case.nav.unit_nav,
        nav_high_water=case.nav.nav_high_water,
        equity=case.book.equity,
        **own,
    )
