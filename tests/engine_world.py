"""A small engine with marks, books and an account, for tests that feed it events."""

from dataclasses import dataclass, field
from decimal import Decimal

from counterpoise.domain.account import AccountSnapshot, Balance, OpenOrder, Position
from counterpoise.domain.events import (
    AccountReconciled,
    BookSnapshot,
    Event,
    FillReported,
    MarkPrice,
    OrderUpdate,
    PositionUpdate,
    StreamAlive,
    StreamName,
    UpdateSource,
)
from counterpoise.domain.instruments import Instrument, MarginTier
from counterpoise.domain.orders import ApprovedOrder, Fill, OrderState
from counterpoise.domain.records import Record
from counterpoise.domain.units import NS_PER_SECOND
from counterpoise.engine import actions
from counterpoise.engine.account import Account
from counterpoise.engine.execution_parameters import ExecutionParameters
from counterpoise.engine.order_tracker import OrderTracker
from counterpoise.engine.run import Run
from counterpoise.engine.state import State
from counterpoise.engine.step import step
from counterpoise.ledger import codec
from counterpoise.market.freshness import FreshnessLimits
from counterpoise.market.state import Market
from counterpoise.risk.guard import GuardParameters
from counterpoise.risk.view import RiskLimits
from counterpoise.signals.parameters import SignalParameters
from counterpoise.signals.state import Signals
from counterpoise.strategy.memory import Memory
from counterpoise.strategy.parameters import StrategyParameters

START_NS = 1_790_000_000 * NS_PER_SECOND

TIERS = (
    MarginTier(
        notional_max=Decimal(10_000_000),
        maintenance_margin_fraction=Decimal("0.004"),
        initial_margin_fraction=Decimal("0.01"),
    ),
)


def instrument(instrument_id: str, *, tick: str, lot: str) -> Instrument:
    """Return a live instrument."""
    return Instrument(
        instrument_id=instrument_id,
        base=instrument_id.removesuffix("USDT"),
        quote="USDT",
        settle="USDT",
        tick_size=Decimal(tick),
        lot_size=Decimal(lot),
        quantity_min=Decimal(lot),
        tiers=TIERS,
    )


INSTRUMENTS = (
    instrument("BTCUSDT", tick="0.1", lot="0.0001"),
    instrument("ETHUSDT", tick="0.01", lot="0.001"),
)
MARKS = {"BTCUSDT": Decimal(50_000), "ETHUSDT": Decimal(2_500)}


def make_run(**changed: object) -> Run:
    """Return a run with the product's defaults."""
    values: dict[str, object] = {
        "run_id": "run1",
        "account_id": "acc1",
        "venue": "okx",
        "epoch": 1,
        "observe": False,
        "cycle_seconds": 900,
        "slippage_bps_increase": Decimal(20),
        "slippage_bps_reduction": Decimal(50),
        "leverage_ceiling": Decimal(3),
        "taker_fee_bps": Decimal(5),
        "flatten_on_stop": False,
        "account_age_ms_max": 15_000,
        "clock_offset_ms": 0.0,
        "limits": RiskLimits(),
        # Orders take at once; a test of waiting says so.
        "execution": ExecutionParameters(passive_seconds=Decimal(0)),
    }
    return Run(**{**values, **changed})  # type: ignore[arg-type]


def make_state(run: Run | None = None) -> State:
    """Return a state before the first event."""
    parameters = StrategyParameters(
        core_instrument="BTCUSDT", hedge_candidates=("ETHUSDT",), entry_scale=1.0
    )
    ids = [i.instrument_id for i in INSTRUMENTS]
    return State(
        run=run or make_run(),
        strategy=parameters,
        guard=GuardParameters(),
        instruments={i.instrument_id: i for i in INSTRUMENTS},
        market=Market(INSTRUMENTS, FreshnessLimits()),
        signals=Signals("BTCUSDT", 1, ids, SignalParameters()),
        account=Account(),
        orders=OrderTracker(),
        memory=Memory.first(),
        encode=codec.encode,
    )


def warm(state: State, *, days: int = 5) -> None:
    """Give the signals `days` of quiet, partly correlated hourly-looking history."""
    step_seconds = 300
    count = days * 86_400 // step_seconds
    candles: dict[str, list[tuple[int, int, float]]] = {}
    for index, name in enumerate(state.instruments):
        mark = float(MARKS[name])
        rows = []
        for number in range(count):
            # Two square waves of unlike period: deterministic, and correlated well below one.
            common = 0.0008 if number % 2 else -0.0008
            own = 0.0010 if (number // (3 + index)) % 2 else -0.0010
            open_ns = START_NS - (count - number) * step_seconds * NS_PER_SECOND
            rows.append((open_ns, step_seconds, mark * (1 + common + own)))
        candles[name] = rows
    state.signals.warm(candles)


@dataclass
class World:
    """A state, its clock, and everything it asked for."""

    state: State = field(default_factory=make_state)
    now_ns: int = START_NS
    done: list[actions.Action] = field(default_factory=list)
    fills: int = 0

    def feed(self, event: Event) -> list[actions.Action]:
        """Step once and keep what was asked for."""
        asked = step(self.state, event)
        self.done += asked
        return asked

    def after(self, seconds: float) -> int:
        """Move the clock and return it, ns."""
        self.now_ns += int(seconds * NS_PER_SECOND)
        return self.now_ns

    def mark(self, name: str, mark: Decimal | str) -> list[actions.Action]:
        """Tell a mark now."""
        return self.feed(
            MarkPrice(
                instrument_id=name,
                mark=Decimal(mark),
                index=Decimal(mark),
                event_ns=self.now_ns,
                received_ns=self.now_ns,
            )
        )

    def book(self, name: str, mid: Decimal | str) -> None:
        """Tell a deep book around a mid now."""
        tick = self.state.instruments[name].tick_size
        middle = Decimal(mid)
        self.feed(
            BookSnapshot(
                instrument_id=name,
                bids=((str(middle - tick), "1000"),),
                asks=((str(middle + tick), "1000"),),
                quantity_unit=Decimal(1),
                sequence=1,
                event_ns=self.now_ns,
                received_ns=self.now_ns,
            )
        )

    def market(self) -> None:
        """Tell marks and books of everything, and that the account stream lives."""
        for name, mark in MARKS.items():
            self.book(name, mark)
            self.mark(name, mark)
        self.feed(StreamAlive(stream=StreamName.ACCOUNT, received_ns=self.now_ns))

    def snapshot(
        self,
        *,
        wallet: str = "10000",
        positions: dict[str, tuple[str, str]] | None = None,
        orders: tuple[OpenOrder, ...] = (),
        equity: str | None = None,
    ) -> AccountSnapshot:
        """Return the venue's whole account now; positions as {name: (quantity, entry)}."""
        held = positions or {}
        return AccountSnapshot(
            account_id="acc1",
            balance=self.balance(wallet, equity),
            positions=tuple(
                Position(
                    instrument_id=name,
                    quantity=Decimal(quantity),
                    entry_price=Decimal(entry),
                    event_ns=self.now_ns,
                )
                for name, (quantity, entry) in held.items()
            ),
            open_orders=orders,
            event_ns=self.now_ns,
            received_ns=self.now_ns,
        )

    def balance(self, wallet: str, equity: str | None = None) -> Balance:
        """Return a balance now; equity None = the wallet."""
        return Balance(
            currency="USDT",
            wallet_balance=Decimal(wallet),
            equity=Decimal(equity or wallet),
            available_margin=None,
            initial_margin=None,
            maintenance_margin=None,
            event_ns=self.now_ns,
        )

    def reconcile(self, cause: str = "start", **account: object) -> list[actions.Action]:
        """Tell the venue's whole account now."""
        snapshot = self.snapshot(**account)  # type: ignore[arg-type]
        return self.feed(AccountReconciled(snapshot=snapshot, cause=cause, asked_ns=self.now_ns))

    def position(self, name: str, quantity: str, entry: str | None) -> list[actions.Action]:
        """Tell a position by stream now."""
        return self.feed(
            PositionUpdate(
                position=Position(
                    instrument_id=name,
                    quantity=Decimal(quantity),
                    entry_price=None if entry is None else Decimal(entry),
                    event_ns=self.now_ns,
                ),
                received_ns=self.now_ns,
            )
        )

    def order(
        self,
        client_order_id: str | None,
        state: OrderState,
        *,
        name: str = "BTCUSDT",
        filled: str | None = None,
        source: UpdateSource = UpdateSource.STREAM,
        venue_order_id: str | None = "v1",
        code: str | None = None,
        order: OpenOrder | None = None,
    ) -> list[actions.Action]:
        """Tell an order's state now."""
        return self.feed(
            OrderUpdate(
                client_order_id=client_order_id,
                venue_order_id=venue_order_id,
                instrument_id=name,
                state=state,
                filled_quantity=None if filled is None else Decimal(filled),
                average_price=None,
                source=source,
                code=code,
                message="",
                order=order,
                event_ns=self.now_ns,
                received_ns=self.now_ns,
            )
        )

    def fill(self, approved: ApprovedOrder, quantity: Decimal | None = None) -> None:
        """Fill an order at its mark as the venue tells it: fill, position later by the caller."""
        intent = approved.intent
        self.fills += 1
        amount = approved.quantity if quantity is None else quantity
        self.feed(
            FillReported(
                fill=Fill(
                    fill_id=f"f{self.fills}",
                    instrument_id=intent.instrument_id,
                    client_order_id=intent.client_order_id,
                    venue_order_id="v1",
                    side=intent.side,
                    quantity=amount,
                    price=MARKS[intent.instrument_id],
                    fee=Decimal("0.5"),
                    fee_currency="USDT",
                    liquidity=None,
                    realised_pnl=None,
                    event_ns=self.now_ns,
                    received_ns=self.now_ns,
                ),
                source=UpdateSource.STREAM,
            )
        )
        state = OrderState.FILLED if amount == approved.quantity else OrderState.CANCELED
        self.order(intent.client_order_id, state, name=intent.instrument_id, filled=str(amount))

    def submits(self) -> list[ApprovedOrder]:
        """Return every order handed to the journal so far."""
        return [a.approved for a in self.done if isinstance(a, actions.Submit)]

    def records(self, kind: type[Record]) -> list[Record]:
        """Return every record of a kind written so far."""
        return [
            a.record for a in self.done if isinstance(a, actions.Write) and type(a.record) is kind
        ]


def ready(run: Run | None = None, **account: object) -> World:
    """Return a world that is warm, fresh and reconciled."""
    world = World(state=make_state(run))
    warm(world.state)
    world.market()
    world.reconcile(**account)
    return world
