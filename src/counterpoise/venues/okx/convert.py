"""Between OKX's words and ours: contracts and base units, milliseconds and ns, states and sides.

Contracts exist in this package only. Linear swaps: base units = contracts x ctVal x ctMult.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.errors import VenueRejected
from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.orders import (
    FillCause,
    Liquidity,
    OrderKind,
    OrderState,
    Side,
    TimeInForce,
)
from counterpoise.domain.rounding import quantize_toward_zero
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.venues import figures, listings
from counterpoise.venues.figures import decimal, optional_decimal
from counterpoise.venues.listings import Listed, word

ORDER_STATES: Final[Mapping[str, OrderState]] = {
    "live": OrderState.ACCEPTED,
    "partially_filled": OrderState.PARTIALLY_FILLED,
    "filled": OrderState.FILLED,
    "canceled": OrderState.CANCELED,
    "mmp_canceled": OrderState.CANCELED,
}

#: The only execution types that are trades; anything else never becomes a fill.
LIQUIDITIES: Final[Mapping[str, Liquidity | None]] = {
    "T": Liquidity.TAKER,
    "M": Liquidity.MAKER,
    "": None,
}

#: OKX's order types that carry no price of ours.
_MARKET_TYPES: Final = frozenset({"market", "optimal_limit_ioc"})

#: `category` of an order, as far as the venue itself made it.
CATEGORIES: Final[Mapping[str, FillCause]] = {
    "full_liquidation": FillCause.LIQUIDATION,
    "partial_liquidation": FillCause.LIQUIDATION,
    "adl": FillCause.ADL,
    "delivery": FillCause.SETTLEMENT,
}

#: `subType` of an execution the venue itself made (docs-v5 "Bill types").
_SUB_TYPES: Final[Mapping[str, FillCause]] = {
    **dict.fromkeys(map(str, range(100, 108)), FillCause.LIQUIDATION),
    **dict.fromkeys(("112", "113"), FillCause.SETTLEMENT),
    **dict.fromkeys(map(str, range(125, 129)), FillCause.ADL),
}

_INSTRUMENT_STATES: Final[Mapping[str, InstrumentState]] = {
    "live": InstrumentState.LIVE,
    "post_only": InstrumentState.POST_ONLY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What OKX calls a linear swap, as far as we need it to talk about one."""

    #: Our identity, "BTCUSDT".
    instrument_id: str
    #: OKX's identity, "BTC-USDT-SWAP".
    inst_id: str
    #: OKX's margin family and index, "BTC-USDT".
    family: str
    #: Base currency, "BTC".
    base: str
    #: Quote currency, "USDT".
    quote: str
    #: Settlement currency, "USDT".
    settle: str
    #: Base units per contract (ctVal x ctMult).
    contract_size: Decimal
    #: Smallest quantity step, contracts.
    lot_contracts: Decimal
    #: Smallest order, contracts.
    contracts_min: Decimal
    #: Smallest price step, quote.
    tick_size: Decimal
    #: Largest limit order, contracts; None = unlimited.
    limit_contracts_max: Decimal | None
    #: Largest market order, contracts; None = unlimited.
    market_contracts_max: Decimal | None
    #: What OKX takes now.
    state: InstrumentState


def contract_from_row(row: Mapping[str, Any], settle: str) -> Contract | None:
    """Return a row of public/instruments as a contract; None if it is no linear swap of `settle`.

    Raises KeyError or ValueError if a field we need is missing or no number.
    """
    if word(row, "ctType") != "linear" or word(row, "settleCcy") != settle:
        return None
    family = str(row.get("instFamily") or row["uly"])
    base, _, quote = family.partition("-")
    multiplier = decimal(str(row.get("ctMult") or "1"))
    return Contract(
        instrument_id=base + quote,
        inst_id=str(row["instId"]),
        family=family,
        base=base,
        quote=quote,
        settle=settle,
        contract_size=decimal(row["ctVal"]) * multiplier,
        lot_contracts=decimal(row["lotSz"]),
        contracts_min=decimal(row["minSz"]),
        tick_size=decimal(row["tickSz"]),
        limit_contracts_max=optional_decimal(row.get("maxLmtSz")),
        market_contracts_max=optional_decimal(row.get("maxMktSz")),
        state=_state(row),
    )


def instrument_id_of(row: Mapping[str, Any]) -> str:
    """Return whose a row is: "BTCUSDT" for "BTC-USDT-SWAP". Raises KeyError or ValueError."""
    return word(row, "instId").removesuffix("-SWAP").replace("-", "")


def listed(rows: Iterable[Any], settle: str) -> Listed[Contract]:
    """Return the linear swaps of `settle` in public/instruments."""
    return listings.listed(rows, lambda row: contract_from_row(row, settle), instrument_id_of)


def _state(row: Mapping[str, Any]) -> InstrumentState:
    # A perpetual has an `expTime` only once OKX has announced when it goes offline.
    state = _INSTRUMENT_STATES.get(str(row.get("state")), InstrumentState.SUSPENDED)
    ends = state is InstrumentState.LIVE and row.get("expTime")
    return InstrumentState.CLOSING if ends else state


def fill_cause(sub_type: str) -> FillCause | None:
    """Return whose doing an execution of a `subType` was; None = OKX does not say."""
    if not sub_type:
        return None
    return _SUB_TYPES.get(sub_type, FillCause.ORDER)


def base_from_contracts(contracts: Decimal, contract_size: Decimal) -> Decimal:
    """Return base units; exact for every number OKX sends."""
    return contracts * contract_size


def contracts_from_base(quantity: Decimal, contract: Contract) -> Decimal:
    """Return contracts on OKX's lot grid, never more than `quantity` base units.

    Raises VenueRejected (nothing was sent): BELOW_LOT_SIZE if less than the smallest order is
    left, INEXACT_CONTRACTS if the result would not read back as the same base units.
    """
    contracts = quantize_toward_zero(quantity / contract.contract_size, contract.lot_contracts)
    if contracts <= 0 or contracts < contract.contracts_min:
        raise VenueRejected(
            f"quantity {quantity} {contract.base} is {contracts} contracts of {contract.inst_id};"
            f" the smallest order is {contract.contracts_min}",
            code="BELOW_LOT_SIZE",
        )
    sent = base_from_contracts(contracts, contract.contract_size)
    # Less than a lot is lost to the floor; anything else would be an error of arithmetic.
    lot = base_from_contracts(contract.lot_contracts, contract.contract_size)
    if sent > quantity or quantity - sent >= lot or sent / contract.contract_size != contracts:
        raise VenueRejected(
            f"{quantity} {contract.base} does not convert exactly to contracts of"
            f" {contract.contract_size}",
            code="INEXACT_CONTRACTS",
        )
    return contracts


def price_on_grid(price: Decimal, side: Side, contract: Contract, *, reduce_only: bool) -> Decimal:
    """Return a limit price on the tick grid, never worse for us than `price` (OFF_TICK)."""
    return figures.price_on_grid(price, side, contract.tick_size, reduce_only=reduce_only)


def order_type(kind: OrderKind, time_in_force: TimeInForce, *, post_only: bool = False) -> str:
    """Return OKX's ordType; one that is post-only and would take is canceled by OKX at once.

    A plain market order is placed at the worst price the limit allows and may rest there
    (venues.md 3.1), so market orders go as optimal_limit_ioc.
    """
    if kind is OrderKind.MARKET:
        return "optimal_limit_ioc"
    if post_only:
        return "post_only"
    return {TimeInForce.IOC: "ioc", TimeInForce.FOK: "fok", TimeInForce.GTC: "limit"}[time_in_force]


def has_price(okx_order_type: str) -> bool:
    """Tell whether an order of this ordType carries a limit price."""
    return okx_order_type not in _MARKET_TYPES


def fee_bps_from_rate(text: str | None) -> Decimal | None:
    """Return bps, positive = paid; OKX writes a negative fraction for a fee that is paid."""
    rate = optional_decimal(text)
    return None if rate is None else -rate * BPS_PER_ONE


def fee_paid(text: str | None) -> Decimal:
    """Return a fee, positive = paid; OKX writes it negative. "" = 0."""
    value = optional_decimal(text)
    return Decimal(0) if not value else -value


def signed_contracts(contracts: Decimal, position_side: str) -> Decimal:
    """Return contracts with + for long; in long/short mode OKX leaves the sign to posSide."""
    return -abs(contracts) if position_side == "short" else contracts
