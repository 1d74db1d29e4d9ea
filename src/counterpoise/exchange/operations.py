"""What an operator may do to the modelled venue while it runs; `Exchange` inherits all of it.

Every command happens now (at `now_ns`), is deterministic, and is part of the venue's saved state.
"""

from decimal import Decimal

from counterpoise.domain.instruments import Instrument, InstrumentState, MarginTier
from counterpoise.exchange import fees
from counterpoise.exchange.desk import Desk
from counterpoise.exchange.events import ExchangeEvent, InstrumentChanged
from counterpoise.exchange.liquidator import Liquidator
from counterpoise.exchange.modes import PositionSide
from counterpoise.exchange.orders import CancelCause, OrderRefused, RefusalReason
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.exchange.quotes import Figures
from counterpoise.exchange.trigger_desk import TriggerDesk


class Operations:
    """Commands that come from nobody's account."""

    def __init__(self, parameters: ExchangeParameters, board: Figures, desk: Desk,
                 liquidator: Liquidator, triggers: TriggerDesk) -> None:  # fmt: skip
        self._parameters = parameters
        self._board = board
        self._desk = desk
        self._liquidator = liquidator
        self._triggers = triggers

    def transfer(self, account_id: str, change: Decimal) -> list[ExchangeEvent]:
        """Move cash in (> 0) or out, quote. OrderRefused: WITHDRAWAL_TOO_LARGE or unknown.

        What may go out is the available margin, and never unrealised profit. ValueError: zero.
        """
        clearing = self._desk.clearing
        wallet = clearing.wallet(account_id)
        figures = clearing.figures(wallet, self._desk.registry.open_orders(account_id))
        free = min(figures.equity, figures.wallet_balance) - figures.initial_margin
        bill = clearing.transfer(account_id, change, free, self._desk.now_ns)
        self._desk.tell_wallet(bill)
        return self._desk.drain()

    def set_fee_level(self, account_id: str, level: int) -> None:
        """Put an account on a fee level, 0 pays most. ValueError: there is no such level."""
        fees.fee_tier(self._parameters, level)
        self._desk.clearing.wallet(account_id).fee_level = level

    def set_instrument_state(
        self, instrument_id: str, state: InstrumentState
    ) -> list[ExchangeEvent]:
        """Change what orders an instrument takes; resting orders stay. OrderRefused: unknown."""
        return [self._changed(self._desk.clearing.listing.set_state(instrument_id, state))]

    def delist(self, instrument_id: str) -> list[ExchangeEvent]:
        """End an instrument: orders canceled, positions settled at mark, then unknown for good."""
        self._desk.clearing.instrument(instrument_id)
        self._triggers.cancel_all(instrument_id, CancelCause.DELISTING)
        self._liquidator.settle(instrument_id)
        events = self._desk.drain()
        return [*events, self._changed(self._desk.clearing.listing.delist(instrument_id))]

    def change_rules(
        self, instrument_id: str, *, tick_size: Decimal | None = None,
        lot_size: Decimal | None = None, quantity_min: Decimal | None = None,
        notional_min: Decimal | None = None, market_quantity_max: Decimal | None = None,
        limit_quantity_max: Decimal | None = None, tiers: tuple[MarginTier, ...] | None = None,
    ) -> list[ExchangeEvent]:  # fmt: skip
        """Change an instrument's rules from the next order on; None = as it is.

        Resting orders and positions stay as they are, on the new grid or not. Ticks and lots are
        multiples of those the market opened with. OrderRefused: unknown. ValueError: not possible.
        """
        instrument = self._desk.clearing.listing.change(
            instrument_id, tick_size=tick_size, lot_size=lot_size, quantity_min=quantity_min,
            notional_min=notional_min, market_quantity_max=market_quantity_max,
            limit_quantity_max=limit_quantity_max, tiers=tiers,
        )  # fmt: skip
        self._coarsen(instrument_id)
        return [self._changed(instrument)]

    def force_reduce(
        self, account_id: str, instrument_id: str, *, quantity: Decimal | None = None,
        position_side: PositionSide = PositionSide.NET, price: Decimal | None = None,
    ) -> list[ExchangeEvent]:  # fmt: skip
        """Auto-deleverage a position by a quantity (None = all) at a price (None = the mark).

        The position shrinks without an order or a fee. OrderRefused: there is no position.
        """
        self._desk.clearing.instrument(instrument_id)
        self._liquidator.force_reduce(account_id, instrument_id, quantity, position_side, price)
        return self._desk.drain()

    def force_liquidate(self, account_id: str) -> list[ExchangeEvent]:
        """Do one liquidation step on an account whatever its equity. OrderRefused: no position."""
        if not self._desk.clearing.wallet(account_id).held():
            raise OrderRefused(RefusalReason.REDUCE_ONLY_NO_POSITION, "no position")
        self._liquidator.step(account_id)
        return self._desk.drain()

    def force_cancel(
        self, account_id: str, *, order_id: str | None = None, client_order_id: str | None = None
    ) -> list[ExchangeEvent]:
        """Cancel an open order behind its owner's back. OrderRefused: not known or over."""
        order = self._desk.open_order(account_id, order_id, client_order_id)
        self._desk.cancel_order(order, CancelCause.VENUE)
        return self._desk.drain()

    def set_insurance_fund(self, balance: Decimal | None) -> None:
        """Set what the insurance fund holds, quote; None = it never runs dry."""
        self._desk.clearing.insurance_fund = balance

    @property
    def insurance_fund(self) -> Decimal | None:
        """What the insurance fund holds, quote; None = it never runs dry."""
        return self._desk.clearing.insurance_fund

    def _coarsen(self, instrument_id: str) -> None:
        steps = self._desk.clearing.listing.steps(instrument_id)
        self._desk.books[instrument_id].coarsen(*steps)

    def _changed(self, instrument: Instrument) -> InstrumentChanged:
        return InstrumentChanged(
            instrument=instrument,
            delisted=self._desk.clearing.listing.delisted(instrument.instrument_id),
            event_ns=self._desk.now_ns,
        )
