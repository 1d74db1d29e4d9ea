"""How many executions a match comes in: a level of a book is many people's orders."""

from typing import Final

#: Spreads consecutive numbers over all remainders (Knuth, multiplicative hashing).
_SPREAD: Final = 2_654_435_761


def parts(lots: int, number: int, most: int) -> list[int]:
    """Return lots of each execution of one match, at most `most`, the last one the odd size.

    `number` is that of the trade, so that equal requests give equal parts.
    """
    count = min(lots, 1 + (number * _SPREAD >> 16) % most)
    size = lots // count
    return [size] * (count - 1) + [lots - size * (count - 1)]
