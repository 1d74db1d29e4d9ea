from dataclasses import replace

import numpy as np
import pytest

from counterpoise.domain.errors import DataError
from counterpoise.lab import running
from counterpoise.lab.running import Request
from counterpoise.lab.sweep import board, evaluating
from counterpoise.lab.sweep.cluster import carry_out
from counterpoise.lab.sweep.grid import Window, make_tasks, parse_grid, walk_forward
from counterpoise.lab.sweep.results import open_results
from lab_world import DAY_NS, walk, write

NAMES = ("BTCUSDT", "ETHUSDT")
DAYS = 6


@pytest.fixture(scope="module")
def request_(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bars")
    write(folder, walk(NAMES, DAYS * 96, seed=8, step_seconds=900, scale=0.003))
    return Request(
        data=folder,
        core="BTCUSDT",
        hedges=("ETHUSDT",),
        policies=("counterpoise",),
        changes={"entry_scale": "1.0"},
    )


@pytest.fixture(scope="module")
def prepared(request_):
    return evaluating.prepare(request_)


def whole(prepared):
    return Window(part="all", number=0, from_ns=prepared.from_ns, to_ns=prepared.to_ns)


def tasks_of(prepared, request, *grid):
    same = evaluating.identity(prepared, request)
    return make_tasks(same, parse_grid(grid), [whole(prepared)])


def test_a_task_s_figures_are_those_of_a_backtest(prepared, request_):
    (task,) = tasks_of(prepared, request_, "hedge_ratio=0.7")
    row = evaluating.evaluate(prepared, request_, task)
    changes = request_.changes | {"hedge_ratio": "0.7"}
    result = running.run(replace(request_, changes=changes)).policies["counterpoise"]
    expected = {n: v for n, v in result.metrics.items() if n != "hedge_effectiveness"}
    assert {n: v for n, v in row["figures"].items() if n != "hedge_effectiveness"} == expected
    assert row["day_returns"] == result.day_returns.tolist()
    assert row["data"] == prepared.token


def test_a_window_sees_only_its_own_decisions(prepared, request_):
    chosen = running.numbers(request_)
    tape = evaluating._tape(evaluating._Held(prepared), chosen.assumptions)
    middle = prepared.from_ns + DAY_NS
    first = evaluating.cut(tape, replace(whole(prepared), to_ns=middle))
    rest = evaluating.cut(tape, replace(whole(prepared), from_ns=middle))
    assert np.concatenate([first.times_ns, rest.times_ns]).tolist() == tape.times_ns.tolist()
    assert first.row_end == int(rest.rows[0])
    assert rest.row_end == tape.row_end
    with pytest.raises(DataError, match="no decision"):
        evaluating.cut(tape, replace(whole(prepared), from_ns=prepared.to_ns))


def test_what_is_there_is_not_run_again(prepared, request_, tmp_path):
    def go(*grid):
        tasks, heard = tasks_of(prepared, request_, *grid), []
        with open_results(tmp_path / "sweep.jsonl") as results:
            ran = carry_out(
                prepared, request_, tasks, results, workers=1, scheduler=None, told=heard.append
            )
            rows = [results.rows[task.key] for task in tasks]
        assert ran == len(heard)
        return ran, rows

    first, rows = go("hedge_ratio=0.7,1.2")
    again, same = go("hedge_ratio=0.7,1.2")
    more, wider = go("hedge_ratio=0.7,1.0,1.2")
    assert (first, again, more) == (2, 0, 1)
    assert same == rows
    assert [wider[0], wider[2]] == rows


def without_time(row):
    return {name: value for name, value in row.items() if name != "seconds"}


def test_a_scheduler_by_address_gives_the_same_rows(prepared, request_, tmp_path):
    from distributed import LocalCluster

    tasks = tasks_of(prepared, request_, "hedge_ratio=0.7,1.2")
    here = [without_time(evaluating.evaluate(prepared, request_, task)) for task in tasks]
    options = {"n_workers": 1, "threads_per_worker": 1, "processes": False, "protocol": "tcp://"}
    with (
        LocalCluster(**options, host="127.0.0.1", dashboard_address=None) as cluster,
        open_results(tmp_path / "sweep.jsonl") as results,
    ):
        carry_out(
            prepared, request_, tasks, results,
            workers=1, scheduler=cluster.scheduler_address, told=lambda _: None,
        )  # fmt: skip
        assert [without_time(results.rows[task.key]) for task in tasks] == here


def test_processes_of_this_machine_give_the_same_rows(prepared, request_, tmp_path):
    tasks = tasks_of(prepared, request_, "hedge_ratio=0.7,1.2,1.0")
    here = [without_time(evaluating.evaluate(prepared, request_, task)) for task in tasks]
    with open_results(tmp_path / "sweep.jsonl") as results:
        carry_out(
            prepared, request_, tasks, results, workers=2, scheduler=None, told=lambda _: None
        )
        assert [without_time(results.rows[task.key]) for task in tasks] == here


def made(key, returns, part="all", number=0, **changes):
    names = (
        "return_fraction drawdown_max_fraction day_worst_fraction cost_fraction leverage_max"
        " liquidations"
    )
    return {
        "key": key,
        "data": "d",
        "changes": changes,
        "window": {"part": part, "number": number, "from_ns": 0, "to_ns": 1},
        "figures": dict.fromkeys(names.split(), 0.0),
        "day_returns": list(returns),
    }


def test_the_board_ranks_and_counts_every_look():
    draws = np.random.default_rng(9)
    rows = [made(f"k{place}", draws.normal(0.0, 0.01, 60), a=str(place)) for place in range(6)]
    rows[4]["day_returns"] = (np.array(rows[4]["day_returns"]) + 0.01).tolist()
    looked = [made(f"old{place}", draws.normal(0.0, 0.01, 60)) for place in range(50)]
    told = board.leaderboard(rows, rows)
    assert [row["rank"] for row in told["rows"]] == [1, 2, 3, 4, 5, 6]
    assert told["rows"][0]["changes"] == {"a": "4"}
    ratios = [row["sharpe_annual"] for row in told["rows"]]
    assert ratios == sorted(ratios, reverse=True)
    assert told["trials"] == 6
    best = told["rows"][0]
    assert best["deflated_sharpe_probability"] < best["probability_above_zero"]
    # More looks at the same days: the same figures are worth less.
    narrower = board.leaderboard(rows[:2], rows[:2] + looked)
    alone = board.leaderboard(rows[:2], rows[:2])
    assert narrower["trials"] == 52
    for more, less in zip(narrower["rows"], alone["rows"], strict=True):
        assert more["deflated_sharpe_probability"] < less["deflated_sharpe_probability"]


def test_walk_forward_holds_in_test_what_was_best_in_train():
    day = DAY_NS
    windows = walk_forward(0, 50 * day, train_days=20, test_days=10, purge_days=10)
    tasks = make_tasks({}, parse_grid(["a=1,2"]), windows)
    # Set 1 wins in the first train, set 2 in the second; in test the chosen one gains 1 % a day.
    winners = {1: "1", 2: "2"}
    rows = {}
    for task in tasks:
        good = winners[task.window.number] == task.changes["a"]
        returns = [0.01, 0.012, 0.008] if good else [-0.01, -0.012, -0.008]
        rows[task.key] = made(
            task.key, returns, task.window.part, task.window.number, **task.changes
        )
    told = board.forward(rows, tasks)
    assert [step["changes"] for step in told["steps"]] == [{"a": "1"}, {"a": "2"}]
    assert [step["rank_test"] for step in told["steps"]] == [1.0, 1.0]
    gained = 1.01 * 1.012 * 1.008
    lost = 0.99 * 0.988 * 0.992
    assert told["return_fraction"] == pytest.approx(gained**2 - 1)
    assert told["return_fraction_first"] == pytest.approx(gained * lost - 1)
    assert told["days"] == 6
    assert told["sharpe_annual"] > 0 > told["steps"][0]["sharpe_annual_test"] * -1
