"""Asks again how account and instruments are set up: every hour, and after every incident."""

import asyncio
from typing import Final

import structlog

from counterpoise.app import attesting
from counterpoise.app.runner import Runner
from counterpoise.domain.account import Attestation, AttestedDifference
from counterpoise.domain.errors import StartRefused, VenueError
from counterpoise.domain.events import AccountAttested, Event
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.records import IncidentOpened
from counterpoise.domain.units import NS_PER_HOUR
from counterpoise.engine import actions
from counterpoise.ports import Clock, Venue

log = structlog.get_logger(__name__)

#: Time between two attestations while all is as it was, seconds.
EVERY_SECONDS: Final = 3_600.0
#: ... and while something differs, or the venue gave no answer.
AGAIN_SECONDS: Final = 60.0
#: Two attestations are at least this far apart, whatever incidents there are, seconds.
GAP_SECONDS: Final = 30.0
#: An attestation that could not be repeated for this long counts as different, ns.
AGE_NS_MAX: Final = 3 * NS_PER_HOUR
#: Incidents whose kind begins so came of an attestation.
_OWN_KIND: Final = "attestation."


class AttestationWatch:
    """One task; what it finds is an event."""

    def __init__(
        self, venue: Venue, runner: Runner, clock: Clock, attestation: Attestation
    ) -> None:
        self._venue = venue
        self._runner = runner
        self._clock = clock
        self._expected = attesting.facts(attestation)
        self._incident = asyncio.Event()
        self._attested_ns = clock.now_ns()
        self._wait_seconds = EVERY_SECONDS

    def told(self, _event: Event, done: list[actions.Action]) -> None:
        """Note an incident that a step opened; the next look is then due."""
        for action in done:
            record = action.record if isinstance(action, actions.Write) else None
            if isinstance(record, IncidentOpened) and not record.kind.startswith(_OWN_KIND):
                self._incident.set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(GAP_SECONDS)
            rest = max(0.0, self._wait_seconds - GAP_SECONDS)
            try:
                async with asyncio.timeout(rest):
                    await self._incident.wait()
            except TimeoutError:
                pass
            await self.look()

    async def look(self) -> None:
        """Ask once and feed what differs from the start; no answer is fed once it is too old."""
        self._incident.clear()
        now_ns = self._clock.now_ns()
        names = [
            name
            for name, rules in self._runner.state.instruments.items()
            if rules.state is not InstrumentState.DELISTED
        ]
        try:
            found = attesting.facts(await attesting.attest(self._venue, names))
        except (StartRefused, VenueError) as error:
            log.warning("attestation.not_asked", error=str(error))
            self._wait_seconds = AGAIN_SECONDS
            self._feed_unknown(error, now_ns)
            return
        self._attested_ns = now_ns
        body = attesting.body(found)
        differences = attesting.differences(self._expected, found)
        self._wait_seconds = AGAIN_SECONDS if differences else EVERY_SECONDS
        self._runner.feed(
            AccountAttested(
                attestation_sha256=attesting.sha256(body),
                body=body,
                differences=differences,
                received_ns=self._clock.now_ns(),
            )
        )

    def _feed_unknown(self, error: StartRefused | VenueError, now_ns: int) -> None:
        # A key that is refused is no fault of the line; silence becomes one with time.
        if isinstance(error, VenueError) and now_ns - self._attested_ns < AGE_NS_MAX:
            return
        refused = isinstance(error, StartRefused)
        difference = AttestedDifference(
            field="attestation",
            expected="repeated every hour",
            found=f"refused: {error}" if refused else "not answered for hours",
        )
        self._runner.feed(
            AccountAttested(
                attestation_sha256="",
                body="",
                differences=(difference,),
                received_ns=self._clock.now_ns(),
            )
        )
