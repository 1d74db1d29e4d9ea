"""What every test stands on: no configuration of the machine leaks in."""

import asyncio.constants
import decimal
import gc
import os
import shutil
import sys
from pathlib import Path

import pytest

# Support modules lie beside this file; tests are no package.
sys.path.insert(0, str(Path(__file__).parent))

import made_cluster
from spread_tests import spread

# asyncio's debug mode writes down where each future was made; one line of it is enough.
asyncio.constants.DEBUG_STACK_DEPTH = 1

# Nothing of what is imported and collected ever goes: no collector looks through it, now or later.
gc.disable()

pytest_plugins = ["postgres_fixture"]

#: Variables of the project that belong to whoever runs the tests, not to a test.
_PREFIX = "COUNTERPOISE_"


def pytest_configure(config):
    """Have the workers of this run share what is costly to make."""
    if getattr(config.option, "numprocesses", None):
        gc.enable()
        shared = made_cluster.share()
        config.add_cleanup(lambda: shutil.rmtree(shared, ignore_errors=True))


def pytest_collection_modifyitems(config, items):
    """Deal the tests to the workers of this run."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    if workers > 1:
        items[:] = spread(items, workers, Path(__file__).parent)


def pytest_collection_finish():
    """Leave to the collector what tests make, and nothing else."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _no_configuration_leaks_in(monkeypatch):
    for name in list(os.environ):
        if name.upper().startswith(_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_arithmetic_leaks_in():
    # ccxt changes the rounding of whoever calls it; one test's use of it is not the next one's.
    decimal.setcontext(decimal.Context(traps=decimal.DefaultContext.traps))
