import json
import sys

import pytest

from counterpoise import __version__
from counterpoise.app.cli import main


@pytest.fixture
def counterpoise(monkeypatch, capsys, tmp_path):
    """Run the command line as a shell does: words in, exit code and both outputs out."""
    monkeypatch.setenv("COUNTERPOISE_STATE_DIR", str(tmp_path / "state"))

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["counterpoise", *words])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def test_version(counterpoise):
    code, out, _ = counterpoise("--version")
    assert (code, out) == (0, f"counterpoise {__version__}\n")


COMMANDS = [
    "backtest",
    "compare",
    "run",
    "status",
    "decisions",
    "explain",
    "positions",
    "replay",
    "pause",
    "resume",
    "flatten",
    "stop",
    "high-water reset",
    "config show",
    "config check",
    "simulator serve",
    "simulator state",
    "simulator shock",
    "simulator stop",
    "database upgrade",
    "database url",
    "data fetch",
    "data check",
    "feed replay",
    "record",
    "stress",
    "sweep",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_says_what_it_does(counterpoise, command):
    code, out, _ = counterpoise(*command.split(), "--help")
    assert code == 0
    assert "Usage" in out


def test_an_unknown_command_is_a_usage_error(counterpoise):
    code, _, err = counterpoise("fly")
    assert code == 2
    assert "fly" in err


def test_a_wrong_setting_is_one_line_and_exit_2(counterpoise, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_CORE_LEVERAGE", "4")
    code, out, err = counterpoise("run")
    assert code == 2
    assert out == ""
    assert err == "error: COUNTERPOISE_CORE_LEVERAGE=4.0: allowed is 2.0 to 3.0\n"


def test_the_live_profile_is_refused_until_it_is_armed(counterpoise):
    code, _, err = counterpoise("run", "--profile", "live")
    assert code == 2
    assert "COUNTERPOISE_LIVE_TRADING is not set" in err


@pytest.mark.parametrize("command", ["decisions", "explain", "positions", "replay", "pause"])
def test_without_a_record_a_command_says_so(counterpoise, command, tmp_path):
    code, _, err = counterpoise(command)
    assert code == 1
    assert err == (
        f"error: there is no record in {tmp_path / 'state'} yet; start the daemon first\n"
    )
    assert not (tmp_path / "state").exists()


def test_a_database_that_is_away_is_one_line(counterpoise, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_DATABASE_URL", "postgresql://me:hidden@127.0.0.1:1/none")
    code, _, err = counterpoise("decisions")
    assert code == 1
    assert err.startswith("error: Postgres does not answer")
    assert "hidden" not in err
    assert "Traceback" not in err


def test_no_simulator_is_one_line(counterpoise):
    code, _, err = counterpoise("simulator", "state")
    assert code == 1
    assert err.startswith("error: no simulator of ")


def test_no_daemon_is_exit_1(counterpoise, tmp_path):
    code, out, _ = counterpoise("status")
    assert (code, out) == (1, f"no daemon has started in {tmp_path / 'state'}\n")


def test_config_show_as_json_has_one_object_per_setting(counterpoise, monkeypatch):
    monkeypatch.setenv("COUNTERPOISE_API_SECRET", "hidden")
    code, out, _ = counterpoise("config", "show", "--profile", "demo", "--json")
    rows = {row["setting"]: row for row in json.loads(out)}
    assert code == 0
    assert rows["cycle_seconds"] == {
        "setting": "cycle_seconds",
        "value": "30",
        "source": "profile demo.toml",
        "variable": "COUNTERPOISE_CYCLE_SECONDS",
    }
    assert rows["api_secret"]["value"] == "***"
    assert rows["profile"]["source"] == "command line"
    assert "hidden" not in out


def test_config_check_says_what_would_run(counterpoise):
    code, out, _ = counterpoise("config", "check")
    assert code == 0
    assert out == "profile demo is sound: trade long BTCUSDT on simulator, ceiling 3x\n"


def test_since_is_checked_before_anything_opens(counterpoise):
    code, _, err = counterpoise("decisions", "--since", "yesterday")
    assert code == 2
    assert "--since yesterday: allowed is 30s, 90m, 6h, 2d or a time" in err
