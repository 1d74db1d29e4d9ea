"""The charts of a report, one function each, from `ReportData` alone."""

import itertools
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from plotly import graph_objects as graph

from counterpoise.ledger.reporting import ReportData
from counterpoise.risk.ceiling import LEVERAGE_MAX

#: Points of one line at most; what is left out is never the bucket's highest or last.
POINTS_MAX: Final = 1_500
#: Higher leverage is drawn at this height, multiples of equity.
LEVERAGE_DRAWN_MAX: Final = 6
#: Colours that stay apart for most colour-blind readers (Okabe and Ito, 2008).
COLOURS: Final = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000",
)  # fmt: skip

_HEIGHT: Final = 320
_GRID: Final = "#e6e6e6"

Row = dict[str, Any]


def all_figures(data: ReportData) -> dict[str, Any]:
    """Return every chart by its heading, in the order of the page; what has no data is left out."""
    charts = {
        "Equity": equity(data),
        "Drawdown": drawdown(data),
        "Leverage against the ceiling": leverage(data),
        "Legs": legs(data),
        "Fees and funding": flows(data),
        "Decisions": decisions(data),
        "Hedge effectiveness by day": effectiveness(data),
    }
    return {heading: figure for heading, figure in charts.items() if figure.data}


def equity(data: ReportData) -> Any:
    """Return equity and cash, quote."""
    figure = _figure("quote")
    rows = thinned(data.equity)
    for name in ("equity", "wallet_balance"):
        _line(figure, name.replace("_", " "), rows, [row[name] for row in rows])
    return figure


def drawdown(data: ReportData) -> Any:
    """Return the drawdown of the NAV per unit below zero, deepest point of each bucket."""
    figure = _figure("fraction")
    rows = thinned(data.equity, "drawdown")
    known = [row for row in rows if row["drawdown"] is not None]
    _line(figure, "drawdown", known, [-row["drawdown"] for row in known])
    return figure


def leverage(data: ReportData) -> Any:
    """Return the highest leverage of each bucket against the ceiling."""
    figure = _figure("gross exposure / equity")
    known = [row for row in thinned(data.equity, "leverage_max") if row["leverage_max"] is not None]
    top = [min(row["leverage_max"], Decimal(LEVERAGE_DRAWN_MAX)) for row in known]
    _line(figure, "highest leverage", known, top)
    if known:
        ceiling = {"color": "#b00020", "width": 2, "dash": "dash"}
        figure.add_hline(y=float(LEVERAGE_MAX), line=ceiling)
        figure.update_yaxes(rangemode="tozero")
    return figure


def legs(data: ReportData) -> Any:
    """Return each leg's signed notional at the decisions, multiples of equity."""
    figure = _figure("signed notional / equity")
    held: dict[str, list[Row]] = {}
    for row in data.legs:
        held.setdefault(row["instrument_id"], []).append(row)
    for name, rows in sorted(held.items()):
        if any(row["quantity"] for row in rows):
            kept = thinned(rows)
            _line(figure, name, kept, [row["fraction"] for row in kept])
    return figure


def flows(data: ReportData) -> Any:
    """Return fees paid and funding received per day, quote."""
    figure = _figure("quote per day")
    for at, (name, sign) in enumerate((("fees", -1), ("funding", 1))):
        days: dict[str, Decimal] = {}
        for row in data.flows:
            day = row["day"].isoformat()
            days[day] = days.get(day, Decimal(0)) + sign * row[name]
        if days:
            trace = graph.Bar(
                x=list(days), y=_floats(days.values()), name=name, marker_color=COLOURS[at]
            )
            figure.add_trace(trace)
    figure.update_layout(barmode="relative")
    return figure


def decisions(data: ReportData) -> Any:
    """Return how often each reason was given."""
    figure = _figure("decisions")
    if data.reasons:
        codes = [row["code"] for row in data.reasons]
        counts = [row["decisions"] for row in data.reasons]
        figure.add_trace(graph.Bar(x=codes, y=counts, marker_color=COLOURS[0], name="reasons"))
    return figure


def effectiveness(data: ReportData) -> Any:
    """Return each day's variance reduction, realised and predicted, and residual beta."""
    figure = _figure("fraction")
    days = [row["day"].isoformat() for row in data.effectiveness_daily]
    if days:
        for at, name in enumerate(
            ("variance_reduction", "variance_reduction_predicted", "residual_beta")
        ):
            values = [row[name] for row in data.effectiveness_daily]
            line = {"color": COLOURS[at]}
            words = name.replace("_", " ")
            figure.add_trace(graph.Scatter(x=days, y=values, name=words, line=line))
    return figure


def thinned(rows: list[Row], highest: str | None = None) -> list[Row]:
    """Return at most `POINTS_MAX` rows: of each bucket the last, or the one highest in `highest`.

    The very last row is always among them where `highest` is None.
    """
    if len(rows) <= POINTS_MAX:
        return rows
    edges = [len(rows) * at // POINTS_MAX for at in range(POINTS_MAX + 1)]
    buckets = [rows[low:high] for low, high in itertools.pairwise(edges)]
    if highest is None:
        return [bucket[-1] for bucket in buckets]
    return [
        max(bucket, key=lambda row: row[highest] if row[highest] is not None else Decimal(-1))
        for bucket in buckets
    ]


def _figure(axis: str) -> Any:
    figure = graph.Figure()
    figure.update_layout(
        height=_HEIGHT,
        margin={"l": 60, "r": 20, "t": 20, "b": 40},
        paper_bgcolor="white",
        plot_bgcolor="white",
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.15},
        font={"size": 12},
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False)
    figure.update_yaxes(gridcolor=_GRID, zerolinecolor="#999999")
    figure.layout.yaxis.title = axis
    return figure


def _line(figure: Any, name: str, rows: list[Row], values: list[Decimal | None]) -> None:
    if not rows:
        return
    times = [row["at"].strftime("%Y-%m-%d %H:%M:%S.%f") for row in rows]
    line = {"color": COLOURS[len(figure.data) % len(COLOURS)], "width": 1.5}
    figure.add_trace(graph.Scatter(x=times, y=_floats(values), name=name, mode="lines", line=line))


def _floats(values: Iterable[Decimal | None]) -> list[float | None]:
    # A picture needs no more digits than a screen has.
    return [None if value is None else float(value) for value in values]
