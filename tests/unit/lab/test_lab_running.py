import json
import os
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from counterpoise.domain.errors import DataError, SettingsError
from counterpoise.lab import published
from counterpoise.lab.metrics import KEYS
from counterpoise.lab.running import Request, numbers, run
from lab_world import DAY_NS, START_NS, walk, write

NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "lab" / "backtest.json"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write(folder, walk(NAMES, 5 * 288, seed=11, scale=0.002))
    return folder


def request_for(data, **changes):
    values = {
        "data": data,
        "core": NAMES[0],
        "hedges": NAMES[1:],
        "policies": ("counterpoise", "static_hedge"),
    }
    return Request(**{**values, **changes})


@pytest.fixture(scope="module")
def result(data):
    return run(request_for(data, details=True))


def test_two_days_are_192_decisions_from_the_third_day_on(result):
    assert result.data.decisions_from_ns == START_NS + 3 * DAY_NS
    assert result.data.decisions_to_ns == START_NS + 5 * DAY_NS
    assert result.data.decisions_from_reason.startswith("3 days of history")
    assert [policy.metrics["decisions"] for policy in result.policies.values()] == [192, 192]
    assert result.correlation.shape == result.marks.shape == (192, 3)


def test_only_what_was_asked_for_is_published_and_measured_against_the_unhedged(result):
    assert tuple(result.policies) == ("counterpoise", "static_hedge")
    for policy in result.policies.values():
        assert tuple(policy.metrics) == KEYS
        assert policy.metrics["hedge_effectiveness"] < 1.0


def test_standard_output_is_the_same_whatever_the_processes(data, result):
    alone = published.encode(published.document(result))
    shared = published.encode(published.document(run(request_for(data, workers=2))))

    assert alone == shared
    found = json.loads(alone)
    assert set(found) == {"policies", "data"}
    assert set(KEYS) < set(found["policies"]["counterpoise"])


def test_the_golden_run_is_repeated(result):
    # Figures to nine digits: the last ones belong to the machine's own mathematics library.
    text = json.dumps(_rounded(published.document(result)), indent=1, sort_keys=True) + "\n"
    if os.environ.get("UPDATE"):
        GOLDEN.parent.mkdir(parents=True, exist_ok=True)
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def _rounded(value):
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items()}
    if isinstance(value, float):
        return float(f"{value:.9g}")
    return str(value) if isinstance(value, Decimal) else value


def test_positions_are_the_sum_of_the_fills(result):
    for policy in result.policies.values():
        held = {}
        for decision in policy.decisions:
            for fill in decision.fills:
                held[fill.instrument_id] = held.get(fill.instrument_id, 0) + fill.quantity
        last = dict(zip(NAMES, policy.series.legs[-1], strict=True))
        assert held
        for name, quantity in held.items():
            assert np.sign(float(quantity)) == np.sign(last[name])


def test_equity_is_explained_by_fills_fees_and_prices(result):
    # A second, naive account: cash moves by what is bought and by fees.
    policy = result.policies["counterpoise"]
    cash, held = Decimal(100_000), {}
    for decision in policy.decisions:
        for fill in decision.fills:
            cash -= fill.quantity * fill.price + fill.fee
            held[fill.instrument_id] = held.get(fill.instrument_id, Decimal(0)) + fill.quantity
    equity = policy.series.equity[-1]
    worth = sum(policy.series.legs[-1]) * equity

    assert float(cash) + worth == pytest.approx(equity)
    assert sum(policy.series.legs[-1] != 0.0) == sum(1 for each in held.values() if each)


def test_the_detail_file_has_a_header_and_every_block_and_decision(result, tmp_path):
    path = tmp_path / "detail.jsonl"
    published.write_detail(result, path)
    lines = [json.loads(line) for line in path.read_text().splitlines()]

    assert lines[0]["kind"] == "header"
    assert lines[0]["schema"] == published.DETAIL_SCHEMA
    blocks = [each for each in lines if each["kind"] == "block"]
    assert len(blocks) == 2 * 192
    assert blocks[0]["at"] == "2026-01-04T00:15:00Z"
    assert {"equity", "leverage_max", "drawdown", "legs", "policy"} < set(blocks[0])
    cycles = [each for each in lines if each["kind"] == "decision" and each["by"] == "cycle"]
    assert len(cycles) == 2 * 192
    assert {"reasons", "targets", "fills", "equity", "held", "summary"} < set(cycles[0])
    with pytest.raises(DataError, match="--detail"):
        published.write_detail(result, tmp_path / "none" / "detail.jsonl")


def test_a_start_keeps_what_is_before_it_for_warming(data):
    start_ns = START_NS + 4 * DAY_NS
    found = run(request_for(data, start_ns=start_ns, policies=("flat",)))

    assert found.data.decisions_from_ns == start_ns
    assert found.data.decisions_from_reason == "asked for"
    assert found.data.bars_from_ns == START_NS
    assert found.policies["flat"].metrics["return_fraction"] == 0.0


def test_too_short_a_span_is_refused(data):
    with pytest.raises(DataError, match=r"allowed are more than 3 before the last decision"):
        run(request_for(data, end_ns=START_NS + 2 * DAY_NS))


def test_numbers_are_changed_by_name(data):
    found = numbers(
        request_for(
            data,
            changes={
                "hedge_ratio": "1.0",
                "hedge_legs": "2",
                "rules_off": "stress, drawdown",
                "leverage_trigger": "2.5",
                "leverage_target": "2.4",
                "venue": "bybit",
                "guard": "false",
            },
        )
    )

    assert (found.strategy.hedge_ratio, found.strategy.hedge_legs) == (1.0, 2)
    assert found.strategy.rules_off == ("stress", "drawdown")
    assert found.guard.leverage_trigger == Decimal("2.5")
    assert (found.assumptions.venue, found.assumptions.guard) == ("bybit", False)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hedge_rato": "1"}, "--set hedge_rato=1: allowed is one of"),
        ({"hedge_ratio": "9"}, "--set hedge_ratio=9.0: allowed is 0.0 to 3.0"),
        ({"hedge_ratio": "x"}, "--set hedge_ratio=x: allowed is a number"),
        ({"leverage_trigger": "4"}, "--set leverage_trigger=4: allowed is 0 to 3"),
        ({"venue": "mtgox"}, "--set venue='mtgox': allowed is one of okx, binance, bybit"),
        ({"guard": "maybe"}, "--set guard=maybe: allowed is true or false"),
        ({"latency_ms": "-1"}, "--set latency_ms=-1: allowed is 0 to 60000"),
    ],
)
def test_wrong_numbers_are_named(data, changes, words):
    with pytest.raises(SettingsError) as refused:
        numbers(request_for(data, changes=changes))
    assert words in str(refused.value)


def test_wrong_policies_and_instruments_are_named(data):
    with pytest.raises(SettingsError, match="--policy martingale: allowed is counterpoise, "):
        numbers(request_for(data, policies=("martingale",)))
    with pytest.raises(SettingsError, match="hedge_candidates"):
        numbers(request_for(data, hedges=("BTCUSDT",)))


def test_bars_of_an_hour_are_decided_every_hour(tmp_path):
    write(tmp_path, walk(NAMES, 5 * 24, seed=3, step_seconds=3_600, scale=0.004))

    found = run(request_for(tmp_path, policies=("static_hedge",)))

    assert found.data.bar_seconds == 3_600
    assert found.policies["static_hedge"].metrics["decisions"] == 48


def test_a_later_listing_joins_when_it_has_history(tmp_path):
    bars = walk(NAMES, 8 * 288, seed=5)
    close = bars.close.copy()
    close[: 3 * 288, 2] = np.nan
    write(tmp_path, replace(bars, close=close))

    found = run(request_for(tmp_path, policies=("counterpoise",), details=True))
    held = found.policies["counterpoise"].series.legs[:, 2] != 0.0
    first = int(np.flatnonzero(held)[0])

    # Listed after three days, it may hedge after three more.
    assert found.data.gaps["SOLUSDT"] == 0
    assert first >= 3 * 96
