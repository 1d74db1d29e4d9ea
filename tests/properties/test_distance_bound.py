"""The cheap bound on the liquidation distance never calls a book distant that is not."""

from decimal import Decimal

from hypothesis import event, given, settings
from hypothesis import strategies as st

from counterpoise.domain.instruments import MarginTier
from counterpoise.strategy import limits
from strategy_world import (
    CORE,
    ETH,
    MARKS,
    PARAMETERS,
    SOL,
    XRP,
    instrument,
    market,
    market_view,
    signals,
)

leg = st.floats(-2.0, 2.0).map(lambda value: round(value, 4))
volatility = st.floats(0.1, 3.0).map(lambda value: round(value, 3))


@st.composite
def tiers(draw: st.DrawFn) -> tuple[MarginTier, ...]:
    bounds = sorted(draw(st.sets(st.integers(5_000, 300_000), max_size=3)))
    rates = sorted(draw(st.lists(st.integers(3, 150), min_size=4, max_size=4)))
    found = []
    for bound, rate in zip([*map(Decimal, bounds), None], rates, strict=False):
        fraction = Decimal(rate) / 1000
        found.append(
            MarginTier(
                notional_max=bound,
                maintenance_margin_fraction=fraction,
                initial_margin_fraction=fraction * 2,
                maintenance_margin_deduction=Decimal(draw(st.integers(0, 50))),
            )
        )
    return tuple(found)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries({}, optional={CORE: leg, ETH: leg, SOL: leg, XRP: leg}),
    st.fixed_dictionaries(dict.fromkeys(MARKS, volatility)),
    st.fixed_dictionaries({name: tiers() for name in MARKS}),
    st.floats(0.05, 0.9),
    st.integers(1_000, 500_000),
)
def test_what_is_surely_distant_is_distant(
    legs: dict[str, float],
    sigma: dict[str, float],
    table: dict[str, tuple[MarginTier, ...]],
    limit: float,
    worth: int,
) -> None:
    views = {
        name: market_view(name, instrument=instrument(name, tiers=table[name])) for name in MARKS
    }
    equity = Decimal(worth)
    given_book = (legs, equity, market(views), signals(volatility_covariance=sigma), PARAMETERS)
    sure = limits.surely_distant(*given_book, limit)
    event(f"sure: {sure}")
    exact = limits.margin_legs(*given_book)
    assert exact is not None
    if sure:
        assert limits.liquidation_distance(exact, equity) >= limit
        assert limits.distance_factor(exact, equity, limit) == 1.0


def test_a_leg_without_tiers_or_volatility_is_never_sure() -> None:
    bare = market({ETH: market_view(ETH, instrument=instrument(ETH, tiers=()))})
    legs = {ETH: 0.01}
    assert limits.surely_distant(legs, Decimal(1000), market(), signals(), PARAMETERS, 0.1)
    assert not limits.surely_distant(legs, Decimal(1000), bare, signals(), PARAMETERS, 0.1)
    unknown = signals(volatility_covariance={CORE: 0.5})
    assert not limits.surely_distant(legs, Decimal(1000), market(), unknown, PARAMETERS, 0.1)
