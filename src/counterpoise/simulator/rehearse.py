"""A venue to rehearse on, in the foreground: any protocol, scenario, seed and speed."""

import asyncio
import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from counterpoise.exchange.parameters import demo_parameters
from counterpoise.exchange.scenarios.pace import paced
from counterpoise.exchange.scenarios.script import Scenario, ScenarioInvalid
from counterpoise.simulator import scenarios, server
from counterpoise.simulator.bar_files import BarsUnreadable, read_bars
from counterpoise.simulator.clock import SPEED_MAX
from counterpoise.simulator.opening import Opening
from counterpoise.simulator.venues import VenueName

#: Most a scenario's own times can be divided by.
PACE_MAX: Final = 1_000.0


class OptionWrong(ValueError):
    """An option has a value that is not allowed; the message names both and what is."""


def run(opening: Opening, *, state_dir: Path | None, port: int, fresh: bool = False) -> None:
    """Serve until SIGTERM and print one JSON line when ready.

    `state_dir` None = nothing is kept. Raises what `server.serve` raises.
    """
    with _directory(state_dir) as directory:
        work = server.serve(directory, opening, port=port, fresh=fresh, ready=_announce)
        asyncio.run(work)


def _announce(card: dict[str, str]) -> None:
    sys.stdout.write(json.dumps(card) + "\n")
    sys.stdout.flush()


@contextmanager
def _directory(state_dir: Path | None) -> Iterator[Path]:
    if state_dir is not None:
        yield state_dir
        return
    with tempfile.TemporaryDirectory(
        prefix="counterpoise-venue-", ignore_cleanup_errors=True
    ) as made:
        yield Path(made)


def venue_name(name: str | None) -> VenueName:
    """Return a venue by its name. OptionWrong: there is no such venue."""
    try:
        return VenueName(name or "")
    except ValueError:
        allowed = ", ".join(each.value for each in VenueName)
        raise OptionWrong(f"--venue {name}: allowed is one of {allowed}") from None


def money(text: str) -> Decimal:
    """Return a positive amount, quote. OptionWrong: it is none."""
    try:
        figure = Decimal(text)
    except InvalidOperation:
        figure = Decimal(0)
    if not figure.is_finite() or figure <= 0:
        raise OptionWrong(f"--wallet {text}: allowed is a positive amount")
    return figure


def market_speed(speed: float) -> float:
    """Return a speed, market seconds per second. OptionWrong: out of bounds."""
    if not 0 <= speed <= SPEED_MAX:
        raise OptionWrong(f"--speed {speed:g}: allowed is 0 (lock-step) to {SPEED_MAX:g}")
    return speed


def played(scenario: str | None, bars: Path | None, pace: float = 1.0) -> Scenario | None:
    """Return what is to be played; None = nothing.

    `pace` divides the scenario's own times. OptionWrong: no such scenario or bars, or a pace that
    does not fit them.
    """
    if pace != 1 and (scenario is None or bars is not None or not 0 < pace <= PACE_MAX):
        raise OptionWrong(
            f"--pace {pace:g}: allowed is above 0 to {PACE_MAX:g}, with --scenario, without --bars"
        )
    if scenario is None and bars is None:
        return None
    script = Scenario(name="bars", summary="What really happened.")
    if scenario is not None:
        try:
            script = paced(scenarios.load_scenario(scenario), pace)
        except ScenarioInvalid as wrong:
            hurried = "" if pace == 1 else f" --pace {pace:g}"
            raise OptionWrong(f"--scenario {scenario}{hurried}: {wrong}") from wrong
        except OSError as missing:
            raise OptionWrong(f"--scenario {scenario}: {missing}") from missing
    if bars is None:
        return script
    markets = [each.instrument.instrument_id for each in demo_parameters(0).instruments]
    try:
        return replace(script, bars=read_bars(bars, markets))
    except BarsUnreadable as wrong:
        raise OptionWrong(f"--bars {bars}: {wrong}") from wrong
