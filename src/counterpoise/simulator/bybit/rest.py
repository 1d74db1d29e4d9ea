"""The frame around every REST request: address, key, limits, body, handler, envelope."""

import time
from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web

from counterpoise.simulator.bybit import (
    account,
    auth,
    market,
    order_queries,
    orders,
    positions,
    public,
    trading_stop,
)
from counterpoise.simulator.bybit.calls import Answer, Call, Desk, Handler
from counterpoise.simulator.bybit.errors import Code, WireError, envelope
from counterpoise.simulator.bybit.limits import Allowance, Limits
from counterpoise.simulator.keys import Credentials

_PUBLIC: Final[dict[tuple[str, str], Handler]] = {
    ("GET", path): handler for path, handler in {**public.ROUTES, **market.ROUTES}.items()
}
_PRIVATE: Final[dict[tuple[str, str], Handler]] = {
    **{
        ("GET", path): handler
        for path, handler in {**account.READS, **order_queries.READS, **positions.READS}.items()
    },
    **{
        ("POST", path): handler
        for path, handler in {
            **account.WRITES,
            **orders.WRITES,
            **positions.WRITES,
            **trading_stop.WRITES,
        }.items()
    },
}


class Rest:
    """Bybit's REST over one desk."""

    def __init__(self, desk: Desk, credentials: Credentials, limits: Limits) -> None:
        self._desk = desk
        self._credentials = credentials
        self._limits = limits

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request under /v5."""
        now_ns = self._desk.venue.clock.told_ns()
        if not self._limits.address(request.remote or ""):
            return web.Response(status=403, text="access too frequent")
        key = (request.method, request.path)
        handler = _PUBLIC.get(key)
        private = handler is None
        handler = handler or _PRIVATE.get(key)
        if handler is None:
            return web.Response(status=404, text="404 page not found")
        body = await request.text()
        allowance: Allowance | None = None
        headers = {"Timenow": str(now_ns // 1_000_000)}
        try:
            if private:
                self._check(request, body, now_ns)
            call = _call(request, body)
            if private:
                weight = _weight(call) if request.path.endswith("-batch") else 1
                allowance = self._limits.account(request.path, now_ns, weight)
                headers |= allowance.headers
                if not allowance.granted:
                    raise WireError(Code.RATE)
            # Everything up to this moment has happened before the request is looked at.
            self._desk.venue.catch_up()
            answer = handler(self._desk, call)
        except WireError as error:
            return envelope(
                {}, now_ns=now_ns, code=error.code, message=error.message, headers=headers
            )
        if isinstance(answer, Answer):
            return envelope(answer.result, now_ns=now_ns, extra=answer.extra, headers=headers)
        return envelope(answer, now_ns=now_ns, headers=headers)

    def _check(self, request: web.Request, body: str, now_ns: int) -> None:
        rules = self._desk.rules
        auth.check_key(
            self._credentials,
            rules,
            request.headers.get("X-BAPI-API-KEY", ""),
            address=request.remote or "",
            now_ns=now_ns,
        )
        auth.check_request(
            self._credentials,
            request.headers,
            payload=request.rel_url.raw_query_string if request.method == "GET" else body,
            now_ns=now_ns,
            wall_ns=time.time_ns() + self._desk.venue.clock.jump_ns,
        )
        if rules.read_only and request.method != "GET":
            raise WireError(Code.PERMISSION)


def _weight(call: Call) -> int:
    items = call.body.get("request")
    return len(items) if isinstance(items, list) and items else 1


def _call(request: web.Request, body: str) -> Call:
    query: Mapping[str, str] = {name: value for name, value in request.query.items() if value}
    fields: dict[str, object] = {}
    if body:
        try:
            fields = msgspec.json.decode(body, type=dict[str, object])
        except msgspec.DecodeError:
            raise WireError(Code.PARAMETER, "params error: the body is no JSON object") from None
    return Call(query=query, body=fields)
