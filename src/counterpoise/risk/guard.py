"""The guard between cycles: reduces at once when a trigger is crossed. Works in every state.

It acts on the best data there is (`marks_last`), and all it ever asks for is reduce-only. All legs
shrink by one factor, so the hedge ratio stays; only a vanished hedge cuts the core alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

from counterpoise.domain.instruments import Instrument
from counterpoise.domain.orders import IntentSource, LegChange, LegRole, Side
from counterpoise.domain.rounding import quantize_away_from_zero
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.risk.ceiling import LEVERAGE_MAX
from counterpoise.risk.leverage import gross_exposure, leverage, net_beta_exposure
from counterpoise.risk.liquidation import distance, factor_for_distance
from counterpoise.risk.view import RiskView

_ZERO: Final = Decimal(0)
_ONE: Final = Decimal(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardParameters:
    """When the guard acts and where it stops. Leverages are multiples of equity."""

    #: Gross / equity at and above which all legs are reduced.
    leverage_trigger: Decimal = Decimal("2.9")
    #: Gross / equity they are reduced to.
    leverage_target: Decimal = Decimal("2.6")
    #: abs(net beta exposure) / equity at and above which all legs are reduced.
    net_beta_trigger: Decimal = Decimal("2.0")
    #: What they are reduced to.
    net_beta_target: Decimal = Decimal("1.8")
    #: Core-equivalent move to liquidation, a fraction, below which all legs are reduced.
    distance_trigger: Decimal = Decimal("0.15")
    #: What they are reduced to.
    distance_target: Decimal = Decimal("0.20")
    #: Core less counted offset that may stand after a hedge vanished, multiples of equity.
    core_unhedged_max: Decimal = Decimal("1.0")
    #: Share of a hedge's offset that counts.
    hedge_credit_max: Decimal = Decimal("0.5")
    #: Fee and slippage of a reduction, bps of its notional.
    cost_bps: Decimal = Decimal(15)

    def __post_init__(self) -> None:
        _check("leverage_trigger", self.leverage_trigger, _ZERO, LEVERAGE_MAX)
        _check("leverage_target", self.leverage_target, _ZERO, self.leverage_trigger)
        _check("net_beta_trigger", self.net_beta_trigger, _ZERO, LEVERAGE_MAX)
        _check("net_beta_target", self.net_beta_target, _ZERO, self.net_beta_trigger)
        _check("distance_target", self.distance_target, _ZERO, _ONE)
        _check("distance_trigger", self.distance_trigger, _ZERO, self.distance_target)
        _check("core_unhedged_max", self.core_unhedged_max, _ZERO, LEVERAGE_MAX)
        _check("hedge_credit_max", self.hedge_credit_max, _ZERO, Decimal("0.5"))
        _check("cost_bps", self.cost_bps, _ZERO, Decimal(BPS_PER_ONE))


class GuardReason(StrEnum):
    """Why the guard acts, or why it cannot judge; the first that applies, in this order."""

    #: Equity is zero or less: everything is closed.
    EQUITY_NOT_POSITIVE = "EQUITY_NOT_POSITIVE"
    #: Leverage reached its trigger.
    LEVERAGE = "LEVERAGE"
    #: Net beta exposure reached its trigger.
    NET_BETA = "NET_BETA"
    #: Liquidation is too near.
    LIQUIDATION_DISTANCE = "LIQUIDATION_DISTANCE"
    #: A hedge vanished and the core stands too naked.
    UNHEDGED = "UNHEDGED"
    #: Equity is not known: leverage cannot be judged, nothing is triggered by it.
    EQUITY_UNKNOWN = "EQUITY_UNKNOWN"
    #: A held instrument never had a mark: leverage cannot be judged.
    MARK_UNKNOWN = "MARK_UNKNOWN"
    #: No trigger is crossed.
    WITHIN_LIMITS = "WITHIN_LIMITS"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardVerdict:
    """What the guard found and wants."""

    #: True = a trigger is crossed, even if reductions that already work are enough.
    triggered: bool
    #: Why.
    reason: GuardReason
    #: Gross / equity; None = infinite or unknown.
    leverage: Decimal | None
    #: Reductions still to be sent, core first; empty = none or enough is working.
    changes: tuple[LegChange, ...] = ()
    #: Notional above the target, cost included, before what is working is taken off; quote.
    excess: Decimal = _ZERO


def evaluate(
    view: RiskView, parameters: GuardParameters, working: Mapping[str, Decimal]
) -> GuardVerdict:
    """Judge the held book.

    `working` is the unsigned base units per instrument that sent reductions may still fill; they
    count against the excess, so that none is sent twice for the same one. A missing input skips
    the rule that needs it; unknown equity triggers nothing and says so.
    """
    gross = gross_exposure(view.quantities, view.marks_last)
    held = {name: quantity for name, quantity in view.quantities.items() if quantity != 0}
    if not held:
        flat = _ZERO if view.equity is not None and view.equity > 0 else None
        return GuardVerdict(triggered=False, reason=GuardReason.WITHIN_LIMITS, leverage=flat)
    if view.equity is not None and view.equity <= 0:
        return _closed(view, working, gross)
    if view.equity is None or gross is None:
        unknown = GuardReason.EQUITY_UNKNOWN if view.equity is None else GuardReason.MARK_UNKNOWN
        return GuardVerdict(triggered=False, reason=unknown, leverage=None)
    found = _excess(view, parameters, gross, view.equity)
    now = leverage(gross, view.equity)
    if found is None:
        return GuardVerdict(triggered=False, reason=GuardReason.WITHIN_LIMITS, leverage=now)
    reason, excess = found
    changes = _proportional(view, working, excess)
    return GuardVerdict(triggered=True, reason=reason, leverage=now, changes=changes, excess=excess)


def unhedged_cut(
    view: RiskView, parameters: GuardParameters, working: Mapping[str, Decimal]
) -> GuardVerdict:
    """Judge the core after a hedge leg vanished (ADL, liquidation) and cut it at once.

    The core x may stand while x <= core_unhedged_max x E + hedge_credit_max x min(offset, x), the
    offset being the hedges' beta exposure against the core. A hedge without beta or mark counts
    nothing. With equity zero or less nothing may stand. With equity unknown nothing is triggered,
    and the caller asks again once it is known.
    """
    core = view.quantities.get(view.core_id, _ZERO)
    mark = view.marks_last.get(view.core_id)
    gross = gross_exposure(view.quantities, view.marks_last)
    now = leverage(gross, view.equity)
    calm = GuardVerdict(triggered=False, reason=GuardReason.WITHIN_LIMITS, leverage=now)
    if core == 0:
        return calm
    if view.equity is None:
        return GuardVerdict(triggered=False, reason=GuardReason.EQUITY_UNKNOWN, leverage=now)
    if mark is None:
        return GuardVerdict(triggered=False, reason=GuardReason.MARK_UNKNOWN, leverage=now)
    exposure = abs(core) * mark
    naked = parameters.core_unhedged_max * max(view.equity, _ZERO)
    counted = min(_offset(view, core), naked / (_ONE - parameters.hedge_credit_max))
    allowed = naked + parameters.hedge_credit_max * counted
    if exposure <= allowed:
        return calm
    excess = _with_cost(exposure, allowed, parameters.core_unhedged_max, parameters)
    left = excess - working.get(view.core_id, _ZERO) * mark
    changes: tuple[LegChange, ...] = ()
    if left > 0:
        changes = _changes(view, {view.core_id: left / mark}, working)
    return GuardVerdict(
        triggered=True, reason=GuardReason.UNHEDGED, leverage=now, changes=changes, excess=excess
    )


def _excess(
    view: RiskView, parameters: GuardParameters, gross: Decimal, equity: Decimal
) -> tuple[GuardReason, Decimal] | None:
    # The first trigger names the reason; the largest excess of all of them is reduced.
    found: list[tuple[GuardReason, Decimal]] = []
    if gross >= parameters.leverage_trigger * equity:
        target = parameters.leverage_target
        excess = _with_cost(gross, target * equity, target, parameters)
        found.append((GuardReason.LEVERAGE, excess))
    net = net_beta_exposure(view)
    if net is not None and abs(net) >= parameters.net_beta_trigger * equity:
        target = parameters.net_beta_target
        # The factor x of all legs solves |B| (1 - x) = T (E - f G x).
        cost = target * parameters.cost_bps / BPS_PER_ONE * gross
        over, slope = abs(net) - target * equity, abs(net) - cost
        found.append((GuardReason.NET_BETA, gross * over / slope if slope > 0 else gross))
    away = distance(view, view.quantities)
    if away is not None and away < parameters.distance_trigger:
        factor = factor_for_distance(view, view.quantities, parameters.distance_target)
        assert factor is not None, "the distance was known"
        found.append((GuardReason.LIQUIDATION_DISTANCE, gross * (_ONE - factor)))
    if not found:
        return None
    return found[0][0], min(max(excess for _, excess in found), gross)


def _with_cost(
    exposure: Decimal, allowed: Decimal, target: Decimal, parameters: GuardParameters
) -> Decimal:
    # q = (G - T E) / (1 - T f): the reduction pays its own cost out of equity (venues.md 1.1).
    left = _ONE - target * parameters.cost_bps / BPS_PER_ONE
    if left <= 0:
        return exposure
    return min((exposure - allowed) / left, exposure)


def _offset(view: RiskView, core: Decimal) -> Decimal:
    # Beta exposure of the hedges against the core, quote, never negative.
    total = _ZERO
    for instrument_id in sorted(view.quantities):
        mark, beta = view.marks_last.get(instrument_id), view.beta(instrument_id)
        if instrument_id == view.core_id or mark is None or beta is None:
            continue
        total += view.quantities[instrument_id] * mark * beta
    return max(-total if core > 0 else total, _ZERO)


def _closed(view: RiskView, working: Mapping[str, Decimal], gross: Decimal | None) -> GuardVerdict:
    whole = {
        name: abs(quantity) - working.get(name, _ZERO) for name, quantity in view.quantities.items()
    }
    return GuardVerdict(
        triggered=True,
        reason=GuardReason.EQUITY_NOT_POSITIVE,
        leverage=None,
        changes=_changes(view, whole, working),
        excess=gross if gross is not None else _ZERO,
    )


def _proportional(
    view: RiskView, working: Mapping[str, Decimal], excess: Decimal
) -> tuple[LegChange, ...]:
    # What works already is taken off the excess and off the legs; the rest is one factor of them.
    left: dict[str, Decimal] = {}
    standing = _ZERO
    for name in sorted(view.quantities):
        if not _is_traded(view, name):
            # It counts in the excess, which the daemon's own legs then pay for.
            continue
        held = abs(view.quantities[name])
        flying = min(working.get(name, _ZERO), held)
        excess -= flying * view.marks_last.get(name, _ZERO)
        left[name] = held - flying
        standing += left[name] * view.marks_last.get(name, _ZERO)
    if excess <= 0 or standing <= 0:
        return ()
    factor = min(excess / standing, _ONE)
    return _changes(view, {name: held * factor for name, held in left.items()}, working)


def _changes(
    view: RiskView, wanted: Mapping[str, Decimal], working: Mapping[str, Decimal]
) -> tuple[LegChange, ...]:
    # Core first; each quantity up to the next lot and minimum, never beyond what is held and not
    # working already, nor beyond what one order may carry: the next evaluation asks for the rest.
    changes: list[LegChange] = []
    for name in sorted(wanted, key=lambda item: (item != view.core_id, item)):
        held = view.quantities.get(name, _ZERO)
        room = abs(held) - working.get(name, _ZERO)
        if wanted[name] <= 0 or room <= 0 or not _is_traded(view, name):
            continue
        instrument = view.instruments[name]
        rounded = quantize_away_from_zero(wanted[name], instrument.lot_size)
        quantity = min(max(rounded, instrument.quantity_min), _quantity_max(instrument, room))
        changes.append(
            LegChange(
                instrument_id=name,
                leg=LegRole.CORE if name == view.core_id else LegRole.HEDGE,
                source=IntentSource.GUARD,
                side=Side.SELL if held > 0 else Side.BUY,
                quantity=min(quantity, room),
                reduce_only=True,
            )
        )
    return tuple(changes)


def _is_traded(view: RiskView, name: str) -> bool:
    # What is somebody else's, or is not followed and has no rules known, is nobody's to trade here.
    return name in view.instruments and name not in view.unmanaged


def _quantity_max(instrument: Instrument, room: Decimal) -> Decimal:
    limits = (instrument.market_quantity_max, instrument.limit_quantity_max)
    return min((limit for limit in limits if limit is not None), default=room)


def _check(name: str, value: Decimal, low: Decimal, high: Decimal) -> None:
    if not value.is_finite() or not low <= value <= high:
        raise ValueError(f"{name}={value}: allowed is {low} to {high}")
