"""Identifiers derived from inputs: the same inputs give the same id, on any machine."""

import hashlib
from typing import Final

#: Venue limit shared by OKX, Binance and Bybit (OKX `clOrdId`: 32 alphanumerics).
CLIENT_ORDER_ID_LENGTH_MAX: Final = 32

#: What the account id of a shadow twin ends with; the rest is that of the account it shadows.
SHADOW_SUFFIX: Final = "-shadow"

_PREFIX: Final = "cp"


def decision_id(account_id: str, epoch: int, sequence: int, decided_ns: int) -> str:
    """Return 16 hex digits naming one decision of one account.

    `epoch` is the lease's fencing token and `sequence` counts decisions within it, so that a
    restart in the same instant cannot repeat an id.
    """
    return _digest("decision", account_id, str(epoch), str(sequence), str(decided_ns))[:16]


def client_order_id(account_id: str, decision: str, instrument_id: str, attempt: int) -> str:
    """Return the idempotency key of one order: "cp" and 30 hex digits.

    Never reused: `attempt` counts the orders sent for one decision and leg.
    """
    digest = _digest("order", account_id, decision, instrument_id, str(attempt))
    return _PREFIX + digest[: CLIENT_ORDER_ID_LENGTH_MAX - len(_PREFIX)]


def shadow_account_id(account_id: str) -> str:
    """Return the account id of the twin of an account."""
    return account_id + SHADOW_SUFFIX


def is_ours(client_order_id_text: str) -> bool:
    """Tell whether an id has the shape this project gives to its orders."""
    return (
        len(client_order_id_text) == CLIENT_ORDER_ID_LENGTH_MAX
        and client_order_id_text.startswith(_PREFIX)
        and client_order_id_text.isalnum()
    )


def _digest(*parts: str) -> str:
    # A length before each part keeps ("ab", "c") and ("a", "bc") apart.
    framed = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.sha256(framed.encode()).hexdigest()
