"""The 15-minute cycle: reconcile, decide, write one row, start trading."""

from dataclasses import replace
from decimal import Decimal

from counterpoise.domain import identity
from counterpoise.domain.account import AccountView
from counterpoise.domain.events import CycleDue
from counterpoise.domain.orders import IntentSource
from counterpoise.domain.records import DecisionEnded, DecisionMade, MemoryKept
from counterpoise.engine import actions, flattening, recording, views, working
from counterpoise.engine.cycle import CycleInputs, CycleOutputs, recompute
from counterpoise.engine.plan import make_plan
from counterpoise.engine.state import State, WaitingCycle
from counterpoise.strategy.decision import DecisionInputs
from counterpoise.strategy.parameters import STRATEGY_VERSION

OBSERVED_REASON = "OBSERVE_MODE"
#: Code of a cycle that comes while orders of an earlier decision are still on their way.
ORDERS_AT_WORK = "ORDERS_AT_WORK"


def due(state: State, event: CycleDue) -> list[actions.Action]:
    """Ask the venue for the account; the decision follows its answer.

    A slot that comes while the one before still waits replaces nothing: the waiting one is decided
    first, so that every slot has its row.
    """
    done: list[actions.Action] = []
    if state.waiting is not None:
        done += decide(state, missing="RECONCILIATION_LATE")
    state.waiting = WaitingCycle(slot_ns=event.slot_ns, asked_ns=event.now_ns)
    return [*done, actions.Reconcile(cause="cycle")]


def decide(state: State, *, missing: str | None = None) -> list[actions.Action]:
    """Decide the waiting cycle; `missing` names what could not be known, None = nothing."""
    assert state.waiting is not None, "a cycle is decided once"
    slot_ns, state.waiting = state.waiting.slot_ns, None
    closing = state.core_vanished and flattening.may_grow(state)
    if missing is None and (state.plans or state.orders.increase_at_work() or closing):
        # What is on its way is not held yet: deciding now would order it a second time. And what
        # closes the hedges of a core that is gone would close new ones, too.
        missing = ORDERS_AT_WORK
    state.sequence += 1
    state.account.give_up_supposed(state.now_ns)
    inputs = _inputs(state, missing)
    outputs = recompute(inputs)
    decision = outputs.decision
    # They are in the memory now, as units or as pending.
    state.account.transfers = Decimal(0)
    state.memory = decision.memory
    if state.run.observe:
        # Nothing was bought, so a later run that trades starts at the entry scale all the same,
        # and sets what a policy sets once.
        state.memory = replace(
            decision.memory, scale=None, scale_ns=None, policy_quantities={}, policy_floors={}
        )
    state.cycle_slot_ns = slot_ns
    state.last_summary = decision.summary
    done: list[actions.Action] = [
        actions.Write(record=_row(state, slot_ns, inputs, outputs)),
        *recording.market_and_signals(
            state, inputs.decision.decision_id, inputs.decision.market, inputs.decision.signals
        ),
        actions.Write(record=_memory(state, inputs.decision.decision_id)),
        *recording.equity(state, "cycle"),
    ]
    # The row above carries the highest leverage of the cycle that ends here.
    state.leverage_max = state.leverage
    return done + _trade(state, inputs, outputs)


def _trade(state: State, inputs: CycleInputs, outputs: CycleOutputs) -> list[actions.Action]:
    decision_id = inputs.decision.decision_id
    changes = outputs.decision.changes
    if not changes or state.run.observe:
        words = "observed only, nothing sent" if state.run.observe else "nothing to trade"
        return [
            actions.Write(
                record=DecisionEnded(
                    decision_id=decision_id,
                    run_id=state.run.run_id,
                    outcome="nothing_to_do",
                    summary=words,
                    orders_sent=0,
                    orders_filled=0,
                    leverage=state.leverage,
                    leverage_max=state.leverage_max,
                    ended_ns=state.now_ns,
                )
            )
        ]
    return working.begin(state, make_plan(decision_id, IntentSource.CYCLE, changes, state.now_ns))


def _inputs(state: State, missing: str | None) -> CycleInputs:
    market = state.market.view(state.now_ns)
    account = views.managed_account(state)
    if missing is not None:
        account = _without(account, missing)
    decision_id = identity.decision_id(
        state.run.account_id, state.run.epoch, state.sequence, state.now_ns
    )
    return CycleInputs(
        decision=DecisionInputs(
            decision_id=decision_id,
            now_ns=state.now_ns,
            market=market,
            account=account,
            signals=state.signals.view(state.now_ns),
            memory=state.memory,
            parameters=views.strategy_parameters(state),
            trading_state=state.trading_state,
        ),
        risk=views.risk_view(state, market),
        account_id=state.run.account_id,
        slippage_bps_increase=state.run.slippage_bps_increase,
        slippage_bps_reduction=state.run.slippage_bps_reduction,
        slippage_bps_regimes=state.run.execution.slippage_bps(state.run.slippage_bps_increase),
    )


def _without(account: AccountView, missing: str) -> AccountView:
    return AccountView(
        equity=account.equity,
        wallet_balance=account.wallet_balance,
        quantities=account.quantities,
        entry_prices=account.entry_prices,
        transfers=account.transfers,
        age_ms=account.age_ms,
        missing=(*account.missing, missing),
        adl_ranks=account.adl_ranks,
    )


def _row(state: State, slot_ns: int, inputs: CycleInputs, outputs: CycleOutputs) -> DecisionMade:
    decision = outputs.decision
    reasons = tuple(reason.code.value for reason in decision.reasons)
    action, summary = decision.action.value, decision.summary
    if state.run.observe:
        reasons, action = (*reasons, OBSERVED_REASON), "blocked"
        summary = f"Observed only: {summary}"
    return DecisionMade(
        decision_id=inputs.decision.decision_id,
        run_id=state.run.run_id,
        account_id=state.run.account_id,
        kind="cycle",
        slot_ns=slot_ns,
        decided_ns=state.now_ns,
        trading_state=state.trading_state.value,
        action=action,
        reasons=reasons,
        summary=summary,
        strategy_version=STRATEGY_VERSION,
        equity=inputs.decision.account.equity,
        leverage=state.leverage,
        leverage_max=state.leverage_max,
        inputs=state.encode(inputs),
        outputs=state.encode(outputs),
    )


def _memory(state: State, decision_id: str) -> MemoryKept:
    return MemoryKept(
        decision_id=decision_id,
        run_id=state.run.run_id,
        account_id=state.run.account_id,
        strategy_version=STRATEGY_VERSION,
        body=state.encode(state.memory),
        kept_ns=state.now_ns,
    )
