"""Faults that happen once: somebody else changes the account, the rules or the connections."""

from counterpoise.simulator.faults import LASTING_SECONDS, Fault, FaultKind
from counterpoise.simulator.wire import Floor, Wire


class ActRefused(Exception):
    """An act cannot be carried out; the message says why."""


class Acts:
    """Carries them out over one floor."""

    def __init__(self, floor: Floor, wire: Wire) -> None:
        self._floor = floor
        self._wire = wire

    def carry_out(self, fault: Fault, instrument_id: str) -> dict[str, object]:
        """Do it now and return what was done. ActRefused: it cannot be."""
        if fault.kind is FaultKind.CUT_STREAMS:
            return {"cut": self._floor.links.cut_all()}
        if fault.kind is FaultKind.HALF_OPEN:
            seconds = LASTING_SECONDS if fault.duration_seconds is None else fault.duration_seconds
            return {"stalled": self._floor.links.stall_all(seconds)}
        if fault.kind is FaultKind.UPGRADE_NOTICE:
            self._wire.notify_upgrade()
            return {"notified": len(self._floor.links.all())}
        raise ActRefused(f"{fault.kind}: nobody does that here, {instrument_id or 'any'}")
