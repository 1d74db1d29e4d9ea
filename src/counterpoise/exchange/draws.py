"""Seeded draws: a counter-based generator, so no generator state is carried from step to step."""

from typing import Final

import numpy as np

#: Streams of the generator, its second key.
STREAM_HISTORY: Final = 0
STREAM_LIVE: Final = 1
STREAM_BARS: Final = 2
STREAM_STRESS: Final = 3

_MASK_64: Final = 0xFFFF_FFFF_FFFF_FFFF


def generator(seed: int, stream: int, number: int) -> np.random.Generator:
    """Return the generator of one numbered piece of work; equal arguments give equal draws."""
    key = np.array([seed, stream], dtype=np.uint64)
    counter = np.array([0, 0, number & _MASK_64, 0], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key, counter=counter))
