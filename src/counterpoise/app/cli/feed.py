"""`counterpoise feed`: recorded frames of a venue, read as live ones are."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.options import Json
from counterpoise.domain.errors import DataError, SettingsError

if TYPE_CHECKING:
    from counterpoise.venues.capture import Skipped
    from counterpoise.venues.replaying import Recording, Replayed

feed = typer.Typer(help="Recordings of a venue's raw frames.", no_args_is_help=True)

_COUNTS: Final = ("messages", "snapshots", "applied", "gaps", "resyncs", "crossed")


@feed.command("replay")
def replay(
    venue: Annotated[str, typer.Option("--venue", help="okx, binance or bybit.")],
    path: Annotated[Path, typer.Option("--input", help="Recording: JSON lines, zstd or plain.")],
    json: Json = False,
) -> None:
    """Run a recording through the venue's live parsers and books; print what it came to.

    Per instrument: depth messages, snapshots taken, deltas applied, gaps in the sequence, books
    made whole again after one, messages that left the book crossed, and the best five levels of
    each side at the end in the venue's own text (none while the book is lost).
    """
    from counterpoise.venues import capture, replaying

    recording = _recording(venue)
    skipped = capture.Skipped()
    result = replaying.replay(capture.read(path, skipped), recording)
    _tell(result, skipped)
    if not result.rows and (skipped.lines or skipped.broken):
        raise DataError(f"{path}: nothing in it is a recorded frame")
    if json:
        output.print_json({"instruments": result.instruments})
        return
    rows = [
        {"instrument": symbol}
        | {name: told[name] for name in _COUNTS}
        | {"best_bid": _best(told["bids"]), "best_ask": _best(told["asks"])}
        for symbol, told in result.instruments.items()
    ]
    output.print_rows(rows, ("instrument", *_COUNTS, "best_bid", "best_ask"))


def _best(levels: list[list[str]]) -> str | None:
    return levels[0][0] if levels else None


def _recording(venue: str) -> "Recording":
    makers: dict[str, Callable[[], Recording]] = {
        "okx": _okx,
        "binance": _binance,
        "bybit": _bybit,
    }
    if venue not in makers:
        raise SettingsError(f"--venue {venue}: allowed are {', '.join(sorted(makers))}")
    return makers[venue]()


def _okx() -> "Recording":
    from counterpoise.venues.okx.recorded import OkxRecording

    return OkxRecording()


def _binance() -> "Recording":
    from counterpoise.venues.binance.recorded import BinanceRecording

    return BinanceRecording()


def _bybit() -> "Recording":
    from counterpoise.venues.bybit.recorded import BybitRecording

    return BybitRecording()


def _tell(result: "Replayed", skipped: "Skipped") -> None:
    # Beside the result, so that a program that reads it sees nothing else.
    if skipped.broken:
        typer.echo(f"the file ends before its end: {skipped.broken}", err=True)
    if skipped.lines:
        typer.echo(f"{skipped.lines} lines are no frames", err=True)
    if result.malformed:
        typer.echo(f"{result.malformed} frames could not be read", err=True)
