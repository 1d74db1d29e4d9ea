"""The venues this daemon can trade on: one row each. The only place that knows which is which."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from counterpoise.ports import AccountFeed, Clock, MarketFeed, PublicVenue, Venue

#: Symbols as the streams take them: instrument id -> (venue symbol, base units per contract).
Symbols = Mapping[str, tuple[str, Decimal]]

_KEY: Final = ("api_key", "api_secret")

#: The environment in which a venue's public data are met by a model account (`app.paper`).
PAPER: Final = "paper"


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapters:
    """One venue's classes. Endpoints and credentials are of the venue's own types."""

    #: Addresses of an environment ("demo", "testnet", "production").
    endpoints: Callable[[str], Any]
    #: Addresses of a server on this machine that speaks the venue's protocol on one port.
    loopback: Callable[[int], Any]
    #: Tells whether an order sent to these addresses could cost money.
    is_production: Callable[[Any], bool]
    #: Makes a key of its parts: name, secret, passphrase.
    credentials: Callable[[str, str, str], Any]
    venue: Callable[[Any, Any, Clock], Venue]
    market_feed: Callable[..., MarketFeed]
    #: Of endpoints, credentials, symbols and clock; `ahead_ns` is the venue's clock minus ours now.
    account_feed: Callable[..., AccountFeed]


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicAdapters:
    """What of a venue needs no key. No class that places orders is among it, nor loaded by it."""

    #: Production's public addresses; the private one is empty.
    endpoints: Callable[[], Any]
    #: Those of a server on this machine.
    loopback: Callable[[int], Any]
    reader: Callable[[Any, Clock], PublicVenue]
    market_feed: Callable[..., MarketFeed]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueRow:
    """What the settings have to know of a venue, and how to get at its classes."""

    #: How people write it.
    label: str
    #: Environments it has; the first is the usual one to practise in.
    environments: tuple[str, ...]
    #: Settings that make up a key.
    key_settings: tuple[str, ...]
    #: Settings that replace an address, by the endpoints' field.
    address_settings: Mapping[str, str]
    #: Loads the classes: a daemon holds one venue's only.
    adapters: Callable[[], Adapters]
    #: Loads what needs no key.
    public: Callable[[], PublicAdapters]


def _okx() -> Adapters:
    from counterpoise.venues.okx.account_stream import OkxAccountStream
    from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints, is_production
    from counterpoise.venues.okx.market_stream import OkxMarketStream
    from counterpoise.venues.okx.orders import OkxVenue

    made = {"demo": OkxEndpoints.demo, "production": OkxEndpoints.production}
    return Adapters(
        endpoints=lambda environment: made[environment](),
        loopback=OkxEndpoints.loopback,
        is_production=is_production,
        credentials=lambda key, secret, passphrase: OkxCredentials(
            api_key=key, secret=secret, passphrase=passphrase
        ),
        venue=OkxVenue,
        market_feed=OkxMarketStream,
        account_feed=OkxAccountStream,
    )


def _okx_public() -> PublicAdapters:
    from counterpoise.venues.okx.endpoints import OkxEndpoints
    from counterpoise.venues.okx.market_stream import OkxMarketStream
    from counterpoise.venues.okx.public import OkxPublic

    return PublicAdapters(
        endpoints=lambda: replace(OkxEndpoints.production(), private_url=""),
        loopback=lambda port: replace(OkxEndpoints.loopback(port), private_url=""),
        reader=OkxPublic,
        market_feed=OkxMarketStream,
    )


def _bybit() -> Adapters:
    from counterpoise.venues.bybit.account_stream import BybitAccountStream
    from counterpoise.venues.bybit.endpoints import (
        BybitCredentials,
        BybitEndpoints,
        is_production,
    )
    from counterpoise.venues.bybit.market_stream import BybitMarketStream
    from counterpoise.venues.bybit.orders import BybitVenue

    made = {
        "demo": BybitEndpoints.demo,
        "testnet": BybitEndpoints.testnet,
        "production": BybitEndpoints.production,
    }
    return Adapters(
        endpoints=lambda environment: made[environment](),
        loopback=BybitEndpoints.loopback,
        is_production=is_production,
        credentials=lambda key, secret, _passphrase: BybitCredentials(api_key=key, secret=secret),
        venue=BybitVenue,
        market_feed=BybitMarketStream,
        account_feed=BybitAccountStream,
    )


def _bybit_public() -> PublicAdapters:
    from counterpoise.venues.bybit.endpoints import BybitEndpoints
    from counterpoise.venues.bybit.market_stream import BybitMarketStream
    from counterpoise.venues.bybit.public import BybitPublic

    return PublicAdapters(
        endpoints=lambda: replace(BybitEndpoints.production(), private_url=""),
        loopback=lambda port: replace(BybitEndpoints.loopback(port), private_url=""),
        reader=BybitPublic,
        market_feed=BybitMarketStream,
    )


def _binance() -> Adapters:
    from counterpoise.venues.binance.account_stream import BinanceAccountStream
    from counterpoise.venues.binance.endpoints import (
        BinanceCredentials,
        BinanceEndpoints,
        is_production,
    )
    from counterpoise.venues.binance.market_stream import BinanceMarketStream
    from counterpoise.venues.binance.orders import BinanceVenue

    made = {
        "demo": BinanceEndpoints.demo,
        "testnet": BinanceEndpoints.testnet,
        "production": BinanceEndpoints.production,
    }
    return Adapters(
        endpoints=lambda environment: made[environment](),
        loopback=BinanceEndpoints.loopback,
        is_production=is_production,
        credentials=lambda key, secret, _passphrase: BinanceCredentials(api_key=key, secret=secret),
        venue=BinanceVenue,
        market_feed=BinanceMarketStream,
        account_feed=BinanceAccountStream,
    )


def _binance_public() -> PublicAdapters:
    from counterpoise.venues.binance.endpoints import BinanceEndpoints
    from counterpoise.venues.binance.market_stream import BinanceMarketStream
    from counterpoise.venues.binance.public import BinancePublic

    return PublicAdapters(
        endpoints=lambda: replace(BinanceEndpoints.production(), wallet_url=None),
        loopback=lambda port: replace(BinanceEndpoints.loopback(port), wallet_url=None),
        reader=BinancePublic,
        market_feed=BinanceMarketStream,
    )


VENUES: Final[Mapping[str, VenueRow]] = {
    "okx": VenueRow(
        label="OKX",
        environments=("demo", "production"),
        key_settings=(*_KEY, "api_passphrase"),
        address_settings={
            "rest_url": "okx_rest_url",
            "public_url": "okx_public_url",
            "private_url": "okx_private_url",
        },
        adapters=_okx,
        public=_okx_public,
    ),
    "bybit": VenueRow(
        label="Bybit",
        environments=("demo", "testnet", "production"),
        key_settings=_KEY,
        address_settings={
            "rest_url": "bybit_rest_url",
            "public_url": "bybit_public_url",
            "private_url": "bybit_private_url",
        },
        adapters=_bybit,
        public=_bybit_public,
    ),
    "binance": VenueRow(
        label="Binance",
        environments=("demo", "testnet", "production"),
        key_settings=_KEY,
        address_settings={"rest_url": "binance_rest_url", "stream_url": "binance_stream_url"},
        adapters=_binance,
        public=_binance_public,
    ),
}
