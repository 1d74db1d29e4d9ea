"""Stops that rest at the built-in venue, against the positions they protect."""

import json
import urllib.request
from decimal import Decimal
from typing import Any

from counterpoise.simulator import client
from daemon_process import Daemon


def venue_state(made: Daemon) -> dict[str, Any]:
    """Return everything the venue ever took and told."""
    port = client.read_port(made.simulator_dir)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/_state", timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def live_stops(made: Daemon) -> dict[str, list[dict[str, Any]]]:
    """Return the stops the venue holds back, by instrument."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in venue_state(made)["trigger_orders"]:
        if each["state"] == "live":
            found.setdefault(each["instrument_id"], []).append(each)
    return found


def in_step(made: Daemon) -> bool:
    """Tell whether each leg has one stop of its own size against it."""
    positions, stops = made.venue_positions(), live_stops(made)
    if not positions or positions.keys() != stops.keys():
        return False
    return all(
        len(stops[name]) == 1
        and stops[name][0]["reduce_only"]
        and (stops[name][0]["side"] == "sell") == (quantity > 0)
        and Decimal("0.97") <= Decimal(stops[name][0]["quantity"]) / abs(quantity) <= 1
        for name, quantity in positions.items()
    )
