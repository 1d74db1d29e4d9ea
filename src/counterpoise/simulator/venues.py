"""The venues a simulator can play, by name."""

from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from typing import Final

from counterpoise.exchange.parameters import ExchangeParameters, demo_parameters
from counterpoise.exchange.venues import binance_parameters, bybit_parameters, okx_parameters
from counterpoise.simulator.wire import Floor, Wire


class VenueName(StrEnum):
    """Whose protocol is spoken."""

    OKX = "okx"
    BINANCE = "binance"
    BYBIT = "bybit"


_PARAMETERS: Final = {
    VenueName.OKX: okx_parameters,
    VenueName.BINANCE: binance_parameters,
    VenueName.BYBIT: bybit_parameters,
}


def make_wire(name: VenueName, floor: Floor) -> Wire:
    """Return a venue's wire: `make` of its package's module `wire`."""
    module = import_module(f"counterpoise.simulator.{name.value}.wire")
    make: Callable[[Floor], Wire] = module.make
    return make(floor)


def parameters(name: VenueName, *, demo: bool) -> Callable[[int], ExchangeParameters]:
    """Return what makes a venue's markets of a seed; `demo` = by the demonstration's own rules."""
    return demo_parameters if demo else _PARAMETERS[name]
