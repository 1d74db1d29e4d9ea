"""The frame around every REST request: limits, key, signature, handler, usage headers."""

import time
import urllib.parse
from typing import Final

from aiohttp import web

from counterpoise.simulator.binance import (
    account,
    algos,
    auth,
    errors,
    history,
    market,
    public,
    settings,
    trade,
)
from counterpoise.simulator.binance.calls import Call, Desk, Route, Routes, Security
from counterpoise.simulator.binance.errors import WireError

ROUTES: Final[Routes] = {
    **public.ROUTES,
    **market.ROUTES,
    **account.ROUTES,
    **settings.ROUTES,
    **trade.ROUTES,
    **algos.ROUTES,
    **history.ROUTES,
}
#: What order entry is; the process asks it for faults.
ORDER_PATHS: Final = frozenset(
    f"/fapi/v1/{name}"
    for name in ("order", "batchOrders", "allOpenOrders", "algoOrder", "algoOpenOrders")
)


class Rest:
    """Binance's REST over one venue."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request; an unknown path gives 404 in HTML, as at Binance."""
        route = ROUTES.get((request.method, request.path))
        body = await request.text()
        if route is None:
            return web.Response(
                status=404, text="<html><body><h2>404 Not found</h2></body></html>",
                content_type="text/html",
            )  # fmt: skip
        received_ns = time.time_ns()
        usage = self._desk.usage
        try:
            made = self._handle(request, route, body, received_ns)
        except WireError as refused:
            headers = usage.headers(received_ns, orders=route.orders, refused=True)
            return errors.refusal(refused, headers=headers)
        headers = usage.headers(received_ns, orders=route.orders, refused=False)
        return errors.answer(made, headers=headers)

    def _handle(self, request: web.Request, route: Route, body: str, received_ns: int) -> object:
        desk, query = self._desk, request.rel_url.raw_query_string
        call = Call(fields=_fields(query, body))
        desk.usage.spend(route.weigh(call), received_ns)
        credentials = desk.floor.credentials
        if route.security is not Security.NONE:
            auth.check_key(credentials, request.headers)
        if route.security is Security.SIGNED:
            auth.check_stamp(call.fields, desk.venue.clock)
            auth.check_signature(credentials.secret, query=query, body=body)
        if route.orders:
            desk.usage.order(1, received_ns)
        # Everything up to this moment has happened before the request is looked at.
        desk.venue.catch_up()
        trade.count_down(desk)
        return route.handler(desk, call)


def _fields(query: str, body: str) -> dict[str, str]:
    pairs = urllib.parse.parse_qsl(query) + urllib.parse.parse_qsl(body)
    return dict(pairs)
