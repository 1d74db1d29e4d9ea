"""Which fundings are owed when the stream was away, and which never came."""

import json
from decimal import Decimal

import pytest

from counterpoise.domain.events import FundingRate
from counterpoise.domain.orders import Side
from counterpoise.domain.units import NS_PER_HOUR, NS_PER_SECOND
from counterpoise.exchange.events import FundingCharged
from counterpoise.exchange.mirror.exchange import MirrorExchange
from counterpoise.exchange.mirror.fundings import Fundings
from counterpoise.exchange.mirror.parameters import mirror_parameters
from mirror_world import BTC, ETH, START_NS, MirrorWorld

LATE_NS = 5 * NS_PER_SECOND


def rate(hours: int, *, interval: int = 8, rate: str = "0.0001", name: str = BTC) -> FundingRate:
    """The next funding is so many hours after the start."""
    return FundingRate(
        instrument_id=name,
        rate=Decimal(rate),
        funding_ns=START_NS + hours * NS_PER_HOUR,
        interval_hours=Decimal(interval),
        event_ns=START_NS,
        received_ns=START_NS,
    )


def at(hours: int) -> int:
    return START_NS + hours * NS_PER_HOUR + LATE_NS


def moments(due: list[FundingRate]) -> list[tuple[int, str]]:
    return [((each.funding_ns - START_NS) // NS_PER_HOUR, str(each.rate)) for each in due]


class Told:
    """Fundings as a stream tells them, with the position of one instrument."""

    def __init__(self, opened_ns: int | None = START_NS) -> None:
        self.opened_ns = opened_ns
        self.fundings = Fundings()
        self.fundings.cover_all(START_NS)

    def tell(self, event: FundingRate, now_ns: int) -> list[tuple[int, str]]:
        """Tell one; return what is due then, before and after it."""
        before = self.fundings.due(now_ns, but=())
        self.fundings.hear(event, now_ns, self.opened_ns)
        return moments(before + self.fundings.due(now_ns, but=()))


def test_every_funding_of_an_outage_is_due_at_the_rate_last_told() -> None:
    told = Told()
    assert told.tell(rate(8), at(1)) == []
    assert told.tell(rate(32, rate="0.0009"), at(25)) == [
        (8, "0.0001"), (16, "0.0001"), (24, "0.0001"),
    ]  # fmt: skip
    assert told.tell(rate(32, rate="0.0008"), at(26)) == []
    assert told.tell(rate(40), at(32)) == [(32, "0.0008")]


def test_what_was_known_not_to_come_is_not_owed() -> None:
    told = Told()
    assert told.tell(rate(8), at(0)) == []
    # The interval becomes shorter: an hour that is over was not one of fundings.
    assert told.tell(rate(8), at(5)) == []
    assert told.tell(rate(6, interval=1), at(5) + NS_PER_SECOND) == []
    assert told.tell(rate(7, interval=1), at(6)) == [(6, "0.0001")]
    # And longer: the one told before does not come.
    assert told.tell(rate(14), at(6) + NS_PER_SECOND) == []
    assert told.tell(rate(14), at(8)) == []


@pytest.mark.parametrize(
    ("opened_ns", "owed"), [(None, []), (at(8), [16]), (at(17), []), (at(0), [8, 16])]
)
def test_only_a_position_that_was_there_owes(opened_ns: int | None, owed: list[int]) -> None:
    told = Told(opened_ns)
    assert [hours for hours, _ in told.tell(rate(24), at(18))] == owed


def test_the_days_counted_back_are_limited() -> None:
    told = Told()
    assert len(told.tell(rate(5_000, interval=1), at(4_999))) == 1_000
    assert told.tell(rate(5_001, interval=0), at(5_000)) == [(5_000, "0.0001")]


def test_one_waits_for_its_mark_and_others_do_not() -> None:
    fundings = Fundings()
    for name in (BTC, ETH):
        fundings.hear(rate(8, name=name), at(0), START_NS)
    assert [each.instrument_id for each in fundings.due(at(8), but={BTC})] == [ETH]
    # The next one told does not drop it.
    fundings.hear(rate(16), at(8), START_NS)
    assert moments(fundings.due(at(8), but=())) == [(8, "0.0001")]
    assert moments(fundings.due(at(16), but=())) == [(16, "0.0001")]


def test_what_was_covered_is_over() -> None:
    told = Told()
    told.tell(rate(8), at(0))
    told.fundings.cover(BTC, START_NS + 8 * NS_PER_HOUR)
    assert told.tell(rate(8), at(8)) == []
    assert told.fundings.hours(BTC) == 8
    assert told.fundings.hours(ETH) is None


# -- in the exchange -------------------------------------------------------------------------


def charged(world: MirrorWorld) -> list[tuple[str, str]]:
    found = [each for each in world.told if isinstance(each, FundingCharged)]
    return [(str(each.rate), f"{each.payment.normalize():f}") for each in found]


def test_an_outage_over_two_intervals_charges_both() -> None:
    world = MirrorWorld()
    world.market()
    world.order(Side.BUY, "2", "100.1")
    world.funding("0.0001", hours=8)
    world.now_ns = at(17)
    world.funding("0.0003", hours=24)
    assert charged(world) == [("0.0001", "-0.02001"), ("0.0001", "-0.02001")]


def test_the_next_funding_survives_a_restart_after_its_moment() -> None:
    world = MirrorWorld()
    world.market()
    world.funding("0.0001", hours=8)
    world.funding("0.0001", hours=8, name=ETH)
    world.order(Side.BUY, "2", "100.1")
    saved = json.loads(json.dumps(world.exchange.changes()))
    assert [each["instrument_id"] for each in saved["fundings"]["told"]] == [BTC]
    again = MirrorWorld()
    again.exchange = MirrorExchange(mirror_parameters("okx"), "paper")
    again.exchange.restore([saved])
    again.now_ns = at(8)
    again.mark("150")
    assert charged(again) == [], "the first mark comes with it"
    again.funding("0.0009", hours=16)
    assert charged(again) == [("0.0001", "-0.03")]
    # A file of an older version says nothing of them.
    older = replace_fundings(saved)
    again.exchange = MirrorExchange(mirror_parameters("okx"), "paper")
    again.exchange.restore([older])
    assert again.exchange.funded_ns(BTC) == again.exchange.now_ns


def replace_fundings(saved: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in saved.items() if name != "fundings"}
