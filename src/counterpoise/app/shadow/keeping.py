"""The daemon's side of a twin: starts its process, lets it hear the market, and outlives it.

Nothing of the twin runs in the daemon's process. What the twin is sent is handed to the operating
system without waiting; one that does not keep up, breaks or ends is let go with an incident.
"""

import asyncio
import os
import sys
import uuid
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import structlog

from counterpoise.app.settings import PREFIX, Settings
from counterpoise.app.shadow import pipe
from counterpoise.app.venue_table import PAPER, VENUES
from counterpoise.domain import identity
from counterpoise.domain.account import AccountSnapshot, Attestation
from counterpoise.domain.events import Event
from counterpoise.domain.records import IncidentOpened
from counterpoise.ledger import codec
from counterpoise.ports import Clock, Feed, Journal

log = structlog.get_logger(__name__)

#: A twin that has this much unread is too slow, bytes.
UNREAD_BYTES_MAX: Final = 32 * 1024 * 1024
#: A twin gets this long to end once the daemon ends, seconds.
LEAVE_SECONDS_MAX: Final = 3.0
#: Kind of the incident.
INCIDENT: Final = "shadow.ended"

#: Settings a twin has none of: keys, what is armed or watched, addresses, the head's file.
_NONE_OF: Final = (
    "live_trading",
    "api_key",
    "api_secret",
    "api_passphrase",
    "heartbeat_url",
    "checkpoints",
    "checkpoint_key",
    *(name for row in VENUES.values() for name in row.address_settings.values()),
)


def twin_dir(settings: Settings) -> Path:
    """Return where the twin keeps its files."""
    return settings.state_dir / "shadow"


def introduced(
    settings: Settings,
    endpoints: Any,
    snapshot: AccountSnapshot,
    attestation: Attestation,
    dsn: str,
) -> pipe.Introduction:
    """Return what the twin is told: the daemon's configuration on a paper account."""
    venue = settings.simulator_venue if settings.venue == "simulator" else settings.venue
    equity = snapshot.balance.equity
    values = settings.model_dump(mode="json", exclude=set(_NONE_OF))
    values |= {
        "venue": venue,
        "environment": PAPER,
        "mode": "trade",
        "shadow": False,
        "fresh": False,
        "foreign": "refuse",
        "stop_policy": "hold",
        "dead_man_seconds": 0,
        "state_dir": str(twin_dir(settings)),
        "database_url": dsn,
        "status_host": "127.0.0.1",
        "status_port": 0,
        "log_format": "json",
        # It begins with what the account it shadows has, and pays what that pays.
        "paper_equity": str(equity if equity > 0 else settings.paper_equity),
        "paper_maker_fee_bps": _text(attestation.maker_fee_bps),
        "paper_taker_fee_bps": _text(attestation.taker_fee_bps),
    }
    return pipe.Introduction(
        settings=values,
        venue=venue,
        addresses={
            each.name: getattr(endpoints, each.name)
            for each in fields(endpoints)
            if each.name not in {"private_url", "wallet_url"}
        },
        account_id=identity.shadow_account_id(snapshot.account_id),
    )


class Shadow:
    """One twin, from its start to its end or the daemon's. No method raises for the twin's sake."""

    def __init__(self, directory: Path, journal: Journal, run_id: str, clock: Clock) -> None:
        self._directory = directory
        self._journal = journal
        self._run_id = run_id
        self._clock = clock
        self._process: asyncio.subprocess.Process | None = None
        self._failure: str | None = None
        self._ended = asyncio.Event()

    async def start(self, introduce: Callable[[], pipe.Introduction]) -> None:
        """Start the twin's process; one that does not start is an incident."""
        try:
            first = introduce()
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (self._directory / "twin.log").open("wb") as output:
                self._process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "counterpoise.app.shadow.twin",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=output,
                    stderr=output,
                    env={k: v for k, v in os.environ.items() if not k.upper().startswith(PREFIX)},
                    start_new_session=True,
                )
        except Exception as error:  # the daemon goes on whatever breaks here
            log.exception("shadow.not_started")
            self._fail(f"it does not start: {error}")
            return
        log.info("shadow.started", account=first.account_id, pid=self._process.pid)
        self._send(pipe.introduction(first))

    def heard_by(self, feed: Feed) -> Feed:
        """Return a feed that the twin hears of after `feed`."""

        def hear(event: Event) -> None:
            feed(event)
            if self._process is not None and self._failure is None and pipe.of_the_market(event):
                self._forward(event)

        return hear

    async def run(self) -> None:
        """Wait until cancelled; a twin that ends meanwhile is an incident and nothing else."""
        if self._process is not None:
            gone = asyncio.ensure_future(self._process.wait())
            failed = asyncio.ensure_future(self._ended.wait())
            try:
                await asyncio.wait({gone, failed}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                gone.cancel()
                failed.cancel()
            if self._failure is None:
                self._fail(f"it ended by itself with exit code {self._process.returncode}")
        await asyncio.Event().wait()

    async def stop(self) -> None:
        """End the twin with the daemon; one that takes its time is killed, which harms nothing."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        # Whatever its end is, it was asked for.
        self._failure = self._failure or "the daemon ends"
        # The pipe stays open: its end is for a daemon that could not say so.
        process.terminate()
        try:
            async with asyncio.timeout(LEAVE_SECONDS_MAX):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    def _forward(self, event: Event) -> None:
        try:
            self._send(pipe.frame(event))
        except Exception as error:  # the daemon goes on whatever breaks here
            log.exception("shadow.broken")
            self._fail(f"an event could not be told: {error}")

    def _send(self, content: bytes) -> None:
        process = self._process
        assert process is not None, "there is a twin"
        assert process.stdin is not None, "its input is a pipe"
        if process.stdin.is_closing():
            return
        if process.stdin.transport.get_write_buffer_size() > UNREAD_BYTES_MAX:
            self._fail(f"it does not keep up: {UNREAD_BYTES_MAX} bytes are unread")
            return
        process.stdin.write(content)

    def _fail(self, words: str) -> None:
        # Let go of it for good: a twin with a hole in what it heard proves nothing.
        if self._failure is not None:
            return
        self._failure = words
        self._ended.set()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        log.error("shadow.ended", reason=words, log=str(self._directory / "twin.log"))
        summary = f"The shadow twin is gone: {words}. The daemon goes on; a restart starts another."
        self._journal.append(
            IncidentOpened(
                incident_id=uuid.uuid4().hex,
                run_id=self._run_id,
                severity="warning",
                kind=INCIDENT,
                summary=summary,
                body=codec.encode({"reason": words}),
                opened_ns=self._clock.now_ns(),
            )
        )


def _text(value: object) -> str | None:
    return None if value is None else str(value)
