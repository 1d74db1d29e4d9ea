import numpy as np
import pytest

from counterpoise.exchange.scenarios.parsing import scenario_from_dict
from counterpoise.exchange.venues import okx_parameters
from counterpoise.lab.stress.markets import BAR_SECONDS, play
from counterpoise.lab.stress.running import signals_before
from counterpoise.lab.stress.tapes import make_stress_tape
from counterpoise.simulator.scenarios import load_scenario

PARAMETERS = okx_parameters(0)
NAMES = tuple(each.instrument.instrument_id for each in PARAMETERS.instruments)
STORM = scenario_from_dict(
    {
        "name": "storm",
        "summary": "A fall.",
        "phases": [
            {
                "name": "gust",
                "start_seconds": 300,
                "seconds": 300,
                "markets": {
                    "BTCUSDT": {"move": -0.05, "depth": 0.1, "spread": 50, "volatility": 4},
                    "default": {"move": -0.2, "depth": 0.1, "spread": 50, "volatility": 4},
                },
            }
        ],
        "faults": [
            {"at_seconds": 600, "kind": "silent_streams", "duration_seconds": 300},
            {"at_seconds": 900, "kind": "force_reduce", "arguments": {"symbol": "ETHUSDT"}},
            {"at_seconds": 910, "kind": "delay", "arguments": {"seconds": 3.0}},
        ],
    }
)


def arrays(markets, place):
    return [
        getattr(markets, name)[place]
        for name in ("open", "high", "low", "close", "half_spread_bps", "depth_fraction", "premium")
    ]


def test_a_seed_is_the_same_alone_and_among_others():
    together = play(PARAMETERS, STORM, (7, 8, 9, 10, 11), 1_200)
    alone = play(PARAMETERS, STORM, (9,), 1_200)
    for one, other in zip(arrays(together, 2), arrays(alone, 0), strict=True):
        assert np.array_equal(one, other)
    assert np.array_equal(together.fault_draws[2], alone.fault_draws[0])
    assert not np.array_equal(together.close[1], together.close[2])


def test_the_script_s_moves_are_met():
    markets = play(PARAMETERS, STORM, range(5), 1_200)
    before, after = (markets.close[:, seconds // BAR_SECONDS - 1] for seconds in (300, 600))
    moves = after / before - 1.0
    # The index is met to the tick; what is left is the mark's basis.
    assert moves[:, 0] == pytest.approx(np.full(5, -0.05), abs=0.006)
    assert moves[:, 1:] == pytest.approx(np.full((5, len(NAMES) - 1), -0.2), abs=0.008)


def test_books_empty_out_in_the_storm():
    markets = play(PARAMETERS, STORM, (1,), 1_200)
    calm, storm = (slice(0, 15), slice(30, 40))
    assert markets.depth_fraction[0, storm].max() <= 0.1 + 0.02
    assert markets.depth_fraction[0, calm].min() > 0.15
    ratio = markets.half_spread_bps[0, storm].min(axis=0) / markets.half_spread_bps[0, calm].min(0)
    assert ratio.min() > 20


def test_bars_hold_together():
    markets = play(PARAMETERS, STORM, (1, 2), 1_200)
    assert np.array_equal(markets.open[:, 1:], markets.close[:, :-1])
    assert (markets.high >= np.maximum(markets.open, markets.close)).all()
    assert (markets.low <= np.minimum(markets.open, markets.close)).all()
    ticks = np.array([float(each.instrument.tick_size) for each in PARAMETERS.instruments])
    steps = markets.close / ticks
    assert np.abs(steps - np.rint(steps)).max() < 1e-6
    # Written as people write it: the float nearest to the decimal.
    assert all(len(repr(price)) <= 8 for price in markets.close[0, :, 0].tolist())


def test_a_tape_knows_books_darkness_and_what_is_taken():
    markets = play(PARAMETERS, STORM, (3,), 1_800)
    tape, taken = make_stress_tape(
        PARAMETERS, STORM, markets, 0, 1, signals_before("okx", NAMES, 1)
    )
    opening, later = tape.instant(0), tape.instant(1)
    for name in NAMES:
        view = opening.market.instruments[name]
        assert view.bid < view.mark < view.ask
        assert view.depth_fraction == pytest.approx(1.0, abs=0.5)
        assert opening.signals.history_days[name] > 29
    # 15:15 is the second decision; the streams were silent until 15:00.
    assert later.market.instruments["BTCUSDT"].missing == ()
    assert tape.costs.closed[40:60].all()
    assert not tape.costs.closed[:40].any()
    assert not tape.costs.closed[60:].any()
    assert [(each.point, each.instrument_id) for each in taken] == [(60 * 4, "ETHUSDT")]


def test_funding_is_charged_by_the_scenario_s_interval():
    cascade = load_scenario("cascade_2025_10_10")
    markets = play(PARAMETERS, cascade, (3,), 7_200)
    tape, _ = make_stress_tape(PARAMETERS, cascade, markets, 0, 1, signals_before("okx", NAMES, 1))
    first, *charges = tape.funding[1].times_ns.tolist()
    assert (first // 10**9) % 28_800 == 0
    # Hourly only while the script says so.
    assert [(at - first) // 10**9 for at in charges] == [3_600]
    assert tape.funding[1].rates[1] < 0
