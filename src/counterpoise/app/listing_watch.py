"""Asks the venue again and again whether it still takes orders in what is followed."""

import asyncio
from typing import Final

import structlog

from counterpoise.app.runner import Runner
from counterpoise.domain.errors import VenueError
from counterpoise.domain.events import InstrumentStateTold
from counterpoise.ports import Clock, Venue

log = structlog.get_logger(__name__)

#: Time between two questions, seconds; a market is closed with hours of notice, or at once.
ASK_SECONDS: Final = 10.0


async def watch(venue: Venue, runner: Runner, clock: Clock) -> None:
    """Feed the state of every followed instrument until cancelled."""
    away = False
    while True:
        await asyncio.sleep(ASK_SECONDS)
        try:
            states = await venue.instrument_states(tuple(runner.state.instruments))
        except VenueError as error:
            if not away:
                log.warning("instruments.not_asked", error=str(error))
            away = True
            continue
        away = False
        now_ns = clock.now_ns()
        for instrument_id, state in sorted(states.items()):
            if runner.state.instruments[instrument_id].state is not state:
                runner.feed(
                    InstrumentStateTold(
                        instrument_id=instrument_id, state=state, received_ns=now_ns
                    )
                )
