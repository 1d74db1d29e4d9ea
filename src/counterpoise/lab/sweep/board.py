"""The leaderboard, with what luck alone would have reached beside it."""

from collections.abc import Sequence
from math import sqrt
from typing import Any, Final

import numpy as np

from counterpoise.lab.sweep import luck
from counterpoise.lab.sweep.grid import Task
from counterpoise.lab.sweep.results import Row

#: Days a year of markets that never close.
DAYS_PER_YEAR: Final = 365

_SHOWN: Final = (
    "return_fraction",
    "drawdown_max_fraction",
    "day_worst_fraction",
    "cost_fraction",
    "leverage_max",
    "liquidations",
)


def leaderboard(rows: Sequence[Row], trials: Sequence[Row]) -> dict[str, Any]:
    """Return sets of numbers by their Sharpe ratio, best first.

    `trials` are all results ever computed on the same data and window: every look at the data
    counts, also those of earlier sweeps.
    """
    ratios = np.array([luck.sharpe(_returns(row)) for row in trials])
    benchmark = luck.sharpe_expected_max(ratios)
    ranked = sorted(rows, key=lambda row: (-luck.sharpe(_returns(row)), row["key"]))
    matrix = np.column_stack([_returns(row) for row in rows])
    return {
        "trials": len(trials),
        "days": len(matrix),
        "sharpe_annual_expected_of_luck": benchmark * sqrt(DAYS_PER_YEAR),
        "overfitting_probability": luck.overfitting_probability(matrix),
        "rows": [_ranked(place, row, benchmark) for place, row in enumerate(ranked, 1)],
    }


def forward(rows_by_key: dict[str, Row], tasks: Sequence[Task]) -> dict[str, Any]:
    """Return, per step, the set that was best in train and what it did in test, and the chain.

    `sharpe_annual_first` is the first set of the grid held throughout: what not choosing earns.
    """
    steps = []
    chained: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    first: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    for number in sorted({task.window.number for task in tasks}):
        train = [_row(rows_by_key, task) for task in tasks if _is(task, number, "train")]
        test = [_row(rows_by_key, task) for task in tasks if _is(task, number, "test")]
        scores = [luck.sharpe(_returns(row)) for row in train]
        best = scores.index(max(scores))
        after = [luck.sharpe(_returns(row)) for row in test]
        chained.append(_returns(test[best]))
        first.append(_returns(test[0]))
        steps.append(
            {
                "number": number,
                "test_from_ns": test[best]["window"]["from_ns"],
                "test_to_ns": test[best]["window"]["to_ns"],
                "changes": test[best]["changes"],
                "sharpe_annual_train": scores[best] * sqrt(DAYS_PER_YEAR),
                "sharpe_annual_test": after[best] * sqrt(DAYS_PER_YEAR),
                # 1 = the best of all in test as well, 0.5 = as good as any.
                "rank_test": _rank(after, best),
                "figures_test": {name: test[best]["figures"][name] for name in _SHOWN},
            }
        )
    joined, held = np.concatenate(chained), np.concatenate(first)
    return {
        "steps": steps,
        "days": len(joined),
        "return_fraction": float(np.prod(1.0 + joined) - 1.0),
        "return_fraction_first": float(np.prod(1.0 + held) - 1.0),
        "sharpe_annual": luck.sharpe(joined) * sqrt(DAYS_PER_YEAR),
        "sharpe_annual_first": luck.sharpe(held) * sqrt(DAYS_PER_YEAR),
        "probability_above_zero": luck.sharpe_probability(joined, 0.0),
    }


def _ranked(place: int, row: Row, benchmark: float) -> dict[str, Any]:
    returns = _returns(row)
    return {
        "rank": place,
        "key": row["key"],
        "changes": row["changes"],
        "figures": {name: row["figures"][name] for name in _SHOWN},
        "sharpe_annual": luck.sharpe(returns) * sqrt(DAYS_PER_YEAR),
        "probability_above_zero": luck.sharpe_probability(returns, 0.0),
        "deflated_sharpe_probability": luck.sharpe_probability(returns, benchmark),
    }


def _rank(values: Sequence[float], place: int) -> float:
    below = sum(value < values[place] for value in values)
    equal = sum(value == values[place] for value in values) - 1
    return (below + 0.5 * equal) / (len(values) - 1) if len(values) > 1 else 1.0


def _is(task: Task, number: int, part: str) -> bool:
    return task.window.number == number and task.window.part == part


def _row(rows_by_key: dict[str, Row], task: Task) -> Row:
    return rows_by_key[task.key]


def _returns(row: Row) -> Any:
    return np.array(row["day_returns"], dtype=np.float64)
