"""A mark that stands still while its book falls: nothing grows, and nothing else changes."""

from decimal import Decimal

from counterpoise.domain.orders import ApprovedOrder, Side
from counterpoise.engine import views
from counterpoise.market.divergence import MARK_DIVERGENCE_MAX
from counterpoise.risk import gate
from counterpoise.risk.denials import Denial, DenialReason
from engine_world import World, ready
from risk_world import intent

CORE, ETH = "BTCUSDT", "ETHUSDT"


def fallen(mark: str) -> World:
    """Return a book of 2.5 times the equity at mark whose core trades at 40,000."""
    world = ready(positions={CORE: ("0.3", "50000"), ETH: ("-4", "2500")})
    world.after(1)
    world.book(CORE, Decimal(40_000))
    world.mark(CORE, mark)
    return world


def test_a_mark_repeated_while_the_book_falls_lets_nothing_grow() -> None:
    world = fallen("50000")
    view = views.risk_view(world.state, world.state.market.view(world.now_ns))
    # At the mark leverage is 2.5; at the book it is 3.1 already.
    for name, limit in ((CORE, "40080"), (ETH, "2500")):
        wish = intent(name, quantity=Decimal("0.05"), price_limit=Decimal(limit), side=Side.BUY)
        answer = gate.approve_increase(wish, view)
        assert isinstance(answer, Denial)
        assert answer.reason is DenialReason.MARK_DIVERGES
        assert answer.figures["instrument_id"] == CORE
    cut = intent(CORE, quantity=Decimal("0.05"), side=Side.SELL, reduce_only=True)
    assert isinstance(gate.approve_reduction(cut, view), ApprovedOrder)


def test_a_mark_that_follows_its_book_denies_nothing_by_itself() -> None:
    world = fallen("40300")
    view = views.risk_view(world.state, world.state.market.view(world.now_ns))
    assert view.divergences[CORE] < MARK_DIVERGENCE_MAX
    wish = intent(CORE, quantity=Decimal("0.001"), price_limit=Decimal(40_080), side=Side.BUY)
    answer = gate.approve_increase(wish, view)
    assert not isinstance(answer, Denial) or answer.reason is not DenialReason.MARK_DIVERGES
