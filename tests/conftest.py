"""What every test stands on: no configuration of the machine leaks in."""

import asyncio.constants
import decimal
import os
import sys
from pathlib import Path

import pytest

# Support modules lie beside this file; tests are no package.
sys.path.insert(0, str(Path(__file__).parent))

from spread_tests import spread

# asyncio's debug mode writes down where each future was made; one line of it is enough.
asyncio.constants.DEBUG_STACK_DEPTH = 1

pytest_plugins = ["postgres_fixture"]

#: Variables of the project that belong to whoever runs the tests, not to a test.
_PREFIX = "COUNTERPOISE_"


def pytest_collection_modifyitems(config, items):
    """Deal the tests to the workers of this run."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        items[:] = spread(items, workers, Path(__file__).parent)


@pytest.fixture(autouse=True)
def _no_configuration_leaks_in(monkeypatch):
    for name in list(os.environ):
        if name.upper().startswith(_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_arithmetic_leaks_in():
    # ccxt changes the rounding of whoever calls it; one test's use of it is not the next one's.
    decimal.setcontext(decimal.Context(traps=decimal.DefaultContext.traps))
