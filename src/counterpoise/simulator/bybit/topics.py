"""What can be subscribed: the topics' names."""

from dataclasses import dataclass
from typing import Final

from counterpoise.simulator.bybit.market import INTERVALS

#: Depths of the book topics.
DEPTHS: Final = (1, 50, 200, 1_000)

#: Private topics; all but wallet come with ".linear" behind them as well.
PRIVATE: Final = frozenset(
    {
        "dcp.future",
        "execution",
        "execution.linear",
        "execution.fast",
        "execution.fast.linear",
        "order",
        "order.linear",
        "position",
        "position.linear",
        "wallet",
    }
)
_PLAIN: Final = frozenset({"allLiquidation", "priceLimit", "publicTrade", "tickers"})


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic, by its whole name."""

    #: As it is subscribed and pushed, "orderbook.50.BTCUSDT".
    name: str
    #: "orderbook", "order", ...
    channel: str
    #: Depth or interval; "" = neither.
    detail: str
    #: Instrument; "" = a private topic.
    symbol: str


def public_topic(name: str, listed: frozenset[str]) -> Topic | None:
    """Return the topic of a name; None = there is no such topic."""
    parts = name.split(".")
    if parts[-1] not in listed:
        return None
    match parts:
        case [channel, symbol] if channel in _PLAIN:
            return Topic(name, channel, "", symbol)
        case ["orderbook", depth, symbol] if depth in map(str, DEPTHS):
            return Topic(name, "orderbook", depth, symbol)
        case ["kline", interval, symbol] if interval in INTERVALS:
            return Topic(name, "kline", interval, symbol)
        case _:
            return None


def private_topic(name: str) -> Topic | None:
    """Return the topic of a name; None = there is no such topic."""
    if name not in PRIVATE:
        return None
    return Topic(name, name.removesuffix(".linear"), "", "")
