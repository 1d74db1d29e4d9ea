"""Carries orders out on the path of prices, with costs, as the daemon sends them.

An order is a limit inside its slippage cap and fills at the path's price `latency` after it is
sent, plus its cost (`lab.costs`). What the limit does not cover is not filled and tried again, as
`engine.working` does: increases three times within their cap, reductions with a cap that doubles.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import ApprovedOrder, IntentSource, LegChange, OrderIntent
from counterpoise.domain.rounding import (
    decimal_from_float,
    float_from_decimal,
    quantize_down,
)
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.engine import pricing
from counterpoise.engine.plan import MISSES_MAX, LegProgress, Plan, enter_phase, make_plan
from counterpoise.lab.account import LabAccount
from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.result import LabFill
from counterpoise.lab.tape import Tape
from counterpoise.market.view import InstrumentView
from counterpoise.risk import gate
from counterpoise.risk.denials import Denial
from counterpoise.risk.view import RiskView

_ONE: Final = Decimal(1)


@dataclass(slots=True)
class Place:
    """A moment on the path: between a point and the next."""

    point: int
    fraction: float
    time_ns: int


class Desk:
    """Sends a plan's orders and books their fills."""

    def __init__(self, tape: Tape, account: LabAccount, assumptions: Assumptions) -> None:
        #: Nothing fills later than here: the next decision must not know of it.
        self.last_point = len(tape.path.points) - 1
        self._tape = tape
        self._account = account
        self._assumptions = assumptions
        self._columns = {name: column for column, name in enumerate(tape.instrument_ids)}
        self._lots = {each.instrument_id: each.lot_size for each in tape.instruments}

    def carry_out(
        self,
        decision_id: str,
        source: IntentSource,
        changes: tuple[LegChange, ...],
        views: dict[str, InstrumentView],
        risk_view: Callable[[], RiskView],
        place: Place,
    ) -> tuple[list[LabFill], list[str]]:
        """Trade `changes` in their order from `place` on; return the fills and what was not.

        `views` are the markets the orders are priced by; `risk_view` gives the account as it is
        when an order is sent, for the gate. `place` is moved on by the latency of every phase.
        """
        plan = make_plan(decision_id, source, changes, place.time_ns)
        fills: list[LabFill] = []
        while not plan.done:
            self._later(place)
            for leg in plan.phases[plan.phase]:
                fills += self._send(plan, leg, views, risk_view, place)
            plan.phase += 1
            if not plan.done:
                # Without betas the second phase follows the first one's least filled leg.
                enter_phase(plan, self._lots, {})
        return fills, plan.notes

    def price(self, instrument_id: str, place: Place) -> float:
        """Return the path's price, quote per base."""
        prices = self._tape.path.prices(place.point, place.fraction)
        return float(prices[self._columns[instrument_id]])

    def _later(self, place: Place) -> None:
        point, fraction = self._tape.path.later(
            place.point, place.fraction, self._assumptions.latency_ms
        )
        if point >= self.last_point:
            point, fraction = self.last_point, 0.0
        place.point, place.fraction = point, fraction
        place.time_ns += self._assumptions.latency_ms * 1_000_000

    def _send(
        self,
        plan: Plan,
        leg: LegProgress,
        views: dict[str, InstrumentView],
        risk_view: Callable[[], RiskView],
        place: Place,
    ) -> list[LabFill]:
        fills: list[LabFill] = []
        name = leg.change.instrument_id
        while not leg.closed and leg.orders < MISSES_MAX:
            if leg.remaining < views[name].instrument.lot_size:
                break
            intent = self._intent(plan, leg, views[name])
            leg.orders += 1
            approved = self._approve(intent, risk_view())
            if not isinstance(approved, ApprovedOrder):
                leg.closed = True
                why = "nothing left to reduce" if approved is None else approved.reason.value
                plan.note(f"{name}: {why}")
                break
            fill = self._fill(approved, place)
            if fill is not None:
                leg.filled += abs(fill.quantity)
                fills.append(fill)
        if leg.remaining >= views[name].instrument.lot_size and not leg.closed:
            plan.note(f"{name}: {leg.remaining} not filled within the limit")
        return fills

    def _intent(self, plan: Plan, leg: LegProgress, view: InstrumentView) -> OrderIntent:
        cap_bps = self._assumptions.slippage_bps_increase
        if leg.change.reduce_only:
            cap_bps = self._assumptions.slippage_bps_reduction * Decimal(2**leg.orders)
        intent = pricing.make_intent(
            leg.change,
            view,
            account_id="lab",
            decision_id=plan.decision_id,
            attempt=leg.orders,
            cap_bps=cap_bps,
            now_ns=plan.started_ns,
        )
        return (
            intent if intent.quantity == leg.remaining else pricing.resized(intent, leg.remaining)
        )

    def _approve(self, intent: OrderIntent, view: RiskView) -> ApprovedOrder | Denial | None:
        if intent.reduce_only:
            return gate.approve_reduction(intent, view)
        return gate.approve_increase(intent, view)

    def _fill(self, approved: ApprovedOrder, place: Place) -> LabFill | None:
        intent = approved.intent
        column = self._columns[intent.instrument_id]
        row = self._tape.path.row(place.point)
        if self._tape.costs.closed[row, column]:
            return None
        price = self.price(intent.instrument_id, place)
        quantity = self._within_limit(intent, approved.quantity, price, row, column)
        if quantity <= 0:
            return None
        notional = float_from_decimal(quantity) * price
        cost_bps = self._tape.costs.cost_bps(row, column, notional)
        reference = decimal_from_float(price)
        paid = reference * (_ONE + intent.side.sign * decimal_from_float(cost_bps) / BPS_PER_ONE)
        if intent.price_limit is not None:
            # What was let through lies within the limit but for the last digits.
            better = min if intent.side.sign > 0 else max
            paid = better(paid, intent.price_limit)
        fee = quantity * paid * self._assumptions.taker_fee_bps / BPS_PER_ONE
        signed = quantity * intent.side.sign
        realised = self._account.trade(
            intent.instrument_id, signed, paid, fee, reference, place.time_ns
        )
        return LabFill(
            time_ns=place.time_ns,
            instrument_id=intent.instrument_id,
            leg=intent.leg.value,
            source=intent.source.value,
            quantity=signed,
            price=paid,
            reference=reference,
            fee=fee,
            realised_pnl=realised,
        )

    def _within_limit(
        self, intent: OrderIntent, quantity: Decimal, price: float, row: int, column: int
    ) -> Decimal:
        # The part whose average cost stays inside the limit, base units on the lot grid.
        if intent.price_limit is None:
            return quantity
        limit = float_from_decimal(intent.price_limit)
        allowed_bps = (limit / price - 1.0) * intent.side.sign * BPS_PER_ONE
        costs = self._tape.costs
        over_bps = allowed_bps - float(costs.spread_bps[row, column])
        impact = float(costs.impact_bps[row, column])
        if over_bps < 0.0:
            return Decimal(0)
        if costs.cost_bps(row, column, float_from_decimal(quantity) * price) <= allowed_bps:
            return quantity
        most = (over_bps / impact) ** 2 / price
        return min(quantity, quantize_down(decimal_from_float(most), self._lot(column)))

    def _lot(self, column: int) -> Decimal:
        return self._tape.instruments[column].lot_size


def at_price(view: InstrumentView, mark: Decimal) -> InstrumentView:
    """Return a market at another mark, whose book is not known then."""
    return replace(view, mark=mark, bid=None, ask=None)
