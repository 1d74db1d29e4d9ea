"""Small markets for tests of the laboratory: bars in memory, or written as Parquet files."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np

from counterpoise.domain.units import NS_PER_MS, NS_PER_SECOND
from counterpoise.lab.assumptions import Assumptions
from counterpoise.lab.backtest import PolicyRun, run_policies
from counterpoise.lab.bars import BarTable
from counterpoise.lab.funding import FundingHistory, assumed_funding
from counterpoise.lab.tape import Tape, make_frame, make_tape, signal_views
from counterpoise.risk.guard import GuardParameters
from counterpoise.strategy.parameters import StrategyParameters

START_NS = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp()) * NS_PER_SECOND
DAY_NS = 86_400 * NS_PER_SECOND

#: Open, high, low, close.
Bar = tuple[float, float, float, float]


def table(columns: dict[str, list[Bar]], step_seconds: int = 900, volume: float = 1e6) -> BarTable:
    """Return bars of equal count from START_NS on."""
    prices = np.array(list(columns.values()), dtype=np.float64).transpose(2, 1, 0)
    rows = prices.shape[1]
    return BarTable(
        instrument_ids=tuple(columns),
        step_seconds=step_seconds,
        open_ns=START_NS + np.arange(rows, dtype=np.int64) * step_seconds * NS_PER_SECOND,
        open=prices[0],
        high=prices[1],
        low=prices[2],
        close=prices[3],
        volume=np.full(prices.shape[1:], volume),
    )


def quiet(price: float, count: int = 288) -> list[Bar]:
    """Return bars that stand still: three days of a quarter of an hour each."""
    return [(price, price, price, price)] * count


def walk(
    names: tuple[str, ...], rows: int, seed: int, step_seconds: int = 300, scale: float = 0.001
) -> BarTable:
    """Return correlated random bars."""
    random = np.random.default_rng(seed)
    shared = random.normal(0.0, scale, rows)[:, None]
    own = random.normal(0.0, scale, (rows, len(names)))
    closes = 100.0 * np.exp(np.cumsum(shared + 0.7 * own, axis=0))
    opens = np.vstack((np.full((1, len(names)), 100.0), closes[:-1]))
    reach = np.abs(random.normal(0.0, scale, (2, rows, len(names))))
    return BarTable(
        instrument_ids=names,
        step_seconds=step_seconds,
        open_ns=START_NS + np.arange(rows, dtype=np.int64) * step_seconds * NS_PER_SECOND,
        open=opens,
        high=np.maximum(opens, closes) * (1.0 + reach[0]),
        low=np.minimum(opens, closes) * (1.0 - reach[1]),
        close=closes,
        volume=np.full((rows, len(names)), 1e6),
    )


def tape_of(
    bars: BarTable,
    assumptions: Assumptions,
    funding: tuple[FundingHistory, ...] | None = None,
    start_ns: int | None = None,
) -> Tape:
    """Return the tape of a long core, the first column."""
    frame = make_frame(bars, start_ns, None)
    views = signal_views(frame, 1, 0, len(frame.times_ns))
    none = tuple(assumed_funding(Decimal(0)) for _ in bars.instrument_ids)
    return make_tape(frame, views, 1, funding or none, assumptions)


def charged(times_ns: list[int], rates: list[str]) -> FundingHistory:
    """Return a recorded funding history."""
    return FundingHistory(
        source="venue",
        times_ns=np.array(times_ns, dtype=np.int64),
        rates=tuple(Decimal(rate) for rate in rates),
        intervals_ns=np.full(len(times_ns), 8 * 3_600 * NS_PER_SECOND, dtype=np.int64),
    )


def ran(
    tape: Tape,
    assumptions: Assumptions,
    guard: GuardParameters | None = None,
    **changes: object,
) -> PolicyRun:
    """Return a finished run with details."""
    ids = tape.instrument_ids
    values: dict[str, object] = {"core_instrument": ids[0], "hedge_candidates": ids[1:]}
    parameters = StrategyParameters(**{**values, **changes})  # type: ignore[arg-type]
    policy_run = PolicyRun(tape, parameters, assumptions, guard or GuardParameters(), details=True)
    run_policies(tape, [policy_run])
    return policy_run


def write(folder: Path, bars: BarTable) -> None:
    """Write bars as the laboratory reads them."""
    import pyarrow as pa
    from pyarrow import parquet

    unit = {60: "1m", 300: "5m", 900: "15m", 3_600: "1h"}[bars.step_seconds]
    directory = folder / f"ohlcv_{unit}"
    directory.mkdir(parents=True)
    for column, name in enumerate(bars.instrument_ids):
        there = ~np.isnan(bars.close[:, column])
        parts = {"ts": bars.open_ns[there] // NS_PER_MS}
        for field in ("open", "high", "low", "close", "volume"):
            parts[field] = getattr(bars, field)[there, column]
        parquet.write_table(pa.table(parts), directory / f"{name}.parquet")
