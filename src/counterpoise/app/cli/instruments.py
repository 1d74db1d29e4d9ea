"""`counterpoise instruments`: which instruments would hedge a core best?"""

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from counterpoise.app.cli import moments, output
from counterpoise.app.cli.options import Json, Profile
from counterpoise.domain.errors import SettingsError

if TYPE_CHECKING:
    from counterpoise.app.settings import Settings
    from counterpoise.lab.market_now import Moment

_COLUMNS: Final = (
    "rank",
    "instrument_id",
    "side",
    "score",
    "chosen",
    "leg_correlation",
    "volatility_correlation",
    "correlation_daily_stdev",
    "beta",
    "carry_bps_per_day",
    "cost_bps_per_day",
    "spread_bps",
    "depth_quote",
    "volume_quote",
    "order_min",
    "refused",
)


def instruments(
    profile: Profile = None,
    core: Annotated[
        str | None, typer.Option("--core", help="Instrument of the core; default: the profile's.")
    ] = None,
    side: Annotated[
        str | None, typer.Option("--side", help="long or short core; default: the profile's.")
    ] = None,
    candidates: Annotated[
        str | None,
        typer.Option(
            "--candidates", help="ETHUSDT,SOLUSDT; default: all of --data, or the profile's."
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="Recorded bars (`counterpoise data fetch`) instead of a venue."
        ),
    ] = None,
    funding: Annotated[
        Path | None, typer.Option("--funding", help="With --data: rates of another venue.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", help="With --data: the moment, UTC; default: the last.")
    ] = None,
    venue: Annotated[
        str, typer.Option("--venue", help="okx, binance or bybit: whose market, or whose rules.")
    ] = "okx",
    address: Annotated[
        str | None,
        typer.Option("--address", help="Another server that speaks the venue's protocol."),
    ] = None,
    days: Annotated[
        int, typer.Option("--days", min=3, max=30, help="History read from a venue.")
    ] = 30,
    json: Json = False,
) -> None:
    """Rank hedge candidates for a core with the strategy's own numbers.

    From a venue's public data (no key is needed) or, with --data, from recorded bars. Ranking
    says what a first decision would choose now; it changes nothing.
    """
    import asyncio

    from counterpoise.app import configuration, parameters
    from counterpoise.lab import market_now, ranking
    from counterpoise.lab.assumptions import Assumptions

    settings = configuration.load(profile, core_instrument=core, core_side=side, **_apart(core))
    wanted = _candidates(candidates, data, settings)
    strategy = replace(parameters.strategy_parameters(settings), hedge_candidates=wanted)
    try:
        assumptions = Assumptions(venue=venue)
    except ValueError as wrong:
        raise SettingsError(f"--venue {venue}: allowed are okx, binance and bybit") from wrong
    names = (strategy.core_instrument, *wanted)
    if data is not None:
        end_ns = None if end is None else moments.utc_ms("--end", end) * 1_000_000
        found = market_now.from_data(data, funding, names, strategy.side, assumptions, end_ns)
    else:
        found = asyncio.run(_live(venue, address, names, strategy.side, settings, days))
    rows = [asdict(each) for each in ranking.rank(found.market, found.signals, strategy)]
    if json:
        output.print_json(rows)
        return
    title = f"hedges of a {settings.core_side} {strategy.core_instrument}"
    output.print_rows(rows, _COLUMNS, title=title)


async def _live(
    venue: str,
    address: str | None,
    names: tuple[str, ...],
    sign: int,
    settings: "Settings",
    days: int,
) -> "Moment":
    from counterpoise.app import parameters
    from counterpoise.lab import market_now
    from counterpoise.lab.assumptions import Assumptions
    from counterpoise.venues.public_market import PublicMarket

    public = PublicMarket(venue, address=address)
    try:
        await public.open(names)
        return await market_now.from_venue(
            public,
            names,
            sign,
            parameters.signal_parameters(settings),
            Assumptions(venue=venue),
            days,
        )
    finally:
        await public.close()


def _apart(core: str | None) -> dict[str, object]:
    # The profile's own candidates may hold the core that is asked about; they are replaced anyway.
    return {} if core is None else {"hedge_candidates": ()}


def _candidates(given: str | None, data: Path | None, settings: "Settings") -> tuple[str, ...]:
    from counterpoise.app import configuration
    from counterpoise.lab import market_now

    core = settings.core_instrument
    if given is not None:
        names = tuple(part.strip() for part in given.split(",") if part.strip())
    elif data is not None:
        names = tuple(name for name in market_now.found_instruments(data) if name != core)
    else:
        usual = configuration.load(settings.profile).hedge_candidates
        names = tuple(name for name in usual if name != core)
    if not names or core in names or len(set(names)) < len(names):
        raise SettingsError(
            f"--candidates {','.join(names)}: allowed are names such as ETHUSDT,SOLUSDT, each "
            f"once and without the core {core}"
        )
    return names
