"""`counterpoise stress`: thousands of scripted bad days, and the worst of them by number."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.laboratory import Changes, Core, Workers
from counterpoise.app.cli.options import Json
from counterpoise.domain.errors import SettingsError

if TYPE_CHECKING:
    from counterpoise.exchange.scenarios.script import Scenario
    from counterpoise.lab.stress.account import Outcome
    from counterpoise.lab.stress.running import StressPlan

#: Hedge candidates the modelled venue lists.
HEDGES: Final = "ETHUSDT,SOLUSDT,XRPUSDT,DOGEUSDT,LTCUSDT"
#: The account stands at its full size when the bad day begins.
ENTRY_SCALE: Final = "1"

_FORMATS: Final = {
    "liquidations": "{:.0f}",
    "leverage_max": "{:.3f}",
    "leverage_above_3_seconds": "{:.1f}",
    "day_worst_fraction": "{:+.2%}",
    "drawdown_max_fraction": "{:.2%}",
    "naked_leg_seconds": "{:.1f}",
    "return_fraction": "{:+.2%}",
}


def stress(
    scenario: Annotated[
        list[str] | None,
        typer.Option("--scenario", help="A name or a TOML file, repeatable; default: all."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=1_000_000, help="How many.")] = 1_000,
    first_seed: Annotated[int, typer.Option("--first-seed", min=0, help="The first.")] = 1,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Play this one alone and tell every act.")
    ] = None,
    policy: Annotated[str, typer.Option("--policy", help="What decides.")] = "counterpoise",
    core: Core = "BTCUSDT",
    hedges: Annotated[str, typer.Option("--hedges", help="Hedge candidates.")] = HEDGES,
    changes: Changes = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Play scenarios with many seeds against the live rules; show the worst of each.

    The decisions, the gate and the guard are the live ones, margin and liquidation the exchange
    model's. Exit 1 if a seed was liquidated or passed 3x; `--seed N` shows how.
    """
    from counterpoise.lab.stress import running

    usable = running.workers_usable() if workers is None else workers
    plan = _plan(policy, core, hedges, changes, first_seed, seeds, usable)
    scenarios = _scenarios(scenario)
    if seed is not None:
        _one(plan, scenarios, seed, json=json)
        return
    told: dict[str, dict[str, Any]] = {}
    for each in scenarios:
        started = time.monotonic()
        with _progress(each.name, seeds) as progress:
            outcomes = running.stress(plan, each, progress)
        told[each.name] = running.summary(each, outcomes)
        taken = time.monotonic() - started
        sys.stderr.write(
            f"{each.name}: {seeds} seeds in {taken:.1f} s, {seeds / taken:.1f} a second\n"
        )
    if json:
        output.print_json({"policy": policy, "scenarios": told})
    else:
        _table(told)
    if any(found["failing_seeds"] for found in told.values()):
        raise typer.Exit(1)


def _plan(
    policy: str,
    core: str,
    hedges: str,
    changes: list[str] | None,
    first_seed: int,
    count: int,
    workers: int,
) -> "StressPlan":
    from dataclasses import replace

    from counterpoise.lab import running as backtests
    from counterpoise.lab.stress.running import StressPlan

    given = {"entry_scale": ENTRY_SCALE}
    for text in changes or ():
        name, equals, value = text.partition("=")
        if not equals:
            raise SettingsError(f"--set {text}: allowed is name=value")
        given[name.strip()] = value.strip()
    request = backtests.Request(
        data=Path(),
        core=core,
        hedges=tuple(name.strip() for name in hedges.split(",") if name.strip()),
        policies=(policy,),
        changes=given,
    )
    chosen = backtests.numbers(request)
    return StressPlan(
        strategy=replace(chosen.strategy, policy=policy),
        guard=chosen.guard,
        assumptions=chosen.assumptions,
        first_seed=first_seed,
        count=count,
        workers=workers,
    )


def _scenarios(names: list[str] | None) -> "list[Scenario]":
    from counterpoise.exchange.scenarios.script import ScenarioInvalid
    from counterpoise.simulator.scenarios import load_scenario, scenario_names

    found = []
    for name in names or scenario_names():
        try:
            found.append(load_scenario(name))
        except (ScenarioInvalid, OSError) as wrong:
            raise SettingsError(f"--scenario {name}: {wrong}") from wrong
    return found


def _one(plan: "StressPlan", scenarios: "Sequence[Scenario]", seed: int, *, json: bool) -> None:
    from counterpoise.lab.stress import running

    told = {}
    for scenario in scenarios:
        outcome, decisions = running.one_seed(plan, scenario, seed)
        told[scenario.name] = running.as_dict(outcome)
        if json:
            continue
        typer.echo(f"{scenario.name}, seed {seed}:")
        for decision in decisions:
            if decision.fills or decision.notes:
                typer.echo(f"  {running.market_time(decision.time_ns)}  {decision.summary}")
            for fill in decision.fills:
                typer.echo(
                    f"      {running.market_time(fill.time_ns)}  {fill.source} {fill.leg}"
                    f" {fill.instrument_id} {fill.quantity:+f} at {fill.price:.6g}"
                )
            for note in decision.notes:
                typer.echo(f"      {note}")
        _figures(outcome)
    if json:
        output.print_json({"seed": seed, "scenarios": told})


def _figures(outcome: "Outcome") -> None:
    for name, form in _FORMATS.items():
        typer.echo(f"  {name.replace('_', ' ')}: {form.format(getattr(outcome, name))}")


def _table(told: Mapping[str, Mapping[str, Any]]) -> None:
    rows = []
    for name, found in told.items():
        row: dict[str, Any] = {"scenario": name, "seeds": found["seeds"]}
        row["liquidated"] = found["seeds_liquidated"]
        row["above_3x"] = found["seeds_above_3"]
        for figure, form in _FORMATS.items():
            worst = found["worst"][figure]
            value = worst["value"]
            shown = value if isinstance(value, str) else form.format(value)
            row[figure] = f"{shown} ({worst['seed']})"
        rows.append(row)
    columns = ("scenario", "seeds", "liquidated", "above_3x", *_FORMATS)
    output.print_rows(rows, columns, title="worst of all seeds (seed)")
    for name, found in told.items():
        if found["failing_seeds"]:
            listed = ", ".join(str(seed) for seed in found["failing_seeds"][:10])
            first = found["failing_seeds"][0]
            typer.echo(
                f"{name}: failing seeds {listed}; see counterpoise stress --scenario {name} --seed"
                f" {first}"
            )


@contextmanager
def _progress(name: str, total: int) -> Iterator[Any]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    # Nobody watches a pipe: it gets the last line only.
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total)
        yield lambda count: progress.advance(task, count)
