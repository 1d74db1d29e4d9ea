"""The auditor finds what it is there for."""

from decimal import Decimal

import naive_auditor

FILLS = [
    {
        "instrument_id": "BTCUSDT",
        "fill_id": "1",
        "client_order_id": "a",
        "side": "buy",
        "quantity": Decimal("0.1"),
        "price": Decimal(50_000),
        "fee": Decimal("2.5"),
    },
    {
        "instrument_id": "BTCUSDT",
        "fill_id": "2",
        "client_order_id": "b",
        "side": "sell",
        "quantity": Decimal("0.04"),
        "price": Decimal(51_000),
        "fee": Decimal(1),
    },
]
INTENTS = [
    {
        "client_order_id": name,
        "decision_id": "d1",
        "instrument_id": "BTCUSDT",
        "side": side,
        "quantity": Decimal("0.1"),
        "reduce_only": reduce_only,
    }
    for name, side, reduce_only in (("a", "buy", False), ("b", "sell", True))
]
ORDERS = [{**row, "quantity": str(row["quantity"])} for row in INTENTS]
#: 10,000 - 2.5 - 1 + 0.04 x 1,000 in cash, 0.06 x 2,000 unrealised.
TRUTH = {
    "positions": {"BTCUSDT": {"quantity": "0.06", "mark": "52000"}},
    "wallet_balance": "10036.5",
    "equity": "10156.5",
}
CASH = Decimal(10_000)
HELD = {"BTCUSDT": Decimal("0.06")}


def books(fills=FILLS, truth=TRUTH, recorded=HELD):
    return naive_auditor.audit_books(CASH, fills, Decimal(0), truth, recorded)


def test_books_that_balance_say_nothing_and_give_the_leverage() -> None:
    found, leverage = books()
    assert found == []
    assert leverage == Decimal("0.06") * 52_000 / Decimal("10156.5")


def test_a_position_turned_in_one_execution_enters_at_its_price() -> None:
    book = naive_auditor.Book(CASH)
    for side, quantity, price in (("buy", 1, 100), ("sell", 3, 110), ("sell", 1, 80)):
        book.execute("X", side, Decimal(quantity), Decimal(price), Decimal(0))
    assert book.positions() == {"X": Decimal(-3)}
    assert book.entry["X"] == Decimal(100)
    assert book.cash == CASH + 10


def test_a_lost_an_invented_and_a_changed_execution_are_found() -> None:
    changed = {**FILLS[1], "price": Decimal("51000.1")}
    assert "is not in the ledger" in naive_auditor.audit_fills(FILLS[:1], FILLS)[0]
    assert "never happened" in naive_auditor.audit_fills(FILLS, FILLS[:1])[0]
    (found,) = naive_auditor.audit_fills([FILLS[0], changed], FILLS)
    assert "51000.1" in found
    assert naive_auditor.audit_fills(FILLS, FILLS) == []


def test_an_order_taken_twice_unwritten_or_larger_is_found() -> None:
    assert naive_auditor.audit_orders(INTENTS, ORDERS) == []
    assert "taken 2 times" in naive_auditor.audit_orders(INTENTS, [*ORDERS, ORDERS[0]])[0]
    assert "no intent" in naive_auditor.audit_orders(INTENTS[:1], ORDERS)[0]
    larger = {**ORDERS[0], "quantity": "0.2"}
    assert "not what was intended" in naive_auditor.audit_orders(INTENTS, [larger])[0]


def test_more_than_was_decided_is_found() -> None:
    decided = [{"decision_id": "d1", "planned": {"BTCUSDT": Decimal("0.1")}}]
    assert naive_auditor.audit_plans(decided, INTENTS, FILLS) == []
    twice = [*FILLS, {**FILLS[0], "fill_id": "3"}]
    (found,) = naive_auditor.audit_plans(decided, INTENTS, twice)
    assert "increases did 0.2" in found


def test_an_intent_without_an_end_is_found() -> None:
    events = [
        {"client_order_id": "a", "state": "filled"},
        {"client_order_id": "b", "state": "accepted"},
    ]
    (found,) = naive_auditor.audit_ends(INTENTS, events)
    assert "intent b has no end" in found


STOP = {
    "client_order_id": "s",
    "instrument_id": "BTCUSDT",
    "side": "sell",
    "quantity": Decimal("0.06"),
    "reduce_only": True,
    "trigger_price": Decimal(40_000),
}
STOP_AT_VENUE = {**STOP, "quantity": "0.06", "trigger_price": "40000.0", "state": "live"}


def test_a_stop_that_rests_is_meant_to_be_open() -> None:
    found, resting = naive_auditor.audit_stops([STOP], [], [STOP_AT_VENUE])
    assert (found, resting) == ([], {"s"})
    assert naive_auditor.audit_ends([STOP], [], resting) == []
    gone = naive_auditor.audit_stops([STOP], [], [{**STOP_AT_VENUE, "state": "canceled"}])
    assert gone == ([], set())
    assert "has no end" in naive_auditor.audit_ends([STOP], [], set())[0]


def test_a_stop_twice_unwritten_other_or_resting_though_over_is_found() -> None:
    def found(intents=(STOP,), events=(), at_venue=(STOP_AT_VENUE,)):
        return naive_auditor.audit_stops(intents, events, at_venue)[0]

    assert "taken 2 times" in found(at_venue=[STOP_AT_VENUE, STOP_AT_VENUE])[0]
    assert "no intent" in found(intents=[{**STOP, "trigger_price": None}])[0]
    for other in ({"trigger_price": "41000"}, {"quantity": "0.07"}, {"reduce_only": False}):
        assert "not what was intended" in found(at_venue=[{**STOP_AT_VENUE, **other}])[0]
    assert "says it is over" in found(events=[{"client_order_id": "s", "state": "canceled"}])[0]


def test_positions_cash_equity_and_leverage_that_do_not_follow_are_found() -> None:
    assert "the venue holds" in books(fills=FILLS[:1])[0][0]
    assert "ledger's positions" in books(recorded={})[0][0]
    assert "cash" in books(truth={**TRUTH, "wallet_balance": "10036.6"})[0][0]
    assert "equity" in books(truth={**TRUTH, "equity": "10156.6"})[0][0]
    snapshots = [{"leverage": Decimal("3.01")}, {"leverage": Decimal(3)}, {"leverage": None}]
    assert naive_auditor.audit_leverage(snapshots, "row") == ["row: leverage 3.01"]


SECOND = 10**9
#: Grows to 2.97 times equity; a daemon dies at 10 s, the next begins at 15 s and looks at 18 s.
GROWN = [
    {**FILLS[0], "fill_id": "1", "quantity": Decimal("0.29"), "price": Decimal(100_000)},
    {**FILLS[0], "fill_id": "2", "quantity": Decimal("0.007"), "price": Decimal(100_000)},
    {**FILLS[1], "fill_id": "3", "quantity": Decimal("0.05"), "price": Decimal(99_400)},
]
LIVES = [
    {"began_ns": 0, "looked_ns": 2 * SECOND, "ended_ns": 10 * SECOND},
    {"began_ns": 15 * SECOND, "looked_ns": 18 * SECOND, "ended_ns": None},
]


def look(at_seconds, mark, fills_count, fills=GROWN):
    book = naive_auditor.Book(CASH)
    for row in fills[:fills_count]:
        book.execute(*(row[f] for f in ("instrument_id", "side", "quantity", "price", "fee")))
    marks = {"BTCUSDT": Decimal(mark)}
    return {
        "at_ns": int(at_seconds * SECOND),
        "leverage": book.gross(marks) / book.equity(marks),
        "fills_count": fills_count,
        "wallet_balance": book.cash,
        "marks": marks,
    }


def ceiling(*looks, fills=GROWN, lives=LIVES):
    return naive_auditor.audit_ceiling(looks, fills, lives)


BELOW, ABOVE, REDUCED = look(9, 100_000, 2), look(12, 99_400, 2), look(19, 99_400, 3)
#: What the daemon wrote of the same moment has no marks of the venue.
WRITTEN = {"at_ns": 18 * SECOND, "leverage": ABOVE["leverage"], "fills_count": 2, "marks": None}


def test_what_the_market_does_while_nobody_lives_is_not_the_daemons_doing() -> None:
    assert BELOW["leverage"] < 3 < ABOVE["leverage"]
    assert REDUCED["leverage"] < 3
    assert ceiling(BELOW, ABOVE, WRITTEN, look(18.9, 99_400, 2), REDUCED) == []


def test_a_daemon_that_grows_past_the_ceiling_is_found_whoever_lives() -> None:
    # Each of them also where nobody lived, and where the marks were on the way there as well.
    for at_seconds, mark in ((9.5, 100_000), (12, 99_400), (16, 99_400)):
        grown = [*GROWN[:2], {**GROWN[1], "fill_id": "3"}]
        (found,) = ceiling(BELOW, look(at_seconds, mark, 3, grown), fills=grown)
        assert "increased" in found
    # No look before it at all.
    assert "increased" in ceiling(ABOVE)[0]
    # Already above by the market, and then more by us.
    more = [*GROWN[:2], {**GROWN[1], "fill_id": "3", "quantity": Decimal("0.0001")}]
    (found,) = ceiling(BELOW, ABOVE, look(13, 99_400, 3, more), fills=more)
    assert "increased" in found
    # Turned from long to a larger short at one blow.
    turned = [*GROWN[:2], {**GROWN[2], "quantity": Decimal("0.6"), "price": Decimal(100_000)}]
    assert "increased" in ceiling(BELOW, look(12, 100_000, 3, turned), fills=turned)[0]
    # What the daemon itself wrote counts like what the venue said.
    (found,) = ceiling(BELOW, {**WRITTEN, "fills_count": 3}, fills=grown)
    assert "increased" in found


def test_a_book_carried_past_the_ceiling_by_losing_executions_is_found() -> None:
    losing = [*GROWN[:2], {**GROWN[2], "quantity": Decimal("0.002"), "price": Decimal(1)}]
    above = look(12, 100_000, 3, losing)
    assert above["leverage"] > 3
    assert "not marks" in ceiling(BELOW, above, fills=losing)[0]


def test_the_market_is_no_excuse_where_a_guard_lived() -> None:
    assert "a guard lived" in ceiling(BELOW, {**ABOVE, "at_ns": int(9.9 * SECOND)})[0]
    # The next one had looked, and only then the market went there.
    (found,) = ceiling(BELOW, look(18.1, 100_000, 2), look(18.5, 99_400, 2))
    assert "a guard lived" in found
    assert "a guard lived" in ceiling(BELOW, {**WRITTEN, "at_ns": 18 * SECOND + 1})[0]


def test_the_market_is_an_excuse_for_seconds_only() -> None:
    assert ceiling(BELOW, ABOVE, look(33, 99_400, 2)) == []
    assert "not reduced" in ceiling(BELOW, ABOVE, look(33.1, 99_400, 2))[0]
    blind = [LIVES[0], {**LIVES[1], "looked_ns": None}]
    assert ceiling(BELOW, ABOVE, look(75, 99_400, 2), lives=blind) == []
    assert "no guard looked" in ceiling(BELOW, ABOVE, look(75.1, 99_400, 2), lives=blind)[0]
    # Below once more, and above again: that is another time, with a guard there.
    again = ceiling(BELOW, ABOVE, look(19, 100_000, 2), look(20, 99_400, 2))
    assert "a guard lived" in again[0]
