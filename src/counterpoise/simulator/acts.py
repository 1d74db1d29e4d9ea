"""Faults that happen once: somebody else changes the account, the rules or the connections."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Final

from counterpoise.domain.instruments import InstrumentState
from counterpoise.exchange.modes import PositionMode
from counterpoise.exchange.orders import OrderRefused
from counterpoise.simulator import commands
from counterpoise.simulator.fault_kinds import LASTING_SECONDS, FaultKind
from counterpoise.simulator.faults import Fault
from counterpoise.simulator.wire import Floor, Wire

#: What `value` of an instrument's state may be, beside "delisted".
_STATES: Final = {
    "live": InstrumentState.LIVE,
    "post_only": InstrumentState.POST_ONLY,
    "closing": InstrumentState.CLOSING,
    "suspend": InstrumentState.SUSPENDED,
}


class ActRefused(Exception):
    """An act cannot be carried out; the message says why."""


class Acts:
    """Carries them out over one floor."""

    def __init__(self, floor: Floor, wire: Wire) -> None:
        self._floor = floor
        self._wire = wire
        self._by_kind: dict[FaultKind, Callable[[Fault, str], dict[str, object]]] = {
            FaultKind.CUT_STREAMS: self._cut_streams,
            FaultKind.LOSE_SUBSCRIPTION: self._lose_subscription,
            FaultKind.HALF_OPEN: self._half_open,
            FaultKind.UPGRADE_NOTICE: self._notice,
            FaultKind.FORCE_REDUCE: self._force_reduce,
            FaultKind.LIQUIDATE: self._liquidate,
            FaultKind.CANCEL_BEHIND: self._cancel_behind,
            FaultKind.INSTRUMENT_STATE: self._instrument_state,
            FaultKind.LOT_SIZE: self._lot_size,
            FaultKind.TICK_SIZE: self._tick_size,
            FaultKind.FUNDING_INTERVAL: self._funding_interval,
            FaultKind.TIERS: self._tiers,
            FaultKind.TRANSFER: self._transfer,
            FaultKind.LEVERAGE: self._leverage,
            FaultKind.POSITION_MODE: self._position_mode,
        }

    def carry_out(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        """Do it now and return what was done. ActRefused: it cannot be."""
        try:
            return self._by_kind[fault.kind](fault, instrument_id)
        except (OrderRefused, ValueError) as refusal:
            raise ActRefused(f"{fault.kind}: {refusal}") from refusal

    def _cut_streams(self, _fault: Fault, _instrument_id: str) -> dict[str, object]:
        return {"cut": self._floor.links.cut_all()}

    def _lose_subscription(self, fault: Fault, _instrument_id: str) -> dict[str, object]:
        return {"forgotten": self._wire.forget(fault.path_contains)}

    def _half_open(self, fault: Fault, _instrument_id: str) -> dict[str, object]:
        seconds = LASTING_SECONDS if fault.duration_seconds is None else fault.duration_seconds
        return {"stalled": self._floor.links.stall_all(seconds)}

    def _notice(self, _fault: Fault, _instrument_id: str) -> dict[str, object]:
        links = self._floor.links.all()
        self._wire.notify_upgrade()
        for link in links:
            link.close(1001, b"service upgrade")
        return {"notified": len(links)}

    def _force_reduce(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        venue, account_id = self._floor.venue, self._floor.account_id
        quantity = _figure(fault) if fault.value else None
        held = [
            each
            for each in venue.exchange.account(account_id).positions.values()
            if instrument_id in ("", each.instrument_id)
        ]
        for each in held:
            self._do(
                commands.ForceReduce(account_id, each.instrument_id, quantity, each.position_side)
            )
        return {"reduced": [each.instrument_id for each in held]}

    def _liquidate(self, _fault: Fault, _instrument_id: str) -> dict[str, object]:
        self._do(commands.ForceLiquidate(self._floor.account_id))
        return {}

    def _cancel_behind(self, _fault: Fault, instrument_id: str) -> dict[str, object]:
        account_id = self._floor.account_id
        orders = [
            order.order_id
            for order in self._floor.venue.exchange.account(account_id).open_orders
            if instrument_id in ("", order.instrument_id)
        ]
        triggers = [
            order.trigger_order_id
            for order in self._floor.venue.exchange.trigger_orders(account_id)
            if order.live and instrument_id in ("", order.instrument_id)
        ]
        for order_id in orders:
            self._do(commands.ForceCancel(account_id, order_id))
        for order_id in triggers:
            self._do(commands.ForceCancelTrigger(account_id, order_id))
        return {"canceled": [*orders, *triggers]}

    def _instrument_state(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        for each in self._named(instrument_id):
            if fault.value == "delisted":
                self._do(commands.Delist(each))
            elif fault.value in _STATES:
                self._do(commands.SetInstrumentState(each, _STATES[fault.value]))
            else:
                raise ValueError(f"value={fault.value!r}; {', '.join(_STATES)} or delisted")
        return {"state": fault.value}

    def _lot_size(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        for each in self._named(instrument_id):
            self._do(commands.ChangeRules(each, lot_size=_figure(fault)))
        return {"lot_size": fault.value}

    def _tick_size(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        for each in self._named(instrument_id):
            self._do(commands.ChangeRules(each, tick_size=_figure(fault)))
        return {"tick_size": fault.value}

    def _funding_interval(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        for each in self._named(instrument_id):
            self._do(commands.SetFundingInterval(each, int(_figure(fault))))
        return {"hours": fault.value}

    def _tiers(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        factor = _figure(fault)
        for each in self._named(instrument_id):
            tiers = tuple(
                replace(
                    tier,
                    maintenance_margin_fraction=tier.maintenance_margin_fraction * factor,
                    initial_margin_fraction=tier.initial_margin_fraction * factor,
                )
                for tier in self._floor.venue.exchange.instrument(each).tiers
            )
            self._do(commands.ChangeRules(each, tiers=tiers))
        return {"factor": fault.value}

    def _transfer(self, fault: Fault, _instrument_id: str) -> dict[str, object]:
        self._do(commands.Transfer(self._floor.account_id, _figure(fault)))
        return {"change": fault.value}

    def _leverage(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        for each in self._named(instrument_id):
            self._do(commands.SetLeverage(self._floor.account_id, each, _figure(fault)))
        return {"leverage": fault.value}

    def _position_mode(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        mode = PositionMode(fault.value)
        self._do(commands.SetPositionMode(self._floor.account_id, mode, instrument_id or None))
        return {"position_mode": fault.value}

    def _named(self, instrument_id: str) -> list[str]:
        if instrument_id:
            return [instrument_id]
        return [each.instrument_id for each in self._floor.venue.exchange.instruments()]

    def _do(self, command: commands.Command) -> None:
        refusal = self._floor.venue.do(command)
        if refusal is not None:
            raise refusal


def _figure(fault: Fault) -> Decimal:
    try:
        figure = Decimal(fault.value)
    except InvalidOperation:
        raise ValueError(f"value={fault.value!r}; a number") from None
    if not figure.is_finite():
        raise ValueError(f"value={fault.value!r}; a finite number")
    return figure
