"""An answer to an order that is odd in form: it may have been carried out, so it is UNKNOWN."""

import json

import pytest
from ccxt.base import errors as ccxt_errors

from answered_rows import RIGS
from counterpoise.domain.errors import OutcomeUnknown, VenueUnreachable
from counterpoise.domain.orders import Side
from counterpoise.ports import Clock
from counterpoise.venues.binance import errors as binance_errors
from counterpoise.venues.bybit import errors as bybit_errors
from counterpoise.venues.okx import errors as okx_errors
from stamped_orders import journaled

TABLES = {"okx": okx_errors.TABLE, "bybit": bybit_errors.TABLE, "binance": binance_errors.TABLE}
CODES = {"okx": "code", "bybit": "retCode", "binance": "code"}
FINE = {"okx": "0", "bybit": 0, "binance": 200}
ODD = [[], {}, [1], {"a": []}, 7.5, True, "7" * 5_000, [[[[]]]]]


@pytest.mark.parametrize("code", ODD)
@pytest.mark.parametrize("venue", TABLES)
def test_a_code_of_whatever_form_proves_nothing(venue, code):
    table = TABLES[venue]
    bodies = [{CODES[venue]: code}]
    if venue == "okx":
        bodies.append({"code": "1", "data": [{"sCode": code, "sMsg": []}]})
    for body in bodies:
        raised = ccxt_errors.ExchangeError(f"{venue} {json.dumps(body)}")
        placed = table.classify(raised, placing=True)
        assert type(placed) is OutcomeUnknown
        assert len(placed.code or "") <= 40
        assert type(table.classify(raised, placing=False)) is VenueUnreachable


@pytest.mark.parametrize("venue", TABLES)
def test_a_code_that_all_is_well_is_no_refusal(venue):
    for fine in (FINE[venue], str(FINE[venue]), "", None):
        text = json.dumps({CODES[venue]: fine, "data": [{"sCode": "0"}]})
        assert TABLES[venue].code_and_words(text) == (None, "")


#: What ccxt, or our own reading of what it gives, may stumble over.
RAISED = [TypeError("unhashable"), KeyError("data"), AttributeError("get"), RecursionError("deep")]

#: ccxt's method of an order, of a stop and of a cancel, and what names an order in its answer.
METHODS = {
    "okx": ("privatePostTradeOrder", "privatePostTradeOrderAlgo", "privatePostTradeCancelOrder"),
    "bybit": (
        "privatePostV5OrderCreate", "privatePostV5OrderCreate", "privatePostV5OrderCancel",
    ),
    "binance": ("fapiPrivatePostOrder", "fapiPrivatePostAlgoOrder", "fapiPrivateDeleteOrder"),
}  # fmt: skip


async def changes(rig, clock):
    await rig.account.instruments(["BTCUSDT"])
    terms = {"quantity": "5", "side": Side.SELL, "price": None, "reduce_only": True}
    order = await journaled(clock, **terms)
    stop = await journaled(clock, **terms, trigger_price="90")
    return (
        lambda: rig.account.submit(order),
        lambda: rig.account.place_trigger(stop),
        lambda: rig.account.cancel("BTCUSDT", "cp1"),
    )


@pytest.mark.parametrize("raised", RAISED, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize("venue", METHODS)
async def test_what_ccxt_stumbles_over_may_have_been_carried_out(venue, raised):
    rig = RIGS[venue]()
    for method, ask in zip(METHODS[venue], await changes(rig, rig.account._clock), strict=True):
        rig.client.answers[method] = raised
        with pytest.raises(OutcomeUnknown):
            await ask()


NAMED = {
    "okx": {"ordId": "7", "clOrdId": "{id}", "ts": "x"},
    "binance": {"orderId": 7, "clientOrderId": "{id}", "updateTime": "x"},
}


@pytest.mark.parametrize("venue", NAMED)
async def test_an_order_that_is_named_at_an_unreadable_time_is_not_lost(venue):
    rig = RIGS[venue]()
    clock: Clock = rig.account._clock
    submit, *_ = await changes(rig, clock)
    named = {
        key: "cp0123456789abcdef0123456789abcd" if value == "{id}" else value
        for key, value in NAMED[venue].items()
    }
    rig.client.answers[METHODS[venue][0]] = {"data": [named]} if venue == "okx" else named
    with pytest.raises(OutcomeUnknown, match="'x'"):
        await submit()
