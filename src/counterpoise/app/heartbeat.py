"""Calls a watchdog's URL while the risk loop is healthy; silence is the alarm.

Nothing waits for it and nothing depends on it: a task of its own, one request at a time.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import aiohttp
import structlog

log = structlog.get_logger(__name__)

#: A watchdog that has not answered by then is left alone until the next call, seconds.
REQUEST_SECONDS_MAX: Final = 5.0


async def beat(url: str, healthy: Callable[[], bool], *, every_seconds: float) -> None:
    """Call `url` every so often while `healthy` says yes, until cancelled.

    A failure is logged once, and once more when the watchdog answers again; never the URL, which
    may hold a secret.
    """
    failing = False
    timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS_MAX)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as session:
        while True:
            if healthy():
                error = await _call(session, url)
                if error is not None and not failing:
                    log.warning("heartbeat.failed", error=error)
                elif error is None and failing:
                    log.info("heartbeat.answered")
                failing = error is not None
            await asyncio.sleep(every_seconds)


async def _call(session: aiohttp.ClientSession, url: str) -> str | None:
    # What went wrong, without the address; None = the watchdog took it.
    try:
        async with session.get(url, allow_redirects=False) as response:
            if response.status < 400:
                return None
            return f"HTTP {response.status}"
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        return type(error).__name__
