"""What a decision's rows are told as."""

import json
from decimal import Decimal
from typing import Any

from counterpoise.app import story


def rows(action: str, **changes: Any) -> dict[str, Any]:
    """Rows of a decision that sent nothing."""
    outputs = {
        "decision": {
            "reasons": [
                {"code": "RULE_SKIPPED", "text": "Regime rule has no input."},
                {"code": "TRADING_REDUCING", "text": "The trading state is REDUCING."},
            ],
            "targets": {
                "ETHUSDT": {"held_fraction": -0.5, "notional_fraction": -0.7},
                "BTCUSDT": {"held_fraction": 1.0, "notional_fraction": 1.5},
            },
            "would_have": [{"side": "buy", "quantity": "0.1", "instrument_id": "BTCUSDT"}],
        },
        "review": [
            {
                "side": "buy",
                "quantity": "0.1",
                "instrument_id": "BTCUSDT",
                "denial": "LEVERAGE_EXCEEDED",
                "message": "3.04 after it",
            }
        ],
    }
    inputs = {
        "decision": {
            "account": {"missing": ["ACCOUNT_STALE"]},
            "market": {
                "instruments": {"ETHUSDT": {"missing": ["BOOK"]}, "BTCUSDT": {"missing": []}}
            },
        }
    }
    found = {
        "decision": {
            "action": action,
            "summary": "A sentence.",
            "trading_state": "reducing",
            "reasons": ["RULE_SKIPPED"],
            "inputs": json.dumps(inputs),
            "outputs": json.dumps(outputs),
        },
        "intents": [],
        "denials": [],
        "markets": [],
        "fills": [],
        "outcome": {"summary": "nothing to trade"},
        "trading_state": {"causes": ["drift", "operator"], "changed_at": "2026-01-01T00:00:00Z"},
    }
    return found | changes


def test_a_blocked_decision_says_what_held_it_back_and_what_it_wanted() -> None:
    assert story.why_not(rows("blocked")) == [
        "Something was wanted and might not go out.",
        "  TRADING_REDUCING: The trading state is REDUCING.",
        "  not known of the account: ACCOUNT_STALE",
        "  not known of ETHUSDT: BOOK",
        "  BTCUSDT: held +1.000 of equity, wanted +1.500, gap +0.500",
        "  ETHUSDT: held -0.500 of equity, wanted -0.700, gap -0.200",
        "  risk at the decision: buy 0.1 BTCUSDT denied, LEVERAGE_EXCEEDED: 3.04 after it",
        "  would have: buy 0.1 BTCUSDT",
        "  In the end: nothing to trade.",
        "  The trading state was REDUCING since 2026-01-01T00:00:00Z, held back by: drift, operator.",
    ]


def test_a_denial_before_sending_is_told_with_its_words() -> None:
    denial = {
        "side": "sell",
        "quantity": Decimal(2),
        "instrument_id": "ETHUSDT",
        "reason": "LEASE_LOST",
        "body": '{"message":"not the only writer"}',
    }
    assert (
        "  risk before sending: sell 2 ETHUSDT denied, LEASE_LOST: not the only writer"
        in story.why_not(rows("traded", denials=[denial]))
    )


def test_an_observing_daemon_and_a_guard_say_so() -> None:
    observed = rows("blocked")
    observed["decision"]["reasons"] = ["BAND_LEG", "OBSERVE_MODE"]
    assert "  The daemon observes: it decides and never sends." in story.why_not(observed)
    guard = rows("unchanged")
    guard["decision"]["outputs"] = '{"intents":[]}'
    guard["decision"]["trading_state"] = "active"
    assert story.why_not(guard) == [
        "Nothing was to be done: no rule demanded a trade.",
        "  A sentence.",
    ]


def test_orders_that_were_sent_are_no_why_not() -> None:
    assert story.why_not(rows("traded", intents=[{}, {}])) == [
        "2 orders were sent for it; `explain` without --why-not tells of them."
    ]


def test_what_was_paid_is_summed_by_leg_against_mid() -> None:
    def fill(name: str, side: str, quantity: str, price: str, fee: str) -> dict[str, Any]:
        return {
            "instrument_id": name,
            "side": side,
            "quantity": Decimal(quantity),
            "price": Decimal(price),
            "fee": Decimal(fee),
            "realised_pnl": None,
        }

    fills = [
        fill("BTCUSDT", "buy", "2", "101", "0.1"),
        fill("BTCUSDT", "sell", "1", "98", "0.2"),
        fill("ETHUSDT", "sell", "4", "10", "-0.05"),
    ]
    known = {"bid": Decimal(99), "ask": Decimal(101)}
    markets = [
        {"instrument_id": "BTCUSDT", **known},
        {"instrument_id": "ETHUSDT", "bid": Decimal(10), "ask": Decimal(12)},
    ]
    legs = story.paid(rows("traded", fills=fills, markets=markets))
    assert [(leg["instrument_id"], leg["quantity"], leg["slippage"]) for leg in legs] == [
        ("BTCUSDT", Decimal(1), Decimal(4)),
        ("ETHUSDT", Decimal(-4), Decimal(4)),
        ("all", None, Decimal(8)),
    ]
    assert (legs[-1]["notional"], legs[-1]["fee"]) == (Decimal(340), Decimal("0.25"))
    markets[1]["ask"] = None
    without = story.paid(rows("traded", fills=fills, markets=markets))
    assert [leg["slippage"] for leg in without] == [Decimal(4), None, None]
    assert story.paid(rows("traded")) == []
