"""Whatever a venue answers, a port that reads returns or says that the venue was not reached."""

import copy
import inspect
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from answered_rows import RIGS, private_ports, public_ports
from counterpoise.domain.errors import (
    OutcomeUnknown,
    StartRefused,
    VenueRejected,
    VenueUnreachable,
)
from counterpoise.ports import PublicVenue, Venue
from counterpoise.venues import unreadable

#: What a field may be that means nothing; MISSING = it is not there.
MISSING = object()
ODD = ("", None, "x", [], {}, "NaN", MISSING)

#: Ports that ask for nothing, only open what the others ask, or change something.
NOT_READING = {"open", "close", *unreadable.CHANGES}


def places(answer: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every field, row and list of an answer, the whole of it first."""
    yield above
    if isinstance(answer, dict | list):
        for key in answer if isinstance(answer, dict) else range(len(answer)):
            yield from places(answer[key], (*above, key))


def put(answer: Any, way: tuple[Any, ...], value: Any) -> Any:
    if not way:
        return None if value is MISSING else value
    changed = copy.deepcopy(answer)
    inside = changed
    for key in way[:-1]:
        inside = inside[key]
    if value is MISSING:
        del inside[way[-1]]
    else:
        inside[way[-1]] = value
    return changed


def cases() -> list[tuple[str, str, str]]:
    kinds = {"account": private_ports, "public": public_ports}
    return [
        (venue, kind, port)
        for venue in RIGS
        for kind, ports in kinds.items()
        for port in ports(getattr(RIGS[venue](), kind))
    ]


@pytest.mark.parametrize(("venue", "kind", "port"), cases())
async def test_a_read_answers_or_the_venue_was_not_reached(venue, kind, port):
    rig = RIGS[venue]()
    reader = getattr(rig, kind)
    ports = (private_ports if kind == "account" else public_ports)(reader)
    await ports["instruments"]()
    rig.client.answers |= rig.instead.get(port, {})
    rig.client.asked.clear()
    assert await ports[port](), "the good answers are answers"
    refused = 0
    for method in dict.fromkeys(rig.client.asked):
        good = rig.client.answers[method]
        for way in places(good):
            for value in ODD:
                rig.client.answers[method] = put(good, way, value)
                try:
                    await ports[port]()
                except (VenueUnreachable, VenueRejected) as error:
                    refused += isinstance(error, VenueUnreachable)
                except unreadable_start(port):
                    pass
        rig.client.answers[method] = good
    assert refused, "no odd answer was noticed"
    assert await ports[port]()


def unreadable_start(port: str) -> tuple[type[Exception], ...]:
    """A market whose row cannot be read is not listed, and a key may be refused."""
    return (StartRefused,) if port in {"instruments", "attest"} else ()


@pytest.mark.parametrize("venue", RIGS)
def test_every_port_is_asked_and_guarded(venue):
    rig = RIGS[venue]()
    for protocol, ports, adapter in (
        (Venue, private_ports, rig.account),
        (PublicVenue, public_ports, rig.public),
    ):
        names = {
            name
            for name, _ in inspect.getmembers(protocol, inspect.iscoroutinefunction)
            if not name.startswith("_")
        }
        assert names - NOT_READING == set(ports(adapter))
        for name in names - {"close"}:
            assert hasattr(getattr(type(adapter), name), "__wrapped__"), name


FAULTS = [
    ("okx", "account", "privateGetAccountPositions", ("data", 0, "avgPx"), "position"),
    ("okx", "account", "privateGetAccountBalance", ("data", 0, "details", 0, "cashBal"), "balance"),
    (
        "bybit",
        "fills_since",
        "privateGetV5ExecutionList",
        ("result", "list", 0, "execPrice"),
        "fill",
    ),
    ("binance", "account", "fapiPrivateV3GetPositionRisk", (0, "entryPrice"), "position"),
    ("binance", "fills_since", "fapiPrivateGetUserTrades", (0, "qty"), "fill"),
]


@pytest.mark.parametrize(("venue", "port", "method", "way", "row"), FAULTS)
async def test_the_venue_the_question_and_the_value_are_named(venue, port, method, way, row):
    rig = RIGS[venue]()
    ports = private_ports(rig.account)
    await ports["instruments"]()
    rig.client.answers[method] = put(rig.client.answers[method], way, "x17")
    with pytest.raises(VenueUnreachable) as raised:
        await ports[port]()
    said = str(raised.value)
    label = {"okx": "OKX", "bybit": "Bybit", "binance": "Binance"}[venue]
    assert said.startswith(f"{label} answered what cannot be understood, asked for ")
    assert f"({row}): ValueError: 'x17' is no number" in said
    assert len(said) < 300


async def test_an_order_in_a_state_nobody_documented_is_not_left_out():
    rig = RIGS["bybit"]()
    method = "privateGetV5OrderRealtime"
    good = rig.client.answers[method]
    assert len((await rig.account.account()).open_orders) == 1
    rig.client.answers[method] = put(good, ("result", "list", 0, "orderStatus"), "Resting")
    with pytest.raises(VenueUnreachable, match="KeyError: 'Resting'"):
        await rig.account.account()
    with pytest.raises(VenueUnreachable, match="KeyError: 'Resting'"):
        await rig.account.triggers()
    waiting = put(good, ("result", "list", 0, "orderStatus"), "Untriggered")
    rig.client.answers[method] = put(waiting, ("result", "list", 0, "triggerPrice"), "")
    # It waits for something we are not told: it is there all the same.
    (found,) = await rig.account.triggers()
    assert (found.client_order_id, found.trigger_price) == ("cp1", None)


HISTORIES = [
    ("okx", "fills_since", "privateGetTradeFills", ("data",), "instId", "BTC-USD-SWAP", "fillPx"),
    ("okx", "funding_since", "privateGetAccountBills", ("data",), "instId", "BTC-USD", "balChg"),
    (
        "bybit",
        "fills_since",
        "privateGetV5ExecutionList",
        ("result", "list"),
        "symbol",
        "BTCPERP",
        "execPrice",
    ),
]


@pytest.mark.parametrize(("venue", "port", "method", "way", "named", "foreign", "field"), HISTORIES)
async def test_a_foreign_row_of_the_past_hides_nothing_of_ours(
    venue, port, method, way, named, foreign, field
):
    rig = RIGS[venue]()
    ports = private_ports(rig.account)
    await ports["instruments"]()
    good = rig.client.answers[method]
    before = await ports[port]()
    assert len(before) == 1
    row = good
    for key in (*way, 0):
        row = row[key]
    rig.client.answers[method] = put(good, way, [row, row | {named: foreign, field: None}])
    assert await ports[port]() == before
    for owner in (row[named], "", None):
        # One of ours, or of nobody by name, is not left out.
        rig.client.answers[method] = put(good, way, [row, row | {named: owner, field: None}])
        with pytest.raises(VenueUnreachable):
            await ports[port]()


async def test_a_change_whose_answer_cannot_be_understood_may_have_happened():
    @unreadable.adapter("OKX")
    class Account:
        async def submit(self, answer: dict[str, str]) -> Decimal:
            return Decimal(answer["ordId"])

        async def account(self, answer: dict[str, str]) -> Decimal:
            return Decimal(answer["cashBal"])

        async def close(self) -> None:
            raise KeyError("not looked at")

    account = Account()
    assert await account.submit({"ordId": "7"}) == 7
    with pytest.raises(OutcomeUnknown, match="asked for submit: KeyError: 'ordId'"):
        await account.submit({})
    for figure in ("NaN", "Infinity", "1E+31", "x"):
        with pytest.raises(VenueUnreachable, match="asked for account"):
            await account.account({"cashBal": figure})
    with pytest.raises(KeyError):
        await account.close()
    # A call that is wrong is a mistake of ours and no answer.
    with pytest.raises(TypeError):
        await account.account()
