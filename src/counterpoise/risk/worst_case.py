"""Leverage after everything that can go against us has filled, and nothing that helps has."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from counterpoise.domain.account import OpenOrder
from counterpoise.domain.orders import OrderState, Side
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.risk.view import RiskView


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

    Reduce-only orders are taken as never filling. Per instrument any subset of the others may
    fill: the position is the largest of held, held + all buys and held - all sells. An order in
    state UNKNOWN counts with its full quantity. None if equity or a fresh mark is missing.
    """
    if view.equity is None:
        return None
    buys: dict[str, Decimal] = {}
    sells: dict[str, Decimal] = {}
    cost = Decimal(0)
    for order in orders:
        if order.reduce_only:
            continue
        mark = view.marks.get(order.instrument_id)
        if mark is None:
            return None
        quantity = may_fill(order)
        book = buys if order.side is Side.BUY else sells
        book[order.instrument_id] = book.get(order.instrument_id, Decimal(0)) + quantity
        cost += quantity * _cost_per_unit(order, mark, view)
    gross = Decimal(0)
    largest: dict[str, Decimal] = {}
    for instrument_id in sorted({*view.quantities, *buys, *sells}):
        held = view.quantities.get(instrument_id, Decimal(0))
        up = held + buys.get(instrument_id, Decimal(0))
        down = held - sells.get(instrument_id, Decimal(0))
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


def _cost_per_unit(order: OpenOrder, mark: Decimal, view: RiskView) -> Decimal:
    # Quote lost per base unit against the mark: slippage to the limit (or the cap) and the fee,
    # which a rebate never turns into a gain.
    if order.price_limit is None:
        slip = mark * view.slippage_bps / BPS_PER_ONE
    else:
        slip = max((order.price_limit - mark) * order.side.sign, Decimal(0))
    fee = max(view.taker_fee_bps, Decimal(0)) / BPS_PER_ONE
    return slip + (mark + slip) * fee
