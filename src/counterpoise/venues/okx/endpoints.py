"""Where OKX is, and the key that opens an account there."""

from dataclasses import dataclass, field
from typing import Final

from counterpoise.venues.hosts import host_of, is_loopback

#: Hosts on which an order costs money. Demo shares the REST host and differs by a header.
_PRODUCTION_STREAM_HOSTS: Final = frozenset(
    {"ws.okx.com", "wseea.okx.com", "wsus.okx.com", "wsaws.okx.com"}
)

#: Header that sends a REST call to the demo environment.
DEMO_HEADER: Final = "x-simulated-trading"


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxEndpoints:
    """The three addresses of one OKX environment (port 8443 is closed since 2026-10-31)."""

    #: Base of REST, without "/api/v5".
    rest_url: str
    #: Public streams.
    public_url: str
    #: Private streams.
    private_url: str
    #: True = demo money: every REST call carries the demo header.
    simulated_trading: bool

    @staticmethod
    def production() -> "OkxEndpoints":
        """Return the addresses where orders cost money."""
        return OkxEndpoints(
            rest_url="https://www.okx.com",
            public_url="wss://ws.okx.com/ws/v5/public",
            private_url="wss://ws.okx.com/ws/v5/private",
            simulated_trading=False,
        )

    @staticmethod
    def demo() -> "OkxEndpoints":
        """Return OKX's demo trading."""
        return OkxEndpoints(
            rest_url="https://www.okx.com",
            public_url="wss://wspap.okx.com/ws/v5/public",
            private_url="wss://wspap.okx.com/ws/v5/private",
            simulated_trading=True,
        )

    @staticmethod
    def loopback(port: int) -> "OkxEndpoints":
        """Return a server on this machine that speaks OKX's protocol on one port."""
        return OkxEndpoints(
            rest_url=f"http://127.0.0.1:{port}",
            public_url=f"ws://127.0.0.1:{port}/ws/v5/public",
            private_url=f"ws://127.0.0.1:{port}/ws/v5/private",
            simulated_trading=False,
        )

    @property
    def is_loopback(self) -> bool:
        """True if REST stays on this machine, where no venue counts requests."""
        return is_loopback(self.rest_url)


def is_production(endpoints: OkxEndpoints) -> bool:
    """Tell whether an order sent there could cost money; whoever cannot be told counts as yes.

    No: every address is on this machine, or the demo header is on and no stream goes to a
    production host. A host nobody knows may be a proxy of the venue, so it is production.
    """
    streams = (endpoints.public_url, endpoints.private_url)
    if all(is_loopback(url) for url in (endpoints.rest_url, *streams)):
        return False
    hosts = {host_of(url) for url in streams}
    return not endpoints.simulated_trading or bool(_PRODUCTION_STREAM_HOSTS & hosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class OkxCredentials:
    """A key of an account; no value of it is ever shown."""

    #: The key's public name.
    api_key: str = field(repr=False)
    #: Signs requests.
    secret: str = field(repr=False)
    #: Chosen by the key's owner.
    passphrase: str = field(repr=False)
