"""`counterpoise backtest` and `counterpoise compare`: the strategy on recorded bars."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from counterpoise.app.cli import moments, output
from counterpoise.domain.errors import SettingsError

if TYPE_CHECKING:
    from counterpoise.lab.result import LabResult

Data = Annotated[
    Path, typer.Option("--data", help="Directory with ohlcv_<timeframe>/SYMBOL.parquet.")
]
Core = Annotated[str, typer.Option("--core", help="Instrument of the core.")]
Hedges = Annotated[
    str, typer.Option("--hedges", help="Hedge candidates, in order of preference: ETHUSDT,SOLUSDT.")
]
Start = Annotated[
    str | None, typer.Option("--start", help="First decision, ISO time (UTC); default: the first.")
]
End = Annotated[
    str | None, typer.Option("--end", help="End of the last bar, ISO time (UTC); default: all.")
]
Funding = Annotated[
    Path | None,
    typer.Option("--funding", help="Another venue's funding rates, as a proxy for the data's own."),
]
Changes = Annotated[
    list[str] | None,
    typer.Option("--set", help="A number of strategy, guard or model: name=value; repeatable."),
]
Report = Annotated[Path | None, typer.Option("--report", help="Write an HTML report there.")]
Detail = Annotated[
    Path | None, typer.Option("--detail", help="Write every block and decision there, JSON lines.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, max=64, help="Processes; default: the cores.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

#: Row title of a figure in the table -> its name and how it is printed.
_ROWS: Final = (
    ("return", "return_fraction", "{:+.1%}"),
    ("highest drawdown", "drawdown_max_fraction", "{:.1%}"),
    ("volatility, annual", "volatility_annual_fraction", "{:.1%}"),
    ("worst day", "day_worst_fraction", "{:+.1%}"),
    ("CVaR 95 %, day", "cvar95_day_fraction", "{:+.1%}"),
    ("CVaR 99 %, day", "cvar99_day_fraction", "{:+.1%}"),
    ("hedge effectiveness", "hedge_effectiveness", "{:.2f}"),
    ("turnover, per year", "turnover", "{:.1f}"),
    ("cost of equity", "cost_fraction", "{:.2%}"),
    ("funding of equity", "funding_fraction", "{:+.2%}"),
    ("liquidations", "liquidations", "{:d}"),
    ("highest leverage", "leverage_max", "{:.2f}"),
    ("seconds above 3x", "leverage_above_3_seconds", "{:.0f}"),
    ("decisions", "decisions", "{:d}"),
)


def backtest(
    data: Data,
    core: Core,
    hedges: Hedges = "",
    start: Start = None,
    end: End = None,
    policy: Annotated[str, typer.Option("--policy", help="What decides.")] = "counterpoise",
    funding: Funding = None,
    changes: Changes = None,
    report: Report = None,
    detail: Detail = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Run one policy on recorded bars: the live decision code, with costs, margin and the guard."""
    result = _run(
        data, core, hedges, start, end, (policy,), funding, changes, detail, workers, report
    )
    _print(result, json=json)


def compare(
    data: Data,
    core: Core,
    hedges: Hedges = "",
    start: Start = None,
    end: End = None,
    policies: Annotated[
        str | None, typer.Option("--policies", help="Some of them, with commas; default: all.")
    ] = None,
    funding: Funding = None,
    changes: Changes = None,
    report: Report = None,
    detail: Detail = None,
    workers: Workers = None,
    json: Json = False,
) -> None:
    """Run every policy on the same bars, side by side, with block-bootstrap intervals."""
    from counterpoise.strategy.parameters import POLICY_NAMES

    names = POLICY_NAMES if policies is None else _names(policies)
    result = _run(
        data, core, hedges, start, end, names, funding, changes, detail, workers, report,
        intervals=True,
    )  # fmt: skip
    _print(result, json=json)


def _run(
    data: Path,
    core: str,
    hedges: str,
    start: str | None,
    end: str | None,
    policies: tuple[str, ...],
    funding: Path | None,
    changes: list[str] | None,
    detail: Path | None,
    workers: int | None,
    report: Path | None,
    *,
    intervals: bool = False,
) -> "LabResult":
    import os

    from counterpoise.lab import published, running

    request = running.Request(
        data=data,
        core=core,
        hedges=_names(hedges),
        start_ns=None if start is None else moments.moment_ns("--start", start),
        end_ns=None if end is None else moments.moment_ns("--end", end),
        policies=policies,
        funding=funding,
        changes=dict(_change(text) for text in changes or ()),
        details=detail is not None,
        intervals=intervals,
        workers=workers or len(os.sched_getaffinity(0)),
    )
    result = running.run(request)
    if detail is not None:
        published.write_detail(result, detail)
    if report is not None:
        _write_report(result, report)
    return result


def _write_report(result: "LabResult", path: Path) -> None:
    from counterpoise.lab.report import page

    facts = result.data
    title = f"{facts.core_id} with {', '.join(facts.instrument_ids[1:]) or 'no hedge'}"
    try:
        path.write_text(page.render(result, title=title), encoding="utf-8")
    except OSError as wrong:
        raise SettingsError(f"--report {path}: {wrong.strerror}") from wrong


def _print(result: "LabResult", *, json: bool) -> None:
    from counterpoise.lab import published

    if json:
        typer.echo(published.encode(published.document(result)))
        return
    facts = published.document(result)["data"]
    typer.echo(
        f"{facts['core']} and {len(facts['instruments']) - 1} hedge candidates, bars of "
        f"{facts['bar_seconds']} s, decisions {facts['decisions_from']} to {facts['decisions_to']} "
        f"(start: {facts['decisions_from_reason']})"
    )
    typer.echo(f"funding: {_sources(facts['funding'], facts['assumptions'])}")
    rows = [
        {"figure": title, **{name: _cell(policy, figure, form) for name, policy in _each(result)}}
        for title, figure, form in _ROWS
    ]
    output.print_rows(rows, ("figure", *result.policies))
    if any(policy.intervals for _, policy in _each(result)):
        said = facts["intervals"]
        typer.echo(
            f"in brackets: {said['coverage']:.0%} of {said['draws']} draws of blocks of "
            f"{said['block_days']} days on average"
        )


def _each(result: "LabResult") -> list[tuple[str, Any]]:
    return list(result.policies.items())


def _cell(policy: Any, figure: str, form: str) -> str:
    value = policy.metrics[figure]
    if value is None:
        return "-"
    said = form.format(value)
    interval = policy.intervals.get(figure)
    if interval is None:
        return said
    return f"{said}\n[{form.format(interval.low)}, {form.format(interval.high)}]"


def _sources(funding: dict[str, str], assumptions: dict[str, Any]) -> str:
    words = {
        "venue": "recorded",
        "proxy": f"proxy {assumptions.get('funding_proxy', '')}".strip(),
        "assumed": f"assumed {assumptions['funding_rate']} per 8 h",
    }
    by_source: dict[str, list[str]] = {}
    for name, source in funding.items():
        by_source.setdefault(words[source], []).append(name)
    return "; ".join(f"{said} for {', '.join(names)}" for said, names in by_source.items())


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _change(text: str) -> tuple[str, str]:
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise SettingsError(f"--set {text}: allowed is name=value, such as hedge_ratio=1.0")
    return name, value
