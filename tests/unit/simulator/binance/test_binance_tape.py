"""What was charged is remembered as it was charged."""

from decimal import Decimal

from counterpoise.domain.orders import Side
from counterpoise.exchange.events import FundingCharged, FundingRateChanged, TradePrinted
from counterpoise.exchange.quotes import FundingState
from counterpoise.simulator.binance.tape import KEPT_MAX, FundingRow, Tape

HOUR = 3_600_000_000_000
START = FundingState(rate=Decimal("0.0001"), funding_ns=8 * HOUR, interval_hours=8)


def changed(rate, event_ns, funding_ns):
    return FundingRateChanged(
        instrument_id="BTCUSDT",
        rate=Decimal(rate),
        funding_ns=funding_ns,
        interval_hours=8,
        event_ns=event_ns,
    )


def mark(_instrument_id):
    return Decimal(50_000)


def test_a_rate_is_kept_when_its_instant_has_come():
    tape = Tape({"BTCUSDT": START})
    tape.hear([changed("0.0002", 7 * HOUR, 8 * HOUR)], mark)
    assert tape.fundings("BTCUSDT") == ()
    tape.hear([changed("0.00005", 8 * HOUR, 16 * HOUR)], mark)
    kept = FundingRow(
        instrument_id="BTCUSDT",
        rate=Decimal("0.0002"),
        mark=Decimal(50_000),
        funding_ns=8 * HOUR,
    )
    assert tape.fundings("BTCUSDT") == (kept,)


def test_what_was_charged_is_surer_than_what_was_told():
    tape = Tape({"BTCUSDT": START})
    charged = FundingCharged(
        account_id="1",
        instrument_id="BTCUSDT",
        payment=Decimal(-1),
        rate=Decimal("0.00017"),
        bill_id="1",
        event_ns=8 * HOUR,
    )
    tape.hear([charged, changed("0.00005", 8 * HOUR, 16 * HOUR)], mark)
    assert [each.rate for each in tape.fundings("BTCUSDT")] == [Decimal("0.00017")]


def test_an_earlier_funding_is_none_that_was_charged():
    # The interval shrinks from eight hours to one: the next instant moves, nothing is charged.
    tape = Tape({"BTCUSDT": START})
    tape.hear([changed("0.0001", 2 * HOUR, 3 * HOUR)], mark)
    assert tape.fundings("BTCUSDT") == ()


def test_the_last_trades_are_kept():
    tape = Tape({"BTCUSDT": START})
    trades = [
        TradePrinted(
            instrument_id="BTCUSDT",
            trade_sequence=number,
            price=Decimal(1),
            quantity=Decimal(1),
            side=Side.BUY,
            event_ns=number,
        )
        for number in range(1, KEPT_MAX + 3)
    ]
    tape.hear(trades, mark)
    assert [each.trade_sequence for each in tape.trades("BTCUSDT")] == list(range(3, KEPT_MAX + 3))
