"""What a person asked of a start that was refused is left to the next one.

Closing the book waits for the engine. Where the start ends before there is one, the wish becomes a
command on record, as if it had been given with `counterpoise flatten`: whoever runs next on the
account carries it out and stays paused. That the daemon should end as well is done by then.
"""

import asyncio
import signal
from types import TracebackType
from typing import Final, Self

import structlog

from counterpoise.app.settings import Settings
from counterpoise.app.unix_signals import SignalDesk
from counterpoise.domain.errors import LeaseLost, LedgerError
from counterpoise.domain.events import ControlAction
from counterpoise.ledger import controls
from counterpoise.ledger.reader import LedgerReader
from counterpoise.status import client

log = structlog.get_logger(__name__)

#: What the record says of where such a command comes from.
REASON: Final = f"{signal.SIGQUIT.name} during a start that was refused"


class RefusedStart:
    """Around a start, inside of the database; keeps a SIGQUIT if what it is around raises."""

    def __init__(self, settings: Settings, desk: SignalDesk, dsn: str, *, commanded: bool) -> None:
        """`commanded` = commands in the database are meant for this daemon; else nothing is kept."""
        self._settings = settings
        self._desk = desk
        self._dsn = dsn
        self._commanded = commanded
        #: The account as the venue names it; None = the venue has not said yet.
        self.account_id: str | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # A second stop cancels the start: who gave it would not wait.
        refused = isinstance(error, Exception)
        if not refused or not self._commanded or signal.SIGQUIT.name not in self._desk.waiting():
            return
        if isinstance(error, LeaseLost):
            # Whom a signal was for that reached a second daemon is not ours to guess: the first
            # one would close a book that somebody else may want.
            log.error(
                "stop.not_kept",
                signal=signal.SIGQUIT.name,
                reason="another daemon runs on the account",
                remedy="ask that one, with a signal or `counterpoise flatten`",
            )
            return
        await self._keep()

    async def _keep(self) -> None:
        try:
            account_id = await asyncio.to_thread(self._record)
        except LedgerError as error:
            log.error("stop.not_kept", signal=signal.SIGQUIT.name, reason=str(error))
            return
        if account_id is None:
            log.error(
                "stop.not_kept",
                signal=signal.SIGQUIT.name,
                reason="the venue named no account and no daemon ran here on one before",
                remedy="ask again once a start gets through, or close the book at the venue",
            )
            return
        self._desk.settle(signal.SIGQUIT)
        log.warning(
            "stop.kept",
            signal=signal.SIGQUIT.name,
            account=account_id,
            until="a daemon runs on the account: it closes everything and stays paused",
        )

    def _record(self) -> str | None:
        account_id = self.account_id or self._known_before()
        if account_id is not None:
            controls.request(self._dsn, ControlAction.FLATTEN, REASON, account_id=account_id)
        return account_id

    def _known_before(self) -> str | None:
        # Only one that this database knows: a command must not wait for a daemon elsewhere.
        told = self._settings.live_trading or client.last_account(self._settings.state_dir)
        with LedgerReader(self._dsn) as reader:
            return told if told in controls.accounts(reader) else None
