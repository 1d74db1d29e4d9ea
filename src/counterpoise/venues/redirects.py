"""No request and no login leaves for another host: an answer that sends us elsewhere is an error.

What follows one repeats the request there, signed and with its key: an order a second time, and
whatever that host answers would be believed.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp
from ccxt.base import errors as ccxt_errors  # type: ignore[import-untyped,unused-ignore]
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from counterpoise.domain.errors import VenueUnreachable
from counterpoise.venues.hosts import host_of

#: Text of a host kept in a message, characters: a name has no more.
_HOST_LENGTH_MAX: Final = 253


class Redirected(ccxt_errors.ExchangeNotAvailable):  # type: ignore[misc,unused-ignore]
    """A request was answered with another address; what became of it is unknown."""


class _Direct:
    """An aiohttp session as ccxt uses it, that goes nowhere but where it is told."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        #: Those every request has; ccxt reads them.
        self.headers: Any = session.headers

    def __getattr__(self, name: str) -> Any:
        # ccxt asks by the method's name; there is no other way to a request from here.
        if name not in {"get", "post", "put", "delete", "patch", "head"}:
            raise AttributeError(name)

        def ask(url: Any, **options: Any) -> Any:
            return self._asked(name, url, options)

        return ask

    @asynccontextmanager
    async def _asked(self, method: str, url: Any, options: dict[str, Any]) -> AsyncIterator[Any]:
        options["allow_redirects"] = False
        async with getattr(self._session, method)(url, **options) as response:
            if _elsewhere(response.status):
                raise Redirected(_words(response.status, str(url), response.headers))
            yield response

    async def close(self) -> None:
        await self._session.close()


def without_redirects(client: Any) -> Any:
    """Return a client of ccxt that follows no redirect; a request so answered raises Redirected."""

    def open_direct(lazy: bool = False) -> None:  # noqa: FBT001, FBT002  (ccxt's own form)
        type(client).open(client, lazy)
        if not isinstance(client.session, _Direct):
            client.session = _Direct(client.session)

    client.open = open_direct
    return client


class DirectConnect(connect):
    """Opens a websocket at its address and nowhere else."""

    def process_redirect(self, exc: Exception) -> Exception:
        """Return what a failed opening means: always an error, never another address."""
        if isinstance(exc, InvalidStatus) and _elsewhere(exc.response.status_code):
            response = exc.response
            return VenueUnreachable(_words(response.status_code, self.uri, response.headers))
        return exc


def _elsewhere(status: int) -> bool:
    return 300 <= status < 400


def _words(status: int, url: str, headers: Any) -> str:
    # The host alone: an address may repeat a signature. What is no name of a host is not repeated.
    try:
        target = host_of(urljoin(url, str(headers["Location"])))
    except (LookupError, ValueError):
        target = None
    known = target is not None and re.fullmatch(r"[A-Za-z0-9.:-]+", target) is not None
    host = str(target)[:_HOST_LENGTH_MAX] if known else "no host we can read"
    return f"HTTP {status} sends us to {host}; no redirect is followed"
