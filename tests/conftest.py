"""What every test stands on: no configuration of the machine leaks in."""

import decimal
import os
import sys
from pathlib import Path

import pytest

# Support modules lie beside this file; tests are no package.
sys.path.insert(0, str(Path(__file__).parent))

pytest_plugins = ["postgres_fixture"]

#: Variables of the project that belong to whoever runs the tests, not to a test.
_PREFIX = "COUNTERPOISE_"


@pytest.fixture(autouse=True)
def _no_configuration_leaks_in(monkeypatch):
    for name in list(os.environ):
        if name.upper().startswith(_PREFIX):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _no_arithmetic_leaks_in():
    # ccxt changes the rounding of whoever calls it; one test's use of it is not the next one's.
    decimal.setcontext(decimal.Context(traps=decimal.DefaultContext.traps))
