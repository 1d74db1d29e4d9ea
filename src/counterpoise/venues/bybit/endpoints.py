"""Where Bybit is, and the key that opens an account there."""

from dataclasses import dataclass, field
from typing import Final

from counterpoise.venues.hosts import host_of, is_loopback

#: REST hosts where no order costs money. Every other host that is not this machine does.
_PRACTICE_HOSTS: Final = frozenset({"api-demo.bybit.com", "api-testnet.bybit.com"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BybitEndpoints:
    """The three addresses of one Bybit environment."""

    #: Base of REST, without "/v5".
    rest_url: str
    #: Public streams of linear contracts.
    public_url: str
    #: Private streams.
    private_url: str
    #: True = demo trading, which answers no questions about the key and its fees.
    demo_trading: bool = False

    @staticmethod
    def production() -> "BybitEndpoints":
        """Return the addresses where orders cost money."""
        return BybitEndpoints(
            rest_url="https://api.bybit.com",
            public_url="wss://stream.bybit.com/v5/public/linear",
            private_url="wss://stream.bybit.com/v5/private",
        )

    @staticmethod
    def demo() -> "BybitEndpoints":
        """Return demo trading: production's market, an account of its own."""
        return BybitEndpoints(
            rest_url="https://api-demo.bybit.com",
            public_url="wss://stream.bybit.com/v5/public/linear",
            private_url="wss://stream-demo.bybit.com/v5/private",
            demo_trading=True,
        )

    @staticmethod
    def testnet() -> "BybitEndpoints":
        """Return the testnet: a market and accounts of its own."""
        return BybitEndpoints(
            rest_url="https://api-testnet.bybit.com",
            public_url="wss://stream-testnet.bybit.com/v5/public/linear",
            private_url="wss://stream-testnet.bybit.com/v5/private",
        )

    @staticmethod
    def loopback(port: int) -> "BybitEndpoints":
        """Return a server on this machine that speaks Bybit's protocol on one port."""
        return BybitEndpoints(
            rest_url=f"http://127.0.0.1:{port}",
            public_url=f"ws://127.0.0.1:{port}/v5/public/linear",
            private_url=f"ws://127.0.0.1:{port}/v5/private",
        )


def is_production(endpoints: BybitEndpoints) -> bool:
    """Tell whether an order sent there could cost money; whoever cannot be told counts as yes.

    Orders go by REST alone. A host nobody knows may be a proxy of the venue, so it is production.
    """
    return (
        not is_loopback(endpoints.rest_url) and host_of(endpoints.rest_url) not in _PRACTICE_HOSTS
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BybitCredentials:
    """A key of an account; no value of it is ever shown."""

    #: The key's public name.
    api_key: str = field(repr=False)
    #: Signs requests.
    secret: str = field(repr=False)
