"""From targets to the changes that reach them: grid, minima, maxima, order (section 5.6)."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.instruments import Instrument
from counterpoise.domain.orders import IntentSource, LegChange, LegRole, Side
from counterpoise.domain.rounding import quantize_away_from_zero, quantize_toward_zero
from counterpoise.strategy.reasons import Reason, ReasonCode, reason

_ZERO: Final = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LegGap:
    """One leg on its way from what is held to what is wanted."""

    #: Its rules.
    instrument: Instrument
    #: Core or hedge.
    role: LegRole
    #: Signed base units held.
    held: Decimal
    #: Signed base units wanted, before rounding.
    wanted: Decimal
    #: Last mark, quote per base.
    mark: Decimal


def leg_changes(gap: LegGap) -> tuple[tuple[LegChange, ...], tuple[Reason, ...]]:
    """Return the changes of one leg and what was left out.

    An increase rounds toward zero and is dropped below the venue's minima; a reduction rounds up
    one lot, or up to the smallest quantity, and never beyond the position. A change of side is a
    reduce-only close and an increase, which waits if one order cannot close it all.
    """
    if gap.held * gap.wanted < 0:
        close = _reduction(gap, abs(gap.held))
        if after_changes(gap.held, close) != 0:
            return close, ()
        rise, left_out = _increase(gap, gap.wanted)
        return close + rise, left_out
    if abs(gap.wanted) < abs(gap.held):
        return _reduction(gap, abs(gap.held) - abs(gap.wanted)), ()
    return _increase(gap, gap.wanted - gap.held)


def ordered(changes: Mapping[str, tuple[LegChange, ...]]) -> tuple[LegChange, ...]:
    """Return all changes in sending order.

    Reductions first, the core's before the hedges'; then increases, the hedges' before the core's:
    so the core never stands without its hedge for longer than it must.
    """
    every = [change for name in sorted(changes) for change in changes[name]]
    return tuple(sorted(every, key=_place))


def after_changes(held: Decimal, changes: tuple[LegChange, ...]) -> Decimal:
    """Return the signed base units held once `changes` have filled."""
    return held + sum((change.quantity * change.side.sign for change in changes), _ZERO)


def _place(change: LegChange) -> tuple[int, int, str]:
    core = change.leg is LegRole.CORE
    if change.reduce_only:
        return (0, 0 if core else 1, change.instrument_id)
    return (1, 1 if core else 0, change.instrument_id)


def _reduction(gap: LegGap, quantity: Decimal) -> tuple[LegChange, ...]:
    rounded = quantize_away_from_zero(quantity, gap.instrument.lot_size)
    enough = max(rounded, gap.instrument.quantity_min)
    enough = min(enough, _quantity_max(gap.instrument, enough), abs(gap.held))
    return (_change(gap, Side.SELL if gap.held > 0 else Side.BUY, enough, reduce_only=True),)


def _increase(gap: LegGap, signed: Decimal) -> tuple[tuple[LegChange, ...], tuple[Reason, ...]]:
    instrument = gap.instrument
    name = instrument.instrument_id
    rounded = abs(quantize_toward_zero(signed, instrument.lot_size))
    if signed == 0:
        return (), ()
    notional_min = instrument.notional_min or _ZERO
    if rounded == 0 or rounded < instrument.quantity_min or rounded * gap.mark < notional_min:
        text = f"{name} {abs(signed):f} is below the venue's minimum."
        return (), (reason(ReasonCode.BELOW_MINIMUM, text, leg=name, quantity=str(rounded)),)
    reasons: tuple[Reason, ...] = ()
    most = quantize_toward_zero(_quantity_max(instrument, rounded), instrument.lot_size)
    if rounded > most:
        text = f"{name} {rounded:f} is cut to the venue's maximum {most:f}."
        reasons = (reason(ReasonCode.ABOVE_MAXIMUM, text, leg=name, quantity=str(rounded)),)
        rounded = most
    side = Side.BUY if signed > 0 else Side.SELL
    return (_change(gap, side, rounded, reduce_only=False),), reasons


def _quantity_max(instrument: Instrument, otherwise: Decimal) -> Decimal:
    limits = (instrument.market_quantity_max, instrument.limit_quantity_max)
    return min((limit for limit in limits if limit is not None), default=otherwise)


def _change(gap: LegGap, side: Side, quantity: Decimal, *, reduce_only: bool) -> LegChange:
    return LegChange(
        instrument_id=gap.instrument.instrument_id,
        leg=gap.role,
        source=IntentSource.CYCLE,
        side=side,
        quantity=quantity,
        reduce_only=reduce_only,
    )
