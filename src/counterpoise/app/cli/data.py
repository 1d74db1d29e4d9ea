"""`counterpoise data`: bring a venue's public history into files, and look at such files."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from counterpoise.app.cli import moments, output
from counterpoise.app.cli.options import Json
from counterpoise.domain.errors import SettingsError

if TYPE_CHECKING:
    from counterpoise.lab.fetch.audit import Findings
    from counterpoise.lab.fetch.fetching import FetchPlan, Told

data = typer.Typer(help="Public history of venues: fetch it, check it.", no_args_is_help=True)

EXIT_FAULTY: Final = 1

_COLUMNS: Final = (
    "series",
    "rows",
    "first",
    "last",
    "gaps_count",
    "missing",
    "longest_gap_seconds",
    "faults_count",
)


@data.command("fetch")
def fetch(
    venue: Annotated[str, typer.Option("--venue", help="okx, binance or bybit.")],
    symbols: Annotated[str, typer.Option("--symbols", help="BTCUSDT,ETHUSDT,...")],
    since: Annotated[str, typer.Option("--since", help="First day or moment, UTC: 2024-01-01.")],
    out: Annotated[Path, typer.Option("--out", help="Directory of the data.")],
    until: Annotated[
        str | None, typer.Option("--until", help="End, exclusive; default: now.")
    ] = None,
    timeframe: Annotated[str, typer.Option("--timeframe", help="Bar, 1m to 24h.")] = "5m",
    address: Annotated[
        str | None,
        typer.Option("--address", help="Another server that speaks the venue's protocol."),
    ] = None,
    json: Json = False,
) -> None:
    """Fetch candles, mark candles and funding into Parquet files; run it again to go on.

    What is there already is not asked for again, also after a kill. Gaps are listed beside each
    file as SYMBOL.gaps.json.
    """
    import asyncio

    from counterpoise.lab.fetch.fetching import FetchPlan
    from counterpoise.lab.fetch.series import timeframe_seconds
    from counterpoise.venues import history

    if venue not in history.NAMES:
        raise SettingsError(f"--venue {venue}: allowed are {', '.join(history.NAMES)}")
    if timeframe_seconds(timeframe) is None:
        raise SettingsError(f"--timeframe {timeframe}: allowed is a bar such as 5m or 1h")
    plan = FetchPlan(
        directory=out,
        instrument_ids=_instruments(symbols),
        timeframe=timeframe,
        since_ms=moments.utc_ms("--since", since),
        until_ms=None if until is None else moments.utc_ms("--until", until),
    )
    with _progress() as told:
        findings = asyncio.run(_fetch(venue, address, plan, told))
    _show(findings, json=json)


@data.command("check")
def check(
    directory: Annotated[Path, typer.Option("--data", help="Directory of the data.")],
    json: Json = False,
) -> None:
    """Look at every row of every file: order, grid, impossible prices, gaps.

    Exit 1 if a row is faulty. Gaps are told and no fault: venues stand still at times.
    """
    from counterpoise.lab.fetch.checking import check as look

    findings = look(directory)
    _show(findings, json=json)
    for found in findings:
        for fault in found.faults:
            typer.echo(f"{found.series}: row {fault.ts:.0f}: {fault.reason}", err=True)
    if any(found.faults_count for found in findings):
        raise typer.Exit(EXIT_FAULTY)


async def _fetch(
    venue: str, address: str | None, plan: "FetchPlan", told: "Told"
) -> list["Findings"]:
    from counterpoise.lab.fetch import fetching
    from counterpoise.venues.history import PublicHistory

    history = PublicHistory(venue, address=address)
    try:
        await history.open(plan.instrument_ids)
        return await fetching.fetch(history, plan, told)
    finally:
        await history.close()


@contextmanager
def _progress() -> Iterator["Told"]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
    from rich.progress import TimeRemainingColumn as Remaining

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("pages"),
        Remaining(),
    )
    progress = Progress(*columns, console=Console(stderr=True))
    tasks: dict[str, Any] = {}

    def told(series: Any, done: int, total: int) -> None:
        if series.name not in tasks:
            # Started with its first bar, so that a refusal before is one line and no more.
            progress.start()
            tasks[series.name] = progress.add_task(series.name, total=total)
        progress.update(tasks[series.name], completed=done)

    try:
        yield told
    finally:
        if tasks:
            progress.stop()


def _instruments(symbols: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in symbols.split(",") if name.strip())
    if not names or len(set(names)) < len(names) or not all(name.isalnum() for name in names):
        raise SettingsError(f"--symbols {symbols}: allowed are names such as BTCUSDT,ETHUSDT")
    return names


def _show(findings: Sequence["Findings"], *, json: bool) -> None:
    if json:
        output.print_json([found.as_dict() for found in findings])
        return
    rows = [
        found.as_dict()
        | {"first": moments.utc_text(found.first_ts), "last": moments.utc_text(found.last_ts)}
        for found in findings
    ]
    output.print_rows(rows, _COLUMNS)
