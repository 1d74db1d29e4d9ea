"""What the venue does to an account that no longer covers its maintenance margin.

The rules and steps are those of the exchange model (`exchange.liquidation`, `exchange.margin`);
only the book a step trades into is replaced by the cost model, bounded by the bankruptcy price.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from counterpoise.domain.instruments import Instrument
from counterpoise.domain.rounding import decimal_from_float, float_from_decimal
from counterpoise.domain.units import BPS_PER_ONE
from counterpoise.exchange import liquidation, margin
from counterpoise.exchange.parameters import ExchangeParameters
from counterpoise.lab.account import LabAccount
from counterpoise.lab.costs import CostTable
from counterpoise.lab.result import LabFill

#: Steps of one liquidation at most; the deepest table has ten tiers per position.
STEPS_MAX: Final = 200
#: An account left with less than this is at zero, quote: a quotient has only so many digits.
DUST: Final = Decimal("0.01")

_ZERO: Final = Decimal(0)


class LabVenue:
    """Margin and liquidation of one account."""

    def __init__(
        self,
        parameters: ExchangeParameters,
        instruments: Mapping[str, Instrument],
        costs: CostTable,
    ) -> None:
        self._rule = parameters.rules.liquidation
        self._fee_bps = parameters.liquidation_fee_bps
        self._instruments = instruments
        self._columns = {name: column for column, name in enumerate(instruments)}
        self._costs = costs

    @property
    def fee_counts_bps(self) -> Decimal:
        """Liquidation fee that equity must also cover, bps; 0 = it need not."""
        return self._fee_bps if self._rule.fee_counts else _ZERO

    def needed(self, account: LabAccount, marks: Mapping[str, Decimal]) -> Decimal:
        """Return the equity at and under which the account is liquidated, quote."""
        total = _ZERO
        for name, quantity in account.quantities().items():
            notional = abs(quantity) * marks[name]
            total += margin.maintenance_margin(self._instruments[name].tiers, notional)
            total += notional * self.fee_counts_bps / BPS_PER_ONE
        return total

    def must_liquidate(self, account: LabAccount, marks: Mapping[str, Decimal]) -> bool:
        """Tell whether equity no longer suffices."""
        return not account.flat and account.equity(marks) <= self.needed(account, marks)

    def liquidate(
        self,
        account: LabAccount,
        marks: Mapping[str, Decimal],
        core_id: str,
        row: int,
        time_ns: int,
    ) -> list[LabFill]:
        """Take positions away step by step until equity suffices; return what was closed.

        An account whose equity is gone is closed whole and ends at zero.
        """
        fills: list[LabFill] = []
        for _ in range(STEPS_MAX):
            if not self.must_liquidate(account, marks):
                break
            fills.append(self._step(account, marks, core_id, row, time_ns))
        if account.flat and account.wallet < DUST:
            account.wipe_out()
        return fills

    def _step(
        self,
        account: LabAccount,
        marks: Mapping[str, Decimal],
        core_id: str,
        row: int,
        time_ns: int,
    ) -> LabFill:
        # One step of the position with the largest notional, as the venue's liquidator does.
        held = account.quantities()
        name = max(sorted(held), key=lambda each: abs(held[each]) * marks[each])
        quantity, mark, instrument = held[name], marks[name], self._instruments[name]
        equity = account.equity(marks)
        part = abs(quantity)
        if equity > 0 and self._rule.tiers_per_step is not None:
            part = liquidation.step_quantity(
                self._rule, instrument.tiers, quantity, mark, instrument.lot_size
            )
        bankrupt = liquidation.bankruptcy_price(quantity, mark, equity)
        signed = -part.copy_sign(quantity)
        notional = float_from_decimal(part * mark)
        cost_bps = self._costs.cost_bps(row, self._columns[name], notional)
        slipped = mark * (
            1 + (1 if signed > 0 else -1) * decimal_from_float(cost_bps) / BPS_PER_ONE
        )
        fee_bps = self._fee_bps
        price = slipped
        if (slipped - bankrupt) * (1 if quantity > 0 else -1) < 0:
            # The venue's fund takes the position over at the bankruptcy price, without a fee.
            price, fee_bps = max(bankrupt, _ZERO), _ZERO
        fee = part * price * fee_bps / BPS_PER_ONE
        realised = account.trade(name, signed, price, fee, mark, time_ns)
        return LabFill(
            time_ns=time_ns,
            instrument_id=name,
            leg="core" if name == core_id else "hedge",
            source="liquidation",
            quantity=signed,
            price=price,
            reference=mark,
            fee=fee,
            realised_pnl=realised,
        )
