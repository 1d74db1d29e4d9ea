"""What only the owner of the simulator asks: the truth, a shock, a fault. On the same port."""

import os
from decimal import Decimal
from typing import Final, Protocol

import msgspec
from aiohttp import web

from counterpoise.simulator import truth
from counterpoise.simulator.acts import ActRefused, Acts
from counterpoise.simulator.fault_kinds import FaultKind, Place, check_venue
from counterpoise.simulator.faults import Fault
from counterpoise.simulator.wire import Floor, Wire

#: Longest shock, seconds.
SHOCK_SECONDS_MAX: Final = 24 * 3_600.0
#: Longest stretch one request grants a lock-step market, seconds.
ADVANCE_SECONDS_MAX: Final = 7 * 86_400.0


class _Shock(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    fraction: Decimal
    seconds: float = 0.0


class _Advance(msgspec.Struct, forbid_unknown_fields=True):
    advance_seconds: float


def _answer(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


class Pace(Protocol):
    """Who runs the market."""

    def turn(self) -> bool:
        """Bring everything up to the present of the venue's clock; return whether it is there."""
        ...

    def grant(self, seconds: float) -> int:
        """Let a lock-step market run on; return its time, ns. ValueError: it has a speed."""
        ...


class Admin:
    """Handlers of every path that begins with `/_`."""

    def __init__(self, floor: Floor, wire: Wire, acts: Acts, pace: Pace, venue: str) -> None:
        self._floor = floor
        self._venue = venue
        self._wire = wire
        self._acts = acts
        self._pace = pace

    def routes(self) -> list[web.RouteDef]:
        """Return them for the server."""
        return [
            web.get("/_alive", self._alive),
            web.get("/_state", self._state),
            web.get("/_truth", self._truth),
            web.post("/_shock", self._shock),
            web.get("/_control", self._waiting),
            web.post("/_control", self._control),
            web.post("/_fault", self._control),
        ]

    async def _alive(self, _request: web.Request) -> web.Response:
        return _answer({"pid": os.getpid(), "now_ns": self._floor.venue.exchange.now_ns})

    async def _state(self, _request: web.Request) -> web.Response:
        self._floor.venue.catch_up()
        return _answer(truth.state(self._floor.venue, self._floor.account_id))

    async def _truth(self, _request: web.Request) -> web.Response:
        self._floor.venue.catch_up()
        return _answer(truth.truth(self._floor.venue, self._floor.account_id))

    async def _waiting(self, _request: web.Request) -> web.Response:
        return _answer({"faults": self._floor.faults.armed()})

    async def _shock(self, request: web.Request) -> web.Response:
        try:
            wish = msgspec.json.decode(await request.read(), type=_Shock)
        except msgspec.DecodeError as wrong:
            return _answer({"error": str(wrong)}, 400)
        instrument_id = self._wire.instrument_of(wish.symbol)
        if instrument_id is None:
            return _answer({"error": f"symbol={wish.symbol!r} is not listed"}, 400)
        if wish.fraction <= -1 or not 0 <= wish.seconds <= SHOCK_SECONDS_MAX:
            return _answer({"error": "fraction must be > -1 and seconds 0 to a day"}, 400)
        self._floor.venue.catch_up()
        self._floor.venue.shock(instrument_id, float(wish.fraction), wish.seconds)
        return _answer({"instrument_id": instrument_id, "fraction": wish.fraction})

    async def _control(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            if b'"advance_seconds"' in body:
                return self._advance(msgspec.json.decode(body, type=_Advance))
            return self._take(msgspec.json.decode(body, type=Fault))
        except (msgspec.DecodeError, ValueError, ActRefused) as wrong:
            return _answer({"error": str(wrong)}, 400)

    def _advance(self, wish: _Advance) -> web.Response:
        if wish.advance_seconds > ADVANCE_SECONDS_MAX:
            raise ValueError(f"advance_seconds={wish.advance_seconds}; at most a week")
        return _answer({"now_ns": self._pace.grant(wish.advance_seconds)})

    def _take(self, fault: Fault) -> web.Response:
        instrument_id = ""
        check_venue(fault.kind, self._venue)
        if fault.symbol:
            named = self._wire.instrument_of(fault.symbol)
            if named is None:
                raise ValueError(f"symbol={fault.symbol!r} is not listed")
            instrument_id = named
        self._floor.venue.catch_up()
        if fault.kind is FaultKind.CLEAR:
            self._floor.faults.clear()
        elif fault.rule.place is Place.ACT and not fault.after_seconds:
            done = self._acts.carry_out(fault, instrument_id)
            return _answer({"kind": fault.kind, **done})
        else:
            self._floor.faults.add(fault, instrument_id)
        self._pace.turn()
        return _answer({"kind": fault.kind, "count": fault.count})
