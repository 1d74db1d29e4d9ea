"""`counterpoise doctor`: is everything as it must be, before the daemon is started?"""

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.options import Json, Profile
from counterpoise.domain.errors import SettingsError

if TYPE_CHECKING:
    from counterpoise.app.doctor.findings import Finding

EXIT_FAILED: Final = 1

_COLUMNS: Final = ("outcome", "check", "found", "remedy")


def doctor(
    profile: Profile = None,
    equity: Annotated[
        str | None,
        typer.Option("--equity", help="Equity to plan with, quote; default: the account's."),
    ] = None,
    turnover_month: Annotated[
        str | None,
        typer.Option("--turnover-month", help="Notional traded in a month / equity; default: 4.5."),
    ] = None,
    samples: Annotated[
        int, typer.Option("--samples", min=5, max=500, help="Requests that are timed.")
    ] = 20,
    seconds: Annotated[
        float, typer.Option("--seconds", min=1, max=600, help="How long the stream is timed.")
    ] = 10.0,
    json: Json = False,
) -> None:
    """Look at machine, database, venue, key, account, instruments, latency and capital.

    Exit 0 if nothing failed (warnings do not), 1 if a point failed, 2 for a wrong configuration.
    Sends no order and changes no setting. The built-in venue is started if none runs.
    """
    import asyncio

    from counterpoise.app import configuration, logs
    from counterpoise.app.clock import SystemClock
    from counterpoise.app.doctor import findings
    from counterpoise.app.doctor.examining import Examination, examine

    settings = configuration.load(profile)
    # The checklist says what there is to say.
    logs.configure("plain", "error")
    usual = Examination(samples=samples, stream_seconds=seconds)
    how = Examination(
        samples=samples,
        stream_seconds=seconds,
        # Nobody counts requests on this machine.
        pause_seconds=0.0 if settings.venue == "simulator" else usual.pause_seconds,
        equity=_figure("--equity", equity),
        turnover_month=_figure("--turnover-month", turnover_month) or usual.turnover_month,
    )
    found = asyncio.run(examine(settings, SystemClock(), how))
    if json:
        output.print_json([each.as_dict() for each in found])
    else:
        _show(found)
    if findings.has_failed(found):
        raise typer.Exit(EXIT_FAILED)


def _show(found: "list[Finding]") -> None:
    output.print_rows([each.as_dict() for each in found], _COLUMNS)
    counts = {each.outcome.value: 0 for each in found}
    for each in found:
        counts[each.outcome.value] += 1
    typer.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()))


def _figure(option: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        figure = Decimal(text)
    except InvalidOperation:
        figure = Decimal("NaN")
    if not figure.is_finite() or figure < 0:
        raise SettingsError(f"{option} {text}: allowed is a number, 0 or more")
    return figure
