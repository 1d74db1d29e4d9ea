"""Latency by its lines, and capital by the smallest orders."""

from dataclasses import replace
from decimal import Decimal

import pytest

from counterpoise.app import configuration
from counterpoise.app.doctor import capital, latency
from counterpoise.app.doctor.findings import Outcome
from counterpoise.app.settings import Settings
from engine_world import INSTRUMENTS, MARKS

RULES = {each.instrument_id: each for each in INSTRUMENTS}


@pytest.fixture
def settings(tmp_path: object) -> Settings:
    return configuration.load(
        "testnet",
        state_dir=tmp_path,
        venue="simulator",
        hedge_candidates="ETHUSDT",
        latency_ms_warn=100,
        latency_ms_max=200,
    )


def test_a_quantile_is_the_nearest_rank() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert latency.quantile(values, 0.50) == 50
    assert latency.quantile(values, 0.99) == 99
    assert latency.quantile([7.0], 0.99) == 7


@pytest.mark.parametrize(
    ("usual", "worst", "blocks", "outcome"),
    [
        (10, 90, True, Outcome.OK),
        (10, 150, True, Outcome.WARNING),
        (120, 150, True, Outcome.WARNING),
        (10, 250, True, Outcome.FAILED),
        (10, 250, False, Outcome.WARNING),
        (210, 250, False, Outcome.FAILED),
    ],
)
def test_latency_is_judged_by_the_lines(
    settings: Settings, usual: float, worst: float, blocks: object, outcome: Outcome
) -> None:
    taken = [usual] * 97 + [worst] * 3
    line = latency.judged("stream latency", taken, settings, "frames", blocks=bool(blocks))
    assert line.outcome is outcome
    assert (float(line.figures["p50_ms"]), float(line.figures["p99_ms"])) == (usual, worst)
    assert (line.remedy == "") is (outcome is Outcome.OK)


def test_what_each_leg_needs_follows_the_strategys_numbers(settings: Settings) -> None:
    core, leg = capital.needs(settings, RULES, MARKS)
    # 0.6 x 2.5 of equity in the core, 0.95 of that in the one hedge leg, a quarter at first.
    assert (core.instrument_id, core.share, core.share_entry) == (
        "BTCUSDT",
        Decimal("1.5"),
        Decimal("0.375"),
    )
    assert leg.share == Decimal("1.425")
    assert core.order_min == 5
    assert core.capital_min == Decimal(5) / Decimal("1.5")
    assert leg.capital_min_entry == Decimal("2.5") / Decimal("0.35625")


def lines(settings: Settings, equity: str, turnover: str = "8") -> dict[str, object]:
    plan = capital.Plan(
        equity=Decimal(equity), turnover_month=Decimal(turnover), taker_fee_bps=Decimal(5)
    )
    wanted = capital.needs(settings, RULES, MARKS)
    return {each.check: each for each in capital.lines(plan, wanted, "BTCUSDT")}


@pytest.mark.parametrize(
    ("equity", "outcome", "words"),
    [
        ("0", Outcome.FAILED, "0.00 is there"),
        ("3.3", Outcome.FAILED, "the core cannot be held"),
        ("14", Outcome.OK, "13.33 would do"),
    ],
)
def test_small_accounts_are_told_what_they_cannot_hold(
    settings: Settings, equity: str, outcome: Outcome, words: str
) -> None:
    line = lines(settings, equity)["capital"]
    assert (line.outcome, words in line.found) == (outcome, True)


def test_a_leg_that_waits_for_the_scale_to_grow_is_a_warning(settings: Settings) -> None:
    found = lines(settings, "5")
    assert found["capital"].outcome is Outcome.OK
    assert found["lots BTCUSDT"].outcome is Outcome.WARNING
    assert "once the scale has grown" in found["lots BTCUSDT"].found
    assert found["lots ETHUSDT"].figures["capital_min"] == "1.75"


def test_hedges_that_cannot_be_sized_are_named(settings: Settings) -> None:
    large = {**RULES, "ETHUSDT": replace(RULES["ETHUSDT"], quantity_min=Decimal(1))}
    small = {**large, "SOLUSDT": replace(RULES["ETHUSDT"], instrument_id="SOLUSDT")}
    plan = capital.Plan(equity=Decimal(1_000), turnover_month=Decimal(8), taker_fee_bps=Decimal(5))
    alone = capital.needs(settings, large, MARKS)
    (line, *_) = capital.lines(plan, alone, "BTCUSDT")
    assert (line.outcome, "no hedge leg" in line.found) == (Outcome.FAILED, True)
    beside = capital.needs(settings, small, {**MARKS, "SOLUSDT": Decimal(100)})
    (line, *_) = capital.lines(plan, beside, "BTCUSDT")
    assert (line.outcome, line.figures["unsized"]) == (Outcome.WARNING, "ETHUSDT")


def test_fees_a_month_are_turnover_times_the_taker_fee(settings: Settings) -> None:
    line = lines(settings, "1000")["fees a month"]
    assert (line.outcome, line.figures["fees_month"]) == (Outcome.OK, "4.0000")
    dear = lines(settings, "1000", "24")["fees a month"]
    assert (dear.outcome, dear.figures["fees_bps_month"]) == (Outcome.WARNING, "120.00")
