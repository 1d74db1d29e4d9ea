"""What forbids a decision, or every increase in it (section 7 and the trading states)."""

from collections.abc import Iterator

from counterpoise.domain.account import TradingState
from counterpoise.strategy.book import Book
from counterpoise.strategy.candidates import marked
from counterpoise.strategy.decision import DecisionInputs
from counterpoise.strategy.reasons import Reason, ReasonCode, reason
from counterpoise.strategy.regime import RegimeState
from counterpoise.strategy.selection import Selection


def hold_reason(inputs: DecisionInputs, *, volatility_known: bool) -> Reason | None:
    """Return the first input without which nothing can be said; None = there is none.

    `volatility_known` is False where the policy needs the core's volatility and there is none.
    """
    return next(_hold_reasons(inputs, volatility_known=volatility_known), None)


def standing_stops(inputs: DecisionInputs) -> tuple[Reason, ...]:
    """Return what forbids an increase to any policy: the trading state and a slow feed."""
    parameters, found = inputs.parameters, []
    if inputs.trading_state is TradingState.HALTED:
        found.append(reason(ReasonCode.TRADING_HALTED))
    if inputs.trading_state is TradingState.REDUCING:
        found.append(reason(ReasonCode.TRADING_REDUCING))
    latency = inputs.market.latency_ms_p99
    slow = latency is not None and latency > parameters.latency_ms_max
    if latency is not None and slow and parameters.on("latency"):
        text = f"Feed latency p99 {latency:.0f} ms is above {parameters.latency_ms_max:.0f} ms."
        found.append(reason(ReasonCode.LATENCY_HIGH, text, latency_ms_p99=latency))
    return tuple(found)


def increase_stops(
    inputs: DecisionInputs,
    book: Book,
    state: RegimeState,
    chosen: Selection,
) -> tuple[Reason, ...]:
    """Return everything that forbids an increase in this cycle; empty = nothing does."""
    parameters, found = inputs.parameters, list(standing_stops(inputs))
    since = state.cycles_since_cascade
    held = parameters.on("cascade_hold")
    if held and since is not None and since < parameters.cascade_hold_cycles:
        found.append(reason(ReasonCode.CASCADE_HOLD, cycles=float(since)))
    names = [item.instrument_id for item in chosen.chosen if item.instrument_id in book.legs]
    for name in sorted({*names, *chosen.frozen}) if parameters.on("hedge_data") else ():
        missing = inputs.market.instruments[name].missing
        if missing or name in chosen.frozen:
            codes = ", ".join(missing) or "signals"
            text = f"{name}: {codes} missing; hedge and core do not grow."
            found.append(reason(ReasonCode.HEDGE_STALE, text, leg=name, missing=codes))
    return tuple(found)


def latency_notes(inputs: DecisionInputs) -> tuple[Reason, ...]:
    """Return a warning about feed latency that stops nothing."""
    latency, parameters = inputs.market.latency_ms_p99, inputs.parameters
    if latency is None:
        text = "Feed latency is not measured."
        return (reason(ReasonCode.RULE_SKIPPED, text, rule="latency"),)
    if parameters.latency_ms_warn < latency <= parameters.latency_ms_max:
        text = f"Feed latency p99 is {latency:.0f} ms."
        return (reason(ReasonCode.LATENCY_WARNING, text, latency_ms_p99=latency),)
    return ()


def _hold_reasons(inputs: DecisionInputs, *, volatility_known: bool) -> Iterator[Reason]:
    account, core = inputs.account, inputs.parameters.core_instrument
    if account.missing:
        codes = ", ".join(account.missing)
        yield reason(ReasonCode.ACCOUNT_STALE, f"Account: {codes}. Held.", missing=codes)
    if account.equity is None:
        yield reason(ReasonCode.EQUITY_UNKNOWN)
    elif account.equity <= 0:
        yield reason(ReasonCode.EQUITY_NOT_POSITIVE, equity=str(account.equity))
    view = inputs.market.instruments.get(core)
    if not marked(view):
        yield reason(ReasonCode.CORE_STALE, f"{core} has no mark. Held.", missing="MARK_MISSING")
    elif view.missing:
        codes = ", ".join(view.missing)
        yield reason(ReasonCode.CORE_STALE, f"{core}: {codes}. Held.", missing=codes)
    if not volatility_known:
        text = f"{core} has no volatility yet. Held."
        yield reason(ReasonCode.CORE_STALE, text, missing="VOLATILITY_MISSING")
    for name in sorted(account.quantities):
        if account.quantities[name] != 0 and not marked(inputs.market.instruments.get(name)):
            text = f"{name} is held and has no mark. Held."
            yield reason(ReasonCode.HELD_MARK_MISSING, text, leg=name)
