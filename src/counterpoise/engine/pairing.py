"""Legs that belong together: how naked they stand, and what completes or unwinds them.

Everything is measured as net beta exposure at the marks and betas of the decision, so that only
trades move it. What a decision does to it on the way from its first to its last fill, beyond the
larger of where it starts and where it ends, is naked: a hedge without its core, a core without its
hedge, or one hedge sold and the next one not bought yet.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.instruments import Instrument
from counterpoise.domain.orders import IntentSource, LegChange, LegRole, Side
from counterpoise.domain.rounding import quantize_toward_zero

#: What may be left of a pair's exposure without being called naked: lots are not infinitely small.
TOLERANCE_FRACTION: Final = Decimal("0.02")

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)

Quantities = Mapping[str, Decimal]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What was held and decided, as of the decision; a restart reads it back."""

    #: Signed base units held at the start.
    start: dict[str, Decimal]
    #: Signed base units the decision trades, by instrument.
    planned: dict[str, Decimal]
    #: Quote of net beta exposure per base unit: mark x beta.
    weights: dict[str, Decimal]
    #: Instrument of the core.
    core_id: str
    #: Net beta exposure beyond the plan while only the leading leg is traded, quote.
    notional: Decimal
    #: Exposure that is not worth an order, quote.
    tolerance: Decimal


def make_pair(
    phases: Sequence[Iterable[LegChange]],
    *,
    start: Quantities,
    weights: Quantities,
    lots: Quantities,
    core_id: str,
) -> Pair | None:
    """Return the pair of a decision traded phase by phase; None if no leg ever stands alone.

    None as well if an instrument to be traded has no weight: then nothing can be measured.
    """
    planned: dict[str, Decimal] = {}
    stands: list[Decimal] = [exposure(start, weights)]
    held = dict(start)
    for phase in phases:
        for change in phase:
            if change.instrument_id not in weights:
                return None
            signed = change.quantity * change.side.sign
            planned[change.instrument_id] = planned.get(change.instrument_id, ZERO) + signed
            held[change.instrument_id] = held.get(change.instrument_id, ZERO) + signed
        stands.append(exposure(held, weights))
    band = max(abs(stands[0]), abs(stands[-1]))
    notional = max(abs(stand) for stand in stands) - band
    lot = max((abs(weights[i]) * lots.get(i, ZERO) for i in planned), default=ZERO)
    traded = sum((abs(q * weights[i]) for i, q in planned.items()), ZERO)
    tolerance = max(TOLERANCE_FRACTION * notional, 2 * lot)
    if notional <= max(tolerance, TOLERANCE_FRACTION * traded):
        return None
    return Pair(
        start={i: q for i, q in start.items() if q != 0},
        planned=planned,
        weights={i: weights[i] for i in sorted({*start, *planned}) if i in weights},
        core_id=core_id,
        notional=notional,
        tolerance=tolerance,
    )


def exposure(quantities: Quantities, weights: Quantities) -> Decimal:
    """Return net beta exposure, quote; an instrument without a weight counts nothing."""
    return sum((q * weights[i] for i, q in sorted(quantities.items()) if i in weights), ZERO)


def naked(pair: Pair, quantities: Quantities) -> Decimal:
    """Return the net beta exposure beyond the plan, quote, never negative."""
    return max(ZERO, abs(exposure(quantities, pair.weights)) - max(map(abs, _ends(pair))))


def is_naked(pair: Pair, quantities: Quantities) -> bool:
    """Tell whether more stands alone than is worth leaving."""
    return naked(pair, quantities) > pair.tolerance


def increase(pair: Pair, instrument_id: str) -> Decimal:
    """Return the base units by which the decision wants a leg to grow, past zero if it turns."""
    start, planned = pair.start.get(instrument_id, ZERO), pair.planned[instrument_id]
    closed = abs(start) if start * planned < 0 else ZERO
    return max(ZERO, abs(planned) - closed)


def completing(
    pair: Pair, quantities: Quantities, instruments: Mapping[str, Instrument]
) -> tuple[LegChange, ...]:
    """Return what brings the legs that are behind up to those ahead; empty = nothing can.

    The legs behind are followed only as far as the legs ahead were traded, so that a thin book
    for one side never makes the other one larger than its part.
    """
    now = exposure(quantities, pair.weights)
    behind: dict[str, Decimal] = {}
    ahead = whole = ZERO
    for name in sorted(pair.planned):
        planned, weight = pair.planned[name], pair.weights[name]
        done = quantities.get(name, ZERO) - pair.start.get(name, ZERO)
        left = planned - done
        if left * planned > 0 and left * weight * now < 0:
            behind[name] = left
            continue
        whole += abs(planned * weight)
        ahead += min(abs(done), abs(planned)) * abs(weight) if done * planned > 0 else ZERO
    first, last = _ends(pair)
    line = first + (last - first) * (ahead / whole if whole else ONE)
    room = sum((abs(q * pair.weights[name]) for name, q in behind.items()), ZERO)
    if not room:
        return ()
    fraction = min(ONE, abs(now - line) / room)
    changes: list[LegChange] = []
    for name, left in behind.items():
        held = quantities.get(name, ZERO)
        reduces = held * left < 0
        wanted = min(abs(left) * fraction, abs(held)) if reduces else abs(left) * fraction
        side = Side.BUY if left > 0 else Side.SELL
        changes += _change(pair, name, side, wanted, instruments, reduce_only=reduces)
    return tuple(changes)


def unwinding(
    pair: Pair, quantities: Quantities, instruments: Mapping[str, Instrument]
) -> tuple[LegChange, ...]:
    """Return the reductions that take the naked part off; empty = nothing held makes it.

    It is taken back to the nearer end of the plan: what the decision itself put on that side goes
    first, then the core, then its other legs.
    """
    now = exposure(quantities, pair.weights)
    left = min(abs(now - end) for end in _ends(pair))
    names = sorted({*pair.planned, pair.core_id} & pair.weights.keys())
    sides = [n for n in names if quantities.get(n, ZERO) * pair.weights[n] * now > 0]

    def grown(name: str) -> bool:
        moved = quantities.get(name, ZERO) - pair.start.get(name, ZERO)
        return moved * quantities[name] > 0

    changes: list[LegChange] = []
    for name in sorted(sides, key=lambda n: (not grown(n), n != pair.core_id, n)):
        if left <= 0:
            break
        held, weight = quantities[name], abs(pair.weights[name])
        part = min(abs(held) * weight, left)
        if grown(name):
            part = min(part, abs(held - pair.start.get(name, ZERO)) * weight)
        side = Side.SELL if held > 0 else Side.BUY
        found = _change(pair, name, side, part / weight, instruments, reduce_only=True)
        changes += found
        left -= sum((change.quantity * weight for change in found), ZERO)
    return tuple(changes)


def _ends(pair: Pair) -> tuple[Decimal, Decimal]:
    first = exposure(pair.start, pair.weights)
    return first, first + exposure(pair.planned, pair.weights)


def _change(
    pair: Pair,
    name: str,
    side: Side,
    wanted: Decimal,
    instruments: Mapping[str, Instrument],
    *,
    reduce_only: bool,
) -> list[LegChange]:
    instrument = instruments.get(name)
    if instrument is None:
        return []
    quantity = quantize_toward_zero(wanted, instrument.lot_size)
    if quantity <= 0 or quantity < instrument.quantity_min:
        return []
    return [
        LegChange(
            instrument_id=name,
            leg=LegRole.CORE if name == pair.core_id else LegRole.HEDGE,
            source=IntentSource.CYCLE,
            side=side,
            quantity=quantity,
            reduce_only=reduce_only,
        )
    ]
