"""The page: figures, charts, tables, and the same figures as JSON inside it.

A content policy in its head forbids every load, so a browser proves that nothing is missing.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from html import escape
from typing import Any, Final

from plotly import io, offline

from counterpoise.app.report import figures
from counterpoise.ledger import codec, reporting
from counterpoise.ledger.reporting import ReportData
from counterpoise.ledger.rows import iso

#: What a browser may use: what stands in the file, and pictures that the charts make.
POLICY: Final = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
)
#: Id of the element that holds every figure as JSON.
FIGURES_ID: Final = "figures"

_STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;color:#1c1c1c;max-width:1180px;margin:0 auto;padding:24px}
h1{font-size:26px;margin:0 0 4px}h2{font-size:18px;margin:34px 0 6px;border-top:1px solid #ddd;
padding-top:18px}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
td,th{padding:3px 18px 3px 0;text-align:left;vertical-align:top}
th{border-bottom:2px solid #444}tbody tr:nth-child(even){background:#f6f6f6}
.wide{overflow-x:auto}.number{text-align:right}
"""


def render(data: ReportData, *, title: str) -> str:
    """Return the whole page as text."""
    script = offline.get_plotlyjs().replace("</script", "<\\/script")
    charts = [
        f"<h2>{escape(heading)}</h2>\n{_chart(figure, at)}"
        for at, (heading, figure) in enumerate(figures.all_figures(data).items())
    ]
    found = reporting.figures(data)
    # "<" never stands in a script element as itself.
    body = codec.encode(found).replace("<", "\\u003c")
    balances = [] if data.books is None else list(data.books.balances)
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            f"<title>{escape(title)}</title><style>{_STYLE}</style>",
            f"<script>{script}</script></head><body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>{escape(iso(data.since_ns))} to {escape(iso(data.until_ns))}</p>",
            "<h2>Figures</h2>",
            _figures(found),
            *charts,
            _table("Books", balances, ("book", "commodity", "balance")),
            _table("Incidents", data.incidents, ("opened_at", "severity", "kind", "summary")),
            _table("Orders risk refused", data.denials, ("reason", "orders")),
            _table("Trades", data.trades, ("decided_at", "decision_id", "kind", "summary")),
            f'<script type="application/json" id="{FIGURES_ID}">{body}</script>',
            "</body></html>\n",
        ]
    )


def _chart(figure: Any, at: int) -> str:
    # A fixed id, so that the same record gives the same page.
    return str(
        io.to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            div_id=f"chart-{at}",
            config={"displayModeBar": False, "responsive": True},
        )
    )


def _figures(found: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><td>{escape(name.replace("_", " "))}</td><td class="number" '
        f'data-key="{escape(name)}">{escape(_shown(value))}</td></tr>'
        for name, value in found.items()
    )
    return f"<table><tbody>{rows}</tbody></table>"


def _table(heading: str, rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    if not rows:
        return f"<h2>{escape(heading)}</h2><p>None.</p>"
    head = "".join(f"<th>{escape(column.replace('_', ' '))}</th>" for column in columns)
    lines = "".join(
        "<tr>" + "".join(f"<td>{escape(_shown(row[column]))}</td>" for column in columns) + "</tr>"
        for row in rows
    )
    return (
        f'<h2>{escape(heading)}</h2><div class="wide"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, Decimal):
        return format(value.quantize(Decimal("0.000001")).normalize(), "f")
    return f"{value:.4g}" if isinstance(value, float) else str(value)
