"""The hard ceiling. The only number in the project that no configuration can raise."""

from decimal import Decimal
from typing import Final

#: Gross exposure at mark / equity at mark, never more (architecture invariant 1).
LEVERAGE_MAX: Final = Decimal(3)


def ceiling(configured: Decimal) -> Decimal:
    """Return the ceiling in force. Raises ValueError if `configured` is not in (0, 3]."""
    if not configured.is_finite() or not 0 < configured <= LEVERAGE_MAX:
        raise ValueError(
            f"leverage_ceiling={configured}: allowed is more than 0 and at most {LEVERAGE_MAX}; "
            "configuration can only lower the ceiling"
        )
    return configured
