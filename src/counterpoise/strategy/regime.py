"""How violent the market is: entered at once, left one step at a time (section 2)."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy.memory import LEVELS, Memory, Regime
from counterpoise.strategy.parameters import StrategyParameters
from counterpoise.strategy.reasons import Reason, ReasonCode, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What the market looks like now, without memory."""

    #: The highest regime any rule asks for.
    regime: Regime
    #: Names of the rules that asked for it; empty for CALM.
    causes: tuple[str, ...]
    #: What each of those rules measured.
    figures: tuple[float, ...] = ()
    #: Rules that had no input.
    skipped: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegimeState:
    """The regime with its memory."""

    #: The regime now.
    regime: Regime
    #: Calmer cycles in a row.
    calm_cycles: int
    #: Cycles since a cascade was seen, 0 = now; None = never.
    cycles_since_cascade: int | None
    #: True = higher than after the decision before.
    raised: bool
    #: What changed and what was skipped.
    reasons: tuple[Reason, ...]


def observe(
    market: MarketView, signals: SignalsView, parameters: StrategyParameters
) -> Observation:
    """Return the regime the inputs alone ask for.

    The market's regime looks at the core's own book, where only CASCADE is the whole market's
    concern; another instrument's book marks that instrument alone (`book_regime`).
    """
    highest = Regime.CALM
    causes: list[str] = []
    figures: list[float] = []
    skipped: list[str] = []
    for rule, name in _NAMES.items():
        if not parameters.on(rule):
            continue
        told = _RULES[rule](market, signals, parameters)
        if told is None:
            skipped.append(name)
            continue
        regime, figure = told
        if regime is Regime.CALM or regime.level < highest.level:
            continue
        if regime.level > highest.level:
            causes, figures = [], []
        highest = regime
        causes.append(name)
        figures.append(figure)
    return Observation(
        regime=highest, causes=tuple(causes), figures=tuple(figures), skipped=tuple(skipped)
    )


def book_regime(view: InstrumentView, parameters: StrategyParameters) -> Regime | None:
    """Return what one book alone says: CALM, STRESSED or CASCADE; None = nothing measured yet."""
    if view.depth_fraction_high is None and view.spread_ratio is None:
        return None
    depth, spread = depth_regime(view, parameters), spread_regime(view, parameters)
    # A spread is CALM or CASCADE, and CASCADE is the highest there is.
    return spread if depth is None or spread is Regime.CASCADE else depth


def depth_regime(view: InstrumentView, parameters: StrategyParameters) -> Regime | None:
    """Return what a book's depth says; None = not measured for 30 s, or switched off.

    Depth fraction <= 0.5 for 30 s is STRESSED. <= 0.35 for 30 s is CASCADE if it went fast: 65 % of
    the depth within 3 minutes. A book that thins over hours is thin and no cascade.
    """
    high, fall = view.depth_fraction_high, view.depth_fall_fraction
    if high is None or not parameters.on("regime_depth"):
        return None
    cascade = parameters.regime_depth_cascade
    if high <= cascade and fall is not None and fall <= cascade:
        return Regime.CASCADE
    return Regime.STRESSED if high <= parameters.regime_depth_stressed else Regime.CALM


def spread_regime(view: InstrumentView, parameters: StrategyParameters) -> Regime | None:
    """Return what a book's spread says: CASCADE at 20 times normal; None = not measured or off."""
    if view.spread_ratio is None or not parameters.on("regime_spread"):
        return None
    wide = view.spread_ratio >= parameters.regime_spread_cascade
    return Regime.CASCADE if wide else Regime.CALM


def stressed_instruments(
    names: Iterable[str], market: MarketView, regime: Regime, parameters: StrategyParameters
) -> frozenset[str]:
    """Return those of `names` in STRESSED or CASCADE: all of them, or those with such a book."""
    if regime in (Regime.STRESSED, Regime.CASCADE):
        return frozenset(name for name in names if name in market.instruments)
    found = []
    for name in names:
        view = market.instruments.get(name)
        told = None if view is None else book_regime(view, parameters)
        if told is not None and told is not Regime.CALM:
            found.append(name)
    return frozenset(found)


def advance(memory: Memory, seen: Observation, parameters: StrategyParameters) -> RegimeState:
    """Return the regime after this cycle: up at once, down one step after the calm cycles."""
    reasons = [
        reason(ReasonCode.RULE_SKIPPED, f"Regime rule {name} has no input.", rule=f"regime.{name}")
        for name in seen.skipped
    ]
    since = memory.cycles_since_cascade
    since = 0 if seen.regime is Regime.CASCADE else None if since is None else since + 1
    before, calm = memory.regime, 0
    after = before
    if seen.regime.level > before.level:
        after = seen.regime
        measured = dict(zip(seen.causes, seen.figures, strict=True))
        causes = ", ".join(f"{name} {figure:.3f}" for name, figure in measured.items())
        text = f"Regime {before.value} -> {after.value}: {causes}."
        reasons.append(reason(ReasonCode.REGIME_RAISED, text, regime=after.value, **measured))
    elif seen.regime.level < before.level:
        calm = memory.calm_cycles + 1
        if calm >= parameters.regime_calm_cycles:
            after, calm = LEVELS[before.level - 1], 0
            text = f"Regime {before.value} -> {after.value} after calmer cycles."
            reasons.append(reason(ReasonCode.REGIME_LOWERED, text, regime=after.value))
    return RegimeState(
        regime=after,
        calm_cycles=calm,
        cycles_since_cascade=since,
        raised=after.level > before.level,
        reasons=tuple(reasons),
    )


def _stress_rule(
    market: MarketView,  # noqa: ARG001 - all rules are asked alike
    signals: SignalsView,
    parameters: StrategyParameters,
) -> tuple[Regime, float] | None:
    ratio = signals.stress_ratio
    if ratio is None:
        return None
    if ratio >= parameters.regime_stress_stressed:
        return Regime.STRESSED, ratio
    if ratio >= parameters.regime_stress_elevated:
        return Regime.ELEVATED, ratio
    return Regime.CALM, ratio


def _correlation_rule(
    market: MarketView,  # noqa: ARG001
    signals: SignalsView,
    parameters: StrategyParameters,
) -> tuple[Regime, float] | None:
    mean, rising = signals.correlation_mean_fast, signals.volatility_fast_rising
    if mean is None or rising is None:
        return None
    high = mean >= parameters.regime_correlation_stressed
    return Regime.STRESSED if high and rising else Regime.CALM, mean


def _move_rule(
    market: MarketView,  # noqa: ARG001
    signals: SignalsView,
    parameters: StrategyParameters,
) -> tuple[Regime, float] | None:
    moved = signals.core_move_sigmas
    if moved is None:
        return None
    return Regime.CASCADE if moved >= parameters.regime_move_cascade else Regime.CALM, moved


def _depth_rule(
    market: MarketView,
    signals: SignalsView,  # noqa: ARG001
    parameters: StrategyParameters,
) -> tuple[Regime, float] | None:
    view = market.instruments.get(parameters.core_instrument)
    found = None if view is None else depth_regime(view, parameters)
    if view is None or found is None:
        return None
    # A thin book marks its instrument alone; only a vanished one is the whole market's concern.
    shown = found if found is Regime.CASCADE else Regime.CALM
    return shown, view.depth_fraction_high or 0.0


def _spread_rule(
    market: MarketView,
    signals: SignalsView,  # noqa: ARG001
    parameters: StrategyParameters,
) -> tuple[Regime, float] | None:
    view = market.instruments.get(parameters.core_instrument)
    found = None if view is None else spread_regime(view, parameters)
    return None if view is None or found is None else (found, view.spread_ratio or 0.0)


def _liquidation_rule(
    market: MarketView,
    signals: SignalsView,  # noqa: ARG001
    parameters: StrategyParameters,  # noqa: ARG001
) -> tuple[Regime, float] | None:
    now, high = market.liquidations_quote, market.liquidations_quote_high
    if now is None or high is None:
        return None
    return Regime.CASCADE if now > high else Regime.CALM, now


#: Rule of `RULE_NAMES` -> its name in reasons.
_NAMES: Final[Mapping[str, str]] = {
    "regime_stress": "stress_ratio",
    "regime_correlation": "mean_correlation",
    "regime_move": "core_move",
    "regime_depth": "core_depth",
    "regime_spread": "core_spread",
    "regime_liquidations": "liquidations",
}

_RULES: Final[
    Mapping[
        str,
        Callable[[MarketView, SignalsView, StrategyParameters], tuple[Regime, float] | None],
    ]
] = {
    "regime_stress": _stress_rule,
    "regime_correlation": _correlation_rule,
    "regime_move": _move_rule,
    "regime_depth": _depth_rule,
    "regime_spread": _spread_rule,
    "regime_liquidations": _liquidation_rule,
}
