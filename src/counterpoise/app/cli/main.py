"""`counterpoise`: the entry point. Expected errors are one line; anything else is a defect."""

import os
import sys
from typing import Annotated, Final

import typer

from counterpoise import __version__
from counterpoise.app.cli import (
    audit,
    books,
    configure,
    control,
    data,
    database,
    decisions,
    doctor,
    effectiveness,
    explain,
    feed,
    instruments,
    laboratory,
    orders,
    positions,
    record,
    replay,
    report,
    run,
    shadow,
    simulate,
    status,
    stress,
    sweep,
)
from counterpoise.domain.errors import CounterpoiseError, SettingsError

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_INTERRUPTED: Final = 130

app = typer.Typer(
    name="counterpoise",
    help="Hold a core perpetual position and its hedge legs inside a hard 3x leverage ceiling.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"counterpoise {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True),
    ] = False,
) -> None:
    pass


app.command("run")(run.run)
app.command("doctor")(doctor.doctor)
app.command("status")(status.status)
app.command("decisions")(decisions.decisions)
app.command("explain")(explain.explain)
app.command("positions")(positions.positions)
app.command("replay")(replay.replay)
app.command("shadow")(shadow.shadow)
app.command("record")(record.record)
app.command("books")(books.books)
app.command("effectiveness")(effectiveness.effectiveness)
app.command("report")(report.report)
app.command("instruments")(instruments.instruments)
app.command("backtest")(laboratory.backtest)
app.command("compare")(laboratory.compare)
app.command("stress")(stress.stress)
app.command("sweep")(sweep.sweep)
app.command("pause")(control.pause)
app.command("resume")(control.resume)
app.command("flatten")(control.flatten)
app.command("stop")(control.stop)
app.add_typer(control.high_water, name="high-water")
app.add_typer(orders.orders, name="orders")
app.add_typer(configure.config, name="config")
app.add_typer(simulate.simulator, name="simulator")
app.add_typer(audit.audit, name="audit")
app.add_typer(database.database, name="database")
app.add_typer(data.data, name="data")
app.add_typer(feed.feed, name="feed")


def main() -> None:
    """Run a command and end the process with its exit code."""
    try:
        app()
    except SettingsError as error:
        _fail(error, EXIT_USAGE)
    except CounterpoiseError as error:
        _fail(error, EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    except BrokenPipeError:
        # The reader of a pipe has seen enough; nothing is to be said, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_FAILED)


def _fail(error: CounterpoiseError, code: int) -> None:
    for line in str(error).splitlines() or [type(error).__name__]:
        sys.stderr.write(f"error: {line}\n")
    sys.exit(code)


if __name__ == "__main__":
    main()
