"""`counterpoise sweep`: many sets of numbers on the same bars, and how much of it is luck."""

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from counterpoise.app.cli import moments, output
from counterpoise.app.cli.laboratory import Changes, Core, Data, End, Funding, Hedges, Start
from counterpoise.app.cli.laboratory import Workers as Workers_
from counterpoise.app.cli.options import Json
from counterpoise.domain.errors import SettingsError

if TYPE_CHECKING:
    from counterpoise.lab.running import Request
    from counterpoise.lab.sweep.evaluating import Prepared
    from counterpoise.lab.sweep.grid import Task, Window
    from counterpoise.lab.sweep.results import Results

_COLUMNS: Final = (
    "rank", "changes", "return", "drawdown", "worst_day", "cost", "highest_leverage",
    "sharpe", "above_zero", "deflated",
)  # fmt: skip
_STEPS: Final = (
    "test_from", "test_to", "best_in_train", "sharpe_train", "sharpe_test", "rank_test", "return",
)  # fmt: skip


def sweep(
    data: Data,
    core: Core,
    grid: Annotated[list[str], typer.Option("--grid", help="name=a,b,c; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="File of results, JSON lines; kept.")],
    hedges: Hedges = "",
    start: Start = None,
    end: End = None,
    policy: Annotated[str, typer.Option("--policy", help="What decides.")] = "counterpoise",
    funding: Funding = None,
    changes: Changes = None,
    train_days: Annotated[
        float | None, typer.Option("--train-days", help="Walk forward: days to choose on.")
    ] = None,
    test_days: Annotated[
        float, typer.Option("--test-days", help="Walk forward: days to prove it on.")
    ] = 30.0,
    purge_days: Annotated[
        float, typer.Option("--purge-days", help="Walk forward: days left out between.")
    ] = 30.0,
    scheduler: Annotated[
        str | None, typer.Option("--scheduler", help="Address of a dask scheduler.")
    ] = None,
    workers: Workers_ = None,
    top: Annotated[int, typer.Option("--top", min=1, help="Rows of the table.")] = 20,
    json: Json = False,
) -> None:
    """Run every combination of the grid; what is in --out already is not run again.

    The leaderboard says what the best of so many trials reaches by luck alone, and how likely the
    best is more than that. With --train-days the best of each stretch is proven on the next one.
    """
    from counterpoise.lab.sweep import board, evaluating
    from counterpoise.lab.sweep.grid import make_tasks, parse_grid
    from counterpoise.lab.sweep.results import open_results

    request = _request(data, core, hedges, start, end, policy, funding, changes)
    sets = parse_grid(grid)
    _check(request, sets)
    prepared = evaluating.prepare(request)
    windows = _windows(prepared, train_days, test_days, purge_days)
    same = evaluating.identity(prepared, request)
    tasks = make_tasks(same, sets, windows)
    with open_results(out) as results:
        _run(prepared, request, tasks, results, workers, scheduler)
        if train_days is not None:
            told = board.forward(results.rows, tasks)
        else:
            rows = [results.rows[task.key] for task in tasks]
            told = board.leaderboard(rows, _trials(rows, results))
    if json:
        output.print_json(told)
    elif train_days is not None:
        _show_steps(told)
    else:
        _show_board(told, top)


def _request(
    data: Path,
    core: str,
    hedges: str,
    start: str | None,
    end: str | None,
    policy: str,
    funding: Path | None,
    changes: list[str] | None,
) -> "Request":
    from counterpoise.lab.running import Request

    given = {}
    for text in changes or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--set {text}: allowed is name=value")
        given[name] = value
    return Request(
        data=data,
        core=core,
        hedges=tuple(name.strip() for name in hedges.split(",") if name.strip()),
        start_ns=None if start is None else moments.moment_ns("--start", start),
        end_ns=None if end is None else moments.moment_ns("--end", end),
        policies=(policy,),
        funding=funding,
        changes=given,
    )


def _check(request: "Request", sets: "Sequence[dict[str, str]]") -> None:
    # Every set is read before the first is run: a typing error costs no hour.
    from dataclasses import replace

    from counterpoise.lab import running

    side = running.numbers(request).strategy.side
    for each in sets:
        chosen = running.numbers(replace(request, changes={**request.changes, **each}))
        if chosen.strategy.side != side or "funding_rate" in each:
            raise SettingsError(
                "--grid: core_side and funding_rate are part of the data; use --set and a sweep each"
            )


def _windows(
    prepared: "Prepared", train_days: float | None, test_days: float, purge_days: float
) -> "list[Window]":
    from counterpoise.lab.sweep.grid import Window, walk_forward

    if train_days is None:
        return [Window(part="all", number=0, from_ns=prepared.from_ns, to_ns=prepared.to_ns)]
    return walk_forward(
        prepared.from_ns,
        prepared.to_ns,
        train_days=train_days,
        test_days=test_days,
        purge_days=purge_days,
    )


def _run(
    prepared: "Prepared",
    request: "Request",
    tasks: "list[Task]",
    results: "Results",
    workers: int | None,
    scheduler: str | None,
) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from counterpoise.lab.stress.running import workers_usable
    from counterpoise.lab.sweep.cluster import carry_out

    count = workers or workers_usable()
    started, worked = time.monotonic(), 0.0
    console = Console(stderr=True)
    # Nobody watches a pipe: it gets the last line only.
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("sweep", total=len(tasks))
        progress.advance(bar, sum(task.key in results.rows for task in tasks))

        def told(row: Mapping[str, Any]) -> None:
            nonlocal worked
            worked += row["seconds"]
            progress.advance(bar)

        ran = carry_out(
            prepared, request, tasks, results, workers=count, scheduler=scheduler, told=told
        )
    taken = time.monotonic() - started
    line = f"{ran} of {len(tasks)} ran, {len(tasks) - ran} were there"
    if ran:
        line += f"; {taken:.1f} s"
        if scheduler is None:
            line += f", {count} workers busy {worked / taken / count:.0%} of it"
    sys.stderr.write(line + "\n")


def _trials(rows: "Sequence[dict[str, Any]]", results: "Results") -> list[dict[str, Any]]:
    # Every look at the same days counts, whatever grid and policy it belonged to.
    of = ("data", "window")
    return [row for row in results.rows.values() if all(row[name] == rows[0][name] for name in of)]


def _show_board(told: Mapping[str, Any], top: int) -> None:
    rows = []
    for row in told["rows"][:top]:
        figures = row["figures"]
        rows.append(
            {
                "rank": row["rank"],
                "changes": _words(row["changes"]),
                "return": f"{figures['return_fraction']:+.1%}",
                "drawdown": f"{figures['drawdown_max_fraction']:.1%}",
                "worst_day": f"{figures['day_worst_fraction']:+.1%}",
                "cost": f"{figures['cost_fraction']:.2%}",
                "highest_leverage": figures["leverage_max"],
                "sharpe": f"{row['sharpe_annual']:+.2f}",
                "above_zero": _probability(row["probability_above_zero"]),
                "deflated": _probability(row["deflated_sharpe_probability"]),
            }
        )
    output.print_rows(rows, _COLUMNS)
    overfit = told["overfitting_probability"]
    typer.echo(
        f"{told['trials']} trials on {told['days']} days. The best of so many without skill would"
        f" reach a Sharpe ratio of {told['sharpe_annual_expected_of_luck']:.2f} a year; 'deflated'"
        " is the probability that a set is above that (0.95 and more is worth a look)."
    )
    if overfit is not None:
        typer.echo(
            f"Probability of overfitting {overfit:.0%}: how often the best of one half of the time"
            " is below the median in the other (50 % = the ranking is luck)."
        )


def _show_steps(told: Mapping[str, Any]) -> None:
    rows = [
        {
            "test_from": moments.utc_text(step["test_from_ns"] // 1_000_000),
            "test_to": moments.utc_text(step["test_to_ns"] // 1_000_000),
            "best_in_train": _words(step["changes"]),
            "sharpe_train": f"{step['sharpe_annual_train']:+.2f}",
            "sharpe_test": f"{step['sharpe_annual_test']:+.2f}",
            "rank_test": f"{step['rank_test']:.2f}",
            "return": f"{step['figures_test']['return_fraction']:+.1%}",
        }
        for step in told["steps"]
    ]
    output.print_rows(rows, _STEPS)
    typer.echo(
        f"Chosen in train, held in test, {told['days']} days: {told['return_fraction']:+.1%}, Sharpe"
        f" ratio {told['sharpe_annual']:+.2f} a year. The first set of the grid throughout:"
        f" {told['return_fraction_first']:+.1%}, {told['sharpe_annual_first']:+.2f}."
    )


def _words(changes: Mapping[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in changes.items())


def _probability(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
