"""The running venue: the pure exchange, its memory on disk, and who hears what happened."""

import itertools
import zlib
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from counterpoise.domain import units
from counterpoise.domain.orders import OrderKind, TimeInForce
from counterpoise.domain.rounding import quantize_toward_zero
from counterpoise.exchange.events import ExchangeEvent, OrderChanged
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.modes import PositionMode
from counterpoise.exchange.orders import (
    ExchangeFill,
    ExchangeOrder,
    NewOrder,
    OrderRefused,
    PlacedOrder,
    RefusalReason,
)
from counterpoise.exchange.parameters import ExchangeParameters, demo_parameters
from counterpoise.exchange.scenarios.script import Scenario
from counterpoise.exchange.triggers import NewTrigger
from counterpoise.simulator import commands
from counterpoise.simulator.commands import Command
from counterpoise.simulator.display import Display
from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.store import StateUnreadable, Store, StoredCommand, StoredOrder

#: How often the whole state is written; bounds what a restart must carry out again, ns.
KEEP_EVERY_NS: Final = units.NS_PER_MINUTE
#: Steps of a market in real time are told one by one unless they are later than this, ns.
LATE_NS_MAX: Final = 500 * units.NS_PER_MS

Listener = Callable[[Sequence[ExchangeEvent]], None]


class _Whole(msgspec.Struct):
    exchange: dict[str, Any]
    deadlines: dict[str, int]


_ORDER: Final = msgspec.json.Decoder(ExchangeOrder)
_WHOLE: Final = msgspec.json.Decoder(_Whole)


class RunningVenue:
    """One venue process. Every change goes through here, is written first, then told."""

    def __init__(self, store: Store, exchange: Exchange, faults: FaultPlan | None = None) -> None:
        self._store = store
        self.exchange = exchange
        self._faults = faults or FaultPlan()
        #: What time it is at the venue.
        self.clock = self._faults.clock
        #: What clients are shown of books, marks and index.
        self.display = Display(exchange, self._faults)
        #: Called with everything that happened, in order.
        self.listeners: list[Listener] = []
        self._deadlines: dict[str, int] = {}
        self._kept_ns = 0
        # Every order ever taken; the exchange itself forgets ended ones as its venue does.
        self._accepted = {order.order_id: order for order in map(_ORDER.decode, store.accepted())}
        self._touched: dict[str, ExchangeOrder] = {}

    @classmethod
    def open(
        cls,
        store: Store,
        *,
        seed: int,
        now_ns: int,
        parameters: Callable[[int], ExchangeParameters] = demo_parameters,
        scenario: Scenario | None = None,
        faults: FaultPlan | None = None,
    ) -> "RunningVenue":
        """Return the venue as it was left, or a new one with `seed` that opens now.

        A venue that exists keeps the seed it was opened with; `parameters` makes its markets of
        that. StateUnreadable: its markets were of other parameters.
        """
        kept_seed = store.value("seed")
        if kept_seed is not None:
            seed = int(kept_seed)
        body = store.whole()
        if body is None:
            store.put("seed", str(seed))
            venue = cls(store, Exchange.create(parameters(seed), now_ns, scenario), faults)
            venue.keep()
            return venue
        whole = _WHOLE.decode(zlib.decompress(body))
        try:
            exchange = Exchange.restore(parameters(seed), whole.exchange, scenario)
        except ValueError as other:
            raise StateUnreadable(f"{other}; start it with --fresh") from other
        venue = cls(store, exchange, faults)
        venue._deadlines = dict(whole.deadlines)
        kept_ns = venue.exchange.now_ns
        for stored in store.commands():
            venue._repeat(stored)
        # What ran before the process ended must come out as it was told then, so these minutes
        # are walked step by step however long the venue was away.
        lived_ns = max(kept_ns, venue.exchange.now_ns) + 2 * KEEP_EVERY_NS
        venue.advance(min(lived_ns, now_ns))
        venue.advance(now_ns)
        venue.keep()
        return venue

    def _repeat(self, stored: StoredCommand) -> None:
        self.advance(stored.at_ns)
        try:
            self._carry_out(commands.DECODER.decode(stored.body))
        except (OrderRefused, ValueError):
            # It was refused the first time, too; the client was told then.
            return

    def keep(self) -> None:
        """Write the whole state."""
        whole = {
            "exchange": self.exchange.save(),
            "deadlines": self._deadlines,
        }
        touched = [
            StoredOrder(order_id=name, sequence=order.sequence, body=commands.ENCODER.encode(order))
            for name, order in self._touched.items()
        ]
        self._store.keep(zlib.compress(commands.ENCODER.encode(whole), 1), touched)
        self._touched.clear()
        self._kept_ns = self.exchange.now_ns

    def catch_up(self, steps_max: int | None = None) -> bool:
        """Let the market run to the present of its clock; return whether it is there.

        In real time each step is told by itself, however late: what a client is sent does not
        hang on how busy the machine was. What is later than `LATE_NS_MAX` is told at once.
        `steps_max` = no more steps than this, so that clients are served in between.
        """
        until_ns = self.clock.now_ns()
        if self.clock.speed == 1:
            if until_ns - self.exchange.now_ns > LATE_NS_MAX:
                self.advance(until_ns - LATE_NS_MAX)
            step_ns = self.exchange.parameters.step_ms * units.NS_PER_MS
            at_ns = (self.exchange.now_ns // step_ns + 1) * step_ns
            for taken in itertools.count():
                if at_ns > until_ns:
                    break
                if taken == steps_max:
                    return False
                self.advance(at_ns)
                at_ns += step_ns
        self.advance(until_ns)
        return True

    def advance(self, until_ns: int) -> None:
        """Let the market and the timers run to an instant."""
        for account_id, deadline_ns in sorted(self._deadlines.items(), key=lambda each: each[1]):
            if deadline_ns <= until_ns:
                self._run_to(deadline_ns)
                del self._deadlines[account_id]
                self._cancel_all(account_id)
        self._run_to(until_ns)

    def _run_to(self, until_ns: int) -> None:
        leap_ns = until_ns - self.exchange.now_ns
        if leap_ns <= 0:
            return
        events = self.exchange.advance(until_ns)
        if leap_ns > KEEP_EVERY_NS and self.listeners:
            # After a long pause of the machine: a restart could not repeat this leap exactly.
            self.keep()
        self._tell(events)

    def keep_if_due(self) -> None:
        """Write the whole state if the last one is old."""
        if self.exchange.now_ns - self._kept_ns >= KEEP_EVERY_NS:
            self.keep()

    def open_account(self, account_id: str, wallet: Decimal) -> None:
        """Open an account with cash."""
        self._do([commands.OpenAccount(account_id, wallet)])

    def place(
        self, account_id: str, orders: Sequence[NewOrder]
    ) -> list[PlacedOrder | OrderRefused]:
        """Place orders in order, each for itself, after all of them are on disk."""
        # An order that a fault refuses never came in: nothing of it is written or repeated.
        struck = [self._struck(account_id, order) for order in orders]
        taken = [
            commands.Place(account_id, order, self._taken_max(order))
            for order, refused in zip(orders, struck, strict=True)
            if refused is None
        ]
        answers = iter(self._do(taken))
        results: list[PlacedOrder | OrderRefused] = []
        for refused in struck:
            answer = refused or next(answers)
            assert answer is not None, "a place is answered"
            results.append(answer)
        return results

    def _struck(self, account_id: str, order: NewOrder) -> OrderRefused | None:
        faults = self._faults
        if faults.quiet:
            return None
        if order.client_order_id is not None and faults.takes(
            FaultKind.DUPLICATE_CLIENT_ID, order.instrument_id
        ):
            return OrderRefused(
                RefusalReason.CLIENT_ORDER_ID_DUPLICATE, f"{order.client_order_id!r} is in use"
            )
        if self._grows(account_id, order) and faults.takes(
            FaultKind.REJECT_INCREASES, order.instrument_id
        ):
            return OrderRefused(RefusalReason.MARGIN_INSUFFICIENT, "increases are refused for now")
        return None

    def _taken_max(self, order: NewOrder) -> Decimal | None:
        # Only an immediate order can end in part: the rest of another would cross the book.
        immediate = order.kind is OrderKind.MARKET or order.time_in_force is TimeInForce.IOC
        if self._faults.quiet or not immediate:
            return None
        fault = self._faults.takes(FaultKind.PARTIAL_FILL, order.instrument_id)
        if fault is None:
            return None
        try:
            lot = self.exchange.instrument(order.instrument_id).lot_size
        except OrderRefused:
            return None
        fraction = Decimal(fault.value or "0.5")
        return quantize_toward_zero(order.quantity * fraction, lot)

    def _grows(self, account_id: str, order: NewOrder) -> bool:
        # Whether the order could leave a position larger than it is.
        if order.reduce_only or account_id not in self.exchange.account_ids():
            return False
        held = sum(
            (
                each.quantity
                for each in self.exchange.account(account_id).positions.values()
                if each.instrument_id == order.instrument_id
                and each.position_side is order.position_side
            ),
            Decimal(0),
        )
        return abs(held + order.side.sign * order.quantity) > abs(held)

    def cancel(
        self, account_id: str, order_id: str | None, client_order_id: str | None
    ) -> OrderRefused | None:
        """Cancel one order; the refusal is returned, None = done."""
        (answer,) = self._do([commands.Cancel(account_id, order_id, client_order_id)])
        return answer if isinstance(answer, OrderRefused) else None

    def set_leverage(
        self, account_id: str, instrument_id: str, leverage: Decimal
    ) -> OrderRefused | None:
        """Change a leverage setting; the refusal is returned, None = done."""
        (answer,) = self._do([commands.SetLeverage(account_id, instrument_id, leverage)])
        return answer if isinstance(answer, OrderRefused) else None

    def amend(
        self,
        account_id: str,
        order_id: str | None,
        client_order_id: str | None,
        *,
        quantity: Decimal | None,
        price_limit: Decimal | None,
    ) -> PlacedOrder | OrderRefused:
        """Change an open order; None = as it is. The refusal is returned."""
        command = commands.Amend(account_id, order_id, client_order_id, quantity, price_limit)
        (answer,) = self._do([command])
        assert answer is not None, "an amendment is answered"
        return answer

    def place_trigger(self, account_id: str, trigger: NewTrigger) -> PlacedOrder | OrderRefused:
        """Hold an order back until its price is reached; the refusal is returned."""
        (answer,) = self._do([commands.PlaceTrigger(account_id, trigger)])
        assert answer is not None, "a trigger order is answered"
        return answer

    def set_position_mode(
        self, account_id: str, mode: PositionMode, instrument_id: str | None = None
    ) -> OrderRefused | None:
        """Change the position mode, None = everywhere; the refusal is returned, None = done."""
        (answer,) = self._do([commands.SetPositionMode(account_id, mode, instrument_id)])
        return answer if isinstance(answer, OrderRefused) else None

    def do(self, command: Command) -> OrderRefused | None:
        """Carry out any other change; the refusal is returned. ValueError: it cannot be done."""
        (answer,) = self._do([command])
        return answer if isinstance(answer, OrderRefused) else None

    def shock(self, instrument_id: str, fraction: float, seconds: float) -> None:
        """Move a market by a fraction of its price over some seconds."""
        self._do([commands.Shock(instrument_id, fraction, seconds)])

    def arm_deadline(self, account_id: str, deadline_ns: int) -> None:
        """Cancel everything of the account at an instant unless re-armed; 0 = disarm."""
        self._do([commands.ArmDeadline(account_id, deadline_ns)])

    def last_fills(self, account_id: str, since_ns: int) -> dict[str, ExchangeFill]:
        """Return the last execution per venue order id, of those since an instant."""
        return {fill.order_id: fill for fill in self.exchange.fills(account_id, since_ns)}

    def accepted_orders(self, account_id: str) -> list[ExchangeOrder]:
        """Return every order ever taken from an account, as it ended or stands, oldest first."""
        return [each for each in self._accepted.values() if each.account_id == account_id]

    def _do(self, wanted: Sequence[Command]) -> list[PlacedOrder | OrderRefused | None]:
        if not wanted:
            return []
        # On disk first: an answer that left can then never be about something forgotten.
        self._store.append(self.exchange.now_ns, [commands.ENCODER.encode(each) for each in wanted])
        answers: list[PlacedOrder | OrderRefused | None] = []
        for command in wanted:
            try:
                answers.append(self._carry_out(command))
            except OrderRefused as refusal:
                answers.append(refusal)
        return answers

    def _carry_out(self, command: Command) -> PlacedOrder | None:
        if isinstance(command, commands.ArmDeadline):
            self._deadlines.pop(command.account_id, None)
            if command.deadline_ns:
                self._deadlines[command.account_id] = command.deadline_ns
            return None
        placed, events = commands.carry_out(self.exchange, command)
        self._tell(events)
        return placed

    def _cancel_all(self, account_id: str) -> None:
        # No command of its own: it follows from the armed deadline and the market's clock.
        for order in self.exchange.account(account_id).open_orders:
            self._tell(self.exchange.cancel(account_id, order_id=order.order_id))

    def _tell(self, events: Sequence[ExchangeEvent]) -> None:
        if not events:
            return
        for event in events:
            if isinstance(event, OrderChanged):
                self._accepted[event.order.order_id] = event.order
                self._touched[event.order.order_id] = event.order
        for listener in self.listeners:
            listener(events)
