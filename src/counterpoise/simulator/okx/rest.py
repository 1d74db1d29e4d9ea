"""The frame around every REST request: key, body, handler, envelope."""

from collections.abc import Mapping
from typing import Final

import msgspec
from aiohttp import web

from counterpoise.simulator.keys import Credentials
from counterpoise.simulator.okx import account, algos, auth, market, public, trade
from counterpoise.simulator.okx.calls import Call, Desk, Handler, int_field
from counterpoise.simulator.okx.errors import Code, WireError, envelope

_PUBLIC: Final[dict[tuple[str, str], Handler]] = {
    ("GET", path): handler for path, handler in {**public.ROUTES, **market.ROUTES}.items()
}
_PRIVATE: Final[dict[tuple[str, str], Handler]] = {
    **{
        ("GET", path): handler
        for path, handler in {**account.READS, **trade.READS, **algos.READS}.items()
    },
    **{
        ("POST", path): handler
        for path, handler in {**account.WRITES, **trade.WRITES, **algos.WRITES}.items()
    },
}


class Rest:
    """OKX's REST over one venue."""

    def __init__(self, desk: Desk, credentials: Credentials) -> None:
        self._desk = desk
        self._credentials = credentials

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Answer one request under /api/v5."""
        received_ns = self._desk.venue.clock.now_ns()
        body = await request.text()
        try:
            return self._handle(request, body, received_ns)
        except WireError as error:
            return envelope([], code=error.code, message=error.message, status=error.status)

    def _handle(self, request: web.Request, body: str, received_ns: int) -> web.Response:
        key = (request.method, request.path)
        handler = _PUBLIC.get(key)
        if handler is None:
            handler = _PRIVATE.get(key)
            if handler is None:
                raise WireError(Code.NOT_FOUND, status=404)
            auth.check_request(
                self._credentials,
                request.headers,
                method=request.method,
                path_query=request.raw_path,
                body=body,
                clock=self._desk.venue.clock,
            )
        # Everything up to this moment has happened before the request is looked at.
        self._desk.venue.advance(received_ns)
        answer = handler(self._desk, _call(request, body, received_ns))
        return answer if isinstance(answer, web.Response) else envelope(answer)


def _call(request: web.Request, body: str, received_ns: int) -> Call:
    query: Mapping[str, str] = {name: value for name, value in request.query.items() if value}
    decoded: object = None
    if body:
        try:
            decoded = msgspec.json.decode(body)
        except msgspec.DecodeError:
            raise WireError(Code.BODY, status=400) from None
    return Call(
        query=query,
        body=decoded,
        expires_ms=int_field(request.headers.get("expTime"), "expTime"),
        received_ns=received_ns,
    )
