"""Leverage after everything that can go against us has filled, and nothing that helps has."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.risk.view import RiskView

# No base units, no quote.
_NOTHING: Final = (Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorstCase:
    """The account at mark after every increase filled at its worst allowed price."""

    #: Gross exposure, quote.
    gross: Decimal
    #: Equity less fees and slippage of the fills, quote.
    equity: Decimal
    #: Largest possible position per instrument, unsigned base units.
    quantities: dict[str, Decimal]

    @property
    def leverage(self) -> Decimal | None:
        """Gross / equity; None = infinite."""
        return self.gross / self.equity if self.equity > 0 else None


def worst_case(view: RiskView, orders: Sequence[OpenOrder]) -> WorstCase | None:
    """Return the account after `orders` filled as badly as they can.

    Per instrument any subset of the orders may fill, in any order. Reductions are taken as never
    filling where that is worse, and as filling first where that is: whatever is held against an
    increase may be gone before it fills, since a reduction is never denied. So the position is
    the largest of held, long and all buys, and short and all sells. An order in state UNKNOWN
    counts with its full quantity. None if equity or a fresh mark is missing.
    """
    if view.equity is None:
        return None
    fills = _may_fill_by_side(view, [order for order in orders if not order.reduce_only])
    if fills is None:
        return None
    beside = [o for o in orders if o.reduce_only and (o.instrument_id, o.side) in fills]
    freeing = _may_fill_by_side(view, beside)
    assert freeing is not None, "the increases beside them have marks"
    cost = sum((lost for _, lost in (*fills.values(), *freeing.values())), Decimal(0))
    gross = Decimal(0)
    largest: dict[str, Decimal] = {}
    for instrument_id in sorted({*view.quantities, *(name for name, _ in fills)}):
        held = view.quantities.get(instrument_id, Decimal(0))
        bought, _ = fills.get((instrument_id, Side.BUY), _NOTHING)
        sold, _ = fills.get((instrument_id, Side.SELL), _NOTHING)
        up = max(held, Decimal(0)) + bought
        down = min(held, Decimal(0)) - sold
        position = max(abs(held), abs(up), abs(down))
        if position == 0:
            continue
        mark = view.marks.get(instrument_id)
        if mark is None:
            return None
        largest[instrument_id] = position
        gross += position * mark
    return WorstCase(gross=gross, equity=view.equity - cost, quantities=largest)


def may_fill(order: OpenOrder) -> Decimal:
    """Return the base units an order may still fill; all of them while its fate is unknown."""
    return order.quantity if order.state is OrderState.UNKNOWN else order.remaining


def _may_fill_by_side(
    view: RiskView, orders: Sequence[OpenOrder]
) -> dict[tuple[str, Side], tuple[Decimal, Decimal]] | None:
    # (Base units, quote they cost) by instrument and side; None = a fresh mark is missing.
    found: dict[tuple[str, Side], tuple[Decimal, Decimal]] = {}
    for order in orders:
        mark = view.marks.get(order.instrument_id)
        if mark is None:
            return None
        key = (order.instrument_id, order.side)
        quantity, cost = found.get(key, _NOTHING)
        more = may_fill(order)
        found[key] = (quantity + more, cost + more * _cost_per_unit(order, mark, view))
    return found


def _cost_per_unit(order: OpenOrder, mark: Decimal, view: RiskView) -> Decimal:
    # Quote lost per base unit against the mark: slippage to the limit (or the cap) and the fee,
    # which a rebate never turns into a gain.
    if order.price_limit is None:
        slip = mark * view.slippage_bps / BPS_PER_ONE
    else:
        slip = max((order.price_limit - mark) * order.side.sign, Decimal(0))
    fee = max(view.taker_fee_bps, Decimal(0)) / BPS_PER_ONE
    return slip + (mark + slip) * fee
