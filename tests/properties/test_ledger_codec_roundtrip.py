"""Whatever a decision was given reads back equal from its row."""

from hypothesis import given, settings
from hypothesis import strategies as st

from counterpoise.domain.account import AccountView
from counterpoise.domain.instruments import Instrument, InstrumentState, MarginTier
from counterpoise.ledger import codec
from counterpoise.market.view import InstrumentView, MarketView
from counterpoise.signals.view import SignalsView

decimals = st.decimals(allow_nan=False, allow_infinity=False)
positive = st.decimals(min_value="0.00000001", max_value="1e12", allow_nan=False)
floats = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=6)
whole = st.integers(min_value=0, max_value=2**62)
by_name = st.dictionaries(texts, floats, max_size=3)

tiers = st.builds(
    MarginTier,
    notional_max=st.none() | decimals,
    maintenance_margin_fraction=decimals,
    initial_margin_fraction=decimals,
    maintenance_margin_deduction=decimals,
)
instruments = st.builds(
    Instrument,
    instrument_id=texts,
    base=texts,
    quote=texts,
    settle=texts,
    tick_size=positive,
    lot_size=positive,
    quantity_min=positive,
    notional_min=st.none() | decimals,
    market_quantity_max=st.none() | decimals,
    limit_quantity_max=st.none() | decimals,
    state=st.sampled_from(InstrumentState),
    tiers=st.lists(tiers, max_size=2).map(tuple),
)
instrument_views = st.builds(
    InstrumentView,
    instrument=instruments,
    mark=st.none() | decimals,
    index=st.none() | decimals,
    bid=st.none() | decimals,
    ask=st.none() | decimals,
    depth_quote=st.none() | decimals,
    funding_rate=st.none() | decimals,
    funding_ns=st.none() | whole,
    funding_interval_hours=st.none() | decimals,
    mark_age_ms=st.none() | whole,
    book_age_ms=st.none() | whole,
    depth_fraction=st.none() | floats,
    spread_ratio=st.none() | floats,
    missing=st.lists(texts, max_size=2).map(tuple),
)
market_views = st.builds(
    MarketView,
    now_ns=whole,
    instruments=st.dictionaries(texts, instrument_views, max_size=2),
    latency_ms_p50=st.none() | floats,
    latency_ms_p99=st.none() | floats,
)
account_views = st.builds(
    AccountView,
    equity=st.none() | decimals,
    wallet_balance=st.none() | decimals,
    quantities=st.dictionaries(texts, decimals, max_size=3),
    entry_prices=st.dictionaries(texts, decimals, max_size=3),
    transfers=decimals,
    age_ms=st.none() | whole,
    missing=st.lists(texts, max_size=2).map(tuple),
)
signals_views = st.builds(
    SignalsView,
    core_id=texts,
    sampled_ns=st.none() | whole,
    horizon_seconds=whole,
    history_days=by_name,
    volatility_fast=by_name,
    volatility_medium=by_name,
    volatility_slow=by_name,
    semivolatility_adverse=st.none() | floats,
    stress_ratio=st.none() | floats,
    correlation=st.dictionaries(texts, by_name, max_size=2),
    volatility_covariance=by_name,
    beta=by_name,
    correlation_core_fast=by_name,
    correlation_core_medium=by_name,
    volatility_correlation=by_name,
    correlation_daily_stdev=by_name,
    correlation_mean_fast=st.none() | floats,
    absorption_ratio=st.none() | floats,
    volatility_fast_rising=st.none() | st.booleans(),
    core_move_sigmas=st.none() | floats,
)


@settings(max_examples=60, deadline=None)
@given(market_views)
def test_market_views_read_back_equal(view: MarketView) -> None:
    text = codec.encode(view)
    assert codec.decode(text, MarketView) == view
    assert codec.encode(codec.decode(text, MarketView)) == text


@settings(max_examples=60, deadline=None)
@given(account_views)
def test_account_views_read_back_equal(view: AccountView) -> None:
    text = codec.encode(view)
    assert codec.decode(text, AccountView) == view
    assert codec.encode(codec.decode(text, AccountView)) == text


@settings(max_examples=60, deadline=None)
@given(signals_views)
def test_signals_views_read_back_equal(view: SignalsView) -> None:
    text = codec.encode(view)
    assert codec.decode(text, SignalsView) == view
    assert codec.encode(codec.decode(text, SignalsView)) == text
