"""The fault between a request and its answer, the same for every venue."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.faults import Fault, FaultPlan
from counterpoise.simulator.wire import Trouble, Wire

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Kinds that are an answer in the venue's own words.
_TROUBLES: Final = {
    FaultKind.REJECT_50026: Trouble.UNAVAILABLE,
    FaultKind.UNAVAILABLE: Trouble.UNAVAILABLE,
    FaultKind.UNKNOWN_OUTCOME: Trouble.UNKNOWN_OUTCOME,
    FaultKind.RATE_LIMITED: Trouble.RATE_LIMITED,
    FaultKind.BANNED: Trouble.BANNED,
    FaultKind.MAINTENANCE: Trouble.MAINTENANCE,
}


class Striker:
    """Middleware: asks the plan for a fault before a wire's handler runs."""

    def __init__(self, faults: FaultPlan, wire: Wire) -> None:
        self._faults = faults
        self._wire = wire

    def middleware(self) -> Middleware:
        """Return it in aiohttp's form."""

        @web.middleware
        async def strike(request: web.Request, handler: Handler) -> web.StreamResponse:
            # What only the owner asks is never struck, nor is a connection being opened.
            if request.path.startswith("/_") or "Upgrade" in request.headers:
                return await handler(request)
            fault = self._faults.next(
                request.method,
                request.raw_path,
                order_entry=self._wire.is_order_entry(request),
            )
            if fault is None:
                return await handler(request)
            return await self._strike(fault, request, handler)

        return strike

    async def _strike(
        self, fault: Fault, request: web.Request, handler: Handler
    ) -> web.StreamResponse:
        if fault.kind is FaultKind.DELAY and not fault.carries_out:
            await asyncio.sleep(fault.seconds)
            return await handler(request)
        # The body is read in any case: a fault after the read must find it gone from the wire.
        await request.read()
        response = await handler(request) if fault.carries_out else None
        if fault.kind is FaultKind.DELAY:
            assert response is not None, "a late answer was carried out"
            await asyncio.sleep(fault.seconds)
            return response
        if fault.kind is FaultKind.HTTP_200_EMPTY:
            return web.Response(status=200, body=b"", content_type="application/json")
        if fault.kind in _TROUBLES:
            return self._wire.trouble(_TROUBLES[fault.kind], request, seconds=fault.seconds)
        if fault.kind is FaultKind.ACCEPT_THEN_TIMEOUT:
            await asyncio.sleep(fault.seconds)
        # An aborted transport is what a reset in the middle looks like to the client.
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=200)
