"""Says what happens: plain words on a terminal, structured events in a log, JSON for /readyz."""

from typing import Any, Final

import structlog

from counterpoise.app.runner import Runner
from counterpoise.app.settings import Settings
from counterpoise.domain import events
from counterpoise.domain.orders import TERMINAL
from counterpoise.domain.records import (
    ControlHandled,
    DecisionEnded,
    DecisionMade,
    FillSeen,
    IncidentOpened,
    OrderDenied,
    OrderEventSeen,
    Record,
    TradingStateChanged,
)
from counterpoise.engine import actions, protecting, views
from counterpoise.ports import Clock

log = structlog.get_logger("counterpoise")

#: States of an order worth a line of their own.
_ENDS: Final = frozenset(state.value for state in TERMINAL) | {"unknown"}


class Narrator:
    """Watches steps and tells of the records they wrote."""

    def __init__(self, runner: Runner, settings: Settings, clock: Clock) -> None:
        self._runner = runner
        self._state = runner.state
        self._settings = settings
        self._clock = clock

    def told(self, _event: events.Event, done: list[actions.Action]) -> None:
        """Tell what a step did."""
        for action in done:
            if isinstance(action, actions.Write):
                self._record(action.record)
            elif isinstance(action, actions.Submit) and action.approved.intent.trigger_price:
                # Said with its decision; what it sends is told when it acts.
                continue
            elif isinstance(action, actions.Submit):
                intent = action.approved.intent
                log.info(
                    "order.sent",
                    instrument=intent.instrument_id,
                    side=intent.side.value,
                    quantity=str(action.approved.quantity),
                    price_limit=str(intent.price_limit),
                    reduce_only=intent.reduce_only,
                    source=intent.source.value,
                    order=intent.client_order_id,
                )

    def started(self, status_port: int) -> None:
        """Tell that the daemon runs."""
        log.info(
            "daemon.started",
            profile=self._settings.profile,
            venue=self._settings.venue,
            account=self._state.run.account_id,
            mode=self._settings.mode,
            core=f"{self._settings.core_side} {self._settings.core_instrument}",
            cycle_seconds=self._settings.cycle_seconds,
            status=f"http://{self._settings.status_host}:{status_port}/readyz",
        )

    def stopped(self, ended_by: actions.StopDaemon) -> None:
        """Tell that the daemon ends."""
        log.info("daemon.stopped", reason=ended_by.reason, exit_code=ended_by.exit_code)

    def status(self) -> dict[str, Any]:
        """Return what /livez and /readyz answer from."""
        state = self._state
        view = state.market.view(state.now_ns)
        account = state.account.view(state.now_ns, {}, state.run.account_age_ms_max)
        holding_back = sorted(cause.value for cause in state.causes)
        holding_back += [f"{i}: {code}" for i, v in view.instruments.items() for code in v.missing]
        holding_back += account.missing
        if views.is_contradicted(state):
            holding_back.append(views.CONTRADICTED)
        ticked = self._runner.ticked
        return {
            "ready": not holding_back,
            "held_back_by": holding_back,
            "tick_age_seconds": None if ticked is None else self._clock.monotonic() - ticked,
            "trading_state": state.trading_state.value,
            "account": state.run.account_id,
            "leverage": _short(state.leverage),
            "leverage_max": _short(state.leverage_max_run),
            "last_decision": state.last_summary,
            "orders_open": len(state.orders.active),
        }

    def _record(self, record: Record) -> None:
        match record:
            case DecisionEnded() if record.outcome == protecting.PLACED:
                # Its decision is of the same moment and told by this one line.
                log.info("stops.placed", decision=record.decision_id, summary=record.summary)
            case DecisionMade() if record.kind != protecting.KIND:
                log.info(
                    "decision.made",
                    kind=record.kind,
                    decision=record.decision_id,
                    action=record.action,
                    leverage=_short(record.leverage),
                    equity=_short(record.equity),
                    state=record.trading_state,
                    summary=record.summary,
                )
            case DecisionEnded():
                log.info(
                    "decision.ended",
                    decision=record.decision_id,
                    outcome=record.outcome,
                    summary=record.summary,
                    leverage=_short(record.leverage),
                )
            case FillSeen():
                log.info(
                    "fill.seen",
                    instrument=record.instrument_id,
                    side=record.side,
                    quantity=str(record.quantity),
                    price=str(record.price),
                    fee=str(record.fee),
                )
            case OrderDenied():
                log.warning("order.denied", instrument=record.instrument_id, reason=record.reason)
            case OrderEventSeen() if record.state in _ENDS and record.state != "filled":
                log.warning(
                    "order.ended",
                    state=record.state,
                    instrument=record.instrument_id,
                    order=record.client_order_id,
                    code=record.code,
                    message=record.message,
                )
            case IncidentOpened():
                log.error("incident.opened", kind=record.kind, summary=record.summary)
            case TradingStateChanged():
                log.warning(
                    "trading_state.changed",
                    state=record.trading_state,
                    causes=",".join(record.causes) or "none",
                )
            case ControlHandled():
                log.warning(
                    "control.handled",
                    action=record.action,
                    result=record.result,
                    message=record.message,
                )
            case _:
                pass


def _short(figure: Any) -> str | None:
    return None if figure is None else f"{figure:.4f}"
