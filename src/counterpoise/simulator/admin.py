"""What only the owner of the simulator asks: the truth, a shock, a fault. On the same port."""

import os
import time
from decimal import Decimal
from typing import Final

import msgspec
from aiohttp import web

from counterpoise.exchange.orders import ExchangeFill, ExchangeOrder
from counterpoise.simulator.faults import Fault, FaultKind, FaultPlan
from counterpoise.simulator.okx.calls import Desk
from counterpoise.simulator.okx.market_streams import MarketStreams
from counterpoise.simulator.okx.sockets import Sessions
from counterpoise.simulator.okx.symbols import BY_INSTRUMENT, instrument_of

#: Fills listed, newest last.
FILLS_MAX: Final = 1_000
#: Longest shock, seconds.
SHOCK_SECONDS_MAX: Final = 24 * 3_600.0


class _Shock(msgspec.Struct, forbid_unknown_fields=True):
    symbol: str
    fraction: Decimal
    seconds: float = 0.0


def _answer(body: object, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


class Admin:
    """Handlers of `/_state`, `/_shock`, `/_fault` and `/_alive`."""

    def __init__(
        self, desk: Desk, sessions: Sessions, streams: MarketStreams, faults: FaultPlan
    ) -> None:
        self._desk = desk
        self._sessions = sessions
        self._streams = streams
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        """Return them for the server."""
        return [
            web.get("/_alive", self._alive),
            web.get("/_state", self._state),
            web.post("/_shock", self._shock),
            web.post("/_fault", self._fault),
        ]

    async def _alive(self, _request: web.Request) -> web.Response:
        return _answer({"pid": os.getpid(), "now_ns": self._desk.venue.exchange.now_ns})

    async def _state(self, _request: web.Request) -> web.Response:
        self._desk.venue.advance(time.time_ns())
        return _answer(state(self._desk))

    async def _shock(self, request: web.Request) -> web.Response:
        try:
            wish = msgspec.json.decode(await request.read(), type=_Shock)
        except msgspec.DecodeError as wrong:
            return _answer({"error": str(wrong)}, 400)
        instrument_id = instrument_of(wish.symbol)
        if instrument_id is None or instrument_id not in self._desk.listed:
            return _answer({"error": f"symbol={wish.symbol!r} is not listed"}, 400)
        if wish.fraction <= -1 or not 0 <= wish.seconds <= SHOCK_SECONDS_MAX:
            return _answer({"error": "fraction must be > -1 and seconds 0 to a day"}, 400)
        self._desk.venue.advance(time.time_ns())
        self._desk.venue.shock(instrument_id, float(wish.fraction), wish.seconds)
        return _answer({"instrument_id": instrument_id, "fraction": wish.fraction})

    async def _fault(self, request: web.Request) -> web.Response:
        try:
            fault = msgspec.json.decode(await request.read(), type=Fault)
            if fault.kind is FaultKind.CUT_STREAMS:
                return _answer({"cut": self._sessions.cut_all()})
            if fault.kind is FaultKind.GAP_BOOKS:
                return self._gap(fault)
            if fault.kind is FaultKind.CLEAR:
                self._faults.clear()
            else:
                self._faults.add(fault)
        except (msgspec.DecodeError, ValueError) as wrong:
            return _answer({"error": str(wrong)}, 400)
        return _answer({"kind": fault.kind, "count": fault.count})

    def _gap(self, fault: Fault) -> web.Response:
        instrument_ids = tuple(self._desk.listed)
        if fault.symbol:
            named = instrument_of(fault.symbol)
            if named is None or named not in self._desk.listed:
                return _answer({"error": f"symbol={fault.symbol!r} is not listed"}, 400)
            instrument_ids = (named,)
        for instrument_id in instrument_ids:
            self._streams.gaps[BY_INSTRUMENT[instrument_id].symbol] = fault.count
        return _answer({"kind": fault.kind, "count": fault.count})


def state(desk: Desk) -> dict[str, object]:
    """Return the whole truth about the account and the market; money as text."""
    exchange = desk.venue.exchange
    account = exchange.account(desk.account_id)
    fills = exchange.fills(desk.account_id, 0)
    return {
        "account_id": desk.account_id,
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
                "contracts": BY_INSTRUMENT[instrument_id].contracts(held.quantity),
                "entry_price": held.entry_price,
                "mark": held.mark,
                "unrealised_pnl": held.unrealised_pnl,
                "liquidation_price": held.liquidation_price,
                "last_trade_sequence": held.last_trade_sequence,
            }
            for instrument_id, held in account.positions.items()
        },
        "open_orders": [_order(order) for order in account.open_orders],
        "fills_count": len(fills),
        "fills": [_fill(fill) for fill in fills[-FILLS_MAX:]],
        "markets": {instrument_id: _market(desk, instrument_id) for instrument_id in desk.listed},
    }


def _order(order: ExchangeOrder) -> dict[str, object]:
    contract = BY_INSTRUMENT[order.instrument_id]
    return {
        "order_id": order.order_id,
        "client_order_id": order.client_order_id,
        "instrument_id": order.instrument_id,
        "side": order.side,
        "quantity": order.quantity,
        "contracts": contract.contracts(order.quantity),
        "filled_quantity": order.filled_quantity,
        "price_limit": order.price_limit,
        "reduce_only": order.reduce_only,
        "state": order.state,
        "created_ns": order.created_ns,
    }


def _fill(fill: ExchangeFill) -> dict[str, object]:
    contract = BY_INSTRUMENT[fill.instrument_id]
    return {
        "fill_id": fill.fill_id,
        "trade_sequence": fill.trade_sequence,
        "order_id": fill.order_id,
        "client_order_id": fill.client_order_id,
        "instrument_id": fill.instrument_id,
        "side": fill.side,
        "quantity": fill.quantity,
        "contracts": contract.contracts(fill.quantity),
        "price": fill.price,
        "fee": fill.fee,
        "realised_pnl": fill.realised_pnl,
        "liquidity": fill.liquidity,
        "event_ns": fill.event_ns,
    }


def _market(desk: Desk, instrument_id: str) -> dict[str, object]:
    exchange = desk.venue.exchange
    funding = exchange.funding(instrument_id)
    return {
        "mark": exchange.mark(instrument_id),
        "index": exchange.index(instrument_id),
        "last": exchange.last(instrument_id),
        "funding_rate": funding.rate,
        "funding_ns": funding.funding_ns,
        "leverage_setting": exchange.leverage_setting(desk.account_id, instrument_id),
    }
