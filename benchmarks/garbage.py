"""Longest search for garbage in a loaded daemon, as Python does it and as the daemon asks for it.

Two processes, one after the other, each with everything a daemon loads and the same traffic: order
updates of which the latest are kept. Only the ratio carries over to other machines.
"""

import gc
import subprocess
import sys
import time
from collections import deque

UPDATES = 400_000
KEPT = 100_000


def pauses(*, settled: bool) -> tuple[float, int, int]:
    """Return the longest pause in ms, full searches and objects of the start."""
    import ccxt.async_support  # noqa: F401

    from counterpoise.app import daemon, garbage  # noqa: F401
    from counterpoise.domain.events import UpdateSource
    from counterpoise.venues.binance import orders as _binance  # noqa: F401
    from counterpoise.venues.bybit import orders as _bybit  # noqa: F401
    from counterpoise.venues.okx import orders as _okx  # noqa: F401
    from counterpoise.venues.order_entry import accepted

    loaded = len(gc.get_objects())
    if settled:
        garbage.settle()
    began, longest, full = 0.0, 0.0, 0

    def observe(phase: str, told: dict[str, int]) -> None:
        nonlocal began, longest, full
        if phase == "start":
            began = time.perf_counter()
        else:
            longest = max(longest, time.perf_counter() - began)
            full += told["generation"] == 2

    gc.callbacks.append(observe)
    kept: deque[object] = deque(maxlen=KEPT)
    for number in range(UPDATES):
        update = accepted(
            f"cp{number}", str(number), "BTCUSDT", event_ns=number, received_ns=number
        )
        kept.append((update, [update.source is UpdateSource.REST]))
    gc.callbacks.remove(observe)
    return longest * 1e3, full, loaded


def main() -> None:
    """Print one line per way and the ratio."""
    if len(sys.argv) > 1:
        print(*pauses(settled=sys.argv[1] == "settled"))
        return
    found = {}
    for way in ("default", "settled"):
        ran = subprocess.run([sys.executable, __file__, way], check=True, capture_output=True)
        longest, full, loaded = ran.stdout.split()
        found[way] = float(longest)
        print(
            f"{way:8} longest {found[way]:8.2f} ms, {int(full)} full, {int(loaded)} objects loaded"
        )
    print(f"settled / default {found['settled'] / found['default']:.3f}")


if __name__ == "__main__":
    main()
