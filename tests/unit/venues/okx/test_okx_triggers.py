"""Algo orders of every kind, whoever sent them, as OKX lists them: by kind, and page by page."""

from decimal import Decimal

import pytest
from aiohttp import web

from counterpoise.domain.errors import VenueRejected, VenueUnreachable
from counterpoise.domain.orders import Side
from counterpoise.venues.okx import triggers

PENDING = "/api/v5/trade/orders-algo-pending"

#: What each kind says of where it acts, in OKX's fields, and what we make of it.
PRICES = {
    "conditional": ({"slTriggerPx": "90000", "slOrdPx": "-1"}, "90000"),
    "oco": ({"slTriggerPx": "90000", "tpTriggerPx": "110000"}, "90000"),
    "trigger": ({"triggerPx": "105000.5", "ordPx": "-1"}, "105000.5"),
    "move_order_stop": (
        {"callbackRatio": "0.05", "activePx": "", "moveTriggerPx": "97000"},
        "97000",
    ),
    "chase": ({"chaseType": "distance", "chaseVal": "10"}, None),
    "iceberg": ({"szLimit": "10", "pxLimit": "95000", "pxVar": "0.01"}, None),
    "twap": ({"szLimit": "10", "pxLimit": "95000", "timeInterval": "10"}, None),
}


def ok(*rows: object, code: str = "0", message: str = "") -> web.Response:
    return web.json_response({"code": code, "msg": message, "data": list(rows)})


def algo_row(kind: str, number: int, **changes: object) -> dict[str, object]:
    fields, _ = PRICES[kind]
    row = {
        "instId": "BTC-USDT-SWAP", "instType": "SWAP", "algoId": f"{number:04}",
        "algoClOrdId": "", "ordType": kind, "state": "live", "side": "buy", "sz": "50",
        "actualSz": "", "reduceOnly": "false", "slTriggerPx": "", "tpTriggerPx": "",
    }  # fmt: skip
    return row | fields | changes


@pytest.fixture
def waiting(stub):
    """Algo orders that wait, newest first; listed by kind as OKX does."""
    rows: list[dict[str, object]] = []

    async def answer(request, sent):
        kinds = sent["ordType"].split(",")
        if len(kinds) > 1 and set(kinds) != {"conditional", "oco"}:
            return ok(code="51000", message="Parameter ordType error")
        listed = [row for row in rows if row["ordType"] in kinds]
        behind = [row for row in listed if "after" not in sent or row["algoId"] < sent["after"]]
        return ok(*behind[: int(sent["limit"])])

    stub.answers[PENDING] = answer
    return rows


@pytest.mark.parametrize("kind", PRICES)
async def test_every_kind_of_a_stranger_is_listed(venue, waiting, kind):
    waiting.append(algo_row(kind, 7))
    (found,) = await venue.triggers()
    assert (found.venue_order_id, found.client_order_id) == ("0007", None)
    assert (found.instrument_id, found.side) == ("BTCUSDT", Side.BUY)
    assert (found.quantity, found.reduce_only) == (Decimal("0.5"), False)
    price = PRICES[kind][1]
    assert found.trigger_price == (None if price is None else Decimal(price))


async def test_a_list_has_all_kinds_and_pages_and_each_order_once(venue, waiting, stub):
    waiting += [algo_row("trigger", number) for number in range(250, 0, -1)]
    waiting += [
        algo_row("conditional", 900, algoClOrdId="cp1", side="sell", reduceOnly="true"),
        algo_row("oco", 901, instId="ETH-USDT-SWAP", closeFraction="1", sz="", reduceOnly="true"),
        algo_row("twap", 902, sz="50", actualSz="20"),
        # Neither a swap of ours nor one we know.
        algo_row("trigger", 903, instId="BTC-USD-SWAP"),
    ]
    found = await venue.triggers()
    assert [each.venue_order_id for each in found] == sorted(
        [f"{number:04}" for number in range(1, 251)] + ["0900", "0901", "0902"]
    )
    named = {each.venue_order_id: each for each in found}
    assert (named["0900"].client_order_id, named["0900"].reduce_only) == ("cp1", True)
    # All there is to close then; and what it has sent already stands among the orders.
    assert named["0901"].quantity is None
    assert named["0902"].quantity == Decimal("0.3")
    asked = [sent["ordType"] for sent in stub.sent(PENDING)]
    assert list(dict.fromkeys(asked)) == list(triggers.KINDS)
    assert asked.count("trigger") == 3


async def test_a_kind_that_is_not_offered_is_nobodys(venue, waiting, stub):
    waiting.append(algo_row("conditional", 1))
    listed = stub.answers[PENDING]

    async def answer(request, sent):
        if sent["ordType"] in {"chase", "iceberg"}:
            return ok(code="51000", message="Parameter ordType error")
        return await listed(request, sent)

    stub.answers[PENDING] = answer
    assert [each.venue_order_id for each in await venue.triggers()] == ["0001"]


@pytest.mark.parametrize(
    ("kind", "code", "error"),
    [
        ("conditional,oco", "51000", VenueRejected),
        ("trigger", "50011", VenueUnreachable),
        ("twap", "50001", VenueUnreachable),
    ],
)
async def test_a_list_that_is_not_whole_is_none(venue, waiting, stub, kind, code, error):
    listed = stub.answers[PENDING]

    async def answer(request, sent):
        if sent["ordType"] == kind:
            return ok(code=code, message="no")
        return await listed(request, sent)

    stub.answers[PENDING] = answer
    with pytest.raises(error):
        await venue.triggers()
