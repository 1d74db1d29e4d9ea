"""Hedge effectiveness counted in the plainest way; imports nothing of the product."""

import itertools
import statistics
from collections.abc import Iterable
from typing import Any

Row = dict[str, Any]


def hedge_effectiveness(
    decisions: Iterable[Row], markets: Iterable[Row], signals: Iterable[Row], *, core: str
) -> dict[str, float]:
    """Return the figures of one account over all its cycles."""
    market: dict[str, dict[str, Row]] = {}
    for row in markets:
        market.setdefault(row["decision_id"], {})[row["instrument_id"]] = row
    signal = {(row["decision_id"], row["instrument_id"]): row for row in signals}
    cycles = sorted(
        (row for row in decisions if row["kind"] == "cycle"), key=lambda row: row["decided_ns"]
    )
    core_pnl, book_pnl, net_seconds = [], [], 0.0
    core_predicted = book_predicted = 0.0
    for before, after in itertools.pairwise(cycles):
        seconds = (after["decided_ns"] - before["decided_ns"]) / 1e9
        profit: dict[str, float] = {}
        net, own = 0.0, 0.0
        core_variance = 0.0
        for name, row in market[after["decision_id"]].items():
            earlier = market[before["decision_id"]][name]
            quantity, mark = float(row["quantity"]), float(earlier["mark"])
            profit[name] = quantity * (float(row["mark"]) - mark)
            seen = signal[before["decision_id"], name]
            if name == core:
                core_variance = seen["volatility_medium"] ** 2
                core_predicted += (quantity * mark) ** 2 * core_variance * seconds
                net += quantity * mark
            elif quantity:
                net += quantity * mark * seen["beta"]
                own += (quantity * mark * seen["volatility_medium"]) ** 2 * (
                    1 - seen["correlation_medium"] ** 2
                )
        book_predicted += (net**2 * core_variance + own) * seconds
        net_seconds += abs(net) * seconds
        core_pnl.append(profit[core])
        book_pnl.append(sum(profit.values()))
    slope = statistics.covariance(core_pnl, book_pnl) / statistics.variance(core_pnl)
    removed = statistics.stdev(core_pnl) - statistics.stdev(book_pnl)
    return {
        "intervals": len(core_pnl),
        "core_pnl": sum(core_pnl),
        "hedge_pnl": sum(book_pnl) - sum(core_pnl),
        "variance_reduction": 1 - statistics.variance(book_pnl) / statistics.variance(core_pnl),
        "variance_reduction_predicted": 1 - book_predicted / core_predicted,
        "residual_beta": slope,
        "net_beta_dollar_seconds": net_seconds,
        "risk_removed": removed * len(core_pnl) ** 0.5,
    }
