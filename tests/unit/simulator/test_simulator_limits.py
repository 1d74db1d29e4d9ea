"""OKX's counts of orders: one too many is refused, and two seconds later it is not."""

import pytest

from counterpoise.simulator.okx.limits import (
    ACCOUNT_MAX,
    BATCH_MAX,
    SINGLE_MAX,
    WINDOW_SECONDS,
    Limits,
)


class Watch:
    def __init__(self):
        self.seconds = 100.0

    def __call__(self):
        return self.seconds


@pytest.mark.parametrize(
    ("operation", "most"), [("place", SINGLE_MAX), ("cancel batch", BATCH_MAX)]
)
def test_the_window_of_one_instrument(operation, most):
    watch = Watch()
    limits = Limits(watch)
    assert all(limits.grant(operation, "BTC-USDT-SWAP") for _ in range(most))
    assert not limits.grant(operation, "BTC-USDT-SWAP")
    assert limits.grant(operation, "ETH-USDT-SWAP")
    assert limits.grant("amend", "BTC-USDT-SWAP")
    watch.seconds += WINDOW_SECONDS
    assert limits.grant(operation, "BTC-USDT-SWAP")


def test_without_a_clock_nothing_is_counted():
    limits = Limits(None)
    assert all(limits.grant("place", "BTC-USDT-SWAP") for _ in range(2 * SINGLE_MAX))


def test_the_window_of_the_account():
    watch = Watch()
    limits = Limits(watch)
    assert all(limits.grant_account() for _ in range(ACCOUNT_MAX))
    assert not limits.grant_account()
    watch.seconds += WINDOW_SECONDS
    assert limits.grant_account()
    assert Limits(None).grant_account()
