"""One account of the model: cash, net positions in one-way mode, and what moved them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import AccountView
from counterpoise.exchange.funding import funding_payment
from counterpoise.exchange.wallet import Holding, traded
from counterpoise.risk.equity import equity_at_mark

_ZERO: Final = Decimal(0)


class LabAccount:
    """Mutable books; every figure is quote and exact."""

    def __init__(self, wallet: Decimal) -> None:
        #: Cash.
        self.wallet = wallet
        #: Fees paid so far.
        self.fees = _ZERO
        #: Lost against reference prices so far.
        self.slippage = _ZERO
        #: Funding received so far; negative = paid.
        self.funding = _ZERO
        #: Notional traded so far, at fill prices.
        self.traded_notional = _ZERO
        #: Counts every change of positions and cash.
        self.version = 0
        self._holdings: dict[str, Holding] = {}

    def quantities(self) -> dict[str, Decimal]:
        """Return what is held, signed base units; flat instruments are not there."""
        return {name: held.quantity for name, held in self._holdings.items()}

    def entry_prices(self) -> dict[str, Decimal]:
        """Return average entries of what is held, quote per base."""
        return {name: held.entry_price for name, held in self._holdings.items()}

    def quantity(self, instrument_id: str) -> Decimal:
        """Return one position, signed base units."""
        held = self._holdings.get(instrument_id)
        return _ZERO if held is None else held.quantity

    @property
    def flat(self) -> bool:
        """True = nothing is held."""
        return not self._holdings

    def equity(self, marks: Mapping[str, Decimal]) -> Decimal:
        """Return cash and unrealised PnL; every held instrument needs a mark."""
        found = equity_at_mark(self.wallet, self.quantities(), self.entry_prices(), marks)
        assert found is not None, "what is held has a mark and an entry"
        return found

    def view(self, equity: Decimal) -> AccountView:
        """Return the account as a decision sees it; `equity` is at the decision's marks, quote."""
        return AccountView(
            equity=equity,
            wallet_balance=self.wallet,
            quantities=self.quantities(),
            entry_prices=self.entry_prices(),
            transfers=_ZERO,
            age_ms=0,
            missing=(),
        )

    def trade(
        self,
        instrument_id: str,
        signed_quantity: Decimal,
        price: Decimal,
        fee: Decimal,
        reference: Decimal,
        time_ns: int,
    ) -> Decimal:
        """Book a fill; return the PnL it realised before its fee."""
        held = self._holdings.get(instrument_id) or Holding(instrument_id=instrument_id)
        after, realised = traded(held, signed_quantity, price, time_ns)
        if after.quantity:
            self._holdings[instrument_id] = after
        else:
            self._holdings.pop(instrument_id, None)
        self.wallet += realised - fee
        self.fees += fee
        self.slippage += signed_quantity * (price - reference)
        self.traded_notional += abs(signed_quantity) * price
        self.version += 1
        return realised

    def charge_funding(
        self, instrument_id: str, mark: Decimal, rates: Sequence[Decimal]
    ) -> Decimal:
        """Book the charges on a position; return what was received."""
        quantity = self.quantity(instrument_id)
        received = sum((funding_payment(quantity, mark, rate) for rate in rates), _ZERO)
        self.wallet += received
        self.funding += received
        self.version += 1
        return received

    def wipe_out(self) -> None:
        """End at zero, flat: the venue's fund bears what is missing."""
        self._holdings.clear()
        self.wallet = _ZERO
        self.version += 1
