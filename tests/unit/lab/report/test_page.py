import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from counterpoise.domain.errors import DataError
from counterpoise.lab.report import figures, page, thinning
from counterpoise.lab.result import (
    DataFacts,
    Interval,
    LabResult,
    PolicyResult,
    Series,
)
from counterpoise.strategy.parameters import StrategyParameters

NAMES = ("BTCUSDT", "ETHUSDT", "SOLUSDT")
MINUTE_NS = 60_000_000_000
COUNT = 4_000


def policy(name, seed):
    draws = np.random.default_rng(seed)
    equity = 10_000.0 * np.exp(np.cumsum(draws.normal(0, 0.002, COUNT)))
    peaks = np.maximum.accumulate(equity)
    leverage = np.full(COUNT, 2.0)
    leverage[1_234] = 2.97
    legs = np.tile([1.5, -0.5, 0.0], (COUNT, 1))
    metrics = {
        "return_fraction": float(equity[-1] / equity[0] - 1.0),
        "drawdown_max_fraction": float(np.max(1.0 - equity / peaks)),
        "hedge_effectiveness": None,
        "liquidations": 0,
        "leverage_max": 2.97,
    }
    series = Series(
        times_ns=np.arange(COUNT, dtype=np.int64) * 15 * MINUTE_NS,
        equity=equity,
        equity_low=equity,
        equity_high=equity,
        drawdown=1.0 - equity / peaks,
        leverage=np.full(COUNT, 2.0),
        leverage_max=leverage,
        leverage_max_adverse=leverage,
        net_beta=np.full(COUNT, 0.9),
        legs=legs,
        fees=np.linspace(0, 40, COUNT),
        slippage=np.linspace(0, 20, COUNT),
        funding=np.linspace(0, -12, COUNT),
        traded_notional=np.linspace(0, 90_000, COUNT),
        regime=np.zeros(COUNT, dtype=np.int8),
    )
    return PolicyResult(
        name=name,
        parameters=StrategyParameters(core_instrument="BTCUSDT", hedge_candidates=NAMES[1:]),
        series=series,
        days=np.arange(40),
        day_returns=np.zeros(40),
        metrics=metrics,
        extras={"trades": 12},
        intervals={"return_fraction": Interval(low=-0.25, high=0.5)},
    )


@pytest.fixture
def result():
    times = np.arange(COUNT, dtype=np.int64) * 15 * MINUTE_NS
    waves = np.sin(np.arange(COUNT) / 300.0)
    return LabResult(
        data=DataFacts(
            instrument_ids=NAMES,
            core_id="BTCUSDT",
            bar_seconds=300,
            bars_from_ns=0,
            bars_to_ns=int(times[-1]),
            decisions_from_ns=0,
            decisions_to_ns=int(times[-1]),
            decisions_from_reason="three days of history",
            gaps={"BTCUSDT": 0, "ETHUSDT": 4, "SOLUSDT": 0},
            stale={"BTCUSDT": 120, "ETHUSDT": 0, "SOLUSDT": 0},
            funding={"BTCUSDT": "proxy", "ETHUSDT": "proxy", "SOLUSDT": "assumed"},
            assumptions={"venue": "okx", "words": "<script>alert(1)</script>"},
        ),
        policies={"counterpoise": policy("counterpoise", 1), "static_hedge": policy("static", 2)},
        times_ns=times,
        correlation=np.stack([np.ones(COUNT), 0.6 + 0.3 * waves, -0.2 * waves], axis=1),
        marks=np.ones((COUNT, 3)),
    )


class Reading(HTMLParser):
    """Every tag with its attributes, every table cell's mark, and the text of scripts by id."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.cells, self.scripts = [], {}, {}
        self._script = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        if "data-key" in attributes:
            key = (attributes["data-policy"], attributes["data-key"])
            self.cells[key] = json.loads(attributes["data-value"])
        if tag == "script":
            self._script = attributes.get("id", "")

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, data):
        if self._script:
            self.scripts[self._script] = self.scripts.get(self._script, "") + data


def test_the_page_loads_nothing(result):
    text = page.render(result, title="a run")
    reading = Reading(text)
    loading = {"src", "href", "srcset", "data", "poster", "action", "background"}
    loads = [
        (tag, name) for tag, attributes in reading.tags for name in attributes if name in loading
    ]
    assert loads == []
    assert {"link", "iframe", "img", "object", "embed"} & {tag for tag, _ in reading.tags} == set()
    (policy,) = [a["content"] for tag, a in reading.tags if a.get("http-equiv")]
    assert "default-src 'none'" in policy
    assert "http" not in policy
    style = text[text.index("<style>") : text.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_page_says_the_same_numbers_as_the_result(result):
    reading = Reading(page.render(result, title="a run"))
    told = json.loads(reading.scripts[page.FIGURES_ID])
    for name, policy in result.policies.items():
        expected = policy.metrics | policy.extras
        assert told[name]["figures"] == expected
        assert told[name]["intervals"] == {"return_fraction": [-0.25, 0.5]}
        cells = {key: v for (owner, key), v in reading.cells.items() if owner == policy.name}
        assert cells == expected


def test_the_table_shows_figures_and_intervals_to_people(result):
    text = page.render(result, title="a run")
    metrics = result.policies["counterpoise"].metrics
    assert f">{metrics['return_fraction'] * 100:.2f} %<small>-25.00 % to 50.00 %</small>" in text
    assert "ETHUSDT 4" in text
    assert "SOLUSDT: assumed" in text
    assert "not the venue&#x27;s own" in text or "not the venue's own" in text


def test_what_is_written_in_it_is_never_run(result):
    text = page.render(result, title="<b>&")
    assert "<script>alert(1)" not in text
    assert "<title>&lt;b&gt;&amp;</title>" in text


def test_the_same_result_gives_the_same_page(result):
    assert page.render(result, title="a run") == page.render(result, title="a run")


def test_a_chart_for_each_question_and_one_of_legs_for_each_policy(result):
    text = page.render(result, title="a run")
    headings = re.findall(r"<h2>([^<]*)</h2>", text)
    assert headings == [
        "Figures",
        "Equity",
        "Drawdown",
        "Leverage",
        "Correlation",
        "Costs and funding",
        "Legs of counterpoise",
        "Legs of static_hedge",
        "Assumptions",
    ]


def test_a_spike_of_leverage_survives_the_thinning(result):
    figure = figures.leverage(result)
    assert max(figure.data[0].y) == 2.97
    assert len(figure.data[0].y) <= thinning.POINTS_MAX
    assert figure.layout.shapes[0].y0 == 3.0


def test_infinite_leverage_is_drawn_at_the_top_and_told_as_infinite(result):
    ruined = result.policies["counterpoise"]
    series = replace(ruined.series, leverage_max=np.full(COUNT, np.inf))
    metrics = ruined.metrics | {"leverage_max": float("inf")}
    ruined = replace(ruined, series=series, metrics=metrics)
    changed = replace(result, policies={"ruined": ruined})
    assert set(figures.leverage(changed).data[0].y) == {figures.LEVERAGE_DRAWN_MAX}
    text = page.render(changed, title="a run")
    assert ">infinite<" in text
    assert json.loads(Reading(text).scripts[page.FIGURES_ID])["ruined"]["figures"][
        "leverage_max"
    ] == ("inf")


def test_the_drawdown_drawn_is_the_deepest_of_each_bucket(result):
    figure = figures.drawdown(result)
    expected = result.policies["counterpoise"].metrics["drawdown_max_fraction"]
    assert -min(figure.data[0].y) == expected


def test_nothing_to_show_is_refused(result):
    with pytest.raises(DataError, match="at least one policy"):
        page.render(replace(result, policies={}), title="a run")


@pytest.mark.parametrize("count", [1, 5, 1_500, 1_501, 9_999])
def test_buckets_end_at_the_last_point(count):
    at = thinning.places(count)
    assert at[-1] == count - 1
    assert len(at) <= thinning.POINTS_MAX
    assert np.all(np.diff(at) > 0)
    values = np.arange(count, dtype=np.float64)
    assert thinning.highest(values, at).tolist() == at.tolist()
