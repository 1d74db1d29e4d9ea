"""Faults put between the wire and the venue by `POST /_fault`, for tests of the daemon.

`stage` says where a fault strikes. "answer": the venue carries the request out first, then the
fault hits the answer. "request": the fault comes before the venue has seen the request.
"""

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final

import msgspec
from aiohttp import web

from counterpoise.simulator.okx.errors import MESSAGES, Code, envelope

#: Longest `seconds` of a delay.
DELAY_SECONDS_MAX: Final = 600.0
#: Most faults that may wait at a time.
FAULTS_MAX: Final = 100


class FaultKind(StrEnum):
    """What goes wrong."""

    #: The connection ends without an answer.
    DROP_AFTER_READ = "drop_after_read"
    #: HTTP 200 with an empty body.
    HTTP_200_EMPTY = "http_200_empty"
    #: The answer (or, at stage "request", the whole request) comes `seconds` late.
    DELAY = "delay"
    #: OKX's 50026 with HTTP 503.
    REJECT_50026 = "reject_50026"
    #: Every WebSocket is cut.
    CUT_STREAMS = "cut_streams"
    #: The next `count` book updates of `symbol` ("" = of all) are lost on the way.
    GAP_BOOKS = "gap_books"
    #: Faults that still wait are forgotten.
    CLEAR = "clear"


class Fault(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """One order for trouble, the body of `POST /_fault`."""

    #: What goes wrong.
    kind: FaultKind
    #: Strikes only requests whose path and query contain this; "" = all.
    path_contains: str = ""
    #: Strikes only requests of this method ("POST"); "" = any.
    method: str = ""
    #: Instrument of a book gap, either spelling; "" = all.
    symbol: str = ""
    #: Requests (or book updates) it still strikes.
    count: int = 1
    #: Length of a delay.
    seconds: float = 1.0
    #: "answer" or "request"; None = "request" for a rejection, "answer" for all else.
    stage: str | None = None

    def __post_init__(self) -> None:
        if self.stage not in (None, "answer", "request"):
            raise ValueError(f"stage={self.stage!r}; 'answer' or 'request'")
        if self.count < 1:
            raise ValueError(f"count={self.count}; at least 1")
        if not 0 <= self.seconds <= DELAY_SECONDS_MAX:
            raise ValueError(f"seconds={self.seconds}; 0 to {DELAY_SECONDS_MAX}")

    @property
    def carries_out(self) -> bool:
        """Whether the venue sees the request before the fault strikes."""
        if self.stage is None:
            return self.kind is not FaultKind.REJECT_50026
        return self.stage == "answer"


Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class FaultPlan:
    """The faults still to strike, oldest first."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Take a fault; ValueError above FAULTS_MAX."""
        if len(self._faults) >= FAULTS_MAX:
            raise ValueError(f"more than {FAULTS_MAX} faults are waiting")
        self._faults.append(fault)

    def clear(self) -> None:
        """Forget them all."""
        self._faults.clear()

    def next(self, method: str, path_query: str) -> Fault | None:
        """Return the fault that strikes this request and count it down; None = none does."""
        for fault in self._faults:
            if fault.path_contains in path_query and fault.method in ("", method):
                fault.count -= 1
                if fault.count == 0:
                    self._faults.remove(fault)
                return fault
        return None


async def strike(fault: Fault, request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request with a fault applied."""
    if fault.kind is FaultKind.DELAY and not fault.carries_out:
        await asyncio.sleep(fault.seconds)
        return await handler(request)
    response: web.StreamResponse | None = None
    if fault.carries_out:
        response = await handler(request)
    if fault.kind is FaultKind.DELAY:
        assert response is not None
        await asyncio.sleep(fault.seconds)
        return response
    if fault.kind is FaultKind.HTTP_200_EMPTY:
        return web.Response(status=200, body=b"", content_type="application/json")
    if fault.kind is FaultKind.REJECT_50026:
        return envelope([], code=Code.SYSTEM, message=MESSAGES[Code.SYSTEM], status=503)
    # An aborted transport is what a reset in the middle looks like to the client.
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=200)
