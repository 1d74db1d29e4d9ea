"""What accounts set and ask about themselves and the rules; `Exchange` inherits all of it."""

from decimal import Decimal

from counterpoise.domain.instruments import Instrument
from counterpoise.exchange.bands import PriceBand, price_band
from counterpoise.exchange.events import ExchangeEvent, SettingsChanged
from counterpoise.exchange.fees import fee_tier
from counterpoise.exchange.modes import PositionMode, PositionSide, SelfTradeMode
from counterpoise.exchange.operations import Operations
from counterpoise.exchange.orders import OrderRefused, RefusalReason
from counterpoise.exchange.rules import FeeTier


class AccountSettings(Operations):
    """Settings of accounts, and the rules in force."""

    def set_leverage(
        self, account_id: str, instrument_id: str, leverage: Decimal
    ) -> list[ExchangeEvent]:
        """Change a leverage setting. OrderRefused: LEVERAGE_INVALID or MARGIN_INSUFFICIENT.

        A setting that is as it was is no event.
        """
        clearing = self._desk.clearing
        before = clearing.leverage_setting(account_id, instrument_id)
        orders = self._desk.registry.open_orders(account_id)
        clearing.set_leverage(account_id, instrument_id, leverage, orders)
        if leverage == before:
            return []
        mode = clearing.position_mode(clearing.wallet(account_id), instrument_id)
        return [self._settings_changed(account_id, instrument_id, mode)]

    def leverage_setting(self, account_id: str, instrument_id: str) -> Decimal:
        """Return an account's leverage setting of an instrument. OrderRefused: unknown."""
        self._desk.clearing.instrument(instrument_id)
        return self.leverage_setting_kept(account_id, instrument_id)

    def leverage_setting_kept(self, account_id: str, instrument_id: str) -> Decimal:
        """Return it for a market that may have ended; what was never set is the start value."""
        return self._desk.clearing.leverage_setting(account_id, instrument_id)

    def leverage_max(self, account_id: str, instrument_id: str) -> Decimal:
        """Return the highest leverage setting an account may make now. OrderRefused: unknown."""
        clearing = self._desk.clearing
        orders = self._desk.registry.open_orders(account_id)
        return clearing.leverage_max(clearing.wallet(account_id), instrument_id, orders)

    def set_position_mode(
        self, account_id: str, mode: PositionMode, instrument_id: str | None = None
    ) -> list[ExchangeEvent]:
        """Change the position mode of an instrument; None = of all (OKX and Binance).

        OrderRefused: MODE_UNCHANGED, or MODE_LOCKED by a position or an open order there.
        """
        clearing = self._desk.clearing
        wallet = clearing.wallet(account_id)
        names = [each.instrument_id for each in self.instruments()]
        if instrument_id is not None:
            names = [clearing.instrument(instrument_id).instrument_id]
        if all(clearing.position_mode(wallet, each) is mode for each in names):
            raise OrderRefused(RefusalReason.MODE_UNCHANGED, f"position_mode={mode.value}")
        orders = self._desk.registry.open_orders(account_id)
        busy = {each.instrument_id for each in orders} | {
            each.instrument_id for each in wallet.held()
        }
        busy = (busy | self._triggers.busy(account_id)) & set(names)
        if busy:
            message = f"positions or open orders in {sorted(busy)}"
            raise OrderRefused(RefusalReason.MODE_LOCKED, message)
        wallet.position_modes |= dict.fromkeys(names, mode)
        return [self._settings_changed(account_id, each, mode) for each in names]

    def _settings_changed(
        self, account_id: str, instrument_id: str, mode: PositionMode
    ) -> SettingsChanged:
        return SettingsChanged(
            account_id=account_id,
            instrument_id=instrument_id,
            leverage_setting=self._desk.clearing.leverage_setting(account_id, instrument_id),
            position_mode=mode,
            event_ns=self._desk.now_ns,
        )

    def position_mode(self, account_id: str, instrument_id: str) -> PositionMode:
        """Return an account's position mode in an instrument. OrderRefused: unknown."""
        clearing = self._desk.clearing
        clearing.instrument(instrument_id)
        return clearing.position_mode(clearing.wallet(account_id), instrument_id)

    def set_self_trade_mode(self, account_id: str, mode: SelfTradeMode) -> None:
        """Change what the account's takers do on meeting its own orders. OrderRefused: unknown."""
        self._desk.clearing.wallet(account_id).self_trade = mode

    def self_trade_mode(self, account_id: str) -> SelfTradeMode:
        """Return the account's self-trade mode. OrderRefused: unknown account."""
        return self._desk.clearing.self_trade(self._desk.clearing.wallet(account_id))

    def fee_tier(self, account_id: str) -> FeeTier:
        """Return what the account pays. OrderRefused: unknown account."""
        return fee_tier(self._parameters, self._desk.clearing.wallet(account_id).fee_level)

    def adl_rank(
        self, account_id: str, instrument_id: str, position_side: PositionSide = PositionSide.NET
    ) -> int:
        """Return the ADL indicator, 1 (last in the queue) to 5 (first); 0 = no position."""
        return self._liquidator.rank(account_id, instrument_id, position_side)

    def instrument(self, instrument_id: str) -> Instrument:
        """Return the rules in force. OrderRefused: unknown or delisted."""
        return self._desk.clearing.instrument(instrument_id)

    def instruments(self) -> tuple[Instrument, ...]:
        """Return the rules in force of all that are listed."""
        return self._desk.clearing.listing.instruments()

    def price_band(self, instrument_id: str) -> PriceBand:
        """Return how far prices may go on their aggressive side. KeyError: unknown."""
        board = self._board
        return price_band(
            self._desk.clearing.band_rule(instrument_id),
            mark=board.mark(instrument_id),
            index=board.index(instrument_id),
            premium=board.premium(instrument_id),
        )
