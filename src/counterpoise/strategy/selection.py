"""Which hedge legs are held: the best few, with a place kept unless clearly beaten (section 4)."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy.candidates import (
    Candidate,
    best_side,
    candidate,
    late_refusal,
    leg_correlation,
    signals_missing,
    sizable,
)
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import StrategyParameters
from counterpoise.strategy.reasons import Reason, ReasonCode, reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Closings:
    """The closing rule after this cycle."""

    #: Leg -> side that is closed.
    closed: dict[str, int]
    #: Leg -> cycles in a row at the closing threshold.
    close_counts: dict[str, int]
    #: Legs closed just now, sorted.
    closed_now: tuple[str, ...]
    #: What changed.
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The hedge legs after this cycle."""

    #: Best first.
    chosen: tuple[Candidate, ...]
    #: Held legs that cannot be sized now and keep their place and size, sorted.
    frozen: tuple[str, ...]
    #: Key -> cycles in a row it beat the one in place.
    challenger_counts: dict[str, int]
    #: What changed.
    reasons: tuple[Reason, ...]


def close_legs(memory: Memory, signals: SignalsView, parameters: StrategyParameters) -> Closings:
    """Close a leg at a leg correlation >= 0.9 for 2 cycles; open it again at <= 0.85.

    Only the side that failed is closed. An unknown correlation changes nothing.
    """
    if not parameters.on("correlation_close"):
        return Closings(closed={}, close_counts={}, closed_now=(), reasons=())
    closed = {name: memory.closed[name] for name in sorted(memory.closed)}
    counts: dict[str, int] = {}
    now: list[str] = []
    reasons: list[Reason] = []
    for name in sorted(closed):
        rho = leg_correlation(name, closed[name], signals, parameters)
        if rho is not None and rho <= parameters.correlation_reopen:
            del closed[name]
            text = f"{name} is eligible again at leg correlation {rho:.3f}."
            reasons.append(reason(ReasonCode.HEDGE_REOPENED, text, leg=name, leg_correlation=rho))
    for name in memory.incumbents:
        rho = leg_correlation(name, memory.incumbent_sides[name], signals, parameters)
        before = memory.close_counts.get(name, 0)
        if rho is None:
            counts[name] = before
            continue
        count = before + 1 if rho >= parameters.correlation_close else 0
        if count < parameters.correlation_close_cycles:
            counts[name] = count
            continue
        closed[name] = memory.incumbent_sides[name]
        now.append(name)
        text = f"{name} is closed: leg correlation {rho:.3f} for {count} cycles."
        reasons.append(reason(ReasonCode.HEDGE_CLOSED, text, leg=name, leg_correlation=rho))
    return Closings(
        closed=closed,
        close_counts={name: count for name, count in counts.items() if count > 0},
        closed_now=tuple(sorted(now)),
        reasons=tuple(reasons),
    )


def choose(
    memory: Memory,
    closings: Closings,
    held: Collection[str],
    market: MarketView,
    signals: SignalsView,
    parameters: StrategyParameters,
) -> Selection:
    """Return the legs to hold; `held` names the instruments with a position.

    A held incumbent that cannot be sized for want of data is frozen, not replaced. An incumbent
    that can be sized keeps its place and side unless a challenger, or its own other side, beats it
    by `incumbency` for `incumbency_cycles`; free places go to the best at once.
    """
    views = sizable(market, signals, parameters)
    counts: dict[str, int] = {}
    kept = _kept(memory, closings.closed, views, counts, signals, parameters)
    frozen = tuple(
        name
        for name in sorted(memory.incumbents)
        if name in parameters.hedge_candidates and name in held and name not in views
    )
    reasons: list[Reason] = []
    entrants: list[Candidate] = []
    in_place = {item.instrument_id for item in kept} | set(frozen)
    for name in parameters.hedge_candidates:
        if name in in_place:
            continue
        view = views.get(name)
        if view is not None:
            refused = late_refusal(view, signals, parameters)
        else:
            refused = signals_missing(name, market, signals, parameters)
        if refused or view is None:
            text = f"{name} may not hedge: {refused}."
            reasons.append(reason(ReasonCode.CANDIDATE_INELIGIBLE, text, leg=name))
        else:
            entrants.append(best_side(view, closings.closed.get(name), signals, parameters))
    entrants = _ranked(entrants, parameters)
    places = max(parameters.hedge_legs - len(frozen), 0)
    kept = _ranked(kept, parameters)[:places]
    free = places - len(kept)
    kept += entrants[:free]
    kept = _challenged(memory, kept, entrants[free:], counts, reasons, parameters)
    for item in kept:
        if item.instrument_id not in memory.incumbents:
            text = f"{item.instrument_id} hedges, score {item.score:.3f}."
            figures: dict[str, float | str] = {
                "leg": item.instrument_id,
                "score": item.score,
                "leg_correlation": item.leg_correlation,
            }
            reasons.append(reason(ReasonCode.HEDGE_CHOSEN, text, **figures))
    return Selection(
        chosen=tuple(_ranked(kept, parameters)),
        frozen=frozen,
        challenger_counts=counts,
        reasons=tuple(reasons),
    )


def _kept(
    memory: Memory,
    closed: Mapping[str, int],
    views: Mapping[str, InstrumentView],
    counts: dict[str, int],
    signals: SignalsView,
    parameters: StrategyParameters,
) -> list[Candidate]:
    # Incumbents that can be sized, each on its side unless the other one has won for long enough.
    kept: list[Candidate] = []
    for name in memory.incumbents:
        view, side, shut = views.get(name), memory.incumbent_sides[name], closed.get(name)
        if view is None or shut == side:
            # A closed side gives its place up; the other side may enter like any candidate.
            continue
        same = candidate(view, side, signals, parameters)
        other = None if shut == -side else candidate(view, -side, signals, parameters)
        lead, cycles = _incumbency(parameters)
        if other is None or other.score <= same.score + lead:
            kept.append(same)
            continue
        count = memory.challenger_counts.get(name, 0) + 1
        if count >= cycles:
            kept.append(other)
        else:
            counts[name] = count
            kept.append(same)
    return kept


def _challenged(
    memory: Memory,
    kept: list[Candidate],
    challengers: list[Candidate],
    counts: dict[str, int],
    reasons: list[Reason],
    parameters: StrategyParameters,
) -> list[Candidate]:
    # The best challenger meets the weakest leg, the next one the next; both lists are ranked.
    standing = _ranked(kept, parameters)
    weakest = len(standing) - 1
    lead, cycles = _incumbency(parameters)
    for challenger in challengers:
        if weakest < 0:
            break
        leg = standing[weakest]
        if challenger.score <= leg.score + lead:
            break
        name = challenger.instrument_id
        count = memory.challenger_counts.get(name, 0) + 1
        if count < cycles:
            counts[name] = count
            weakest -= 1
            continue
        standing[weakest] = challenger
        weakest -= 1
        text = f"{leg.instrument_id} loses its place to {name}."
        figures: dict[str, float | str] = {
            "leg": leg.instrument_id,
            "score": leg.score,
            "by": name,
            "by_score": challenger.score,
        }
        reasons.append(reason(ReasonCode.HEDGE_REPLACED, text, **figures))
    return standing


def _incumbency(parameters: StrategyParameters) -> tuple[float, int]:
    # By how much and for how many cycles an incumbent must be beaten.
    if not parameters.on("incumbency"):
        return 0.0, 1
    return parameters.incumbency, parameters.incumbency_cycles


def _ranked(items: list[Candidate], parameters: StrategyParameters) -> list[Candidate]:
    if len(items) < 2:
        return list(items)
    order = {name: place for place, name in enumerate(parameters.hedge_candidates)}
    return sorted(items, key=lambda item: (-item.score, order[item.instrument_id]))
