import json
import sys

import pytest

from counterpoise.app.cli import main
from counterpoise.venues.capture import CapturedFrame, CaptureFile


@pytest.fixture
def counterpoise(monkeypatch, capsys):
    """Run the command line as a shell does: words in, exit code and both outputs out."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["counterpoise", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main.main()
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def snapshot(bids, asks):
    data = {"s": "BTCUSDT", "b": bids, "a": asks, "u": 7, "seq": 9}
    return json.dumps({"topic": "orderbook.50.BTCUSDT", "type": "snapshot", "ts": 1, "data": data})


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "bybit.jsonl.zst"
    with CaptureFile(path) as file:
        file.write(CapturedFrame(frame=snapshot([["100.10", "3"]], [["100.2", "1.50"]])))
        file.write(CapturedFrame(frame="no frame of Bybit"))
    return path


def test_replay_prints_the_books_as_json_and_nothing_else(counterpoise, recording):
    code, out, err = counterpoise(
        "feed", "replay", "--venue", "bybit", "--input", recording, "--json"
    )
    assert code == 0
    assert json.loads(out) == {
        "instruments": {
            "BTCUSDT": {
                "messages": 1,
                "snapshots": 1,
                "applied": 0,
                "gaps": 0,
                "resyncs": 0,
                "crossed": 0,
                "bids": [["100.10", "3"]],
                "asks": [["100.2", "1.50"]],
            }
        }
    }
    assert err == "1 frames could not be read\n"


def test_replay_prints_a_table(counterpoise, recording):
    code, out, _ = counterpoise("feed", "replay", "--venue", "bybit", "--input", recording)
    assert code == 0
    assert out.splitlines()[1].split() == [
        "BTCUSDT",
        "1",
        "1",
        "0",
        "0",
        "0",
        "0",
        "100.10",
        "100.2",
    ]


def test_replay_refuses_a_venue_it_does_not_know(counterpoise, recording):
    code, _, err = counterpoise("feed", "replay", "--venue", "kraken", "--input", recording)
    assert (code, err.splitlines()[0].split(":")[:2]) == (2, ["error", " --venue kraken"])


def test_replay_refuses_what_is_no_recording(counterpoise, tmp_path):
    (tmp_path / "a").write_text("hello\n")
    code, _, err = counterpoise("feed", "replay", "--venue", "okx", "--input", tmp_path / "a")
    assert code == 1
    assert err.endswith(": nothing in it is a recorded frame\n")
    code, _, err = counterpoise("feed", "replay", "--venue", "okx", "--input", tmp_path / "b")
    assert code == 1
    assert "No such file" in err
