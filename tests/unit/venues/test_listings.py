"""A market is gone when two lists in a row lack it, and never because its row cannot be read."""

import copy

import pytest

from answered_rows import RIGS
from counterpoise.domain.errors import VenueUnreachable
from counterpoise.domain.instruments import InstrumentState
from counterpoise.venues import listings
from counterpoise.venues.listings import Listed

LIVE, GONE = InstrumentState.LIVE, InstrumentState.DELISTED

#: The list's method, the way to its rows, the field of a name, a figure, and another's name.
LISTS = {
    "okx": ("publicGetPublicInstruments", ("data",), "instId", "lotSz", "ETH-USDT-SWAP"),
    "bybit": ("publicGetV5MarketInstrumentsInfo", ("result", "list"), "symbol", "", "ETHUSDT"),
    "binance": ("fapiPublicGetExchangeInfo", ("symbols",), "symbol", "filters", "ETHUSDT"),
}
OTHER = {
    "okx": {"instFamily": "ETH-USDT", "uly": "ETH-USDT"},
    "bybit": {"baseCoin": "ETH"},
    "binance": {"baseAsset": "ETH"},
}


def rows_of(answer, way):
    for key in way:
        answer = answer[key]
    return answer


def listing(rig, venue, *, ours=None, other=True):
    """Answer our market's row with changes (None = it is missing), and another's."""
    method, way, name, _, other_name = LISTS[venue]
    answer = copy.deepcopy(RIGS[venue]().client.answers[method])
    rows = rows_of(answer, way)
    (row,) = rows
    rows[:] = [] if ours is None else [row | ours]
    if other:
        rows.append(row | OTHER[venue] | {name: other_name})
    rig.client.answers[method] = answer
    return method


@pytest.mark.parametrize("kind", ["account", "public"])
@pytest.mark.parametrize("venue", LISTS)
async def test_a_row_that_cannot_be_read_says_nothing_of_its_market(venue, kind):
    rig = RIGS[venue]()
    reader = getattr(rig, kind)
    figure = LISTS[venue][3] or "lotSizeFilter"
    listing(rig, venue, ours={figure: ""})
    assert await reader.instrument_states(["ETHUSDT"]) == {"ETHUSDT": LIVE}
    with pytest.raises(VenueUnreachable, match="in which BTCUSDT cannot be read"):
        await reader.instrument_states(["BTCUSDT", "ETHUSDT"])


@pytest.mark.parametrize("venue", LISTS)
@pytest.mark.parametrize("blank", ["", None, []])
async def test_what_kind_a_row_is_must_be_told_as_well(venue, blank):
    rig = RIGS[venue]()
    field = {"okx": "settleCcy", "bybit": "contractType", "binance": "contractType"}[venue]
    listing(rig, venue, ours={field: blank})
    with pytest.raises(VenueUnreachable):
        await rig.account.instrument_states(["BTCUSDT"])
    # Of no name either: it may be the one that is missing.
    listing(rig, venue, ours={LISTS[venue][2]: blank})
    with pytest.raises(VenueUnreachable, match="BTCUSDT"):
        await rig.account.instrument_states(["BTCUSDT"])


@pytest.mark.parametrize("venue", LISTS)
async def test_what_two_answers_lack_is_gone(venue):
    rig = RIGS[venue]()
    method = listing(rig, venue, ours=None)
    rig.client.asked.clear()
    states = await rig.account.instrument_states(["BTCUSDT", "ETHUSDT"])
    assert states == {"BTCUSDT": GONE, "ETHUSDT": LIVE}
    assert rig.client.asked.count(method) >= 2


def told(*names, unreadable=()):
    return Listed(found=dict.fromkeys(names, LIVE), unreadable=frozenset(unreadable))


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([told("A", "B")], {"A": LIVE, "B": LIVE}),
        # One list that lacks a row proves nothing.
        ([told("B"), told("A", "B")], {"A": LIVE, "B": LIVE}),
        ([told("A"), told("B")], {"A": LIVE, "B": LIVE}),
        ([told("B", unreadable=["A"]), told("A", "B")], {"A": LIVE, "B": LIVE}),
        ([told("B"), told("B")], {"A": GONE, "B": LIVE}),
        ([told("B", unreadable=["C"]), told("B")], {"A": GONE, "B": LIVE}),
        ([told("B", unreadable=["A"]), told("B")], None),
        ([told("B"), told("B", unreadable=["A"])], None),
        ([told("B"), told("B", unreadable=[""])], None),
    ],
)
async def test_a_second_list_has_to_agree(answers, expected):
    waiting = iter(answers)

    async def ask():
        return next(waiting)

    asking = listings.states("OKX", ask, lambda state: state, ["A", "B"])
    if expected is None:
        with pytest.raises(VenueUnreachable, match=r"OKX .* in which A cannot be read"):
            await asking
    else:
        assert await asking == expected
    assert list(waiting) == [], "no more questions than needed, and no fewer"
