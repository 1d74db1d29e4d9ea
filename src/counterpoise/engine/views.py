"""Cuts what risk may know out of the state."""

from dataclasses import replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import AccountView
from counterpoise.domain.rounding import decimal_from_float, float_from_decimal
from counterpoise.domain.units import NS_PER_MS
from counterpoise.engine import unshown
from counterpoise.engine.state import State
from counterpoise.market.view import MarketView
from counterpoise.risk import leverage
from counterpoise.risk.view import ACCOUNT, RiskView
from counterpoise.strategy.parameters import StrategyParameters

#: The least the strategy's soft limit may be, multiples of equity.
LEVERAGE_SOFT_MIN: Final = 0.1
#: Code of an account of which the venue's answers or our record say something else.
CONTRADICTED: Final = "ACCOUNT_CONTRADICTED"


def marks(state: State) -> dict[str, Decimal]:
    """Return the last mark of every instrument that ever had one, however old.

    Where the stream's is not of now, one that an answer of the venue's told since stands in.
    """
    found: dict[str, Decimal] = {}
    for instrument_id in state.instruments:
        mark = state.market.mark(instrument_id)
        if mark is not None:
            found[instrument_id] = mark
    for instrument_id, position in state.account.positions.items():
        # What no stream of ours covers still counts, at the mark the venue valued it at.
        if position.quantity != 0 and position.mark is not None:
            found.setdefault(instrument_id, position.mark)
    for instrument_id, (mark, told_ns) in state.answered_marks.items():
        if instrument_id in found and _is_older(state, instrument_id, told_ns):
            found[instrument_id] = mark
    return found


def _is_older(state: State, instrument_id: str, told_ns: int) -> bool:
    # Whether the stream's mark is stale, and was told before that.
    if state.market.mark_is_fresh(instrument_id, state.now_ns):
        return False
    age_ms = state.market.mark_age_ms(instrument_id, state.now_ns)
    return age_ms is None or age_ms * NS_PER_MS > state.now_ns - told_ns


def risk_view(state: State, market: MarketView) -> RiskView:
    """Return the account and market as risk sees them at `market.now_ns`."""
    last = marks(state)
    account = state.account.view(market.now_ns, last, state.run.account_age_ms_max)
    missing = {i: view.missing for i, view in market.instruments.items() if view.missing}
    if is_contradicted(state):
        missing[ACCOUNT] = (*account.missing, CONTRADICTED)
    elif account.missing:
        missing[ACCOUNT] = account.missing
    return RiskView(
        now_ns=market.now_ns,
        trading_state=state.trading_state,
        core_id=state.strategy.core_instrument,
        equity=account.equity,
        quantities=account.quantities,
        marks={
            i: view.mark
            for i, view in market.instruments.items()
            if view.mark is not None and not {"MARK_STALE", "MARK_MISSING"} & set(view.missing)
        },
        marks_last=last,
        open_orders=(*state.orders.open_orders(), *unshown.may_fill(state)),
        instruments={i: view.instrument for i, view in market.instruments.items()},
        betas=state.betas,
        volatilities=state.volatilities,
        missing=missing,
        ledger_available=state.ledger_available,
        lease_held=state.lease_held,
        latency_ms_p99=market.latency_ms_p99,
        clock_offset_ms=state.clock_offset_ms,
        unmanaged=state.run.unmanaged,
        unresolved=state.orders.unresolved(),
        leverage_ceiling=state.run.leverage_ceiling,
        taker_fee_bps=state.run.taker_fee_bps,
        slippage_bps=state.run.slippage_bps_increase,
        limits=state.run.limits,
        divergences={
            i: view.mark_divergence
            for i, view in market.instruments.items()
            if view.mark_divergence is not None
        },
    )


def is_contradicted(state: State) -> bool:
    """Tell whether the venue, or the record, says something else of a position or of equity.

    Nothing grows meanwhile. It is no part of what a decision may know: the cycle waits for its end.
    """
    account = state.account
    doubted = bool(account.contradicted) or account.balance_doubt is not None
    return doubted or state.recorded is not None


def managed_account(state: State) -> AccountView:
    """Return the account as the strategy may trade it: without positions of somebody else."""
    account = state.account.view(state.now_ns, marks(state), state.run.account_age_ms_max)
    unmanaged = state.run.unmanaged
    if not unmanaged:
        return account
    return replace(
        account,
        quantities={i: q for i, q in account.quantities.items() if i not in unmanaged},
        entry_prices={i: p for i, p in account.entry_prices.items() if i not in unmanaged},
    )


def strategy_parameters(state: State) -> StrategyParameters:
    """Return the strategy's numbers; positions of somebody else use up its soft leverage limit."""
    last = marks(state)
    equity = state.account.equity(last)
    foreign = {i: q for i, q in state.account.quantities().items() if i in state.run.unmanaged}
    if not foreign or equity is None or equity <= 0:
        return state.strategy
    gross = leverage.gross_exposure(foreign, last)
    if gross is None:
        return state.strategy
    left = state.strategy.leverage_soft - float_from_decimal(gross / equity)
    return replace(state.strategy, leverage_soft=max(left, LEVERAGE_SOFT_MIN))


def refresh_betas(state: State) -> None:
    """Take betas and volatilities over from the signals, after a new sample of them."""
    signals = state.signals.view(state.now_ns)
    state.betas = {i: decimal_from_float(beta) for i, beta in signals.beta.items()}
    state.volatilities = {
        i: decimal_from_float(value) for i, value in signals.volatility_covariance.items()
    }
