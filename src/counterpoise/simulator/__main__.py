"""`python -m counterpoise.simulator`: run the built-in venue on loopback."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from counterpoise.simulator import files, rehearse, server
from counterpoise.simulator.opening import WALLET_START, FaultUnknown, Opening
from counterpoise.simulator.store import StateUnreadable


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="counterpoise.simulator", description=__doc__)
    parser.add_argument("--venue", help="okx, binance or bybit; prints one JSON line when ready")
    parser.add_argument("--state-dir", type=Path, help="where the venue lives")
    parser.add_argument("--port", type=int, default=0, help="0 = the one before, or any")
    parser.add_argument("--seed", type=int, default=1, help="decides a new market's path")
    parser.add_argument("--wallet", default=str(WALLET_START), help="cash of a new account")
    parser.add_argument("--fresh", action="store_true", help="put the old venue aside")
    parser.add_argument("--scenario", help="a scenario's name or TOML file")
    parser.add_argument("--bars", type=Path, help="directory of real one-minute bars")
    parser.add_argument("--speed", type=float, default=1.0, help="0 = lock-step")
    parser.add_argument("--weight-minute", type=int, help="Binance: weight of requests a minute")
    parser.add_argument("--event-log", type=Path, help="every event, one JSON line each")
    return parser


def main() -> int:
    """Run until a signal; 17 = another works in the directory, 1 = its state is unreadable."""
    parser = _parser()
    options = parser.parse_args()
    if options.venue is None and options.state_dir is None:
        parser.error("--state-dir is needed without --venue")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    log = logging.getLogger("counterpoise.simulator")
    try:
        opening = Opening(
            venue=rehearse.venue_name(options.venue or "okx"),
            seed=options.seed,
            wallet=rehearse.money(options.wallet),
            speed=rehearse.market_speed(options.speed),
            scenario=rehearse.played(options.scenario, options.bars),
            demo=options.venue is None,
            ephemeral=options.state_dir is None,
            event_log=options.event_log,
            weight_minute=options.weight_minute,
        )
        if options.venue is None:
            work = server.serve(options.state_dir, opening, port=options.port, fresh=options.fresh)
            asyncio.run(work)
        else:
            rehearse.run(
                opening, state_dir=options.state_dir, port=options.port, fresh=options.fresh
            )
    except rehearse.OptionWrong as wrong:
        parser.error(str(wrong))
    except server.AlreadyRunning as refusal:
        log.error("%s", refusal)
        return files.EXIT_ALREADY_RUNNING
    except (StateUnreadable, FaultUnknown) as refusal:
        log.error("%s", refusal)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
