"""What the chosen instruments need: the capital their smallest orders ask for, and fees."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.app import parameters
from counterpoise.app.doctor import findings
from counterpoise.app.doctor.findings import Finding
from counterpoise.app.settings import Settings
from counterpoise.domain.instruments import Instrument
from counterpoise.domain.rounding import decimal_from_float
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.strategy.parameters import StrategyParameters

#: Notional traded in a month as a multiple of equity, if nothing is planned: what the strategy
#: did with its defaults in the laboratory at most (docs/strategy.md: 54 times a year).
TURNOVER_MONTH: Final = Decimal("4.5")
#: Fees above this are a warning, bps of equity a month.
FEES_BPS_MONTH_WARN: Final = Decimal(100)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is planned to be held and traded."""

    #: Quote.
    equity: Decimal
    #: Notional traded in a month / equity.
    turnover_month: Decimal
    #: Charged on a fill, bps of notional.
    taker_fee_bps: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What one leg asks for."""

    instrument_id: str
    #: Notional of the smallest order the venue takes, quote.
    order_min: Decimal
    #: Planned notional at full scale / equity.
    share: Decimal
    #: ... at the scale of a first entry.
    share_entry: Decimal

    @property
    def capital_min(self) -> Decimal:
        """Equity with which the leg can be held at full scale, quote."""
        return self.order_min / self.share

    @property
    def capital_min_entry(self) -> Decimal:
        """Equity with which it can be entered at once, quote."""
        return self.order_min / self.share_entry


def needs(
    settings: Settings, rules: Mapping[str, Instrument], marks: Mapping[str, Decimal]
) -> list[Need]:
    """Return each leg's need, the core first; instruments without a mark are left out.

    A hedge leg is planned at an equal share of the largest offset the strategy may have.
    """
    strategy = parameters.strategy_parameters(settings)
    core = decimal_from_float(strategy.core_allocation * strategy.core_leverage)
    entry = decimal_from_float(strategy.entry_scale)
    found = []
    for name, mark in marks.items():
        share = core if name == strategy.core_instrument else core * _leg_share(strategy)
        found.append(
            Need(
                instrument_id=name,
                order_min=rules[name].order_notional_min(mark),
                share=share,
                share_entry=share * entry,
            )
        )
    return sorted(found, key=lambda need: need.instrument_id != strategy.core_instrument)


def lines(plan: Plan, wanted: list[Need], core_instrument: str) -> Iterator[Finding]:
    """Yield the minimum capital, a line per leg, and what fees come to in a month."""
    legs = [need for need in wanted if need.instrument_id != core_instrument]
    unsized = [need.instrument_id for need in legs if need.capital_min > plan.equity]
    yield _minimum(plan, wanted, core_instrument, unsized)
    for need in wanted:
        yield _leg(plan, need, core=need.instrument_id == core_instrument)
    yield _fees(plan)


def _leg_share(strategy: StrategyParameters) -> Decimal:
    legs = max(1, min(strategy.hedge_legs, len(strategy.hedge_candidates)))
    return decimal_from_float(strategy.offset_max) / legs


def _minimum(plan: Plan, wanted: list[Need], core_instrument: str, unsized: list[str]) -> Finding:
    whole = max((need.capital_min_entry for need in wanted), default=Decimal(0))
    figures = {
        "equity": f"{plan.equity:.2f}",
        "capital_min": f"{whole:.2f}",
        "unsized": ",".join(unsized),
    }
    words = f"{whole:.2f} would do for every leg from the first entry, {plan.equity:.2f} is there"
    core = [need for need in wanted if need.instrument_id == core_instrument]
    legs = [need for need in wanted if need.instrument_id != core_instrument]
    if plan.equity <= 0:
        return findings.failed("capital", words, "put money on the account", **figures)
    if any(need.capital_min > plan.equity for need in core):
        return findings.failed(
            "capital", f"{words}; the core cannot be held", "more capital", **figures
        )
    if legs and len(unsized) == len(legs):
        return findings.failed(
            "capital",
            f"{words}; no hedge leg can be sized",
            "more capital, or hedge candidates with smaller lots (`counterpoise instruments`)",
            **figures,
        )
    if unsized:
        return findings.warning(
            "capital",
            f"{words}; cannot be sized: {', '.join(unsized)}",
            "more capital, or other candidates (`counterpoise instruments`)",
            **figures,
        )
    return findings.ok("capital", words, **figures)


def _leg(plan: Plan, need: Need, *, core: bool) -> Finding:
    check = f"lots {need.instrument_id}"
    words = (
        f"smallest order {need.order_min:.2f}, planned {need.share * plan.equity:.2f}, "
        f"{need.share_entry * plan.equity:.2f} at the first entry"
    )
    figures = {
        "order_min": f"{need.order_min:.4f}",
        "capital_min": f"{need.capital_min:.2f}",
        "capital_min_entry": f"{need.capital_min_entry:.2f}",
    }
    if need.capital_min > plan.equity:
        say = findings.failed if core else findings.warning
        return say(
            check,
            f"cannot be sized: {words}",
            f"at least {need.capital_min:.2f} of equity",
            **figures,
        )
    if need.capital_min_entry > plan.equity:
        return findings.warning(
            check,
            f"held only once the scale has grown: {words}",
            f"{need.capital_min_entry:.2f} of equity, or a higher entry_scale",
            **figures,
        )
    return findings.ok(check, words, **figures)


def _fees(plan: Plan) -> Finding:
    traded = plan.turnover_month * plan.equity
    fees = traded * plan.taker_fee_bps / BPS_PER_ONE
    share_bps = plan.turnover_month * plan.taker_fee_bps
    words = (
        f"{fees:.2f} a month ({share_bps:.0f} bps of equity) for {traded:.2f} traded at "
        f"{plan.taker_fee_bps.normalize():f} bps"
    )
    figures = {"fees_month": f"{fees:.4f}", "fees_bps_month": f"{share_bps:.2f}"}
    if share_bps > FEES_BPS_MONTH_WARN:
        return findings.warning(
            "fees a month",
            words,
            "a wider band, fewer legs, a lower fee level, or less turnover (docs/strategy.md)",
            **figures,
        )
    return findings.ok("fees a month", words, **figures)
