"""`counterpoise simulator`: the built-in venue, for the demo and as a venue to rehearse on."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from counterpoise.app.cli import output
from counterpoise.app.cli.options import Json, Profile
from counterpoise.domain.errors import SettingsError, StartRefused

simulator = typer.Typer(
    help="The built-in venue on this machine; with --venue, one of its own to rehearse on.",
    no_args_is_help=True,
    invoke_without_command=True,
)

_POSITION_COLUMNS: Final = ("instrument_id", "quantity", "entry_price", "mark", "unrealised_pnl")

#: A directory that holds a simulator's state, instead of the profile's.
StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="The simulator's own directory (default: the profile's)."),
]


@simulator.callback()
def rehearse(
    context: typer.Context,
    venue: Annotated[str | None, typer.Option("--venue", help="okx, binance or bybit.")] = None,
    scenario: Annotated[
        str | None, typer.Option("--scenario", help="A scenario's name or TOML file.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Decides every path.")] = 1,
    speed: Annotated[
        float, typer.Option("--speed", help="Market seconds per second; 0 = lock-step.")
    ] = 1.0,
    pace: Annotated[
        float, typer.Option("--pace", help="Divides the scenario's times; the clock stays.")
    ] = 1.0,
    start_at: Annotated[
        float,
        typer.Option("--start-at", min=0, max=86_400, help="Seconds into the scenario."),
    ] = 0.0,
    port: Annotated[int, typer.Option("--port", min=0, max=65_535, help="0 = any.")] = 0,
    bars: Annotated[
        Path | None, typer.Option("--bars", help="Directory of real one-minute bars.")
    ] = None,
    wallet: Annotated[str, typer.Option("--wallet", help="Cash of a new account.")] = "10000",
    state_dir: Annotated[
        Path | None, typer.Option("--state-dir", help="Kept there; default: nothing is kept.")
    ] = None,
    event_log: Annotated[
        Path | None, typer.Option("--event-log", help="Every event, one JSON line each.")
    ] = None,
) -> None:
    """Run a venue until SIGTERM; prints one JSON line when it is ready."""
    if context.invoked_subcommand is not None:
        return
    from counterpoise.app import logs
    from counterpoise.simulator import rehearse, server
    from counterpoise.simulator.opening import FaultUnknown, Opening
    from counterpoise.simulator.store import StateUnreadable

    logs.configure("json", "warning")
    try:
        opening = Opening(
            venue=rehearse.venue_name(venue),
            seed=seed,
            wallet=rehearse.money(wallet),
            speed=rehearse.market_speed(speed),
            scenario=rehearse.played(scenario, bars, pace),
            start_at_seconds=start_at,
            ephemeral=state_dir is None,
            event_log=event_log,
        )
        rehearse.run(opening, state_dir=state_dir, port=port)
    except rehearse.OptionWrong as wrong:
        raise SettingsError(str(wrong)) from wrong
    except (server.AlreadyRunning, StateUnreadable, FaultUnknown) as refusal:
        raise StartRefused(str(refusal)) from refusal


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
    from counterpoise.simulator.opening import Opening

    settings = configuration.load(profile)
    logs.configure(settings.log_format, settings.log_level)
    opening = Opening(seed=settings.simulator_seed, wallet=settings.simulator_wallet, demo=True)
    work = server.serve(settings.state_dir / "simulator", opening, port=port, fresh=fresh)
    try:
        asyncio.run(work)
    except server.AlreadyRunning as error:
        raise StartRefused(str(error)) from error


@simulator.command("state")
def state(profile: Profile = None, state_dir: StateDir = None, json: Json = False) -> None:
    """Print the venue's own truth: equity, positions, orders, fills and marks."""
    from counterpoise.simulator import client

    with _answering(profile, state_dir) as directory:
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
    state_dir: StateDir = None,
) -> None:
    """Move a market of the built-in venue."""
    from counterpoise.simulator import client

    try:
        move = Decimal(fraction)
    except InvalidOperation:
        raise SettingsError(f"--fraction {fraction}: allowed is a number such as -0.1") from None
    with _answering(profile, state_dir) as directory:
        client.shock(directory, symbol, move, seconds)
    typer.echo(f"{symbol} moves by {move} of its price over {seconds:g} s")


@simulator.command("fault")
def fault(
    kind: Annotated[
        str | None, typer.Argument(help="What goes wrong; without it, the kinds are listed.")
    ] = None,
    symbol: Annotated[str, typer.Option("--symbol", help="Instrument; default: all.")] = "",
    value: Annotated[str, typer.Option("--value", help="The figure some kinds need.")] = "",
    count: Annotated[
        int | None, typer.Option("--count", help="Strikes; 0 = no bound with --duration.")
    ] = None,
    probability: Annotated[float, typer.Option("--probability", help="Of each strike.")] = 1.0,
    duration: Annotated[
        float | None, typer.Option("--duration", help="Market seconds it stays armed.")
    ] = None,
    after: Annotated[float, typer.Option("--after", help="Market seconds until it is armed.")] = 0,
    seconds: Annotated[float, typer.Option("--seconds", help="Length of a delay.")] = 1.0,
    path: Annotated[
        str, typer.Option("--path", help="Only requests or channels that contain this.")
    ] = "",
    method: Annotated[str, typer.Option("--method", help="Only requests of this method.")] = "",
    stage: Annotated[
        str | None, typer.Option("--stage", help="request = before, answer = after acceptance.")
    ] = None,
    profile: Profile = None,
    state_dir: StateDir = None,
) -> None:
    """Let something go wrong at the built-in venue."""
    from counterpoise.simulator import client
    from counterpoise.simulator.fault_kinds import RULES

    if kind is None:
        rows = [
            {"fault": name, "where": rule.place, "what": rule.words, "value": rule.value}
            for name, rule in RULES.items()
        ]
        output.print_rows(rows, ("fault", "where", "what", "value"))
        return
    details: dict[str, Any] = {
        "symbol": symbol,
        "value": value,
        "probability": probability,
        "after_seconds": after,
        "seconds": seconds,
        "path_contains": path,
        "method": method,
    }
    optional = {"count": count, "duration_seconds": duration, "stage": stage}
    details |= {name: given for name, given in optional.items() if given is not None}
    with _answering(profile, state_dir) as directory:
        done = client.fault(directory, kind, **details)
    typer.echo(", ".join(f"{name} {figure}" for name, figure in done.items()))


@simulator.command("stop")
def stop(profile: Profile = None, state_dir: StateDir = None) -> None:
    """End the built-in venue; its account and market are kept."""
    from counterpoise.simulator import client

    with _answering(profile, state_dir) as directory:
        ended = client.stop(directory)
    typer.echo("stopped" if ended else "none was running")


@contextmanager
def _answering(profile: str | None, state_dir: Path | None) -> Iterator[Path]:
    from counterpoise.app import configuration
    from counterpoise.simulator.client import SimulatorUnavailable

    try:
        yield state_dir or configuration.load(profile).state_dir / "simulator"
    except SimulatorUnavailable as error:
        raise StartRefused(str(error)) from error
