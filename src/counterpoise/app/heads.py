"""Publishes the record's head to the log and, if asked for, to a file outside the database."""

import asyncio
from pathlib import Path
from typing import Final

import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from counterpoise.app.settings import Settings
from counterpoise.ledger import checkpoints
from counterpoise.ledger.sealer import Sealer
from counterpoise.ports import Clock

#: Seconds between two looks at the head.
PUBLISH_SECONDS: Final = 300.0

log = structlog.get_logger(__name__)


def signing_key(settings: Settings) -> Ed25519PrivateKey | None:
    """Return the key heads are signed with; None = none. Raises StartRefused for a bad file."""
    path = settings.checkpoint_key
    return None if path is None else checkpoints.load_key(path)


class HeadPublisher:
    """One chain's head, told to the outside whenever it moved."""

    def __init__(
        self, sealer: Sealer, path: Path | None, key: Ed25519PrivateKey | None, clock: Clock
    ) -> None:
        """Prepare; `path` None = the log is the only outside."""
        self._sealer = sealer
        self._path = path
        self._key = key
        self._clock = clock
        self._told = 0

    async def run(self) -> None:
        """Publish every few minutes until cancelled."""
        while True:
            await asyncio.sleep(PUBLISH_SECONDS)
            await self.publish()

    async def publish(self) -> None:
        """Publish the head if it moved. A file that cannot be written is said, no more."""
        head = self._sealer.head
        if head is None or head.block_no <= self._told:
            return
        self._told = head.block_no
        chain = self._sealer.chain_name
        log.info("ledger.head", chain=chain, block=head.block_no, hash=head.hash.hex())
        if self._path is None:
            return
        try:
            # On a thread: a disk that hangs must not hold the loop, where the guard lives.
            await asyncio.to_thread(
                checkpoints.publish, self._path, chain, head, self._clock.now_ns(), self._key
            )
        except OSError as error:
            log.error("ledger.head_not_published", path=str(self._path), error=str(error))
