"""`python -m counterpoise.simulator`: run the built-in venue on loopback."""

import argparse
import asyncio
import logging
import sys
from decimal import Decimal, InvalidOperation
from pathlib import Path

from counterpoise.simulator import files, server
from counterpoise.simulator.store import StateUnreadable

#: Cash of a new account, quote, if none is asked for.
WALLET_START = Decimal(10_000)


def _money(text: str) -> Decimal:
    try:
        figure = Decimal(text)
    except InvalidOperation:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not figure.is_finite() or figure <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive amount")
    return figure


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="counterpoise.simulator", description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True, help="where the venue lives")
    parser.add_argument("--port", type=int, default=0, help="0 = the one before, or any")
    parser.add_argument("--seed", type=int, default=1, help="decides a new market's path")
    parser.add_argument("--wallet", type=_money, default=WALLET_START, help="cash of a new account")
    parser.add_argument("--fresh", action="store_true", help="put the old venue aside")
    return parser


def main() -> int:
    """Run until a signal; 17 = another works in the directory, 1 = its state is unreadable."""
    options = _parser().parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    run = server.serve(
        options.state_dir,
        port=options.port,
        seed=options.seed,
        fresh=options.fresh,
        wallet=options.wallet,
    )
    try:
        asyncio.run(run)
    except server.AlreadyRunning as refusal:
        logging.getLogger("counterpoise.simulator").error("%s", refusal)
        return files.EXIT_ALREADY_RUNNING
    except StateUnreadable as refusal:
        logging.getLogger("counterpoise.simulator").error("%s", refusal)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
