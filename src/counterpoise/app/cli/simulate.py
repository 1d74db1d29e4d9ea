"""`counterpoise simulator serve | state | shock | stop`: the built-in venue."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.options import Json, Profile
from counterpoise.domain.errors import SettingsError, StartRefused

simulator = typer.Typer(help="The built-in venue on this machine.", no_args_is_help=True)

_POSITION_COLUMNS: Final = ("instrument_id", "quantity", "entry_price", "mark", "unrealised_pnl")


@simulator.command("serve")
def serve(
    profile: Profile = None,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 = any.")] = 0,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Start from nothing; the old venue is set aside.")
    ] = False,
) -> None:
    """Run the built-in venue in the foreground; `counterpoise run` starts one by itself."""
    import asyncio

    from counterpoise.app import configuration, logs
    from counterpoise.simulator import server

    settings = configuration.load(profile)
    logs.configure(settings.log_format, settings.log_level)
    work = server.serve(
        settings.state_dir / "simulator",
        port=port,
        seed=settings.simulator_seed,
        fresh=fresh,
        wallet=settings.simulator_wallet,
    )
    try:
        asyncio.run(work)
    except server.AlreadyRunning as error:
        raise StartRefused(str(error)) from error


@simulator.command("state")
def state(profile: Profile = None, json: Json = False) -> None:
    """Print the venue's own truth: equity, positions, orders, fills and marks."""
    from counterpoise.simulator import client

    with _answering(profile) as directory:
        found = client.state(directory)
    if json:
        output.print_json(found)
        return
    plain = [
        {"name": name, "value": value}
        for name, value in found.items()
        if not isinstance(value, (list, dict))
    ]
    output.print_rows(plain, ("name", "value"))
    positions = [
        {"instrument_id": name, **position}
        for name, position in sorted(found.get("positions", {}).items())
    ]
    if positions:
        output.print_rows(positions, _POSITION_COLUMNS, title="positions")


@simulator.command("shock")
def shock(
    symbol: Annotated[str, typer.Option("--symbol", help="Instrument, BTCUSDT.")],
    fraction: Annotated[str, typer.Option("--fraction", help="Move, -0.1 = a tenth down.")],
    seconds: Annotated[
        float, typer.Option("--seconds", min=0, max=3_600, help="Over how long.")
    ] = 0,
    profile: Profile = None,
) -> None:
    """Move a market of the built-in venue."""
    from counterpoise.simulator import client

    try:
        move = Decimal(fraction)
    except InvalidOperation:
        raise SettingsError(f"--fraction {fraction}: allowed is a number such as -0.1") from None
    with _answering(profile) as directory:
        client.shock(directory, symbol, move, seconds)
    typer.echo(f"{symbol} moves by {move} of its price over {seconds:g} s")


@simulator.command("stop")
def stop(profile: Profile = None) -> None:
    """End the built-in venue; its account and market are kept."""
    from counterpoise.simulator import client

    with _answering(profile) as directory:
        ended = client.stop(directory)
    typer.echo("stopped" if ended else "none was running")


@contextmanager
def _answering(profile: str | None) -> Iterator[Path]:
    from counterpoise.app import configuration
    from counterpoise.simulator.client import SimulatorUnavailable

    try:
        yield configuration.load(profile).state_dir / "simulator"
    except SimulatorUnavailable as error:
        raise StartRefused(str(error)) from error
