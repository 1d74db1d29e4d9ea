"""One position: flat, what closing a part of it realises, and what a fill makes of it."""

from decimal import Decimal
from typing import Final

from counterpoise.domain.account import Position
from counterpoise.domain.orders import Fill
from counterpoise.engine.execution_sum import trade_sequence

ZERO: Final = Decimal(0)


def flat(instrument_id: str, *, event_ns: int = 0) -> Position:
    """Return a flat position."""
    return Position(instrument_id=instrument_id, quantity=ZERO, entry_price=None, event_ns=event_ns)


def realised_pnl(position: Position, fill: Fill) -> Decimal:
    """Return the PnL that closing against the average entry realises, quote; fees not counted."""
    closes = position.quantity * fill.side.sign < 0
    if not closes or position.entry_price is None:
        return ZERO
    closed = min(abs(position.quantity), fill.quantity)
    direction = 1 if position.quantity > 0 else -1
    return closed * (fill.price - position.entry_price) * direction


def after_fill(position: Position, fill: Fill) -> Position:
    """Return the position after a fill: averaged when growing, entry kept when shrinking."""
    quantity = position.quantity + fill.signed_quantity
    grows = position.quantity * fill.side.sign >= 0
    if quantity == 0:
        entry = None
    elif grows:
        before = abs(position.quantity) * (position.entry_price or ZERO)
        entry = (before + fill.quantity * fill.price) / abs(quantity)
    elif position.quantity * quantity > 0:
        entry = position.entry_price
    else:
        entry = fill.price
    return Position(
        instrument_id=position.instrument_id,
        quantity=quantity,
        entry_price=entry,
        event_ns=max(fill.event_ns, position.event_ns),
        trade_sequence=max(
            (n for n in (trade_sequence(fill), position.trade_sequence) if n is not None),
            default=None,
        ),
        adl_rank=position.adl_rank,
    )
