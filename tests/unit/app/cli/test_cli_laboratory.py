import json

import pytest
from typer.testing import CliRunner

from counterpoise.app.cli.main import app
from counterpoise.domain.errors import DataError, SettingsError
from lab_world import walk, write

NAMES = ("BTCUSDT", "ETHUSDT")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write(folder, walk(NAMES, int(3.5 * 288), seed=2, scale=0.002))
    return folder


def called(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def on(data, *arguments):
    given = ("--data", data, "--core", "BTCUSDT", "--hedges", "ETHUSDT", "--workers", 1)
    return (*given, *arguments)


def test_backtest_prints_one_object_and_the_same_again(data):
    first = called("backtest", *on(data, "--json"))
    second = called("backtest", *on(data, "--json"))

    assert first.exit_code == 0
    assert first.stdout == second.stdout
    found = json.loads(first.stdout)
    assert set(found) == {"policies", "data"}
    assert list(found["policies"]) == ["counterpoise"]
    assert found["policies"]["counterpoise"]["decisions"] == 48


def test_backtest_prints_a_table_with_what_was_assumed(data):
    result = called("backtest", *on(data, "--policy", "static_hedge"))

    assert "static hedge" in result.stdout
    assert "highest drawdown" in result.stdout
    assert "funding: assumed 0 per 8 h for BTCUSDT, ETHUSDT" in result.stdout
    assert "3 days of history" in result.stdout


def test_compare_runs_every_policy(data):
    found = json.loads(called("compare", *on(data, "--json")).stdout)["policies"]

    assert sorted(found) == [
        "constant_mix", "counterpoise", "flat", "hold_less",
        "minimum_variance", "price_correlation", "static_hedge", "unhedged",
    ]  # fmt: skip
    assert found["flat"]["return_fraction"] == 0.0
    assert found["unhedged"]["turnover"] > 0.0


def test_a_detail_file_and_a_report_are_written(data, tmp_path):
    detail, report = tmp_path / "detail.jsonl", tmp_path / "report.html"

    called("compare", *on(data, "--policies", "flat", "--detail", detail, "--report", report))

    assert json.loads(detail.read_text().splitlines()[0])["kind"] == "header"
    assert "<html" in report.read_text()


def test_a_number_can_be_set(data):
    asked = ("--policy", "unhedged", "--set", "core_leverage=2", "--json")

    found = json.loads(called("backtest", *on(data, *asked)).stdout)

    # 0.6 x 2 of equity, less what rounding to lots leaves.
    assert found["data"]["assumptions"]["changed"] == {"core_leverage": "2"}
    assert found["policies"]["unhedged"]["leverage_max"] == pytest.approx(1.2, abs=0.1)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        (("--set", "core_leverage"), SettingsError, "--set core_leverage: allowed is name=value"),
        (("--start", "soon"), SettingsError, "--start soon: allowed is"),
        (("--policy", "luck"), SettingsError, "--policy luck: allowed is"),
        (("--funding", "/nowhere"), DataError, "--funding /nowhere: allowed is"),
    ],
)
def test_what_is_wrong_is_named(data, arguments, error, words):
    with pytest.raises(error) as refused:
        called("backtest", *on(data, *arguments))
    assert words in str(refused.value)


def test_a_report_that_cannot_be_written_is_named(data, tmp_path):
    target = tmp_path / "none" / "report.html"
    with pytest.raises(SettingsError, match="--report"):
        called("backtest", *on(data, "--policy", "flat", "--report", target))
