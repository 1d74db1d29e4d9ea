"""Whether the book trades at all: one band for all legs (section 5.5)."""

from collections.abc import Mapping
from dataclasses import dataclass

from counterpoise.strategy import limits
from counterpoise.strategy.book import Book
from counterpoise.strategy.decision import DecisionInputs
from counterpoise.strategy.numbers import gross, net_beta
from counterpoise.strategy.reasons import Reason, ReasonCode, reason
from counterpoise.strategy.sizing import uncredited


@dataclass(frozen=True, slots=True, kw_only=True)
class Urgency:
    """What else demands a trade."""

    #: Legs that must go or whose profit is taken, sorted.
    demanded: tuple[str, ...]
    #: True = the regime rose in this cycle.
    regime_raised: bool
    #: Volatility of the core, annualised.
    volatility: float


def trade_reason(
    inputs: DecisionInputs, book: Book, wanted: Mapping[str, float], urgency: Urgency
) -> Reason:
    """Return why all legs trade, or BAND_NOT_REACHED.

    A gap of a leg of `leg_band` or of net beta of `net_beta_band` trades. Wanted core that fell by
    `downsize_wait` since the book last traded, and is that much below the held one, trades at once;
    a smaller downsizing waits, unless the held book breaks a limit, a leg must go, or the regime
    rose.
    """
    return _demand(inputs, book, wanted, urgency) or _band(inputs, book, wanted)


def band_reason(
    inputs: DecisionInputs, book: Book, wanted: Mapping[str, float], demanded: tuple[str, ...]
) -> Reason:
    """Return why all legs trade by the band or by `demanded` alone, or BAND_NOT_REACHED."""
    return _must_go(demanded) or _band(inputs, book, wanted)


def _demand(
    inputs: DecisionInputs, book: Book, wanted: Mapping[str, float], urgency: Urgency
) -> Reason | None:
    # What trades inside the band; None = nothing demands it.
    must_go = _must_go(urgency.demanded)
    if must_go is not None:
        return must_go
    broken = _broken_limit(inputs, book, urgency.volatility)
    if broken:
        return reason(ReasonCode.LIMIT_DEMANDS, f"The held book breaks {broken}.", limit=broken)
    raised = urgency.regime_raised and inputs.parameters.on("regime_demand")
    if raised and gross(wanted) < gross(book.legs):
        return reason(ReasonCode.REGIME_DEMANDS)
    return None


def _must_go(demanded: tuple[str, ...]) -> Reason | None:
    if not demanded:
        return None
    names = ", ".join(demanded)
    return reason(ReasonCode.LIMIT_DEMANDS, f"{names} must be reduced.", legs=names)


def _band(inputs: DecisionInputs, book: Book, wanted: Mapping[str, float]) -> Reason:
    parameters = inputs.parameters
    gaps = {name: wanted.get(name, 0.0) - book.held(name) for name in sorted({*wanted, *book.legs})}
    widest = max(gaps, key=lambda name: abs(gaps[name]))
    net = net_beta(gaps, book.betas)
    fall = _downsizing(inputs, book, wanted)
    if abs(gaps[widest]) >= (parameters.leg_band if parameters.on("trade_band") else 0.0):
        text = f"{widest} is {gaps[widest]:+.3f} of equity off its target."
        return reason(ReasonCode.BAND_LEG, text, leg=widest, gap=gaps[widest])
    if abs(net) >= parameters.net_beta_band:
        text = f"Net beta exposure is {net:+.3f} of equity off its target."
        return reason(ReasonCode.BAND_NET_BETA, text, gap=net)
    if fall >= parameters.downsize_wait:
        text = f"The rules want {fall:.3f} of equity less core."
        return reason(ReasonCode.DOWNSIZE, text, fall=fall)
    text = f"Widest gap {abs(gaps[widest]):.3f} of equity, net beta gap {abs(net):.3f}."
    return reason(ReasonCode.BAND_NOT_REACHED, text, gap=abs(gaps[widest]), net_beta=abs(net))


def _downsizing(inputs: DecisionInputs, book: Book, wanted: Mapping[str, float]) -> float:
    # Price drift moves the held core without any rule wanting less, so both are asked for: trading
    # every drift of 0.03 costs 2 to 10 % a year (strategy specification, section 9).
    core = inputs.parameters.core_instrument
    before, now = inputs.memory.core_fraction, abs(wanted.get(core, 0.0))
    if before is None or not inputs.parameters.on("downsizing"):
        return 0.0
    return min(before - now, abs(book.held(core)) - now)


def _broken_limit(inputs: DecisionInputs, book: Book, volatility: float) -> str:
    # Name of a limit the held book is beyond, by more than the slack; "" = none.
    parameters = inputs.parameters
    slack = 1.0 + parameters.limit_slack
    if parameters.on("leverage_soft") and gross(book.legs) > parameters.leverage_soft * slack:
        return "leverage_soft"
    if parameters.on("unhedged_limit"):
        net = limits.credited_net(book.legs, book.betas, uncredited(inputs, book.legs), parameters)
        if net > parameters.core_unhedged_max * slack:
            return "core_unhedged_max"
    if parameters.on("liquidation_distance") and _too_near(inputs, book, volatility):
        return "liquidation_distance"
    return ""


def _too_near(inputs: DecisionInputs, book: Book, volatility: float) -> bool:
    # The held book's liquidation is nearer than its limit, by more than the slack.
    parameters = inputs.parameters
    limit = limits.distance_limit(volatility, parameters)
    given = (book.legs, book.equity, inputs.market, inputs.signals, parameters)
    if limits.surely_distant(*given, limit):
        return False
    legs = limits.margin_legs(*given)
    if legs is None:
        return False
    return limits.liquidation_distance(legs, book.equity) * (1.0 + parameters.limit_slack) < limit
