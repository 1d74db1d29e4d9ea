"""Bad input: one message that names what is wrong and what is allowed, and an exit code not 0."""

from collections.abc import Iterator

import pytest

from daemon_process import Daemon, daemon

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def stopped() -> Iterator[Daemon]:
    with daemon() as made:
        yield made


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("venue", "ftx", ("COUNTERPOISE_VENUE", "ftx", "simulator")),
        ("core_allocation", "0.7", ("COUNTERPOISE_CORE_ALLOCATION", "0.7", "0.4")),
        ("core_allocation", "0.3", ("COUNTERPOISE_CORE_ALLOCATION", "0.3", "0.6")),
        ("leverage_ceiling", "3.5", ("COUNTERPOISE_LEVERAGE_CEILING", "3.5", "3")),
        ("core_leverage", "4", ("COUNTERPOISE_CORE_LEVERAGE", "4", "3")),
        ("environment", "production", ("COUNTERPOISE_ENVIRONMENT", "production", "demo")),
        ("core_instrument", "btc/usdt", ("COUNTERPOISE_CORE_INSTRUMENT", "btc/usdt")),
        ("core_instrumnet", "BTCUSDT", ("COUNTERPOISE_CORE_INSTRUMNET", "CORE_INSTRUMENT")),
    ],
)
def test_a_wrong_value_names_variable_value_and_remedy(
    stopped: Daemon, variable: str, value: str, words: tuple[str, ...]
) -> None:
    before = dict(stopped.variables)
    stopped.variables[variable] = value
    try:
        ran = stopped.cli("run")
    finally:
        stopped.variables = before
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
    for word in words:
        assert word in ran.stderr


def test_an_instrument_the_venue_does_not_list_is_refused(stopped: Daemon) -> None:
    stopped.variables["hedge_candidates"] = "NOSUCHUSDT"
    ran = stopped.cli("run")
    del stopped.variables["hedge_candidates"]
    assert ran.returncode == 1
    assert "NOSUCHUSDT" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_wrong_key_is_refused_without_showing_it(stopped: Daemon) -> None:
    wrong = {"api_key": "wrong-key-1", "api_secret": "secret-22", "api_passphrase": "phrase-33"}
    stopped.variables.update(wrong)
    ran = stopped.cli("run")
    for name in wrong:
        del stopped.variables[name]
    assert ran.returncode == 1
    assert "key" in ran.stderr.lower()
    assert "secret-22" not in ran.stderr + ran.stdout
    assert "phrase-33" not in ran.stderr + ran.stdout
    assert "Traceback" not in ran.stderr


def test_a_state_directory_that_cannot_be_made_is_refused_in_words(stopped: Daemon) -> None:
    before = dict(stopped.variables)
    stopped.variables["state_dir"] = "/dev/null/state"
    try:
        ran = stopped.cli("run")
    finally:
        stopped.variables = before
    assert ran.returncode == 1
    assert "/dev/null/state" in ran.stderr
    assert "Traceback" not in ran.stderr
