"""The charts of a report, one function each, from a `LabResult` alone."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from plotly import graph_objects as graph
from plotly.subplots import make_subplots

from counterpoise.lab.report import thinning
from counterpoise.lab.result import LabResult, PolicyResult

#: The ceiling every book is measured against, multiples of equity.
LEVERAGE_MAX: Final = 3.0
#: Higher leverage is drawn at this height: infinite has no place on an axis.
LEVERAGE_DRAWN_MAX: Final = 6.0
#: Colours that stay apart for most colour-blind readers (Okabe and Ito, 2008).
COLOURS: Final = (
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#000000",
)  # fmt: skip

_HEIGHT: Final = 340
_GRID: Final = "#e6e6e6"


def colours(result: LabResult) -> dict[str, str]:
    """Return a colour for each policy."""
    return {name: COLOURS[at % len(COLOURS)] for at, name in enumerate(result.policies)}


def equity(result: LabResult) -> Any:
    """Return equity as a multiple of its start."""
    figure = _figure("equity / equity at the start")
    for name, policy in result.policies.items():
        series, at = policy.series, thinning.places(len(policy.series.times_ns))
        start = float(series.equity[0])
        _line(figure, name, _times(series.times_ns[at]), series.equity[at] / start, result)
    figure.update_yaxes(type="log")
    return figure


def drawdown(result: LabResult) -> Any:
    """Return the drawdown below zero, deepest point of each bucket."""
    figure = _figure("drawdown, fraction")
    for name, policy in result.policies.items():
        series, at = policy.series, thinning.places(len(policy.series.times_ns))
        deepest = thinning.highest(series.drawdown, at)
        _line(figure, name, _times(series.times_ns[at]), -deepest, result)
    return figure


def leverage(result: LabResult) -> Any:
    """Return the highest leverage inside the bars against the ceiling."""
    figure = _figure("highest leverage, multiples of equity")
    for name, policy in result.policies.items():
        series, at = policy.series, thinning.places(len(policy.series.times_ns))
        top = np.minimum(thinning.highest(series.leverage_max, at), LEVERAGE_DRAWN_MAX)
        _line(figure, name, _times(series.times_ns[at]), top, result)
    figure.add_hline(y=LEVERAGE_MAX, line={"color": "#b00020", "width": 2, "dash": "dash"})
    figure.update_yaxes(rangemode="tozero")
    return figure


def correlation(result: LabResult) -> Any:
    """Return each instrument's correlation with the core through time."""
    figure = _figure("correlation with the core, half-life 24 h")
    at = thinning.places(len(result.times_ns))
    core = result.data.core_id
    rows = [(at_row, name) for at_row, name in enumerate(result.data.instrument_ids)]
    others = [(column, name) for column, name in rows if name != core]
    figure.add_trace(
        graph.Heatmap(
            x=_times(result.times_ns[at]),
            y=[name for _, name in others],
            z=[result.correlation[at, column] for column, _ in others],
            zmin=-1,
            zmax=1,
            colorscale="RdBu",
            reversescale=True,
            hovertemplate="%{y} %{x}: %{z:.2f}<extra></extra>",
        )
    )
    figure.update_layout(height=max(_HEIGHT, 60 + 32 * len(others)))
    return figure


def legs(result: LabResult, name: str) -> Any:
    """Return one policy's legs and net beta, multiples of equity."""
    policy = result.policies[name]
    series, at = policy.series, thinning.places(len(policy.series.times_ns))
    times = _times(series.times_ns[at])
    figure = _figure("signed notional / equity")
    for column, instrument_id in enumerate(result.data.instrument_ids):
        held = series.legs[at, column]
        if not np.any(series.legs[:, column]):
            continue
        line = {"width": 2.2 if instrument_id == result.data.core_id else 1.2}
        figure.add_trace(graph.Scatter(x=times, y=held, name=instrument_id, line=line))
    dotted = {"width": 1, "dash": "dot", "color": "#000000"}
    figure.add_trace(graph.Scatter(x=times, y=series.net_beta[at], name="net beta", line=dotted))
    return figure


def costs(result: LabResult) -> Any:
    """Return fees, slippage and funding so far, as fractions of the first equity."""
    figure = make_subplots(
        rows=1, cols=3, subplot_titles=("fees paid", "spread and impact paid", "funding received")
    )
    for name, policy in result.policies.items():
        series, at = policy.series, thinning.places(len(policy.series.times_ns))
        start = float(series.equity[0])
        for place, values in enumerate((series.fees, series.slippage, series.funding), 1):
            trace = graph.Scatter(
                x=_times(series.times_ns[at]),
                y=values[at] / start,
                name=name,
                legendgroup=name,
                showlegend=place == 1,
                line={"color": colours(result)[name], "width": 1.5},
            )
            figure.add_trace(trace, row=1, col=place)
    _styled(figure, "fraction of the first equity")
    return figure


def all_figures(result: LabResult) -> Mapping[str, Any]:
    """Return every chart by its heading, in the order of the page."""
    found = {
        "Equity": equity(result),
        "Drawdown": drawdown(result),
        "Leverage": leverage(result),
        "Correlation": correlation(result),
        "Costs and funding": costs(result),
    }
    for name, policy in result.policies.items():
        if _held(policy):
            found[f"Legs of {name}"] = legs(result, name)
    return found


def _held(policy: PolicyResult) -> bool:
    return bool(np.any(policy.series.legs))


def _figure(axis: str) -> Any:
    figure = graph.Figure()
    _styled(figure, axis)
    return figure


def _styled(figure: Any, axis: str) -> None:
    figure.update_layout(
        height=_HEIGHT,
        margin={"l": 60, "r": 20, "t": 30, "b": 40},
        paper_bgcolor="white",
        plot_bgcolor="white",
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.15},
        font={"size": 12},
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False)
    figure.update_yaxes(gridcolor=_GRID, zerolinecolor="#999999")
    figure.layout.yaxis.title = axis


def _line(figure: Any, name: str, times: Any, values: Any, result: LabResult) -> None:
    line = {"color": colours(result)[name], "width": 1.5}
    figure.add_trace(graph.Scatter(x=times, y=values, name=name, mode="lines", line=line))


def _times(times_ns: NDArray[np.int64]) -> Any:
    # Plotly reads milliseconds as text of UTC without an offset.
    return times_ns.astype("datetime64[ns]").astype("datetime64[ms]")
