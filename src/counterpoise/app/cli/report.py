"""`counterpoise report`: a span of the record as one HTML file."""

import time
from pathlib import Path
from typing import Annotated

import typer

from counterpoise.app.cli import moments
from counterpoise.app.cli.ledger_access import open_reader
from counterpoise.app.cli.options import Profile
from counterpoise.domain.errors import StartRefused


def report(
    since: Annotated[
        str, typer.Option("--since", help='"24h", "30d" ago, or an ISO time (UTC).')
    ] = "7d",
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write.")] = Path("report.html"),
    account: Annotated[
        str | None, typer.Option("--account", help="Account; default: the newest run's.")
    ] = None,
    profile: Profile = None,
) -> None:
    """Write equity, drawdown, leverage, legs, costs, decisions, incidents and effectiveness."""
    from counterpoise.app import configuration
    from counterpoise.ledger import reporting

    try:
        from counterpoise.app.report import page
    except ImportError as missing:
        raise StartRefused("the report needs plotly: pip install 'counterpoise[lab]'") from missing
    now_ns = time.time_ns()
    since_ns = moments.moment_ns("--since", since, now_ns)
    with open_reader(configuration.load(profile)) as reader:
        account_id = account or reporting.newest_account(reader)
        if account_id is None:
            raise StartRefused("no run is on record")
        data = reporting.read(reader, account_id, since_ns, now_ns)
    text = page.render(data, title=f"Counterpoise, account {account_id}")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text, encoding="utf-8")
    typer.echo(f"{out}: {len(data.equity)} points of equity, {len(text) / 1e6:.1f} MB")
