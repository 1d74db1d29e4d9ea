import json

import pytest

from counterpoise.domain.errors import DataError, SettingsError
from counterpoise.lab.sweep.grid import Window, make_tasks, parse_grid, walk_forward
from counterpoise.lab.sweep.results import open_results

DAY = 86_400 * 10**9
WHOLE = Window(part="all", number=0, from_ns=0, to_ns=10 * DAY)


def test_a_grid_is_every_combination():
    assert parse_grid(["a=1,2", "b=x"]) == [{"a": "1", "b": "x"}, {"a": "2", "b": "x"}]
    assert parse_grid(["a=1,2", "b=3, 4"])[1] == {"a": "1", "b": "4"}


@pytest.mark.parametrize(
    "texts", [["a"], ["a="], ["=1"], ["a=1,,2"], ["a=1,1"], ["a=1", "a=2"], ["a=" + "1"] * 2]
)
def test_a_wrong_grid_is_refused(texts):
    with pytest.raises(SettingsError, match="--grid"):
        parse_grid(texts)


def test_train_is_never_seen_by_test():
    windows = walk_forward(0, 100 * DAY, train_days=30, test_days=10, purge_days=20)
    spans = [(each.part, each.number, each.from_ns // DAY, each.to_ns // DAY) for each in windows]
    assert spans == [
        ("train", 1, 0, 30), ("test", 1, 50, 60),
        ("train", 2, 10, 40), ("test", 2, 60, 70),
        ("train", 3, 20, 50), ("test", 3, 70, 80),
        ("train", 4, 30, 60), ("test", 4, 80, 90),
        ("train", 5, 40, 70), ("test", 5, 90, 100),
    ]  # fmt: skip


def test_windows_that_do_not_fit_are_refused():
    with pytest.raises(SettingsError, match=r"at most the 59\.0 days"):
        walk_forward(0, 59 * DAY, train_days=30, test_days=10, purge_days=20)
    with pytest.raises(SettingsError, match="above 0"):
        walk_forward(0, 59 * DAY, train_days=0, test_days=10, purge_days=20)


def test_a_key_says_all_that_decides_a_result():
    sets = parse_grid(["a=1,2"])
    keys = {task.key for task in make_tasks({"data": "x"}, sets, [WHOLE])}
    again = {task.key for task in make_tasks({"data": "x"}, sets, [WHOLE])}
    other_data = {task.key for task in make_tasks({"data": "y"}, sets, [WHOLE])}
    later = Window(part="all", number=0, from_ns=1, to_ns=10 * DAY)
    other_window = {task.key for task in make_tasks({"data": "x"}, sets, [later])}
    assert keys == again
    assert len(keys | other_data | other_window) == 6


def row(key):
    return {"key": key, "figures": {}, "day_returns": [0.1]}


def test_results_are_there_at_the_next_start(tmp_path):
    path = tmp_path / "new" / "sweep.jsonl"
    with open_results(path) as results:
        results.add(row("one"))
        results.add(row("two"))
    with open_results(path) as results:
        assert list(results.rows) == ["one", "two"]
        assert results.rows["one"] == row("one")


def test_a_line_that_a_crash_cut_off_is_dropped(tmp_path):
    path = tmp_path / "sweep.jsonl"
    path.write_text(json.dumps(row("one")) + "\n" + json.dumps(row("two"))[:-7])
    with open_results(path) as results:
        assert list(results.rows) == ["one"]
        results.add(row("two"))
    assert [json.loads(line)["key"] for line in path.read_text().splitlines()] == ["one", "two"]


def test_another_file_is_not_overwritten(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("milk\n")
    with pytest.raises(DataError, match="line 1 is no result"), open_results(path):
        pass
    assert path.read_text() == "milk\n"


def test_two_sweeps_do_not_write_to_one_file(tmp_path):
    path = tmp_path / "sweep.jsonl"
    with open_results(path), pytest.raises(DataError, match="another sweep"), open_results(path):
        pass
