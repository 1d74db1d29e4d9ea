"""The gate: the only place that stamps an order as approved.

An increase is approved whole or denied, never cut: a smaller hedge than the strategy asked for
would be a different decision. A reduction is capped to the position and never denied.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal

from counterpoise.domain.account import OpenOrder, TradingState
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.orders import ApprovedOrder, OrderIntent, OrderKind, OrderState
from counterpoise.domain.units import BPS_PER_ONE, NS_PER_MS
from counterpoise.risk.ceiling import LEVERAGE_MAX
from counterpoise.risk.denials import MEANINGS, Denial, DenialReason
from counterpoise.risk.view import ACCOUNT, RiskView
from counterpoise.risk.worst_case import WorstCase, worst_case


def approve_increase(intent: OrderIntent, view: RiskView) -> ApprovedOrder | Denial:
    """Approve an order that may grow exposure, or say why not (`DenialReason` in its order).

    Approved only if worst-case leverage stays at or under the ceiling: every open, in-flight and
    unknown increase and this one filled at its limit with fees, and reductions only where that is
    worse. Raises AssertionError for a reduce-only intent, which is our bug.
    """
    after = _judged(intent, view)
    if isinstance(after, Denial):
        return after
    return _approved(intent, intent.quantity, view, after.leverage)


def approve_reduction(intent: OrderIntent, view: RiskView) -> ApprovedOrder | None:
    """Approve a reduce-only order, capped to the position.

    None = there is nothing to reduce: the instrument is flat or the order is on the position's own
    side. Never denied for anything missing. `leverage_worst` is None where it is not computable.
    """
    assert intent.reduce_only, "only a reduce-only intent is a reduction"
    held = view.quantities.get(intent.instrument_id, Decimal(0))
    if held * intent.side.sign >= 0:
        return None
    now = worst_case(view, view.open_orders)
    leverage_worst = now.leverage if now is not None else None
    return _approved(intent, min(intent.quantity, abs(held)), view, leverage_worst)


def review(
    intents: Sequence[OrderIntent], view: RiskView
) -> tuple[ApprovedOrder | Denial | None, ...]:
    """Judge intents in order; the answer at each place belongs to the intent at that place.

    Each approved increase counts as in flight for those after it; each approved reduction leaves
    less of the position for the next reduction, and helps no increase.
    """
    answers: list[ApprovedOrder | Denial | None] = []
    for_increases = view
    for_reductions = view
    for intent in intents:
        if intent.reduce_only:
            approved = approve_reduction(intent, for_reductions)
            answers.append(approved)
            if approved is not None:
                for_reductions = _after_reduction(for_reductions, approved)
            continue
        answer = approve_increase(intent, for_increases)
        answers.append(answer)
        if isinstance(answer, ApprovedOrder):
            flying = as_open_order(intent, answer.quantity)
            for_increases = replace(for_increases, open_orders=(*for_increases.open_orders, flying))
    return tuple(answers)


def denied_together(
    intents: Sequence[OrderIntent], view: RiskView
) -> tuple[OrderIntent, Denial] | None:
    """Return the first of increases that would be denied if all of them were sent, and why.

    None = every one could be approved with those before it in flight. Nothing is approved here:
    each is asked for by itself when it is sent. They are judged whole: what is more than one order
    may carry goes out in several.
    """
    whole = in_parts(view)
    for intent in intents:
        answer = _judged(intent, whole)
        if isinstance(answer, Denial):
            return intent, answer
        flying = as_open_order(intent, intent.quantity)
        whole = replace(whole, open_orders=(*whole.open_orders, flying))
    return None


def in_parts(view: RiskView) -> RiskView:
    """Return the view without the limits of one order, for what goes out in several."""
    instruments = {
        name: replace(rules, market_quantity_max=None, limit_quantity_max=None)
        for name, rules in view.instruments.items()
    }
    return replace(view, instruments=instruments)


def as_open_order(intent: OrderIntent, quantity: Decimal) -> OpenOrder:
    """Return an intent as the open order it becomes, for counting it before it is sent."""
    return OpenOrder(
        client_order_id=intent.client_order_id,
        venue_order_id=None,
        instrument_id=intent.instrument_id,
        side=intent.side,
        quantity=quantity,
        filled_quantity=Decimal(0),
        price_limit=intent.price_limit,
        reduce_only=intent.reduce_only,
        state=OrderState.JOURNALED,
    )


def _judged(intent: OrderIntent, view: RiskView) -> WorstCase | Denial:
    # The account after an increase at its worst, or why it may not be.
    assert intent.increases, "a reduce-only intent goes through approve_reduction"
    for denial in _refusals(intent, view):
        return denial
    after = worst_case(view, (*view.open_orders, as_open_order(intent, intent.quantity)))
    assert after is not None, "the refusals above cover every missing input"
    instrument = view.instruments[intent.instrument_id]
    return _tier_refusal(instrument, after, view) or _leverage_refusal(after, view) or after


def _approved(
    intent: OrderIntent, quantity: Decimal, view: RiskView, leverage_worst: Decimal | None
) -> ApprovedOrder:
    return ApprovedOrder(
        intent=intent,
        quantity=quantity,
        leverage_worst=leverage_worst,
        approved_ns=view.now_ns,
        expires_ns=view.now_ns + view.approval_ms * NS_PER_MS,
    )


def _after_reduction(view: RiskView, approved: ApprovedOrder) -> RiskView:
    instrument_id = approved.intent.instrument_id
    left = view.quantities[instrument_id] + approved.quantity * approved.intent.side.sign
    return replace(view, quantities={**view.quantities, instrument_id: left})


def _refusals(intent: OrderIntent, view: RiskView) -> Iterator[Denial]:
    # In the order of DenialReason; the caller takes the first.
    yield from _standing_refusals(view)
    yield from _account_refusals(view)
    yield from _feed_refusals(view)
    instrument = view.instruments.get(intent.instrument_id)
    if instrument is None:
        yield _denial(DenialReason.INSTRUMENT_UNKNOWN, instrument_id=intent.instrument_id)
    else:
        yield from _instrument_refusals(instrument, view)
        yield from _order_refusals(intent, instrument, view.marks[intent.instrument_id], view)


def _standing_refusals(view: RiskView) -> Iterator[Denial]:
    if not view.lease_held:
        yield _denial(DenialReason.LEASE_NOT_HELD)
    if not view.ledger_available:
        yield _denial(DenialReason.LEDGER_UNAVAILABLE)
    if view.trading_state is TradingState.HALTED:
        yield _denial(DenialReason.TRADING_HALTED)
    if view.trading_state is TradingState.REDUCING:
        yield _denial(DenialReason.TRADING_REDUCING)
    top = view.leverage_ceiling
    if not top.is_finite() or not 0 < top <= LEVERAGE_MAX:
        yield _denial(DenialReason.CEILING_INVALID, leverage_ceiling=top)


def _account_refusals(view: RiskView) -> Iterator[Denial]:
    if view.missing.get(ACCOUNT):
        codes = ",".join(view.missing[ACCOUNT])
        yield _denial(DenialReason.ACCOUNT_DATA_MISSING, missing=codes)
    contradiction = _contradiction(view)
    if contradiction:
        yield _denial(DenialReason.ACCOUNT_CONTRADICTORY, contradiction=contradiction)
    if view.equity is None:
        yield _denial(DenialReason.EQUITY_UNKNOWN)
    elif view.equity <= 0:
        yield _denial(DenialReason.EQUITY_NOT_POSITIVE, equity=view.equity)


def _contradiction(view: RiskView) -> str:
    # "" = none found.
    if view.equity is not None and not view.equity.is_finite():
        return f"equity is {view.equity}"
    for instrument_id in sorted(view.marks):
        mark = view.marks[instrument_id]
        if not mark.is_finite() or mark <= 0:
            return f"{instrument_id} mark is {mark}"
    for instrument_id in sorted(view.quantities):
        if not view.quantities[instrument_id].is_finite():
            return f"{instrument_id} position is {view.quantities[instrument_id]}"
    for order in view.open_orders:
        finite = order.filled_quantity.is_finite() and order.quantity.is_finite()
        if not finite or not 0 <= order.filled_quantity <= order.quantity:
            return f"{order.instrument_id} order filled {order.filled_quantity}/{order.quantity}"
    return ""


def _feed_refusals(view: RiskView) -> Iterator[Denial]:
    offset, latency = view.clock_offset_ms, view.latency_ms_p99
    limit = view.limits.clock_offset_ms_max
    if offset is None or not math.isfinite(offset) or abs(offset) > limit:
        yield _denial(DenialReason.CLOCK_OFFSET, clock_offset_ms=offset, limit_ms=limit)
    limit = view.limits.latency_ms_max
    if latency is None or not math.isfinite(latency) or latency > limit:
        yield _denial(DenialReason.FEED_LATENCY, latency_ms_p99=latency, limit_ms=limit)


def _instrument_refusals(instrument: Instrument, view: RiskView) -> Iterator[Denial]:
    name = instrument.instrument_id
    if instrument.state is not InstrumentState.LIVE:
        state = instrument.state.value
        yield _denial(DenialReason.INSTRUMENT_NOT_LIVE, instrument_id=name, state=state)
    if not instrument.tiers:
        yield _denial(DenialReason.MARGIN_TIERS_UNKNOWN, instrument_id=name)
    if view.missing.get(name):
        codes = ",".join(view.missing[name])
        yield _denial(DenialReason.INSTRUMENT_DATA_MISSING, instrument_id=name, missing=codes)
    if name not in view.marks:
        yield _denial(DenialReason.MARK_MISSING, instrument_id=name)
    held = {other for other, quantity in view.quantities.items() if quantity != 0}
    ordered = {order.instrument_id for order in view.open_orders if not order.reduce_only}
    for other in sorted((held | ordered) - set(view.marks)):
        yield _denial(DenialReason.HELD_MARK_MISSING, instrument_id=other)
    if name in view.unresolved:
        yield _denial(DenialReason.ORDER_UNRESOLVED, instrument_id=name)


def _order_refusals(
    intent: OrderIntent, instrument: Instrument, mark: Decimal, view: RiskView
) -> Iterator[Denial]:
    quantity, lot = intent.quantity, instrument.lot_size
    if quantity % lot != 0:
        yield _denial(DenialReason.QUANTITY_OFF_GRID, quantity=quantity, lot_size=lot)
    if quantity < instrument.quantity_min:
        low = instrument.quantity_min
        yield _denial(DenialReason.QUANTITY_TOO_SMALL, quantity=quantity, quantity_min=low)
    market = intent.kind is OrderKind.MARKET
    high = instrument.market_quantity_max if market else instrument.limit_quantity_max
    if high is not None and quantity > high:
        yield _denial(DenialReason.QUANTITY_TOO_LARGE, quantity=quantity, quantity_max=high)
    # The venue may take either the limit or the mark for its minimum, so the lower one counts.
    limit = intent.price_limit
    notional = quantity * (mark if limit is None else min(mark, limit))
    if instrument.notional_min is not None and notional < instrument.notional_min:
        least = instrument.notional_min
        yield _denial(DenialReason.NOTIONAL_TOO_SMALL, notional=notional, notional_min=least)
    if limit is None:
        return
    if limit <= 0 or limit % instrument.tick_size != 0:
        tick = instrument.tick_size
        yield _denial(DenialReason.PRICE_OFF_GRID, price_limit=limit, tick_size=tick)
    cap = mark * view.limits.slippage_bps_max / BPS_PER_ONE
    if (limit - mark) * intent.side.sign > cap:
        yield _denial(DenialReason.PRICE_TOO_FAR, price_limit=limit, mark=mark, cap=cap)


def _tier_refusal(instrument: Instrument, after: WorstCase, view: RiskView) -> Denial | None:
    name = instrument.instrument_id
    last = instrument.tiers[-1].notional_max
    notional = after.quantities[name] * view.marks[name]
    if last is None or notional <= last:
        return None
    return _denial(DenialReason.MARGIN_TIER_EXCEEDED, notional=notional, notional_max=last)


def _leverage_refusal(after: WorstCase, view: RiskView) -> Denial | None:
    # Compared as a product: a quotient rounded to 28 digits could pass by its last digit.
    if after.equity > 0 and after.gross <= view.leverage_ceiling * after.equity:
        return None
    return _denial(
        DenialReason.LEVERAGE_EXCEEDED,
        gross=after.gross,
        equity=after.equity,
        leverage_worst="infinite" if after.leverage is None else after.leverage,
        leverage_ceiling=view.leverage_ceiling,
    )


def _denial(reason: DenialReason, **figures: Decimal | float | str | None) -> Denial:
    texts = {name: _text(figures[name]) for name in sorted(figures)}
    said = " ".join(f"{name}={value}" for name, value in texts.items())
    return Denial(reason=reason, message=f"{MEANINGS[reason]} {said}".rstrip(), figures=texts)


def _text(value: Decimal | float | str | None) -> str:
    return "unknown" if value is None else str(value)
