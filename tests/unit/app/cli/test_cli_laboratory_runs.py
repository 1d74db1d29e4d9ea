"""`stress` and `sweep` as typed: what they print, and what they refuse."""

import json
import sys

import pytest

from counterpoise.app.cli import main
from lab_world import walk, write

SCENARIO = """
name = "storm"
summary = "A fall in two minutes."
[[phases]]
name = "gust"
start_seconds = 300
seconds = 120
[phases.markets]
default = { move = -0.4, volatility = 3, depth = 0.3, spread = 10 }
"""


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


@pytest.fixture
def storm(tmp_path):
    path = tmp_path / "storm.toml"
    path.write_text(SCENARIO)
    return path


def test_stress_tells_the_worst_seeds_and_fails_with_them(counterpoise, storm):
    unguarded = ("--policy", "unhedged", "--set", "guard=false", "--set", "core_leverage=3.0")
    arguments = ("--scenario", storm, "--seeds", 2, "--first-seed", 7, "--workers", 1, *unguarded)
    code, out, err = counterpoise("stress", *arguments)
    assert code == 1
    assert "storm: failing seeds 7, 8; see counterpoise stress --scenario storm --seed 7" in out
    assert "2 seeds in" in err
    code, out, _ = counterpoise("stress", *arguments, "--json")
    assert code == 1
    told = json.loads(out)["scenarios"]["storm"]
    assert told["failing_seeds"] == [7, 8]
    assert told["worst"]["leverage_max"]["value"] > 3.0


def test_a_seed_is_told_in_full(counterpoise, storm):
    code, out, _ = counterpoise("stress", "--scenario", storm, "--seed", 7)
    assert code == 0
    assert out.startswith("storm, seed 7:\n     0:15.00  Traded:")
    assert "cycle core BTCUSDT +" in out
    code, out, _ = counterpoise("stress", "--scenario", storm, "--seed", 7, "--json")
    assert json.loads(out)["scenarios"]["storm"]["seed"] == 7


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--scenario", "no_such_day"), "--scenario no_such_day"),
        (("--policy", "no_such_policy", "--scenario", "calm"), "--policy no_such_policy"),
        (("--set", "no_such_number=1", "--scenario", "calm"), "--set no_such_number=1"),
        (("--set", "nothing", "--scenario", "calm"), "--set nothing"),
        (("--hedges", "NOPEUSDT", "--scenario", "calm", "--seed", "1"), "NOPEUSDT"),
    ],
)
def test_wrong_requests_are_one_line(counterpoise, words, message):
    code, out, err = counterpoise("stress", *words)
    assert (code, out) == (2, "")
    assert message in err
    assert "allowed" in err


@pytest.fixture(scope="module")
def bars(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    write(folder, walk(("BTCUSDT", "ETHUSDT"), 7 * 96, seed=8, step_seconds=900, scale=0.003))
    return folder


def sweep_words(bars, out, *grid):
    words = ["sweep", "--data", bars, "--core", "BTCUSDT", "--hedges", "ETHUSDT", "--workers", "1"]
    for each in grid:
        words += ["--grid", each]
    return [*words, "--out", out]


def test_a_sweep_ranks_and_goes_on_where_it_was(counterpoise, bars, tmp_path):
    out = tmp_path / "sweep.jsonl"
    code, first, err = counterpoise(*sweep_words(bars, out, "hedge_ratio=0.7,1.2"), "--json")
    assert code == 0
    assert err.startswith("2 of 2 ran")
    told = json.loads(first)
    assert told["trials"] == 2
    assert {row["changes"]["hedge_ratio"] for row in told["rows"]} == {"0.7", "1.2"}
    code, again, err = counterpoise(*sweep_words(bars, out, "hedge_ratio=0.7,1.2"), "--json")
    assert err.startswith("0 of 2 ran")
    assert again == first
    # A third look at the same days counts for the one asked for alone.
    code, more, err = counterpoise(*sweep_words(bars, out, "hedge_ratio=1.0"), "--json")
    assert json.loads(more)["trials"] == 3
    code, table, _ = counterpoise(*sweep_words(bars, out, "hedge_ratio=0.7,1.2"))
    assert "hedge_ratio=0.7" in table
    assert "3 trials on 4 days" in table


def test_a_walk_forward_proves_the_chosen_set_on_later_days(counterpoise, bars, tmp_path):
    words = sweep_words(bars, tmp_path / "sweep.jsonl", "hedge_ratio=0.7,1.2")
    days = ("--train-days", 2, "--purge-days", 0.5, "--test-days", 1)
    code, out, _ = counterpoise(*words, *days, "--json")
    assert code == 0
    told = json.loads(out)
    assert len(told["steps"]) == 1
    assert told["steps"][0]["rank_test"] in {0.0, 0.5, 1.0}
    code, table, _ = counterpoise(*words, *days)
    assert "Chosen in train, held in test" in table


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ("hedge_ratio", "--grid hedge_ratio: allowed is name=a,b,c"),
        ("no_such_number=1,2", "--set no_such_number=1: allowed is one of"),
        ("hedge_ratio=x", "hedge_ratio=x: allowed is a number"),
    ],
)
def test_a_wrong_grid_is_refused_before_anything_runs(counterpoise, bars, tmp_path, grid, message):
    out = tmp_path / "sweep.jsonl"
    code, _, err = counterpoise(*sweep_words(bars, out, grid))
    assert code == 2
    assert message in err
    assert not out.exists()
