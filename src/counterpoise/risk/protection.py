"""Where a stop rests at the venue for each held leg, for when this daemon does not act.

A stop lies beyond every trigger of the guard and short of liquidation, so that a living daemon
always acts first and a dead one still has a floor.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.margin import JointMove, MarginLeg, liquidation_distance
from counterpoise.domain.orders import LegRole, Side
from counterpoise.domain.rounding import quantize_down, quantize_toward_zero, quantize_up
from counterpoise.risk import liquidation
from counterpoise.risk.guard import GuardParameters
from counterpoise.risk.view import RiskView

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectionParameters:
    """How far away stops rest and when one is replaced."""

    #: Part of the way from the guard's trigger to liquidation at which a stop lies.
    stop_depth: Decimal = Decimal("0.25")
    #: Farthest move of a leg's own mark at which a stop lies, a fraction.
    stop_move_max: Decimal = Decimal("0.5")
    #: A trigger price that differs from the wanted one by this part of the mark is replaced.
    stop_band: Decimal = Decimal("0.02")
    #: Part of a position that its stop may lack before it is replaced; it never exceeds it.
    stop_quantity_band: Decimal = Decimal("0.02")

    def __post_init__(self) -> None:
        _check("stop_depth", self.stop_depth, Decimal("0.05"), Decimal("0.95"))
        _check("stop_move_max", self.stop_move_max, Decimal("0.02"), Decimal("0.9"))
        _check("stop_band", self.stop_band, Decimal("0.001"), Decimal("0.2"))
        _check("stop_quantity_band", self.stop_quantity_band, _ZERO, Decimal("0.2"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopTarget:
    """The stop one held leg should have."""

    #: Instrument of the leg.
    instrument_id: str
    #: Core or hedge.
    leg: LegRole
    #: Direction of the order to come: against the position.
    side: Side
    #: Base units on the lot grid; at most the position, and what one market order may carry.
    quantity: Decimal
    #: Mark at which the venue sends it, quote per base, on the tick grid.
    trigger_price: Decimal


def guard_move(view: RiskView, legs: Collection[MarginLeg], parameters: GuardParameters) -> Decimal:
    """Return the core-equivalent move of all legs against us at which the guard acts, >= 0.

    With equity E, gross G, A = sum of abs(notional) x volatility ratio and S the same sum signed,
    a move x leaves equity E - A x and gross G - S x, so leverage reaches its trigger T at
    x = (T E - G) / (T A - S). The guard also acts once liquidation is nearer than its own distance
    trigger. The smaller one counts. Equity must be known and positive.
    """
    assert view.equity is not None, "the caller knows the equity"
    gross = sum((abs(leg.notional) for leg in legs), _ZERO)
    against = sum((abs(leg.notional) * leg.volatility_ratio for leg in legs), _ZERO)
    signed = sum((leg.notional * leg.volatility_ratio for leg in legs), _ZERO)
    trigger = parameters.leverage_trigger
    move = liquidation_distance(view.equity, tuple(legs), JointMove.TOGETHER)
    by_distance = max(move - parameters.distance_trigger, _ZERO)
    slope = trigger * against - signed
    if slope <= 0:
        return by_distance
    return min(max((trigger * view.equity - gross) / slope, _ZERO), by_distance)


def stop_move(
    view: RiskView, guard: GuardParameters, parameters: ProtectionParameters
) -> Decimal | None:
    """Return the core-equivalent joint move at which stops lie, a fraction; None = none can.

    move = guard's + stop_depth x (liquidation's - guard's), all legs moving against us together,
    each by its volatility relative to the core's (`domain.margin`, correlation -1 of the PnLs).
    Legs without volatility or rules count as in `risk.liquidation`, with the same floor under what
    they may do to the others' stops. None where equity or a held mark is not known, nothing is
    held, or liquidation is reached already.
    """
    legs = liquidation.margin_legs(view, view.quantities)
    if not legs or view.equity is None or view.equity <= 0:
        return None
    move = _move(view, legs.values(), guard, parameters)
    if not all(liquidation.is_known(view, name) for name in legs):
        still = liquidation.margin_legs(view, view.quantities, still=True)
        assert still is not None, "the same marks"
        floor = liquidation.KNOWN_SHARE_MIN * _move(view, still.values(), guard, parameters)
        move = max(move, floor)
    return move if move > 0 else None


def _move(
    view: RiskView,
    legs: Collection[MarginLeg],
    guard: GuardParameters,
    parameters: ProtectionParameters,
) -> Decimal:
    assert view.equity is not None, "the caller knows the equity"
    reached = liquidation_distance(view.equity, tuple(legs), JointMove.TOGETHER)
    acts = guard_move(view, legs, guard)
    return acts + parameters.stop_depth * (reached - acts)


def stop_targets(
    view: RiskView, guard: GuardParameters, parameters: ProtectionParameters
) -> dict[str, StopTarget]:
    """Return the stop of each held leg by instrument.

    A leg without a fresh mark, with less than the venue's smallest order, or that is somebody
    else's, has none in it; nor has any leg while `stop_move` is None.
    """
    move = stop_move(view, guard, parameters)
    found: dict[str, StopTarget] = {}
    if move is None:
        return found
    for name in sorted(view.quantities):
        target = _target(view, name, move, parameters)
        if target is not None:
            found[name] = target
    return found


def quantity_to_protect(view: RiskView, instrument_id: str, held: Decimal) -> Decimal:
    """Return base units a stop of a leg of `held` signed base units should have.

    On the lot grid, at most what one market order may carry; 0 = none is needed: the leg is
    somebody else's, not followed, or less than the venue's smallest order.
    """
    instrument = view.instruments.get(instrument_id)
    if instrument is None or instrument_id in view.unmanaged:
        return _ZERO
    most = instrument.market_quantity_max
    size = abs(held) if most is None else min(abs(held), most)
    quantity = quantize_toward_zero(size, instrument.lot_size)
    return quantity if quantity >= max(instrument.quantity_min, instrument.lot_size) else _ZERO


def _target(
    view: RiskView, name: str, move: Decimal, parameters: ProtectionParameters
) -> StopTarget | None:
    held, mark = view.quantities[name], view.marks.get(name)
    quantity = quantity_to_protect(view, name, held)
    if mark is None or quantity == 0:
        return None
    # Of a leg whose volatility is not known the nearer stop is the safer one.
    ratio = liquidation.volatility_ratio(view, name) or _ONE
    fraction = min(ratio * move, parameters.stop_move_max)
    tick = view.instruments[name].tick_size
    if held > 0:
        # Rounded toward the mark, and never onto it.
        trigger = min(quantize_up(mark * (_ONE - fraction), tick), quantize_up(mark, tick) - tick)
    else:
        trigger = max(
            quantize_down(mark * (_ONE + fraction), tick), quantize_down(mark, tick) + tick
        )
    if trigger <= 0:
        return None
    return StopTarget(
        instrument_id=name,
        leg=LegRole.CORE if name == view.core_id else LegRole.HEDGE,
        side=Side.SELL if held > 0 else Side.BUY,
        quantity=quantity,
        trigger_price=trigger,
    )


def _check(name: str, value: Decimal, low: Decimal, high: Decimal) -> None:
    if not value.is_finite() or not low <= value <= high:
        raise ValueError(f"{name}={value}: allowed is {low} to {high}")
