"""How violent the market is: entered at once, left one step at a time (section 2)."""

from dataclasses import dataclass

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

    The market's regime looks at the core's own book; another instrument's book marks that
    instrument alone (`book_regime`). `depth_fraction` is a 60 s median, so a value at or under a
    threshold held for 30 s at least.
    """
    rules = (*_signal_rules(signals, parameters), _book_rule(market, parameters))
    highest = Regime.CALM
    causes: list[str] = []
    for name, regime in rules:
        if regime is None or regime is Regime.CALM or regime.level < highest.level:
            continue
        if regime.level > highest.level:
            causes = []
        highest = regime
        causes.append(name)
    skipped = tuple(name for name, regime in rules if regime is None)
    return Observation(regime=highest, causes=tuple(causes), skipped=skipped)


def book_regime(view: InstrumentView, parameters: StrategyParameters) -> Regime | None:
    """Return what one book alone says: CALM, STRESSED or CASCADE; None = nothing measured yet."""
    depth, spread = view.depth_fraction, view.spread_ratio
    if depth is None and spread is None:
        return None
    if depth is not None and depth <= parameters.regime_depth_cascade:
        return Regime.CASCADE
    if spread is not None and spread >= parameters.regime_spread_cascade:
        return Regime.CASCADE
    if depth is not None and depth <= parameters.regime_depth_stressed:
        return Regime.STRESSED
    return Regime.CALM


def stressed_instruments(
    market: MarketView, regime: Regime, parameters: StrategyParameters
) -> frozenset[str]:
    """Return the instruments in STRESSED or CASCADE: all of them, or those with such a book."""
    everywhere = regime.level >= Regime.STRESSED.level
    calm = (None, Regime.CALM)
    return frozenset(
        name
        for name, view in market.instruments.items()
        if everywhere or book_regime(view, parameters) not in calm
    )


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
        text = f"Regime {before.value} -> {after.value}: {', '.join(seen.causes)}."
        reasons.append(reason(ReasonCode.REGIME_RAISED, text, regime=after.value))
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


def _signal_rules(
    signals: SignalsView, parameters: StrategyParameters
) -> tuple[tuple[str, Regime | None], ...]:
    return (
        ("stress_ratio", _stress_rule(signals.stress_ratio, parameters)),
        ("mean_correlation", _correlation_rule(signals, parameters)),
        ("core_move", _move_rule(signals.core_move_sigmas, parameters)),
    )


def _stress_rule(stress_ratio: float | None, parameters: StrategyParameters) -> Regime | None:
    if stress_ratio is None:
        return None
    if stress_ratio >= parameters.regime_stress_stressed:
        return Regime.STRESSED
    if stress_ratio >= parameters.regime_stress_elevated:
        return Regime.ELEVATED
    return Regime.CALM


def _correlation_rule(signals: SignalsView, parameters: StrategyParameters) -> Regime | None:
    mean, rising = signals.correlation_mean_fast, signals.volatility_fast_rising
    if mean is None or rising is None:
        return None
    high = mean >= parameters.regime_correlation_stressed
    return Regime.STRESSED if high and rising else Regime.CALM


def _move_rule(move_sigmas: float | None, parameters: StrategyParameters) -> Regime | None:
    if move_sigmas is None:
        return None
    return Regime.CASCADE if move_sigmas >= parameters.regime_move_cascade else Regime.CALM


def _book_rule(market: MarketView, parameters: StrategyParameters) -> tuple[str, Regime | None]:
    view = market.instruments.get(parameters.core_instrument)
    if view is None:
        return ("core_book", None)
    regime = book_regime(view, parameters)
    # A thin book marks its instrument alone; only a vanished one is the whole market's concern.
    return ("core_book", Regime.CALM if regime is Regime.STRESSED else regime)
