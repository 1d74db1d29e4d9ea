"""What a live run loads. Checked in a process of its own: here everything is loaded already."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "src"

LIVE = "import counterpoise.app.cli.main, counterpoise.app.daemon"
HELP = "import counterpoise.app.cli.main"


@cache
def loaded_by(statement):
    code = f"{statement}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(done.stdout.split())


def loaded_under(modules, prefix):
    return sorted(name for name in modules if name == prefix or name.startswith(prefix + "."))


@pytest.mark.parametrize("prefix", ["exchange", "simulator", "lab", "venues.paper"])
def test_a_live_run_never_loads_the_model_of_a_venue(prefix):
    assert loaded_under(loaded_by(LIVE), f"counterpoise.{prefix}") == []


def test_a_live_run_never_loads_what_is_for_reports_or_tests():
    modules = loaded_by(LIVE)
    absent = ("pandas", "pyarrow", "plotly", "distributed", "dask", "scipy", "arch")
    absent += ("pytest", "hypothesis", "jinja2")
    found = [p for p in absent if loaded_under(modules, p)]
    assert found == []
    assert "ccxt.pro" not in modules


def test_help_loads_nothing_heavy():
    modules = loaded_by(HELP)
    heavy = ("aiohttp", "ccxt", "numpy", "pydantic", "sqlalchemy", "websockets")
    assert [name for name in heavy if name in modules] == []


PAPER = """
import counterpoise.app.paper
from counterpoise.app.venue_table import VENUES
for row in VENUES.values(): row.public()
"""


def test_a_paper_run_never_loads_what_places_orders_or_opens_private_streams():
    modules = loaded_by(PAPER)
    assert "counterpoise.venues.paper.orders" in modules
    private = [
        f"counterpoise.venues.{venue}.{name}"
        for venue in ("okx", "binance", "bybit")
        for name in ("orders", "account_stream")
    ]
    assert [name for name in private if name in modules] == []


@pytest.mark.parametrize("prefix", ["exchange", "simulator", "venues.paper"])
def test_a_daemon_with_a_twin_loads_no_model_either(prefix):
    modules = loaded_by(f"{LIVE}, counterpoise.app.shadow.keeping")
    assert loaded_under(modules, f"counterpoise.{prefix}") == []
