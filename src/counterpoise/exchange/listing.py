"""The instruments as the venue lists them now: rules and states may change while it runs.

Books and candles count in the ticks and lots the market was opened with (the grid). The tick and
lot clients must keep to may become coarser, by whole multiples, never finer than the grid.
"""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from counterpoise.domain.instruments import Instrument, InstrumentState, MarginTier
from counterpoise.exchange.orders import OrderRefused, RefusalReason
from counterpoise.exchange.parameters import ExchangeParameters


class Listing:
    """What is listed, by instrument id."""

    def __init__(self, parameters: ExchangeParameters) -> None:
        self._grids = {
            each.instrument.instrument_id: each.instrument for each in parameters.instruments
        }
        self._current = dict(self._grids)
        self._delisted: set[str] = set()

    def put(self, instrument: Instrument) -> None:
        """List an instrument whose books count in its own steps from now on."""
        self._grids[instrument.instrument_id] = instrument
        self._current[instrument.instrument_id] = instrument
        self._delisted.discard(instrument.instrument_id)

    def instrument(self, instrument_id: str) -> Instrument:
        """Return the rules in force. OrderRefused: the venue does not list it (any more)."""
        instrument = self._current.get(instrument_id)
        if instrument is None or instrument_id in self._delisted:
            raise OrderRefused(RefusalReason.INSTRUMENT_UNKNOWN, f"{instrument_id!r}")
        return instrument

    def instruments(self) -> tuple[Instrument, ...]:
        """Return all that are listed, in the venue's order."""
        return tuple(each for name, each in self._current.items() if name not in self._delisted)

    def tiers(self, instrument_id: str) -> tuple[MarginTier, ...]:
        """Return the margin table in force, listed or not. KeyError: unknown."""
        return self._current[instrument_id].tiers

    def grid(self, instrument_id: str) -> Instrument:
        """Return the instrument as it was opened: what books count in. KeyError: unknown."""
        return self._grids[instrument_id]

    def steps(self, instrument_id: str) -> tuple[int, int]:
        """Return grid ticks per tick and grid lots per lot of the rules in force."""
        grid, now = self._grids[instrument_id], self._current[instrument_id]
        return int(now.tick_size / grid.tick_size), int(now.lot_size / grid.lot_size)

    def delisted(self, instrument_id: str) -> bool:
        """True = it was listed once."""
        return instrument_id in self._delisted

    def set_state(self, instrument_id: str, state: InstrumentState) -> Instrument:
        """Change what orders are taken. OrderRefused: unknown."""
        changed = replace(self.instrument(instrument_id), state=state)
        self._current[instrument_id] = changed
        return changed

    def delist(self, instrument_id: str) -> Instrument:
        """Take an instrument off the list for good. OrderRefused: unknown."""
        changed = self.set_state(instrument_id, InstrumentState.SUSPENDED)
        self._delisted.add(instrument_id)
        return changed

    def change(
        self, instrument_id: str, *, tick_size: Decimal | None, lot_size: Decimal | None,
        quantity_min: Decimal | None, notional_min: Decimal | None,
        market_quantity_max: Decimal | None, limit_quantity_max: Decimal | None,
        tiers: tuple[MarginTier, ...] | None,
    ) -> Instrument:  # fmt: skip
        """Change rules; None = as it is. OrderRefused: unknown. ValueError: not possible."""
        grid, now = self._grids.get(instrument_id), self.instrument(instrument_id)
        assert grid is not None, "what is listed has a grid"
        for step, least in ((tick_size, grid.tick_size), (lot_size, grid.lot_size)):
            if step is not None and (step <= 0 or step % least):
                raise ValueError(f"step={step} is not a multiple of the market's own {least}")
        if tiers is not None and (not tiers or tiers[-1].notional_max is not None):
            raise ValueError("the last margin tier must have no end")
        lot = lot_size or now.lot_size
        changed = replace(
            now,
            tick_size=tick_size or now.tick_size,
            lot_size=lot,
            quantity_min=max(quantity_min or now.quantity_min, lot),
            notional_min=now.notional_min if notional_min is None else notional_min,
            market_quantity_max=market_quantity_max or now.market_quantity_max,
            limit_quantity_max=limit_quantity_max or now.limit_quantity_max,
            tiers=tiers or now.tiers,
        )
        self._current[instrument_id] = changed
        return changed

    def save(self) -> dict[str, Any]:
        """Return what is not as it was opened, as JSON-able figures."""
        changed = {name: now for name, now in self._current.items() if now != self._grids[name]}
        saved: dict[str, Any] = msgspec.to_builtins(
            {"changed": changed, "delisted": sorted(self._delisted)}
        )
        return saved

    def load(self, saved: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._current.update(msgspec.convert(saved["changed"], dict[str, Instrument]))
        self._delisted = set(saved["delisted"])
