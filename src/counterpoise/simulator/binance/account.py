"""Balance, positions and income over REST ("Account")."""

from typing import Final

from counterpoise.domain import units
from counterpoise.exchange.accounts import AccountState, PositionState
from counterpoise.exchange.modes import PositionSide
from counterpoise.simulator.binance import account_rows, order_rows, settings
from counterpoise.simulator.binance.calls import (
    Call,
    Desk,
    Route,
    Routes,
    Security,
    clip,
    instruments_of,
    one_or_all,
)
from counterpoise.simulator.binance.errors import Row
from counterpoise.simulator.binance.symbols import text
from counterpoise.simulator.binance.trade import hedged
from counterpoise.simulator.faults import FaultKind


def _state(desk: Desk) -> AccountState:
    return desk.venue.exchange.account(desk.account_id)


def _shown(desk: Desk, row: Row) -> Row:
    blank = desk.floor.faults.takes(FaultKind.EMPTY_MARGINS) is not None
    return account_rows.blanked(row) if blank else row


def _risk_rows(desk: Desk, state: AccountState, *, flat: bool) -> dict[str, list[Row]]:
    """Rows per instrument: of positions and open orders, with `flat` of everything listed."""
    fee_bps = desk.venue.exchange.fee_tier(desk.account_id).taker_fee_bps
    found: dict[str, list[Row]] = {}
    if desk.floor.faults.takes(FaultKind.EMPTY_POSITIONS) is not None:
        return found
    for instrument_id in desk.listed:
        orders = tuple(each for each in state.open_orders if each.instrument_id == instrument_id)
        held = [each for each in state.positions.values() if each.instrument_id == instrument_id]
        if flat or orders or held:
            sides = {each.position_side for each in held}
            both = hedged(desk, instrument_id)
            wanted = (PositionSide.LONG, PositionSide.SHORT) if both else (PositionSide.NET,)
            if not sides or flat:
                held += [
                    account_rows.flat_position(
                        instrument_id, side, desk.venue.exchange.mark(instrument_id),
                        desk.venue.exchange.leverage_setting(desk.account_id, instrument_id),
                    )
                    for side in wanted
                    if side not in sides
                ]  # fmt: skip
            found[instrument_id] = [
                account_rows.risk_row(each, orders, fee_bps, quantile(desk, each)) for each in held
            ]
    return found


def _account(desk: Desk, _call: Call) -> object:
    state = _state(desk)
    rows = _risk_rows(desk, state, flat=False)
    positions = [account_rows.account_position_row(row) for each in rows.values() for row in each]
    return _shown(desk, {**account_rows.account_row(state), "positions": positions})


def _account_two(desk: Desk, _call: Call) -> object:
    # The older form lists every contract, with its settings.
    state = _state(desk)
    positions: list[Row] = []
    for instrument_id, rows in _risk_rows(desk, state, flat=True).items():
        positions += [
            {
                **account_rows.account_position_row(row),
                "positionInitialMargin": row["initialMargin"],
                "openOrderInitialMargin": "0",
                "leverage": settings.leverage_text(desk, instrument_id),
                "isolated": False,
                "entryPrice": row["entryPrice"],
                "breakEvenPrice": row["breakEvenPrice"],
                "maxNotional": text(settings.notional_max(desk, instrument_id)),
                "bidNotional": row["bidNotional"],
                "askNotional": row["askNotional"],
            }
            for row in rows
        ]
    return _shown(
        desk,
        {**settings.permissions(), **account_rows.account_row(state), "positions": positions},
    )


def _balance(desk: Desk, _call: Call) -> object:
    return [_shown(desk, account_rows.balance_row(_state(desk)))]


def _position_risk(desk: Desk, call: Call) -> object:
    rows = _risk_rows(desk, _state(desk), flat=False)
    return [_shown(desk, row) for each in instruments_of(desk, call) for row in rows.get(each, ())]


def _position_risk_two(desk: Desk, call: Call) -> object:
    rows = _risk_rows(desk, _state(desk), flat=True)
    return [
        _shown(
            desk,
            {
                **row,
                "leverage": settings.leverage_text(desk, each),
                "marginType": "cross",
                "isAutoAddMargin": "false",
                "maxNotionalValue": text(settings.notional_max(desk, each)),
            },
        )
        for each in instruments_of(desk, call)
        for row in rows.get(each, ())
    ]


def _income(desk: Desk, call: Call) -> object:
    symbol, kind = call.fields.get("symbol"), call.fields.get("incomeType")
    since_ns = 0
    if "startTime" not in call.fields:
        since_ns = max(0, desk.venue.exchange.now_ns - 7 * units.NS_PER_DAY)
    rows = [
        row
        for bill in desk.venue.exchange.bills(desk.account_id, since_ns)
        if call.within(bill.event_ns)
        for row in account_rows.income_rows(bill)
        if symbol in (None, row["symbol"]) and kind in (None, row["incomeType"])
    ]
    return clip(call, rows, 1_000, 100)


def quantile(desk: Desk, position: PositionState) -> int:
    """Return Binance's ADL quantile: 0 = last in the queue to 4 = first."""
    rank = desk.venue.exchange.adl_rank(
        desk.account_id, position.instrument_id, position.position_side
    )
    return max(0, rank - 1)


def _adl_quantile(desk: Desk, call: Call) -> object:
    state = _state(desk)
    rows: list[Row] = []
    for instrument_id in instruments_of(desk, call):
        held = [each for each in state.positions.values() if each.instrument_id == instrument_id]
        if held:
            names = {
                order_rows.POSITION_SIDES[each.position_side]: quantile(desk, each) for each in held
            }
            rows.append({"symbol": instrument_id, "adlQuantile": names})
    return one_or_all(call, rows) if rows else []


_SIGNED: Final = Security.SIGNED

ROUTES: Final[Routes] = {
    ("GET", "/fapi/v2/account"): Route(handler=_account_two, security=_SIGNED, weight=5),
    ("GET", "/fapi/v3/account"): Route(handler=_account, security=_SIGNED, weight=5),
    ("GET", "/fapi/v2/balance"): Route(handler=_balance, security=_SIGNED, weight=5),
    ("GET", "/fapi/v3/balance"): Route(handler=_balance, security=_SIGNED, weight=5),
    ("GET", "/fapi/v2/positionRisk"): Route(handler=_position_risk_two, security=_SIGNED, weight=5),
    ("GET", "/fapi/v3/positionRisk"): Route(handler=_position_risk, security=_SIGNED, weight=5),
    ("GET", "/fapi/v1/income"): Route(handler=_income, security=_SIGNED, weight=30),
    ("GET", "/fapi/v1/adlQuantile"): Route(handler=_adl_quantile, security=_SIGNED, weight=5),
}
