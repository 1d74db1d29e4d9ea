"""Recorded bars of a real crash, where they are there; they are never part of the project."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from counterpoise.lab.running import Request, run

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get("COUNTERPOISE_DATA") or ROOT.parent / "shared" / "data")
OKX = DATA / "tune" / "okx_swap"

pytestmark = pytest.mark.skipif(
    not OKX.is_dir(), reason=f"no recorded bars in {DATA}; COUNTERPOISE_DATA names the directory"
)


def ns(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


def test_the_ceiling_holds_through_the_days_of_luna():
    request = Request(
        data=OKX,
        core="BTCUSDT",
        hedges=("ETHUSDT", "SOLUSDT"),
        start_ns=ns("2022-05-09"),
        end_ns=ns("2022-05-11"),
        policies=("counterpoise", "unhedged"),
        funding=OKX / "funding_proxy_binance",
    )

    result = run(request)
    ours, unhedged = result.policies["counterpoise"], result.policies["unhedged"]

    assert result.data.funding == {
        "BTCUSDT": "proxy",
        "ETHUSDT": "proxy",
        "SOLUSDT": "assumed",
    }
    assert ours.metrics["decisions"] == 192
    assert ours.metrics["liquidations"] == 0
    assert ours.metrics["leverage_max"] < 3.0
    assert ours.metrics["leverage_above_3_seconds"] == 0.0
    # Bitcoin lost a tenth: who holds it naked lost more than who hedges and shrinks.
    assert unhedged.metrics["return_fraction"] < -0.05
    assert ours.metrics["return_fraction"] > unhedged.metrics["return_fraction"]
    assert unhedged.metrics["funding_fraction"] != 0.0


def test_a_dead_feed_is_found():
    # The venue was down for hours on 2022-12-18: flat bars without volume.
    request = Request(
        data=OKX,
        core="BTCUSDT",
        hedges=("ETHUSDT",),
        start_ns=ns("2022-12-18"),
        end_ns=ns("2022-12-19"),
        policies=("static_hedge",),
        details=True,
    )

    result = run(request)
    held = [
        each
        for each in result.policies["static_hedge"].decisions
        if each.action == "skipped" and "CORE_STALE" in each.reasons
    ]

    assert result.data.stale["BTCUSDT"] > 100
    assert len(held) > 30
