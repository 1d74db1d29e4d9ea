"""The page: facts, table, charts, and the same figures as JSON inside it.

A content policy in its head forbids every load, so a browser proves that nothing is missing.
"""

import json
from collections.abc import Mapping
from html import escape
from math import isfinite
from typing import Any, Final

from plotly import io, offline

from counterpoise.domain.errors import DataError
from counterpoise.lab.report import figures
from counterpoise.lab.result import DataFacts, Interval, LabResult, PolicyResult

#: What a browser may use: what stands in the file, and pictures that the charts make.
POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
#: Id of the element that holds every figure of the table as JSON.
FIGURES_ID: Final = "figures"

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c1c1c;max-width:1180px;margin:0 auto;padding:24px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:34px 0 6px;border-top:1px solid #ddd;
padding-top:18px}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:4px 14px 4px 0;text-align:right;vertical-align:top;white-space:nowrap}
th:first-child,td:first-child{text-align:left}thead th{border-bottom:2px solid #444}
tbody tr:nth-child(even){background:#f6f6f6}small{color:#666;display:block;font-size:12px}
.wide{overflow-x:auto}.note{background:#fff4d6;border-left:4px solid #e69f00;padding:8px 12px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:2px 18px;margin:8px 0}dt{color:#666}
dd{margin:0;overflow-wrap:anywhere}
"""


def render(result: LabResult, *, title: str) -> str:
    """Return the page of one or many policies. DataError: there is nothing to show."""
    if not result.policies or not len(result.times_ns):
        raise DataError("a report needs at least one policy and one decision")
    charts = [
        f"<h2>{escape(heading)}</h2>\n{_chart(figure, at)}"
        for at, (heading, figure) in enumerate(figures.all_figures(result).items())
    ]
    script = offline.get_plotlyjs().replace("</script", "<\\/script")
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style>",
            f"<script>{script}</script></head><body>",
            f"<h1>{escape(title)}</h1>",
            _facts(result.data),
            "<h2>Figures</h2>",
            _table(result.policies),
            *charts,
            "<h2>Assumptions</h2>",
            _definitions(result.data.assumptions),
            f'<script type="application/json" id="{FIGURES_ID}">{_json(result)}</script>',
            "</body></html>\n",
        ]
    )


def _chart(figure: Any, at: int) -> str:
    # A fixed id, so that the same result gives the same page.
    return str(
        io.to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            div_id=f"chart-{at}",
            config={"displayModeBar": False, "responsive": True},
        )
    )


def _facts(data: DataFacts) -> str:
    facts = {
        "instruments": ", ".join(data.instrument_ids),
        "decisions": f"{_moment(data.decisions_from_ns)} to {_moment(data.decisions_to_ns)} UTC"
        f" ({data.decisions_from_reason})",
        "bars": f"{data.bar_seconds} s, {_moment(data.bars_from_ns)} to"
        f" {_moment(data.bars_to_ns)} UTC",
        "bars missing": ", ".join(f"{name} {count}" for name, count in data.gaps.items() if count)
        or "none",
        "bars standing still": ", ".join(
            f"{name} {count}" for name, count in data.stale.items() if count
        )
        or "none",
        "funding": ", ".join(f"{name}: {source}" for name, source in data.funding.items()),
    }
    note = ""
    if {"proxy", "assumed"} & set(data.funding.values()):
        note = (
            '<p class="note">Funding is not the venue\'s own everywhere: see the line "funding".'
            " Figures that contain it are estimates.</p>"
        )
    return note + _definitions(facts)


def _table(policies: Mapping[str, PolicyResult]) -> str:
    keys = list(
        dict.fromkeys(
            key
            for policy in policies.values()
            for key in [*policy.metrics, *policy.extras, *policy.intervals]
        )
    )
    head = "".join(f"<th>{escape(name)}</th>" for name in policies)
    rows = []
    for key in keys:
        cells = "".join(_cell(key, policy) for policy in policies.values())
        rows.append(f"<tr><td>{escape(key.replace('_', ' '))}</td>{cells}</tr>")
    return (
        f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _cell(key: str, policy: PolicyResult) -> str:
    value = (policy.metrics | policy.extras).get(key)
    interval = policy.intervals.get(key)
    below = ""
    if interval is not None:
        low, high = _figure(key, interval.low), _figure(key, interval.high)
        below = f"<small>{low} to {high}</small>"
    exact = escape(json.dumps(_plain(value)))
    mark = f'data-policy="{escape(policy.name)}" data-key="{escape(key)}" data-value="{exact}"'
    return f"<td {mark}>{_figure(key, value)}{below}</td>"


def _figure(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if not isfinite(value):
        return "infinite" if value > 0 else "-"
    if key.endswith("_fraction"):
        return f"{value * 100:.2f} %"
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def _definitions(facts: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<dt>{escape(name.replace('_', ' '))}</dt><dd>{escape(str(value))}</dd>"
        for name, value in facts.items()
    )
    return f"<dl>{rows}</dl>"


def _json(result: LabResult) -> str:
    figures_by_policy = {
        name: {
            "figures": {
                key: _plain(value) for key, value in (policy.metrics | policy.extras).items()
            },
            "intervals": {
                key: _interval(interval) for key, interval in sorted(policy.intervals.items())
            },
        }
        for name, policy in result.policies.items()
    }
    # "<" never stands in a script element as itself.
    return json.dumps(figures_by_policy, sort_keys=True).replace("<", "\\u003c")


def _interval(interval: Interval) -> list[float | str | None]:
    return [_plain(interval.low), _plain(interval.high)]


def _plain(value: float | None) -> float | str | None:
    # JSON knows no infinity.
    return value if value is None or isfinite(value) else str(value)


def _moment(time_ns: int) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%d %H:%M")
