"""`counterpoise record`: a venue's public frames into a file, as they are received."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.options import Json
from counterpoise.domain.errors import SettingsError

if TYPE_CHECKING:
    from counterpoise.app.frame_recording import Limits
    from counterpoise.venues.capture import CaptureFile, Tap

_BYTES_PER_MEGABYTE: Final = 1_000_000


def record(
    venue: Annotated[str, typer.Option("--venue", help="okx, binance or bybit.")],
    symbols: Annotated[
        str, typer.Option("--symbols", help="The venue's own: BTCUSDT, OKX BTC-USDT-SWAP,...")
    ],
    out: Annotated[Path, typer.Option("--out", help="New file, JSON lines in zstd.")],
    seconds: Annotated[
        float | None, typer.Option("--seconds", min=0, help="End after this time.")
    ] = None,
    megabytes: Annotated[
        float | None, typer.Option("--megabytes", min=0, help="End at this size, uncompressed.")
    ] = None,
    environment: Annotated[
        str, typer.Option("--environment", help="demo, testnet or production.")
    ] = "production",
    port: Annotated[
        int | None, typer.Option("--port", help="A venue on this machine, instead.")
    ] = None,
    json: Json = False,
) -> None:
    """Record books, marks, funding and liquidations of instruments; needs no key.

    Ends at a limit or at Ctrl-C. `counterpoise feed replay` reads the file.
    """
    import asyncio

    from counterpoise.app.frame_recording import Limits

    endpoints, make = _venue(venue, environment, port)
    names = [name.strip() for name in symbols.split(",") if name.strip()]
    if not names or len(set(names)) < len(names):
        raise SettingsError(f"--symbols {symbols}: allowed are names such as BTCUSDT,ETHUSDT")
    limits = Limits(
        seconds=seconds,
        bytes_max=None if megabytes is None else round(megabytes * _BYTES_PER_MEGABYTE),
    )
    try:
        made = asyncio.run(_record(endpoints, make, names, out, limits))
    except KeyboardInterrupt:
        typer.echo(f"stopped; what was heard is in {out}", err=True)
        return
    told = {"file": str(out), "frames": made.frames, "bytes": made.bytes}
    if json:
        output.print_json(told)
    else:
        output.print_rows([told], ("file", "frames", "bytes"))


def _venue(venue: str, environment: str, port: int | None) -> tuple[Any, Any]:
    from counterpoise.app.venue_table import VENUES

    row = VENUES.get(venue)
    if row is None:
        raise SettingsError(f"--venue {venue}: allowed are {', '.join(sorted(VENUES))}")
    if environment not in row.environments:
        raise SettingsError(
            f"--environment {environment}: allowed are {', '.join(row.environments)}"
        )
    adapters = row.adapters()
    if port is not None:
        return adapters.loopback(port), adapters.market_feed
    return adapters.endpoints(environment), adapters.market_feed


async def _record(
    endpoints: Any, make: Any, names: list[str], out: Path, limits: "Limits"
) -> "CaptureFile":
    from decimal import Decimal

    from counterpoise.app import frame_recording
    from counterpoise.app.clock import SystemClock
    from counterpoise.venues.connection import Timing

    # What is recorded is not counted with, so a unit need not be known. One connection at a time:
    # the frames of two that follow each other would be mixed.
    listed = {name: (name, Decimal(1)) for name in names}
    timing = Timing(rotate_after=float(10**9))

    def make_feed(tap: "Tap") -> Any:
        return make(endpoints, listed, SystemClock(), timing=timing, tap=tap)

    return await frame_recording.record(make_feed, out, limits)
