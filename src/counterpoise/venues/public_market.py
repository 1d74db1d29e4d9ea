"""What a venue's public market looks like now: rules, book and funding, through unmodified ccxt.

Needs no key. Sources: OKX v5 "Get instruments", "Get order book", "Get funding rate"; Binance
USD-M "Exchange Information", "Order Book", "Get Funding Rate Info"; Bybit v5 "Get Instruments
Info", "Get Orderbook", "Get Tickers".
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from counterpoise.domain.instruments import InstrumentState
from counterpoise.domain.rounding import decimal_from_float
from counterpoise.domain.units import BPS_PER_ONE, SECONDS_PER_DAY
from counterpoise.venues.history import PublicHistory

#: Levels of a book that are asked for, per side: the most each venue gives in one answer.
BOOK_LEVELS: Final = {"okx": 400, "binance": 1_000, "bybit": 200}
#: Depth counts within this distance of mid, bps.
DEPTH_BPS: Final = 25
#: Hours between fundings where a venue lists only the exceptions.
_USUAL_HOURS: Final = {"binance": Decimal(8)}
_HOUR_SECONDS: Final = 3_600
_MS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedRules:
    """Steps and smallest order of an instrument, in base units."""

    #: Base and quote currency.
    base: str
    quote: str
    #: Smallest price step, quote.
    tick_size: Decimal
    #: Smallest quantity step, base units.
    lot_size: Decimal
    #: Smallest order, base units.
    quantity_min: Decimal
    #: Smallest notional, quote; None = the venue has none.
    notional_min: Decimal | None
    #: Whether it takes orders.
    state: InstrumentState


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One instrument's public market at one moment."""

    #: Best bid and ask; None = that side is empty.
    bid: Decimal | None
    ask: Decimal | None
    #: Quote notional within `DEPTH_BPS` of mid, the thinner side; None = no two sides.
    depth_quote: Decimal | None
    #: Quote notional traded in the last 24 complete hours.
    volume_quote: float
    #: Expected funding, fraction per interval; None = not told.
    funding_rate: Decimal | None
    #: Hours between charges; None = not told.
    funding_interval_hours: Decimal | None


class PublicMarket(PublicHistory):
    """`PublicHistory` that knows the present too; every read raises as its reads do."""

    def rules(self, instrument_id: str) -> ListedRules:
        """Return an instrument's rules as they were listed when this was opened."""
        market = self._client.market(self._symbols[instrument_id])
        unit = _decimal(market["contractSize"]) or Decimal(1)
        lot = _decimal(market["precision"]["amount"])
        tick = _decimal(market["precision"]["price"])
        assert lot is not None, "every listed perpetual has a lot"
        assert tick is not None, "every listed perpetual has a tick"
        least = _decimal(market["limits"]["amount"]["min"])
        return ListedRules(
            base=str(market["base"]),
            quote=str(market["quote"]),
            tick_size=tick,
            lot_size=lot * unit,
            quantity_min=(least or lot) * unit,
            notional_min=_decimal(market["limits"]["cost"]["min"]) or None,
            state=InstrumentState.LIVE if market["active"] else InstrumentState.SUSPENDED,
        )

    async def quote(self, instrument_id: str, now_ms: int) -> Quote:
        """Return book, volume and funding of an instrument; `now_ms` is the venue's clock."""
        symbol = self._symbols[instrument_id]
        book = await self._ask(self._client.fetch_order_book, symbol, BOOK_LEVELS[self._name])
        bid, ask, depth = _top(book, float(self._client.market(symbol)["contractSize"] or 1))
        until_ms = now_ms // (_HOUR_SECONDS * _MS) * _HOUR_SECONDS * _MS
        since_ms = until_ms - SECONDS_PER_DAY * _MS
        bars = await self.bars(instrument_id, "last", _HOUR_SECONDS, since_ms, until_ms)
        told = await self._ask(self._client.fetch_funding_rate, symbol)
        return Quote(
            bid=bid,
            ask=ask,
            depth_quote=depth,
            volume_quote=sum(bar.volume * bar.close for bar in bars),
            funding_rate=_decimal(told.get("fundingRate")),
            funding_interval_hours=_hours(told.get("interval")) or await self._interval(symbol),
        )

    async def _interval(self, symbol: str) -> Decimal | None:
        if not self._client.has.get("fetchFundingIntervals"):
            return None
        told = await self._ask(self._client.fetch_funding_intervals, [symbol])
        exceptional = _hours(told[symbol].get("interval")) if symbol in told else None
        return exceptional or _USUAL_HOURS.get(self._name)


def _top(
    book: dict[str, Any], unit: float
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    # Best bid, best ask and the thinner side's notional near mid.
    bids, asks = book["bids"], book["asks"]
    bid = _decimal(bids[0][0]) if bids else None
    ask = _decimal(asks[0][0]) if asks else None
    if bid is None or ask is None:
        return bid, ask, None
    mid = float(bid + ask) / 2
    reach = mid * DEPTH_BPS / BPS_PER_ONE
    sides = [
        sum(level[0] * level[1] for level in levels if abs(level[0] - mid) <= reach) * unit
        for levels in (bids, asks)
    ]
    return bid, ask, decimal_from_float(float(min(sides)))


def _hours(interval: str | None) -> Decimal | None:
    return Decimal(interval.removesuffix("h")) if interval and interval.endswith("h") else None


def _decimal(value: Any) -> Decimal | None:
    # ccxt gives floats or text, and None where the venue says nothing.
    return None if value is None else Decimal(str(value))
