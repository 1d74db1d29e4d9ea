"""OKX's symbols and contracts. The only place of the simulator where contracts become base units.

Contract sizes as OKX lists them for its USDT-margined swaps (public/instruments, `ctVal`).
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain import units


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """How OKX writes one of our instruments."""

    #: Our identity, "BTCUSDT".
    instrument_id: str
    #: "BTC".
    base: str
    #: Base units per contract (`ctVal`).
    contract_size: Decimal
    #: The numeric id that WebSocket order entry uses (`instIdCode`).
    code: int

    @property
    def family(self) -> str:
        """OKX's underlying and instrument family, "BTC-USDT"."""
        return f"{self.base}-USDT"

    @property
    def symbol(self) -> str:
        """OKX's `instId`, "BTC-USDT-SWAP"."""
        return f"{self.base}-USDT-SWAP"

    def contracts(self, quantity: Decimal) -> Decimal:
        """Return base units as contracts, sign kept."""
        return quantity / self.contract_size

    def quantity(self, contracts: Decimal) -> Decimal:
        """Return contracts as base units, sign kept."""
        return contracts * self.contract_size


#: Settlement and fee currency of every listed swap.
CURRENCY: Final = "USDT"

CONTRACTS: Final = tuple(
    Contract(
        instrument_id=f"{base}USDT", base=base, contract_size=Decimal(contract_size), code=code
    )
    for base, contract_size, code in (
        ("BTC", "0.01", 10459),
        ("ETH", "0.1", 10461),
        ("SOL", "1", 10467),
        ("XRP", "100", 10468),
        ("DOGE", "1000", 10470),
        ("LTC", "1", 10465),
    )
)

BY_INSTRUMENT: Final = {contract.instrument_id: contract for contract in CONTRACTS}
BY_SYMBOL: Final = {contract.symbol: contract for contract in CONTRACTS}
BY_FAMILY: Final = {contract.family: contract for contract in CONTRACTS}


def instrument_of(name: str) -> str | None:
    """Return our id for either spelling of an instrument; None = not listed."""
    if name in BY_INSTRUMENT:
        return name
    contract = BY_SYMBOL.get(name)
    return None if contract is None else contract.instrument_id


def text(value: Decimal) -> str:
    """Return a figure as OKX writes it: no exponent, no trailing zeros."""
    if not value:
        return "0"
    plain = str(value)
    if plain[-1] != "0" and "E" not in plain:
        return plain
    if "E" in plain:
        return format(value.normalize(), "f")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def milliseconds(instant_ns: int) -> str:
    """Return an instant as OKX writes it: ms since the epoch, as text."""
    return str(instant_ns // units.NS_PER_MS)
