import json
import sys

import pytest
import structlog

from counterpoise.app.cli import main


@pytest.fixture(autouse=True)
def _logs_as_before():
    yield
    structlog.reset_defaults()


@pytest.fixture
def record(monkeypatch, capsys, tmp_path):
    """Run `counterpoise record` as a shell does: words in, exit code and both outputs out."""

    def run(*words, out="a.jsonl.zst"):
        words = ("record", *words, "--out", tmp_path / out)
        monkeypatch.setattr(sys, "argv", ["counterpoise", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--venue", "kraken", "--symbols", "BTCUSDT"), "--venue kraken: allowed are"),
        (("--venue", "okx", "--symbols", " ,"), "--symbols  ,: allowed are names"),
        (("--venue", "okx", "--symbols", "A,A"), "--symbols A,A: allowed are names"),
        (
            ("--venue", "okx", "--symbols", "A", "--environment", "testnet"),
            "--environment testnet: allowed are demo, production",
        ),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(record, words, said):
    code, _, err = record(*words)
    assert code == 2
    assert said in err


def test_a_venue_that_is_not_there_gives_an_empty_recording(record, tmp_path):
    words = ("--venue", "bybit", "--symbols", "BTCUSDT", "--port", "1", "--seconds", "0.3")
    code, out, err = record(*words, "--json")
    assert "stream.down" in err
    assert code == 0
    assert json.loads(out) == {"file": str(tmp_path / "a.jsonl.zst"), "frames": 0, "bytes": 0}


def test_a_file_that_is_there_is_not_overwritten(record, tmp_path):
    (tmp_path / "mine").write_text("mine")
    words = ("--venue", "bybit", "--symbols", "BTCUSDT", "--port", "1", "--seconds", "0.1")
    code, _, err = record(*words, out="mine")
    assert code == 1
    assert "exists" in err
    assert (tmp_path / "mine").read_text() == "mine"
