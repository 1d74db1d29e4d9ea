"""What stands alone of a pair, and what completes or unwinds it."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.domain.orders import IntentSource, LegChange, LegRole, Side
from counterpoise.engine import pairing
from counterpoise.ledger import codec
from engine_world import INSTRUMENTS

RULES = {i.instrument_id: i for i in INSTRUMENTS}
RULES["SOLUSDT"] = replace(RULES["ETHUSDT"], instrument_id="SOLUSDT", lot_size=Decimal("0.01"))
LOTS = {name: rules.lot_size for name, rules in RULES.items()}
#: Mark x beta.
WEIGHTS = {"BTCUSDT": Decimal(50_000), "ETHUSDT": Decimal(2_500), "SOLUSDT": Decimal(200)}


def held(**quantities: str) -> dict[str, Decimal]:
    return {f"{name}USDT": Decimal(quantity) for name, quantity in quantities.items()}


def changes(*wanted: tuple[str, str], reduce_only: bool = False) -> list[LegChange]:
    return [
        LegChange(
            instrument_id=f"{name}USDT",
            leg=LegRole.CORE if name == "BTC" else LegRole.HEDGE,
            source=IntentSource.CYCLE,
            side=Side.BUY if Decimal(quantity) > 0 else Side.SELL,
            quantity=abs(Decimal(quantity)),
            reduce_only=reduce_only,
        )
        for name, quantity in wanted
    ]


def pair(*phases: list[LegChange], start: dict[str, Decimal] | None = None) -> pairing.Pair | None:
    return pairing.make_pair(
        phases, start=start or {}, weights=WEIGHTS, lots=LOTS, core_id="BTCUSDT"
    )


def growing() -> pairing.Pair:
    # Hedge 9,000 first, then core 10,000: alone the hedge stands 9,000 less the 1,000 planned.
    made = pair(changes(("ETH", "-3.6")), changes(("BTC", "0.2")))
    assert made is not None
    return made


def told(found: tuple[LegChange, ...]) -> list[tuple[str, str, str, bool]]:
    return [
        (
            c.instrument_id.removesuffix("USDT"),
            c.side.value,
            f"{c.quantity.normalize():f}",
            c.reduce_only,
        )
        for c in found
    ]


def test_the_leading_leg_alone_is_the_pairs_notional() -> None:
    made = growing()
    assert made.notional == 8_000
    assert pairing.naked(made, held(ETH="-3.6")) == 8_000
    assert pairing.naked(made, held(ETH="-3.6", BTC="0.2")) == 0
    assert pairing.naked(made, held(BTC="0.2")) == 9_000


@pytest.mark.parametrize(
    ("phases", "start"),
    [
        # One leg alone was decided; nothing is to stand beside it.
        ([changes(("BTC", "0.2"))], {}),
        ([changes(("ETH", "-3.6"))], held(BTC="0.2")),
        # The core shrinks and the hedge grows: each makes the book less naked by itself.
        (
            [changes(("BTC", "-0.1"), reduce_only=True), changes(("ETH", "-0.4"))],
            held(BTC="0.3", ETH="-1"),
        ),
        # Nothing can be measured.
        ([changes(("ETH", "-3.6")), changes(("XRP", "9"))], {}),
    ],
)
def test_what_is_no_pair(phases: list[list[LegChange]], start: dict[str, Decimal]) -> None:
    assert pair(*phases, start=start) is None


def test_a_shrinking_pair_and_a_hedge_for_a_hedge_are_pairs() -> None:
    book = held(BTC="0.2", ETH="-3.6")
    shrinking = pair(
        changes(("BTC", "-0.1"), reduce_only=True),
        changes(("ETH", "1.8"), reduce_only=True),
        start=book,
    )
    assert shrinking is not None
    # The core alone cut leaves 4,000 short, 3,000 more than at the start.
    assert shrinking.notional == 3_000
    rotating = pair(changes(("ETH", "3.6"), reduce_only=True), changes(("SOL", "-45")), start=book)
    assert rotating is not None
    assert rotating.notional == 9_000


def test_the_core_completes_a_filled_hedge_and_the_hedge_alone_is_unwound() -> None:
    now = held(ETH="-3.6")
    assert told(pairing.completing(growing(), now, RULES)) == [("BTC", "buy", "0.2", False)]
    assert told(pairing.unwinding(growing(), now, RULES)) == [("ETH", "buy", "3.6", True)]


def test_a_leg_behind_follows_no_farther_than_the_other_went() -> None:
    now = held(ETH="-1.8")
    assert told(pairing.completing(growing(), now, RULES)) == [("BTC", "buy", "0.1", False)]


def test_a_shrinking_pair_is_completed_by_a_reduction_whatever_is_allowed() -> None:
    book = held(BTC="0.2", ETH="-3.6")
    made = pair(
        changes(("BTC", "-0.1"), reduce_only=True),
        changes(("ETH", "1.8"), reduce_only=True),
        start=book,
    )
    assert made is not None
    now = held(BTC="0.1", ETH="-3.6")
    assert told(pairing.completing(made, now, RULES)) == [("ETH", "buy", "1.8", True)]
    assert told(pairing.unwinding(made, now, RULES)) == [("ETH", "buy", "1.8", True)]


def test_a_hedge_sold_without_the_next_one_takes_the_core_down() -> None:
    book = held(BTC="0.2", ETH="-3.6")
    made = pair(changes(("ETH", "3.6"), reduce_only=True), changes(("SOL", "-45")), start=book)
    assert made is not None
    now = held(BTC="0.2")
    assert told(pairing.completing(made, now, RULES)) == [("SOL", "sell", "45", False)]
    assert told(pairing.unwinding(made, now, RULES)) == [("BTC", "sell", "0.18", True)]


def test_what_the_decision_put_there_is_unwound_and_not_what_stood_before() -> None:
    book = held(BTC="0.2", ETH="-3.6")
    made = pair(changes(("ETH", "-1.8")), changes(("BTC", "0.1")), start=book)
    assert made is not None
    now = held(BTC="0.2", ETH="-5.4")
    assert told(pairing.unwinding(made, now, RULES)) == [("ETH", "buy", "1.8", True)]


def test_less_than_a_lot_or_the_least_order_is_nothing() -> None:
    rules = {**RULES, "BTCUSDT": replace(RULES["BTCUSDT"], quantity_min=Decimal("0.3"))}
    assert pairing.completing(growing(), held(ETH="-3.6"), rules) == ()
    assert pairing.unwinding(growing(), {}, RULES) == ()


def test_a_pair_is_read_back_as_it_was_written() -> None:
    made = growing()
    assert codec.decode(codec.encode(made), pairing.Pair) == made


@pytest.mark.parametrize(
    ("start", "planned", "grows"),
    [
        ("0", "-3", "3"),
        ("-1", "-3", "3"),
        ("1", "-3", "2"),
        ("-1", "3", "2"),
        ("3", "-3", "0"),
        ("4", "-3", "0"),
    ],
)
def test_a_leg_that_turns_grows_only_by_what_it_opens(start: str, planned: str, grows: str) -> None:
    made = replace(growing(), start=held(ETH=start), planned=held(ETH=planned))
    assert pairing.increase(made, "ETHUSDT") == Decimal(grows)
