"""What vectorbt and backtrader make of the same bars; run by `backtest.py` in their interpreter.

Both rebalance to fixed weights every 15 minutes with a fee. backtrader gets a few days, since its
speed does not depend on their number.
"""

import json
import sys
import time

import numpy as np

EVERY = 15
FEE = 0.0005
DAYS_BACKTRADER = 3


def vectorbt(bars: dict[str, np.ndarray]) -> float:
    """Return symbol-bars per second of `Portfolio.from_orders`, compiled before."""
    import pandas as pd
    import vectorbt as vbt

    close = pd.DataFrame(bars["close"])
    weights = np.full(close.shape, np.nan)
    random = np.random.default_rng(3)
    rows = range(0, len(close), EVERY)
    weights[::EVERY] = random.uniform(0.02, 0.1, (len(rows), close.shape[1]))

    def once(count: int) -> float:
        began = time.process_time()
        portfolio = vbt.Portfolio.from_orders(
            close.iloc[:count],
            size=weights[:count],
            size_type="targetpercent",
            group_by=True,
            cash_sharing=True,
            call_seq="auto",
            fees=FEE,
            init_cash=100_000.0,
            freq="1min",
        )
        portfolio.final_value()
        return time.process_time() - began

    once(EVERY * 10)
    return close.size / min(once(len(close)) for _ in range(3))


def backtrader(bars: dict[str, np.ndarray]) -> float:
    """Return symbol-bars per second of a strategy that rebalances."""
    import backtrader as bt
    import pandas as pd

    rows = min(DAYS_BACKTRADER * 1_440, len(bars["close"]))
    columns = bars["close"].shape[1]

    class Rebalance(bt.Strategy):
        def next(self) -> None:
            if len(self) % EVERY == 0:
                for place, data in enumerate(self.datas):
                    self.order_target_percent(data, target=0.02 + 0.008 * ((place + len(self)) % 9))

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.broker.setcash(100_000.0)
    cerebro.broker.setcommission(commission=FEE)
    cerebro.addstrategy(Rebalance)
    index = pd.date_range("2026-01-01", periods=rows, freq="1min")
    for column in range(columns):
        frame = pd.DataFrame({f: bars[f][:rows, column] for f in bars}, index=index)
        cerebro.adddata(bt.feeds.PandasData(dataname=frame))
    began = time.process_time()
    cerebro.run()
    return rows * columns / (time.process_time() - began)


def main() -> None:
    """Print one JSON object: name -> symbol-bars per second, for what can be imported."""
    bars = dict(np.load(sys.argv[1]))
    found = {}
    for name, measure in (("vectorbt from_orders", vectorbt), ("backtrader", backtrader)):
        try:
            found[name] = measure(bars)
        except ImportError as missing:
            sys.stderr.write(f"{name} is left out: {missing}\n")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
