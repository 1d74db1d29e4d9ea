"""The tasks that watch, and let others watch, while the daemon runs."""

from collections.abc import Coroutine
from typing import Any

from counterpoise.app import heartbeat, listing_watch
from counterpoise.app.attestation_watch import AttestationWatch
from counterpoise.app.clock import SystemClock
from counterpoise.app.clock_watch import ClockWatch
from counterpoise.app.dead_man import DeadMan
from counterpoise.app.runner import Runner
from counterpoise.app.settings import Settings
from counterpoise.domain.account import Attestation
from counterpoise.execution.sends import SendPermit
from counterpoise.ports import Venue


def dead_man_of(
    settings: Settings, venue: Venue, runner: Runner, permit: SendPermit
) -> DeadMan | None:
    """Return the venue's switch as configured; None = switched off, or nothing is ever sent."""
    if settings.mode == "observe" or not settings.dead_man_seconds:
        return None
    return DeadMan(venue, runner.healthy, permit, seconds=settings.dead_man_seconds)


def of_venue(
    settings: Settings,
    venue: Venue,
    runner: Runner,
    clock: SystemClock,
    dead_man: DeadMan | None,
    attestation: Attestation,
) -> dict[str, Coroutine[Any, Any, None]]:
    """Return the tasks by name; each runs until it is cancelled."""
    clock_watch = ClockWatch(
        venue, runner, clock, every_seconds=settings.clock_seconds, give_way=clock.give_way
    )
    attestation_watch = AttestationWatch(venue, runner, clock, attestation)
    runner.watch(attestation_watch.told)
    found: dict[str, Coroutine[Any, Any, None]] = {
        "attestation": attestation_watch.run(),
        "clock": clock_watch.run(),
        "instruments": listing_watch.watch(venue, runner, clock),
    }
    if dead_man is not None:
        found["dead man's switch"] = dead_man.run()
    if settings.heartbeat_url is not None:
        found["heartbeat"] = heartbeat.beat(
            settings.heartbeat_url.get_secret_value(),
            runner.healthy,
            every_seconds=settings.heartbeat_seconds,
        )
    return found
