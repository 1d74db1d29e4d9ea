"""The truth about the account and the markets, as the owner of the simulator reads it."""

import time
from decimal import Decimal
from typing import Final

from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder
from counterpoise.exchange.triggers import TriggerOrder
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT
from counterpoise.simulator.venue import RunningVenue

#: Fills listed in the older form, newest last.
FILLS_MAX: Final = 1_000


def unified_symbol(venue: RunningVenue, instrument_id: str) -> str:
    """Return ccxt's unified symbol, "BTC/USDT:USDT"."""
    for each in venue.exchange.parameters.instruments:
        instrument = each.instrument
        if instrument.instrument_id == instrument_id:
            return f"{instrument.base}/{instrument.quote}:{instrument.settle}"
    raise KeyError(instrument_id)


def state(venue: RunningVenue, account_id: str) -> dict[str, object]:
    """Return positions, equity, every order ever accepted, fills and trigger orders; money as text.

    Positions are signed base units by unified symbol; closed ones are left out. In hedge mode
    both legs of a symbol are summed.
    """
    account = venue.exchange.account(account_id)
    positions: dict[str, Decimal] = {}
    for held in account.positions.values():
        symbol = unified_symbol(venue, held.instrument_id)
        positions[symbol] = positions.get(symbol, Decimal(0)) + held.quantity
    return {
        "positions": {name: quantity for name, quantity in positions.items() if quantity},
        "equity": account.equity,
        "wallet_balance": account.wallet_balance,
        "now_ns": venue.exchange.now_ns,
        "orders": [_order(order, venue) for order in venue.accepted_orders(account_id)],
        "fills": [_fill(fill, venue) for fill in venue.exchange.fills(account_id, 0)],
        "trigger_orders": [
            _trigger(order, venue) for order in venue.exchange.trigger_orders(account_id)
        ],
    }


def truth(venue: RunningVenue, account_id: str) -> dict[str, object]:
    """Return the whole truth about the account and the market; money as text."""
    exchange = venue.exchange
    account = exchange.account(account_id)
    fills = exchange.fills(account_id, 0)
    # What was delisted has no market any more; its orders and fills stay.
    instrument_ids = [each.instrument_id for each in exchange.instruments()]
    return {
        "account_id": account_id,
        "now_ns": exchange.now_ns,
        "wall_ns": time.time_ns(),
        "seed": exchange.parameters.seed,
        "wallet_balance": account.wallet_balance,
        "equity": account.equity,
        "unrealised_pnl": account.unrealised_pnl,
        "initial_margin": account.initial_margin,
        "maintenance_margin": account.maintenance_margin,
        "available_margin": account.available_margin,
        "gross_exposure": sum(
            (abs(held.quantity) * held.mark for held in account.positions.values()), Decimal(0)
        ),
        "positions": {
            instrument_id: {
                "quantity": held.quantity,
                "contracts": _contracts(held.instrument_id, held.quantity),
                "entry_price": held.entry_price,
                "mark": held.mark,
                "unrealised_pnl": held.unrealised_pnl,
                "liquidation_price": held.liquidation_price,
                "last_trade_sequence": held.last_trade_sequence,
            }
            for instrument_id, held in account.positions.items()
        },
        "open_orders": [_order(order, venue) for order in account.open_orders],
        "fills_count": len(fills),
        "fills": [_fill(fill, venue) for fill in fills[-FILLS_MAX:]],
        "markets": {name: _market(venue, account_id, name) for name in instrument_ids},
    }


def _contracts(instrument_id: str, quantity: Decimal) -> Decimal:
    # OKX alone counts in contracts; a market it does not list here counts in base units.
    contract = BY_INSTRUMENT.get(instrument_id)
    return quantity if contract is None else contract.contracts(quantity)


def _order(order: ExchangeOrder, venue: RunningVenue) -> dict[str, object]:
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "symbol": unified_symbol(venue, order.instrument_id),
        "instrument_id": order.instrument_id,
        "side": order.side,
        "kind": order.kind,
        "time_in_force": order.time_in_force,
        "quantity": order.quantity,
        "contracts": _contracts(order.instrument_id, order.quantity),
        "filled_quantity": order.filled_quantity,
        "average_price": order.average_price,
        "price_limit": order.price_limit,
        "reduce_only": order.reduce_only,
        "trigger_order_id": None if order.trigger is None else order.trigger.trigger_order_id,
        "state": order.state,
        "created_ns": order.created_ns,
        "updated_ns": order.updated_ns,
    }


def _trigger(order: TriggerOrder, venue: RunningVenue) -> dict[str, object]:
    terms = order.terms
    return {
        "trigger_order_id": order.trigger_order_id,
        "client_order_id": order.client_order_id,
        "symbol": unified_symbol(venue, order.instrument_id),
        "instrument_id": order.instrument_id,
        "side": terms.side,
        "kind": terms.kind,
        "form": terms.form,
        "quantity": terms.quantity,
        "trigger_price": terms.trigger_price,
        "source": terms.source,
        "direction": terms.direction,
        "price_limit": terms.price_limit,
        "reduce_only": terms.reduce_only,
        "closes_position": terms.closes_position,
        "with_position": terms.with_position,
        "position_side": terms.position_side,
        "state": order.state,
        "order_id": order.order_id,
        "cancel_cause": order.cancel_cause,
        "failure": order.failure,
        "created_ns": order.created_ns,
        "updated_ns": order.updated_ns,
        "triggered_ns": order.triggered_ns,
    }


def _fill(fill: ExchangeFill, venue: RunningVenue) -> dict[str, object]:
    return {
        "fill_id": fill.fill_id,
        "trade_sequence": fill.trade_sequence,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "symbol": unified_symbol(venue, fill.instrument_id),
        "instrument_id": fill.instrument_id,
        "side": fill.side,
        "quantity": fill.quantity,
        "contracts": _contracts(fill.instrument_id, fill.quantity),
        "price": fill.price,
        "fee": fill.fee,
        "realised_pnl": fill.realised_pnl,
        "liquidity": fill.liquidity,
        "event_ns": fill.event_ns,
    }


def _market(venue: RunningVenue, account_id: str, instrument_id: str) -> dict[str, object]:
    exchange = venue.exchange
    funding = exchange.funding(instrument_id)
    return {
        "mark": exchange.mark(instrument_id),
        "index": exchange.index(instrument_id),
        "last": exchange.last(instrument_id),
        "funding_rate": funding.rate,
        "funding_ns": funding.funding_ns,
        "leverage_setting": exchange.leverage_setting(account_id, instrument_id),
    }
