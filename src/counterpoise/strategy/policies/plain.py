"""What the baselines share: legs of fixed size, and quantities that are set once."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from counterpoise.domain.rounding import float_from_decimal, quantize_toward_zero
from counterpoise.strategy import limits
from counterpoise.strategy.band import band_reason
from counterpoise.strategy.book import quantity_of
from counterpoise.strategy.candidates import marked
from counterpoise.strategy.case import Case, Wish, foreign, foreign_reasons, remembered
from counterpoise.strategy.numbers import gross, scaled, sign
from counterpoise.strategy.reasons import Reason, ReasonCode, reason
from counterpoise.strategy.stops import latency_notes, standing_stops

_ZERO: Final = Decimal(0)


def core_leg(case: Case) -> float:
    """Return the core at its base, a signed multiple of equity."""
    return case.inputs.parameters.side * case.inputs.parameters.base


def first_hedge(case: Case) -> str | None:
    """Return the first hedge candidate; None = none is configured, and nothing hedges."""
    return next(iter(case.inputs.parameters.hedge_candidates), None)


def resized(case: Case, legs: Mapping[str, float], sides: dict[str, int] | None = None) -> Wish:
    """Want `legs` in multiples of today's equity, within the soft limit and the trade band."""
    waterfall, stops = case.waterfall, _stops(case)
    waterfall.apply("policy", legs)
    factor = limits.soft_factor(legs, case.inputs.parameters)
    if factor < 1.0:
        text = f"Gross is above {case.inputs.parameters.leverage_soft} of equity."
        case.reasons.append(reason(ReasonCode.LEVERAGE_SOFT, text, factor=factor))
        waterfall.apply("leverage_soft", scaled(legs, factor))
    return Wish(
        trade=band_reason(case.inputs, case.book, waterfall.legs, _demanded(case)),
        stops=stops,
        sides=_sides(case, legs) if sides is None else sides,
        memory=remembered(case),
    )


def set_once(case: Case, legs: Mapping[str, float]) -> Wish:
    """Want the quantities that `legs` were when first asked for, whatever became of equity since.

    They are set when every instrument has its data and nothing forbids an increase. What the
    guard, the venue or a person cut stays cut: the smaller quantity is the wanted one from then.
    """
    stops = _stops(case)
    memory = case.inputs.memory
    if memory.policy_quantities:
        quantities = _after_cuts(case, memory.policy_quantities, memory.policy_floors)
    else:
        missing = [name for name in sorted(legs) if not _complete(case, name)]
        if missing or stops:
            return _waits(case, stops, missing)
        quantities = _quantities(case, legs)
        text = ", ".join(f"{name} {quantities[name]:f}" for name in sorted(quantities))
        case.reasons.append(reason(ReasonCode.POLICY_SET, f"Set once: {text}."))
    return exactly(case, quantities, stops)


def exactly(case: Case, quantities: dict[str, Decimal], stops: tuple[Reason, ...]) -> Wish:
    """Want signed base units; every instrument that is not there is closed."""
    book, market = case.book, case.inputs.market
    legs: dict[str, float] = {}
    for name in sorted(quantities):
        mark = market.instruments[name].mark if name in market.instruments else None
        if mark is not None:
            legs[name] = float_from_decimal(quantities[name] * mark / book.equity)
    case.waterfall.apply("policy", legs)
    gaps = [
        name
        for name in sorted({*legs, *book.quantities})
        if quantities.get(name, _ZERO) != book.quantities.get(name, _ZERO)
    ]
    trade = reason(ReasonCode.POLICY_HELD)
    if gaps:
        names = ", ".join(gaps)
        trade = reason(ReasonCode.POLICY_TRADES, f"{names} off the policy's quantity.", legs=names)
    return Wish(
        trade=trade,
        stops=stops,
        sides=_sides(case, legs),
        memory=remembered(case, policy_quantities=quantities),
        exact={name: quantities[name] for name in legs},
    )


def standing(case: Case) -> tuple[Reason, ...]:
    """Say what forbids an increase to any policy, and return it."""
    return _stops(case)


def _stops(case: Case) -> tuple[Reason, ...]:
    case.reasons.extend(foreign_reasons(case))
    stops = standing_stops(case.inputs)
    case.reasons.extend(stops)
    case.reasons.extend(latency_notes(case.inputs))
    return stops


def _demanded(case: Case) -> tuple[str, ...]:
    core = case.inputs.parameters.core_instrument
    wrong = {core} if case.book.held(core) * case.inputs.parameters.side < 0.0 else set()
    return tuple(sorted({*foreign(case), *wrong}))


def _sides(case: Case, legs: Mapping[str, float]) -> dict[str, int]:
    core = case.inputs.parameters.core_instrument
    return {name: sign(legs[name]) for name in sorted(legs) if name != core and legs[name] != 0.0}


def _complete(case: Case, name: str) -> bool:
    view = case.inputs.market.instruments.get(name)
    return marked(view) and not view.missing


def _waits(case: Case, stops: tuple[Reason, ...], missing: list[str]) -> Wish:
    # Until then what is held stays: nothing is known of what should be.
    case.waterfall.apply("held", case.book.legs)
    text = f"{', '.join(missing) or 'Increases'} not ready: no quantity is set yet."
    return Wish(
        trade=reason(ReasonCode.POLICY_WAITS, text),
        stops=stops,
        sides=_sides(case, case.book.legs),
        memory=remembered(case),
    )


def _quantities(case: Case, legs: Mapping[str, float]) -> dict[str, Decimal]:
    factor = limits.soft_factor(legs, case.inputs.parameters)
    assert gross(legs) > 0.0, "a policy that sets quantities holds something"
    quantities: dict[str, Decimal] = {}
    for name in sorted(legs):
        view = case.inputs.market.instruments[name]
        assert view.mark is not None, "only complete instruments are set"
        wanted = quantity_of(legs[name] * factor, case.book.equity, view.mark)
        quantities[name] = quantize_toward_zero(wanted, view.instrument.lot_size)
    return quantities


def _after_cuts(
    case: Case, quantities: Mapping[str, Decimal], floors: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    result: dict[str, Decimal] = {}
    for name in sorted(quantities):
        wanted = quantities[name]
        held = case.book.quantities.get(name, _ZERO)
        side = 1 if wanted >= 0 else -1
        if held * side < floors.get(name, _ZERO):
            held = max(held * side, _ZERO) * side
            text = f"{name} was cut to {held:f}; it stays there instead of {wanted:f}."
            case.reasons.append(reason(ReasonCode.POLICY_CUT, text, leg=name))
            wanted = held
        result[name] = wanted
    return result
