"""Keeps the interpreter's search for garbage out of the way of trading."""

import gc
from typing import Final

#: Containers made and not yet given back after which the youngest are searched for cycles. What a
#: message makes is given back with it, so only what stays counts.
GARBAGE_AFTER: Final = 20_000


def settle() -> None:
    """Search once, and never again in what is here now; to be called when all is loaded.

    A full search goes through every object of the process: ccxt's tables and the warm-up alone are
    some 300,000, a tenth of a second and more in which no order and no guard runs
    (`benchmarks/garbage.py`). What comes to be from now on is still searched.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(GARBAGE_AFTER, 20, 20)
