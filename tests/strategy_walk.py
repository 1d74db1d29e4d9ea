"""A seeded market of ten instruments and the decisions along it, for golden tests of the strategy.

Only +, -, *, / and sqrt make a figure here, so that it is the same on every machine.
"""

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from random import Random

from counterpoise.domain.account import AccountView, TradingState
from counterpoise.market.view import MarketView
from counterpoise.signals.view import SignalsView
from counterpoise.strategy.decide import decide
from counterpoise.strategy.decision import Decision, DecisionInputs
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import POLICY_NAMES, StrategyParameters
from strategy_world import CYCLE_NS, NOW_NS, TIERS, encoded, market_view, signals
from strategy_world import instrument as make_instrument

CORE = "BTCUSDT"
HEDGES = ("ETHUSDT", "SOLUSDT", "XRPUSDT", "DOGEUSDT", "LTCUSDT", "ADAUSDT", "LINKUSDT")
OTHERS = ("PAXGUSDT", "AVAXUSDT")
NAMES = (CORE, *HEDGES, *OTHERS)
PARAMETERS = StrategyParameters(core_instrument=CORE, hedge_candidates=(*HEDGES, *OTHERS))


class Walk:
    """Prices, signals and an account that follows every decision at mark."""

    def __init__(self, seed: int, parameters: StrategyParameters = PARAMETERS) -> None:
        """Start with 100,000 quote and nothing held."""
        self._random = Random(seed)
        self._parameters = parameters
        self._marks = {name: Decimal(100 + 50 * place) for place, name in enumerate(NAMES)}
        self._cash = Decimal(100_000)
        self._quantities: dict[str, Decimal] = {}
        self._entries: dict[str, Decimal] = {}
        self._memory = Memory.first()
        self._now_ns = NOW_NS
        self._stress = 1.0
        self._rho = dict.fromkeys(NAMES, 0.7)
        self._sigma = {name: 0.5 + 0.05 * place for place, name in enumerate(NAMES)}

    def decisions(self, count: int) -> Iterator[tuple[DecisionInputs, Decision]]:
        """Yield `count` decisions, each on what the one before left."""
        for number in range(count):
            inputs = self._inputs(number)
            decision = decide(inputs)
            yield inputs, decision
            self._memory = decision.memory
            for change in decision.changes:
                self._fill(change.instrument_id, change.quantity * change.side.sign)
            self._move()

    def _noise(self, reach: float) -> float:
        return round((self._random.random() - 0.5) * 2.0 * reach, 6)

    def _move(self) -> None:
        self._now_ns += CYCLE_NS
        self._stress = min(max(round(self._stress + self._noise(0.35), 4), 0.4), 4.0)
        shared = self._noise(0.01 * self._stress)
        for name in NAMES:
            own = shared + self._noise(0.004)
            moved = self._marks[name] * Decimal(repr(round(1.0 + own, 6)))
            self._marks[name] = moved.quantize(Decimal("0.0001"))
            self._rho[name] = min(max(round(self._rho[name] + self._noise(0.06), 4), -0.5), 0.98)
            self._sigma[name] = max(round(self._sigma[name] + self._noise(0.03), 4), 0.1)

    def _fill(self, name: str, signed: Decimal) -> None:
        held = self._quantities.get(name, Decimal(0))
        after = held + signed
        mark = self._marks[name]
        self._cash -= signed * mark + abs(signed) * mark * Decimal("0.0005")
        if held * signed >= 0 and after != 0:
            worth = abs(held) * self._entries.get(name, mark) + abs(signed) * mark
            self._entries[name] = worth / abs(after)
        elif held * after < 0:
            self._entries[name] = mark
        self._quantities[name] = after
        if after == 0:
            del self._quantities[name]
            self._entries.pop(name, None)

    def _account(self) -> AccountView:
        equity = self._cash
        for name, quantity in self._quantities.items():
            equity += quantity * self._marks[name]
        transfers = Decimal(0)
        if self._random.random() < 0.01:
            transfers = Decimal(self._random.choice((-2_000, 3_000)))
            self._cash += transfers
            equity += transfers
        return AccountView(
            equity=equity,
            wallet_balance=self._cash,
            quantities=dict(self._quantities),
            entry_prices=dict(self._entries),
            transfers=transfers,
            age_ms=50,
            missing=("ACCOUNT_STALE",) if self._random.random() < 0.01 else (),
        )

    def _market(self) -> MarketView:
        views = {}
        for place, name in enumerate(NAMES):
            mark = self._marks[name]
            lot = Decimal("0.001") if place % 2 == 0 else Decimal("0.1")
            chance = self._random.random()
            views[name] = market_view(
                CORE,
                instrument=make_instrument(name, lot_size=lot, tiers=TIERS),
                mark=mark,
                bid=mark * Decimal("0.9999"),
                ask=mark * Decimal("1.0001"),
                funding_rate=Decimal(repr(self._noise(0.0004))),
                missing=("MARK_STALE",) if chance < 0.01 else (),
                depth_fraction=None if chance > 0.97 else round(1.4 - chance * 1.1, 4),
                spread_ratio=25.0 if chance > 0.995 else 1.0,
            )
        latency = 250.0 if self._random.random() < 0.02 else 20.0
        return MarketView(
            now_ns=self._now_ns,
            instruments=views,
            latency_ms_p50=5.0,
            latency_ms_p99=latency,
            liquidations_quote=None if latency > 200.0 else round(1_000.0 * self._stress, 2),
            liquidations_quote_high=3_950.0,
        )

    def _signals(self) -> SignalsView:
        core_sigma = self._sigma[CORE]
        table: dict[str, dict[str, float]] = {}
        for row in NAMES:
            table[row] = {
                column: 1.0
                if row == column
                else self._rho[column if row == CORE else row]
                if CORE in (row, column)
                else 0.6
                for column in NAMES
            }
        beta = {name: self._rho[name] * self._sigma[name] / core_sigma for name in NAMES}
        rho = {name: self._rho[name] for name in NAMES if name != CORE}
        return signals(
            core_id=CORE,
            sampled_ns=self._now_ns,
            history_days=dict.fromkeys(NAMES, 30.0) | {"AVAXUSDT": 1.0},
            volatility_fast={n: v * self._stress for n, v in self._sigma.items()},
            volatility_medium=dict(self._sigma),
            volatility_slow=dict(self._sigma),
            semivolatility_adverse=core_sigma * self._stress,
            stress_ratio=self._stress,
            correlation=table,
            volatility_covariance=dict(self._sigma),
            beta=beta | {CORE: 1.0},
            correlation_core_fast={n: v + self._noise(0.02) for n, v in rho.items()},
            correlation_core_medium=rho,
            volatility_correlation={n: self._noise(0.3) for n in rho},
            correlation_daily_stdev=dict.fromkeys(rho, 0.1),
            correlation_mean_fast=0.6 + 0.07 * self._stress,
            absorption_ratio=0.7,
            volatility_fast_rising=self._random.random() < 0.5,
            core_move_sigmas=self._random.random() * 6.2,
        )

    def _inputs(self, number: int) -> DecisionInputs:
        states = {60: TradingState.REDUCING, 61: TradingState.REDUCING, 90: TradingState.HALTED}
        return DecisionInputs(
            decision_id=f"{number:016x}",
            now_ns=self._now_ns,
            market=self._market(),
            account=self._account(),
            signals=self._signals(),
            memory=self._memory,
            parameters=replace(self._parameters),
            trading_state=states.get(number, TradingState.ACTIVE),
        )


#: One file per policy: a line per decision, the hash of all of it and its sentence.
GOLDEN = Path(__file__).parent / "golden" / "strategy"


def golden_lines(policy: str) -> str:
    """Return the golden file of a policy: 100 decisions of a long core, 40 of a short one."""
    lines = []
    for seed, side, count in ((1, "long", 100), (2, "short", 40)):
        walk = Walk(seed, replace(PARAMETERS, policy=policy, core_side=side))
        for _, decision in walk.decisions(count):
            digest = sha256(encoded(decision)).hexdigest()[:16]
            lines.append(f"{digest} {decision.summary}\n")
    return "".join(lines)


def write_golden() -> None:
    """Write every golden file anew; read the difference before committing it."""
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for policy in POLICY_NAMES:
        (GOLDEN / f"{policy}.txt").write_text(golden_lines(policy), encoding="utf-8")


if __name__ == "__main__":
    write_golden()
