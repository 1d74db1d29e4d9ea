"""OKX's algo orders as bodies: what is read from them and which code a wrong one has."""

from decimal import Decimal

import pytest

from counterpoise.domain.orders import OrderKind, Side
from counterpoise.exchange.orders import (
    OrderRefused,
    RefusalReason,
    TriggerDirection,
    TriggerForm,
    TriggerSource,
)
from counterpoise.simulator.okx.algo_entry import new_trigger, trigger_refusal
from counterpoise.simulator.okx.errors import Code, Refusal

STOP = {
    "instId": "BTC-USDT-SWAP", "tdMode": "cross", "side": "sell", "ordType": "conditional",
    "sz": "3", "slTriggerPx": "60000", "slOrdPx": "-1", "reduceOnly": True,
}  # fmt: skip


def price_of(_instrument_id, _source):
    return Decimal(64_000)


def read(**changes):
    fields = {name: each for name, each in (STOP | changes).items() if each is not None}
    return new_trigger(fields, price_of)


def test_a_stop_is_read_in_base_units_and_waits_for_the_last_price():
    asked = read(algoClOrdId="s1")
    assert (asked.quantity, asked.kind, asked.form) == (
        Decimal("0.03"), OrderKind.MARKET, TriggerForm.STOP_LOSS,
    )  # fmt: skip
    assert (asked.source, asked.direction) == (TriggerSource.LAST, TriggerDirection.FALLING)
    assert (asked.reduce_only, asked.with_position, asked.client_order_id) == (True, False, "s1")


@pytest.mark.parametrize(
    ("changes", "side", "direction"),
    [
        ({"side": "buy"}, Side.BUY, TriggerDirection.RISING),
        (
            {"slTriggerPx": None, "tpTriggerPx": "70000", "tpOrdPx": "70001"},
            Side.SELL,
            TriggerDirection.RISING,
        ),
        ({"ordType": "trigger", "triggerPx": "63000", "orderPx": "-1"}, Side.SELL, "falling"),
        ({"ordType": "trigger", "triggerPx": "65000", "orderPx": "-1"}, Side.SELL, "rising"),
    ],
)
def test_the_form_and_the_side_say_which_way(changes, side, direction):
    asked = read(**changes)
    assert (asked.side, asked.direction) == (side, direction)


def test_all_of_a_position_has_no_quantity_and_ends_with_it():
    asked = read(sz=None, closeFraction="1", slTriggerPxType="mark")
    assert (asked.quantity, asked.with_position, asked.source) == (None, True, TriggerSource.MARK)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"tdMode": "isolated"}, "tdMode"),
        ({"side": "hold"}, "side"),
        ({"ordType": "oco"}, "ordType"),
        ({"sz": None}, "sz"),
        ({"closeFraction": "1"}, "sz"),
        ({"sz": None, "closeFraction": "0.5"}, "closeFraction"),
        ({"sz": None, "closeFraction": "1", "reduceOnly": False}, "reduceOnly"),
        ({"cxlOnClosePos": True, "reduceOnly": False}, "cxlOnClosePos"),
        ({"slTriggerPx": "0"}, "slTriggerPx"),
        ({"slTriggerPxType": "mid"}, "slTriggerPxType"),
        ({"slOrdPx": "-2"}, "slOrdPx"),
        ({"sz": None, "closeFraction": "1", "slOrdPx": "59000"}, "closeFraction"),
    ],
)
def test_the_wrong_parameter_is_named(changes, word):
    with pytest.raises(Refusal) as refused:
        read(**changes)
    assert (refused.value.code, refused.value.message) == (
        Code.ORDER_PARAMETER, f"Parameter {word} error",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"slTriggerPxType": "mark"}, "51304", "SL trigger price cannot be higher than the mark"),
        ({"side": "buy"}, "51278", "SL trigger price cannot be lower than the last"),
        (
            {"slTriggerPx": None, "tpTriggerPx": "1", "tpOrdPx": "-1", "tpTriggerPxType": "index"},
            "51307",
            "TP trigger price cannot be lower than the index",
        ),
    ],
)
def test_a_price_that_is_reached_has_a_code_of_its_own(changes, code, words):
    refused = OrderRefused(RefusalReason.TRIGGER_AT_ONCE, "reached")
    worded = trigger_refusal(refused, read(**changes))
    assert worded.code.value == code
    assert worded.message.startswith(words)
