"""What a suite needs of each venue: the real adapter against the built-in venue, and its faults.

A venue joins the suite by a row of `RIGS`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from counterpoise.ports import AccountFeed, Clock, MarketFeed, Venue
from counterpoise.simulator import client
from counterpoise.simulator.keys import Credentials
from counterpoise.venues.binance.account_stream import BinanceAccountStream
from counterpoise.venues.binance.endpoints import BinanceCredentials, BinanceEndpoints
from counterpoise.venues.binance.market_stream import BinanceMarketStream
from counterpoise.venues.binance.orders import BinanceVenue
from counterpoise.venues.binance.public import BinancePublic
from counterpoise.venues.bybit.account_stream import BybitAccountStream
from counterpoise.venues.bybit.endpoints import BybitCredentials, BybitEndpoints
from counterpoise.venues.bybit.market_stream import BybitMarketStream
from counterpoise.venues.bybit.orders import BybitVenue
from counterpoise.venues.connection import Timing
from counterpoise.venues.okx.account_stream import OkxAccountStream
from counterpoise.venues.okx.endpoints import OkxCredentials, OkxEndpoints
from counterpoise.venues.okx.market_stream import OkxMarketStream
from counterpoise.venues.okx.orders import OkxVenue
from counterpoise.venues.paper.account import PaperAccount, PaperTerms
from counterpoise.venues.paper.account_stream import PaperAccountStream
from counterpoise.venues.paper.market_stream import PaperMarketStream
from counterpoise.venues.paper.orders import PaperVenue
from counterpoise.venues.silence import Rhythm

#: Whose protocol the server of a rig speaks, where the rig has another name.
SPOKEN = {"paper": "binance"}

#: Quick enough for a test to see a stream end and come back.
TIMING = Timing(retry_first=0.05, alive_every=0.2)


class WallClock:
    """The real time."""

    def now_ns(self) -> int:
        return time.time_ns()

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(frozen=True, kw_only=True)
class RunningVenue:
    """A built-in venue that listens."""

    name: str
    state_dir: Path
    port: int
    key: Credentials

    def fault(self, kind: str, path: str = "", **details: object) -> None:
        """Order a fault (`simulator.fault_kinds`)."""
        client.fault(self.state_dir, kind, path_contains=path, **details)

    def shock(self, symbol: str, fraction: str, seconds: float) -> None:
        """Move a market."""
        client.shock(self.state_dir, symbol, Decimal(fraction), seconds)


@contextmanager
def running_venue(name: str, state_dir: Path, seed: int) -> Iterator[RunningVenue]:
    """Run a built-in venue for as long as the block lasts."""
    # One after the other the tests ask more in a minute than a client may.
    port = client.ensure_running(
        state_dir,
        seed=seed,
        fresh=True,
        venue=SPOKEN.get(name, name),
        weight_minute=1_000_000,
    )
    try:
        yield RunningVenue(
            name=name, state_dir=state_dir, port=port, key=client.credentials(state_dir)
        )
    finally:
        client.stop(state_dir)


@dataclass(kw_only=True)
class Rig:
    """One venue's adapter, what differs between venues, and means to make its server misbehave."""

    #: Makes an unopened venue; `wrong_key` = with a key that is not the account's.
    make_venue: Callable[..., Venue]
    #: Makes the public streams of some instruments.
    make_market_feed: Callable[..., MarketFeed]
    #: Makes the private stream.
    make_account_feed: Callable[..., AccountFeed]
    #: fault(kind, path, **details) for kinds of `simulator.faults.FaultKind`.
    fault: Callable[..., None]
    #: shock(symbol, fraction, seconds) moves a market.
    shock: Callable[[str, str, float], None]
    #: Path of order entry, and of a read that only `account` makes.
    order_path: str
    balance_path: str
    #: Parts of the credentials that no message may contain.
    secrets: tuple[str, ...]
    #: What the refusal of a wrong key speaks of.
    wrong_key_words: str
    #: The venue's code for a client order id that is in use, and for nothing to reduce.
    duplicate_code: str
    nothing_to_reduce_code: str
    #: ... for a reduction on the position's own side.
    same_side_code: str
    #: ... for each fault that is a definite refusal.
    codes: dict[str, str]
    #: ... for a request that arrives after its deadline.
    late_code: str
    #: Patience with silent inputs that is short enough for a test; given to a feed as `rhythm`.
    impatient: Rhythm
    #: What the account pays to take, bps.
    taker_fee_bps: Decimal
    #: Whether the account stream says something while nothing happens.
    account_beats: bool
    #: Whether the venue tells a market that takes resting orders only.
    has_post_only_state: bool
    #: Whether a stop is gone by itself once there is nothing to close.
    stops_end_with_position: bool = True
    #: Whether a price outside the band is refused; False = it is moved to the band's end.
    refuses_prices: bool = True
    #: Test -> why the venue has nothing of what it is about.
    lacks: dict[str, str] = field(default_factory=dict)
    clock: Clock = field(default_factory=WallClock)


def okx_rig(running: RunningVenue, clock: Clock | None = None) -> Rig:
    key, clock = running.key, clock or WallClock()
    endpoints = OkxEndpoints.loopback(running.port)
    right = OkxCredentials(api_key=key.api_key, secret=key.secret, passphrase=key.passphrase)
    wrong = OkxCredentials(api_key=key.api_key, secret=key.secret, passphrase="wrong-passphrase")
    return Rig(
        **_made(endpoints, (right, wrong), clock, (OkxVenue, OkxMarketStream, OkxAccountStream)),
        fault=running.fault,
        shock=running.shock,
        order_path="/trade/order",
        balance_path="/account/balance",
        secrets=(right.secret, right.passphrase, wrong.passphrase),
        wrong_key_words="passphrase",
        duplicate_code="51016",
        nothing_to_reduce_code="51169",
        same_side_code="51170",
        codes={
            "reject_increases": "51008",
            "duplicate_client_id": "51016",
            "rate_limited": "50011",
        },
        late_code="50036",
        impatient=Rhythm(mark=12, funding=12, book=70, account=7),
        taker_fee_bps=Decimal(5),
        account_beats=True,
        has_post_only_state=True,
        clock=clock,
    )


def binance_rig(running: RunningVenue, clock: Clock | None = None) -> Rig:
    key, clock = running.key, clock or WallClock()
    endpoints = BinanceEndpoints.loopback(running.port)
    right = BinanceCredentials(api_key=key.api_key, secret=key.secret)
    wrong = BinanceCredentials(api_key="wrongkey", secret="wrong-secret")
    made = (BinanceVenue, BinanceMarketStream, BinanceAccountStream)
    return Rig(
        **_made(endpoints, (right, wrong), clock, made),
        fault=running.fault,
        shock=running.shock,
        order_path="/fapi/v1/order",
        balance_path="/fapi/v3/positionRisk",
        secrets=(right.secret, wrong.api_key, wrong.secret),
        wrong_key_words="API key",
        duplicate_code="-4116",
        nothing_to_reduce_code="-2022",
        same_side_code="-2022",
        codes={
            "reject_increases": "-2019",
            "duplicate_client_id": "-4116",
            "rate_limited": "-1003",
        },
        late_code="-1021",
        impatient=Rhythm(mark=7, funding=0, book=70, account=0),
        taker_fee_bps=Decimal(5),
        account_beats=False,
        has_post_only_state=False,
        clock=clock,
    )


def bybit_rig(running: RunningVenue, clock: Clock | None = None) -> Rig:
    key, clock = running.key, clock or WallClock()
    endpoints = BybitEndpoints.loopback(running.port)
    right = BybitCredentials(api_key=key.api_key, secret=key.secret)
    wrong = BybitCredentials(api_key=key.api_key, secret="wrong-secret")
    made = (BybitVenue, BybitMarketStream, BybitAccountStream)
    return Rig(
        **_made(endpoints, (right, wrong), clock, made),
        fault=running.fault,
        shock=running.shock,
        order_path="/v5/order/create",
        balance_path="/v5/account/wallet-balance",
        secrets=(right.secret, wrong.secret),
        wrong_key_words="the secret is wrong",
        duplicate_code="110072",
        nothing_to_reduce_code="110017",
        same_side_code="110017",
        codes={
            "reject_increases": "110007",
            "duplicate_client_id": "110072",
            "rate_limited": "10006",
        },
        late_code="10002",
        impatient=Rhythm(mark=7, funding=0, book=70, account=0),
        taker_fee_bps=Decimal("5.5"),
        account_beats=False,
        has_post_only_state=True,
        stops_end_with_position=False,
        refuses_prices=False,
        clock=clock,
    )


def _made(
    endpoints: Any, keys: tuple[Any, Any], clock: Clock, classes: tuple[Any, Any, Any]
) -> dict[str, Any]:
    venue, market, account = classes

    def make_venue(*, wrong_key: bool = False, timeout_ms: int = 3_000) -> Venue:
        made: Venue = venue(endpoints, keys[wrong_key], clock, timeout_ms=timeout_ms)
        return made

    def make_market_feed(symbols: Any, rhythm: Rhythm | None = None) -> MarketFeed:
        made: MarketFeed = market(endpoints, symbols, clock, timing=TIMING, rhythm=rhythm)
        return made

    def make_account_feed(
        symbols: Any, *, wrong_key: bool = False, rhythm: Rhythm | None = None
    ) -> AccountFeed:
        made: AccountFeed = account(
            endpoints, keys[wrong_key], symbols, clock, timing=TIMING, rhythm=rhythm
        )
        return made

    return {
        "make_venue": make_venue,
        "make_market_feed": make_market_feed,
        "make_account_feed": make_account_feed,
    }


_NO_KEY = "a paper account has no key"
_NO_WIRE = "no request of a paper account leaves the process, so no answer is lost or late"
_ALONE = "nobody but this process has a hand on a paper account"
_ONE_MODE = "a paper account has no other mode"
#: What the contract suite asks that a paper account has nothing of.
PAPER_LACKS = {
    "test_a_wrong_key_refuses_the_start_and_shows_nothing": _NO_KEY,
    "test_a_wrong_key_ends_the_account_stream": _NO_KEY,
    "test_an_increase_that_arrives_late_is_refused_by_the_venue": _NO_WIRE,
    "test_an_order_whose_answer_is_lost_is_unknown_and_found": _NO_WIRE,
    "test_an_order_that_never_arrived_is_unknown_and_not_found": _NO_WIRE,
    "test_an_answer_after_the_time_limit_is_unknown": _NO_WIRE,
    "test_a_read_that_fails_is_unreachable_and_works_again": _NO_WIRE,
    "test_an_answer_means_what_the_table_says": _NO_WIRE,
    "test_cut_streams_are_told_and_come_back": "its account stream is no socket that can be cut",
    "test_deposits_and_withdrawals_are_told_once_each_by_their_id": _ALONE,
    "test_a_stop_dropped_behind_us_is_missing_from_the_list": _ALONE,
    "test_a_deleveraged_part_is_told_as_adl": "there is nobody else it could be deleveraged for",
    "test_a_liquidation_is_told_as_one_and_printed_in_public": _ALONE,
    "test_the_lanes_are_those_of_the_venue": _NO_WIRE,
    "test_a_flat_account_in_hedge_mode_is_set_one_way": _ONE_MODE,
    "test_a_flat_account_in_another_margin_mode_is_set_to_cross": _ONE_MODE,
    "test_with_something_held_nothing_is_set_and_the_start_is_refused": _ONE_MODE,
    "test_lost_subscriptions_are_told_as_down_and_made_anew": (
        "its account stream is no subscription that can be lost"
    ),
    "test_a_suspended_instrument_refuses": (
        "the model knows a market's state as it was when it was last asked for"
    ),
}


def paper_rig(running: RunningVenue) -> Rig:
    """A paper account in the public market of the built-in venue as Binance: its bands are wide."""
    clock = WallClock()
    endpoints = BinanceEndpoints.loopback(running.port)
    terms = PaperTerms(
        venue="binance",
        path=running.state_dir / "paper" / "binance.account",
        equity=Decimal(10_000),
        latency_ms=20,
    )
    accounts: list[PaperAccount] = []

    def make_venue(**_ignored: object) -> Venue:
        accounts.append(PaperAccount(terms, clock))
        public = BinancePublic(endpoints, clock)
        return PaperVenue(accounts[-1], public, clock, rest_url=endpoints.rest_url)

    def make_market_feed(symbols: Any, rhythm: Rhythm | None = None) -> MarketFeed:
        streams = BinanceMarketStream(endpoints, symbols, clock, timing=TIMING, rhythm=rhythm)
        return PaperMarketStream(accounts[-1], streams)

    def make_account_feed(symbols: Any, **_ignored: object) -> AccountFeed:
        return PaperAccountStream(accounts[-1], clock)

    return Rig(
        make_venue=make_venue,
        make_market_feed=make_market_feed,
        make_account_feed=make_account_feed,
        fault=running.fault,
        shock=running.shock,
        order_path="",
        balance_path="",
        secrets=(),
        wrong_key_words="",
        duplicate_code="CLIENT_ORDER_ID_DUPLICATE",
        nothing_to_reduce_code="REDUCE_ONLY_NO_POSITION",
        same_side_code="REDUCE_ONLY_SAME_SIDE",
        codes={},
        late_code="APPROVAL_OVER",
        impatient=Rhythm(mark=7, funding=0, book=70, account=0),
        taker_fee_bps=Decimal(5),
        account_beats=False,
        has_post_only_state=False,
        lacks=PAPER_LACKS,
        clock=clock,
    )


RIGS: dict[str, Callable[[RunningVenue], Rig]] = {
    "okx": okx_rig,
    "binance": binance_rig,
    "bybit": bybit_rig,
    "paper": paper_rig,
}
