"""Answers /livez and /readyz over HTTP, on this machine only unless told otherwise.

/livez is 200 while the risk loop ticks: a supervisor restarts a daemon that answers 503. /readyz
is 200 while nothing holds the daemon back; its JSON says what does. Neither shows a secret.
"""

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from aiohttp import web

from counterpoise.domain.errors import StartRefused

#: Makes what is answered. Keys that mean something here: "ready" (bool), "held_back_by" (codes)
#: and "tick_age_seconds" (since the risk loop last ran; None = it has not yet). Never a secret.
Snapshot = Callable[[], Mapping[str, Any]]

#: A risk loop that has not run for this long is taken for dead, seconds.
LIVE_SECONDS_MAX: Final = 5.0
#: Largest request that is read, bytes; there is nothing to send.
_REQUEST_BYTES_MAX: Final = 1_024
#: A stop waits this long for answers under way, seconds.
_SHUTDOWN_SECONDS: Final = 0.5

_HEADERS: Final = {"Cache-Control": "no-store"}


class StatusServer:
    """Serves from entry to exit of an `async with`; `port` tells where."""

    def __init__(self, host: str, port: int, snapshot: Snapshot) -> None:
        self._host = host
        self._port = port
        self._snapshot = snapshot
        application = web.Application(client_max_size=_REQUEST_BYTES_MAX)
        application.router.add_get("/livez", self._live)
        application.router.add_get("/readyz", self._ready)
        self._runner = web.AppRunner(
            application, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS
        )

    @property
    def port(self) -> int:
        """Port it listens on, also where 0 was asked for."""
        return self._port

    async def __aenter__(self) -> Self:
        """Listen. Raises StartRefused when the port is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise StartRefused(
                f"the status page cannot listen on {self._host} port {self._port} "
                f"({error.strerror}); set COUNTERPOISE_STATUS_PORT to a free one or to 0"
            ) from error
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop listening."""
        await self._runner.cleanup()

    async def _live(self, _request: web.Request) -> web.Response:
        age = self._snapshot().get("tick_age_seconds")
        live = is_live(age)
        return _answer(live, {"live": live, "tick_age_seconds": age})

    async def _ready(self, _request: web.Request) -> web.Response:
        facts = dict(self._snapshot())
        if not is_live(facts.get("tick_age_seconds")):
            facts["ready"] = False
            facts["held_back_by"] = ["risk_loop", *facts.get("held_back_by", ())]
        return _answer(facts.get("ready") is True, facts)


def is_live(tick_age_seconds: float | None) -> bool:
    """Tell whether the risk loop ran lately; None = it never did."""
    return tick_age_seconds is not None and tick_age_seconds <= LIVE_SECONDS_MAX


def _answer(good: bool, body: dict[str, Any]) -> web.Response:  # noqa: FBT001
    return web.Response(
        status=200 if good else 503,
        body=msgspec.json.encode(body, order="sorted"),
        content_type="application/json",
        headers=_HEADERS,
    )
