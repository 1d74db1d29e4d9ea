"""The venues the tests are carried out on: COUNTERPOISE_TEST_VENUES=okx,binance or all; default OKX."""

import os
from collections.abc import Iterator

import pytest

import daemon_process
from crash_venues import VENUES

_SAID = os.environ.get("COUNTERPOISE_TEST_VENUES", "okx")
_ASKED = [*VENUES] if _SAID == "all" else _SAID.split(",")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "venue" in metafunc.fixturenames:
        wrong = set(_ASKED) - VENUES.keys()
        assert not wrong, f"COUNTERPOISE_TEST_VENUES knows {', '.join(VENUES)}, not {wrong}"
        metafunc.parametrize("venue", _ASKED, indirect=True, scope="module")


@pytest.fixture(scope="module")
def venue(request: pytest.FixtureRequest) -> Iterator[str]:
    """Have every daemon made meanwhile trade on this venue; return its name."""
    before, daemon_process.venue_played = daemon_process.venue_played, request.param
    yield request.param
    daemon_process.venue_played = before
