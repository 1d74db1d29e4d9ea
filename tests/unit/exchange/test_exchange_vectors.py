"""Published and derived figures of venues (venues.md 1.1, 1.6, 2, 3.1, 5.4), number by number."""

import itertools
from decimal import Decimal

import pytest

from counterpoise.domain.instruments import MarginTier
from counterpoise.domain.orders import Liquidity
from counterpoise.exchange import bands, funding, liquidation, margin
from counterpoise.exchange.fees import fee_bps
from counterpoise.exchange.rules import BandFormula, BandRule, FundingFormula
from counterpoise.exchange.venues import binance_parameters, bybit_parameters, okx_parameters
from counterpoise.exchange.wallet import Holding, traded

D = Decimal


def one_tier(maintenance: str, deduction: str = "0") -> tuple[MarginTier, ...]:
    return (
        MarginTier(
            notional_max=None,
            maintenance_margin_fraction=D(maintenance),
            initial_margin_fraction=D("0.05"),
            maintenance_margin_deduction=D(deduction),
        ),
    )


def held(quantity: str, entry: str) -> Holding:
    return traded(Holding(instrument_id="X"), D(quantity), D(entry), 1)[0]


def test_v1_binance_cross_liquidation_prices() -> None:
    wallet = D("1535443.01")
    eth, btc = held("3683.979", "1456.84"), held("109.488", "32481.98")
    eth_mark, btc_mark = D("1335.18"), D("31967.27")
    eth_tiers, btc_tiers = one_tier("0.10", "135365"), one_tier("0.025", "16300")
    eth_needs = margin.maintenance_margin(eth_tiers, eth.quantity * eth_mark)
    btc_needs = margin.maintenance_margin(btc_tiers, btc.quantity * btc_mark)
    assert eth_needs.quantize(D("0.001")) == D("356512.508")
    assert btc_needs.quantize(D("0.00001")) == D("71200.81144")
    eth_pnl, btc_pnl = eth.unrealised_pnl(eth_mark), btc.unrealised_pnl(btc_mark)
    assert btc_pnl.quantize(D("0.01")) == D("-56354.57")
    assert eth_pnl.quantize(D("0.001")) == D("-448192.885")
    prices = [
        margin.liquidation_price(tiers, each.quantity, each.entry_price, wallet + pnl - needs, mark)
        for each, tiers, mark, pnl, needs in (
            (eth, eth_tiers, eth_mark, btc_pnl, btc_needs),
            (btc, btc_tiers, btc_mark, eth_pnl, eth_needs),
        )
    ]
    assert [each and each.quantize(D("0.01")) for each in prices] == [D("1153.26"), D("26316.89")]


@pytest.mark.parametrize(
    ("quantity", "entry", "maintenance", "deduction", "expected"),
    [
        ("3683.979", "1456.84", "0.10", "135365", "1114.78"),
        ("109.488", "32481.98", "0.025", "16300", "18778.73"),
    ],
)
def test_v2_binance_isolated(
    quantity: str, entry: str, maintenance: str, deduction: str, expected: str
) -> None:
    price = margin.liquidation_price(
        one_tier(maintenance, deduction), D(quantity), D(entry), D("1535443.01"), D(entry)
    )
    assert price is not None
    assert price.quantize(D("0.01")) == D(expected)


@pytest.mark.parametrize(
    ("quantity", "entry", "mark", "maintenance", "pnl", "notional", "initial", "needs"),
    [
        ("30", "0.385", "0.41047590", "0.0065",
         "0.76427700", "12.31427700", "0.61571385", "0.08004280"),
        ("-1", "70.92841", "49.72023376", "0.01",
         "21.20817624", "-49.72023376", "2.48601168", "0.49720233"),
    ],
)  # fmt: skip
def test_v3_binance_positions(
    quantity: str, entry: str, mark: str, maintenance: str,
    pnl: str, notional: str, initial: str, needs: str,
) -> None:  # fmt: skip
    position, tiers = held(quantity, entry), one_tier(maintenance)
    signed = position.quantity * D(mark)
    assert position.unrealised_pnl(D(mark)) == D(pnl)
    assert signed == D(notional)
    eight = D("0.00000001")
    assert margin.initial_margin(tiers, abs(signed), D(20)) == pytest.approx(D(initial), abs=eight)
    assert margin.maintenance_margin(tiers, abs(signed)) == pytest.approx(D(needs), abs=eight)


def test_v4_binance_deductions() -> None:
    tiers = binance_parameters(1).instruments[0].instrument.tiers
    caps = [50_000, 250_000, 1_000_000, 10_000_000, 20_000_000, 50_000_000, 100_000_000,
            200_000_000, 300_000_000, None]  # fmt: skip
    fractions = ["0.004", "0.005", "0.01", "0.025", "0.05", "0.1", "0.125", "0.15", "0.25", "0.5"]
    deductions = [0, 50, 1300, 16300, 266300, 1266300, 2516300, 5016300, 25016300, 100016300]
    assert [tier.notional_max for tier in tiers] == caps
    assert [tier.maintenance_margin_fraction for tier in tiers] == [D(each) for each in fractions]
    assert [tier.maintenance_margin_deduction for tier in tiers] == deductions
    assert margin.tier_of(tiers, D(264_000)).maintenance_margin_fraction == D("0.01")
    assert margin.tier_of(tiers, D(500_000)).maintenance_margin_deduction == 1300


def test_v5_binance_fills() -> None:
    taker = fee_bps(binance_parameters(1), 0, Liquidity.TAKER) / 10_000
    quantity, bought, sold = D("0.001"), D("83393.60"), D("83403.30")
    fees = [quantity * price * taker for price in (bought, sold)]
    assert fees == [D("0.04169680"), D("0.04170165")]
    _, pnl = traded(held("0.001", "83393.60"), -quantity, sold, 2)
    # The sample's PnL comes from an entry the venue kept to more digits.
    assert pnl == pytest.approx(D("0.00969999"), abs=D("0.00000001"))
    between = D("374.48970275") - fees[0]
    assert between + D("0.00969999") - fees[1] == pytest.approx(
        D("374.41600429"), abs=D("0.00000001")
    )


@pytest.mark.parametrize(
    ("quantity", "extra", "expected"), [(1, 0, 19_700), (-1, 3_000, 23_300), (1, -200, 19_900)]
)
def test_v6_bybit_isolated(quantity: int, extra: int, expected: int) -> None:
    entry, tiers = D(20_000), one_tier("0.005")
    initial = margin.initial_margin(
        (MarginTier(notional_max=None, maintenance_margin_fraction=D("0.005"),
                    initial_margin_fraction=D("0.02")),), entry, D(50),
    )  # fmt: skip
    needs = margin.maintenance_margin(tiers, entry)
    assert (initial, needs) == (400, 100)
    assert expected == liquidation.isolated_liquidation_price(
        D(quantity), entry, initial, needs, D(extra)
    )


def test_v8_okx_swap_sample() -> None:
    mark, position = D("49547.20230999925"), held("0.01", "49502.0")
    notional = mark * position.quantity
    assert margin.maintenance_margin(one_tier("0.004"), notional) == D("1.98188809239997")
    tiers = okx_parameters(1).instruments[0].instrument.tiers
    assert margin.maintenance_margin(tiers, notional) == D("1.98188809239997")
    assert margin.initial_margin(tiers, notional, D(3)) == pytest.approx(
        D("165.15734103333082"), abs=D("1e-13")
    )
    pnl = position.unrealised_pnl(mark)
    assert pnl == pytest.approx(D("0.4520231"), abs=D("1e-9"))
    # The ratio is to the initial margin at entry.
    assert pnl / (D("0.01") * D("49502.0") / 3) == pytest.approx(
        D("0.0027394232555804"), abs=D("1e-12")
    )
    fee = D("0.01") * D("50912.4") * fee_bps(okx_parameters(1), 0, Liquidity.MAKER) / 10_000
    assert fee == D("0.1018248")


def test_v9_okx_margin_ratio_counts_the_liquidation_fee() -> None:
    equity, needs = D("30979.1086748182657014"), D("762.252542219842")
    ratio = margin.margin_ratio(equity, needs, D("13.0853353"))
    assert ratio is not None
    assert ratio == pytest.approx(D("39.9556239578938079"), abs=D("1e-6"))
    assert margin.margin_ratio(equity, needs, D(0)) == pytest.approx(D("40.64"), abs=D("0.01"))
    assert margin.margin_ratio(equity, D(0), D(0)) is None


@pytest.mark.parametrize(
    ("formula", "premium", "hours", "expected"),
    [
        (FundingFormula.BINANCE, "0", 8, "0.0001"),
        (FundingFormula.BINANCE, "0.001", 8, "0.0005"),
        (FundingFormula.BINANCE, "0.0003", 4, "0.00005"),
        (FundingFormula.BINANCE, "-0.002", 8, "-0.0015"),
        (FundingFormula.BINANCE, "0.001", 1, "0.0000625"),
        (FundingFormula.OKX, "0", 8, "0.0001"),
        (FundingFormula.OKX, "0.001", 8, "0.0005"),
        (FundingFormula.OKX, "0.0003", 4, "0.00005"),
        (FundingFormula.OKX, "-0.002", 8, "-0.0015"),
        (FundingFormula.OKX, "0.001", 1, "0.0005"),
        (FundingFormula.BYBIT, "0.001", 1, "0.0005"),
    ],
)
def test_funding_rates(formula: FundingFormula, premium: str, hours: int, expected: str) -> None:
    rate = funding.funding_rate(formula, D(premium), hours, rate_max=D("0.0075"))
    assert rate == D(expected)


def test_funding_cap_and_floor_come_last() -> None:
    def rate(premium: str, hours: int) -> Decimal:
        return funding.funding_rate(
            FundingFormula.BINANCE, D(premium), hours, rate_max=D("0.003"), rate_min=D("-0.002")
        )

    assert rate("0.05", 8) == D("0.003")
    assert rate("-0.05", 8) == D("-0.002")
    # Divided first: 0.0195 / 8 is within the cap.
    assert rate("0.02", 1) == D("0.0024375")


def test_later_minutes_count_more_in_the_premium() -> None:
    average = funding.PremiumAverage()
    assert average.value == 0.0
    for minute in range(480):
        average.add(0.001 if minute >= 240 else 0.0)
    assert average.weight == 115_440
    # Minutes 241 to 480 hold (115 440 - 28 920) of 115 440.
    assert average.value == pytest.approx(0.001 * 86_520 / 115_440, rel=1e-12)
    assert funding.premium(101.0, 102.0, 100.0) == 0.01
    assert funding.premium(97.0, 98.0, 100.0) == -0.02
    assert funding.premium(99.0, 101.0, 100.0) == 0.0


def test_twenty_thousand_at_a_basis_point_costs_two() -> None:
    assert funding.funding_payment(D(20), D(1000), D("0.0001")) * 3 == -6


@pytest.mark.parametrize(
    ("mark", "index", "premium", "buy_max", "sell_min"),
    [
        (100, 100, "0", "101", "99"),
        (100, 100, "0.5", "101.5", "99"),
        (100, 100, "-3", "101", "98"),
        (90, 100, "0", "91.8", "89.1"),
    ],
)
def test_bybit_price_bands(
    mark: int, index: int, premium: str, buy_max: str, sell_min: str
) -> None:
    rule = BandRule(formula=BandFormula.BYBIT, near_fraction=D("0.01"), far_fraction=D("0.02"))
    band = bands.price_band(rule, mark=D(mark), index=D(index), premium=D(premium))
    assert (band.buy_max, band.sell_min) == (D(buy_max), D(sell_min))


@pytest.mark.parametrize(
    ("near", "far", "premium", "buy_max", "sell_min"),
    [
        ("0.01", "0.02", "0", "101", "99"),
        ("0.01", "0.02", "-2.5", "100", "98"),
        ("0.02", "0.05", "1.5", "103.5", "99.5"),
    ],
)
def test_okx_price_bands(near: str, far: str, premium: str, buy_max: str, sell_min: str) -> None:
    rule = BandRule(formula=BandFormula.OKX, near_fraction=D(near), far_fraction=D(far))
    # The mark plays no part.
    band = bands.price_band(rule, mark=D(7), index=D(100), premium=D(premium))
    assert (band.buy_max, band.sell_min) == (D(buy_max), D(sell_min))


def test_binance_percent_price() -> None:
    rule = BandRule(formula=BandFormula.MARK, near_fraction=D("0.15"))
    band = bands.price_band(rule, mark=D(200), index=D(1), premium=D(9))
    assert (band.buy_max, band.sell_min) == (230, 170)


@pytest.mark.parametrize(
    ("leverage", "fall", "rise"),
    [
        ("2", "0.25", "0.125"),
        ("2.5", "0.1", "0.05"),
        ("2.75", "0.0454545", "0.0227273"),
        ("2.8", "0.0357143", "0.0178571"),
        ("2.9", "0.0172414", "0.0086207"),
    ],
)
def test_a_ceiling_of_three_is_reached_without_a_trade(leverage: str, fall: str, rise: str) -> None:
    # A position of leverage x 100 at 100, equity 100: its mark moves and the books follow.
    for sign, move in ((1, -D(fall)), (-1, D(rise))):
        position = held(str(sign * D(leverage)), "100")
        mark = 100 * (1 + move)
        equity = 100 + position.unrealised_pnl(mark)
        assert abs(position.quantity) * mark / equity == pytest.approx(D(3), abs=D("0.00001"))


def test_bybit_ladder_is_continuous() -> None:
    for market in bybit_parameters(1).instruments:
        tiers = market.instrument.tiers
        for below, above in itertools.pairwise(tiers):
            edge = below.notional_max
            assert edge is not None
            upper = edge * above.maintenance_margin_fraction - above.maintenance_margin_deduction
            assert margin.maintenance_margin(tiers, edge) == upper


def test_pair_is_liquidated_where_the_formula_says() -> None:
    # (WB + cum - long x entry + short x entry) / (all x fraction - long + short) with equity 500:
    # 500 = needs at the price: 500 + 10 (p - 100) - 4 (p - 100) = 0.05 x 14 p.
    tiers = one_tier("0.05")
    legs = [(D(10), D(100)), (D(-4), D(100))]
    price = margin.liquidation_price_pair(tiers, legs, D(500), D(100))
    assert price == pytest.approx((D(600) - 500) / (D(6) - D("0.7")), abs=D("1e-18"))
    up = margin.liquidation_price_pair(tiers, [(D(4), D(100)), (D(-10), D(100))], D(500), D(100))
    assert up == pytest.approx(D(1100) / D("6.7"), abs=D("1e-18"))
    even = margin.liquidation_price_pair(tiers, [(D(5), D(90)), (D(-5), D(100))], D(100), D(100))
    # Locked in: 100 + 50, against 0.5 p.
    assert even == 300


def test_one_leg_is_a_pair_without_its_twin() -> None:
    tiers = binance_parameters(1).instruments[0].instrument.tiers
    for quantity in (D(2), D(-2), D(30), D(-30)):
        alone = margin.liquidation_price(tiers, quantity, D(96_400), D(400_000), D(96_000))
        paired = margin.liquidation_price_pair(
            tiers, [(quantity, D(96_400))], D(400_000), D(96_000)
        )
        if alone is None:
            assert paired is None
        else:
            assert paired == pytest.approx(alone, abs=D("1e-15"))
