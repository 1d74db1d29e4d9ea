"""Where Binance USD-M is, and the key that opens an account there."""

from dataclasses import dataclass, field

from counterpoise.venues.hosts import is_loopback


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceEndpoints:
    """The addresses of one Binance environment.

    Streams live under /public, /market and /private of their host since 2026-04-23; the older
    paths connect, answer pings and stay silent.
    """

    #: Base of REST, without "/fapi".
    rest_url: str
    #: Base of the streams, without "/public", "/market" and "/private".
    stream_url: str
    #: Base of the REST that tells a key's permissions, without "/sapi"; None = there is none.
    wallet_url: str | None
    #: True = play money.
    play_money: bool

    @staticmethod
    def production() -> "BinanceEndpoints":
        """Return the addresses where orders cost money."""
        return BinanceEndpoints(
            rest_url="https://fapi.binance.com",
            stream_url="wss://fstream.binance.com",
            wallet_url="https://api.binance.com",
            play_money=False,
        )

    @staticmethod
    def demo() -> "BinanceEndpoints":
        """Return Binance's demo trading."""
        return BinanceEndpoints(
            rest_url="https://demo-fapi.binance.com",
            stream_url="wss://fstream.binancefuture.com",
            wallet_url=None,
            play_money=True,
        )

    @staticmethod
    def testnet() -> "BinanceEndpoints":
        """Return the older futures testnet; its keys are its own."""
        return BinanceEndpoints(
            rest_url="https://testnet.binancefuture.com",
            stream_url="wss://fstream.binancefuture.com",
            wallet_url=None,
            play_money=True,
        )

    @staticmethod
    def loopback(port: int) -> "BinanceEndpoints":
        """Return a server on this machine that speaks Binance's protocol on one port."""
        return BinanceEndpoints(
            rest_url=f"http://127.0.0.1:{port}",
            stream_url=f"ws://127.0.0.1:{port}",
            wallet_url=f"http://127.0.0.1:{port}",
            play_money=True,
        )

    @property
    def is_loopback(self) -> bool:
        """True if REST stays on this machine, where no venue counts requests."""
        return is_loopback(self.rest_url)


#: Hosts whose money is play money; Binance's demo has hosts of its own.
_PLAY_ADDRESSES = frozenset(
    address
    for endpoints in (BinanceEndpoints.demo(), BinanceEndpoints.testnet())
    for address in (endpoints.rest_url, endpoints.stream_url)
)


def is_production(endpoints: BinanceEndpoints) -> bool:
    """Tell whether an order sent there could cost money; whoever cannot be told counts as yes.

    No: REST and streams are on this machine or at addresses of Binance's demo or testnet. An
    address nobody knows may be a proxy of the venue, so it is production.
    """
    addresses = (endpoints.rest_url, endpoints.stream_url)
    return not all(
        is_loopback(address) or address.rstrip("/") in _PLAY_ADDRESSES for address in addresses
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class BinanceCredentials:
    """A key of an account; no value of it is ever shown."""

    #: The key's public name.
    api_key: str = field(repr=False)
    #: Signs requests.
    secret: str = field(repr=False)
