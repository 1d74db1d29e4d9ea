"""An engine that keeps stops, and a venue that holds them back, for tests that feed events."""

from dataclasses import dataclass, field
from decimal import Decimal

from counterpoise.domain.account import WaitingTrigger
from counterpoise.domain.events import Tick, TriggersListed
from counterpoise.domain.orders import ApprovedOrder, OrderState
from counterpoise.engine import actions
from counterpoise.risk.protection import ProtectionParameters
from engine_world import World, make_run, ready

HEDGED = {"BTCUSDT": ("0.2", "50000"), "ETHUSDT": ("-2", "2500")}


def stop_run(**changed):
    """Return a run that keeps stops."""
    return make_run(**{"has_triggers": True, "protection": ProtectionParameters(), **changed})


@dataclass
class StopWorld:
    """A world and the stops its venue holds back."""

    world: World
    held_back: dict[str, ApprovedOrder] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    taken: int = 0
    #: False = it refuses stops.
    takes: bool = True

    def tick(self, seconds: float = 1) -> None:
        """Let time pass, fresh marks come, and the venue do what it is asked."""
        self.world.after(seconds)
        for name in self.world.state.instruments:
            self.world.mark(name, self.world.state.market.mark(name) or Decimal(1))
        self.answer(self.world.feed(Tick(now_ns=self.world.now_ns)))

    def answer(self, asked: list[actions.Action]) -> None:
        """Do what the engine asks of stops."""
        for action in asked:
            match action:
                case actions.Submit(approved=approved) if approved.intent.trigger_price:
                    self._place(approved)
                case actions.CancelTrigger(client_order_id=key, instrument_id=name):
                    self.dropped.append(key)
                    if self.held_back.pop(key, None) is not None:
                        self.world.order(key, OrderState.CANCELED, name=name)
                case actions.ListTriggers():
                    self.tell_list()
                case actions.ResolveTrigger(client_order_id=key, instrument_id=name):
                    if key not in self.held_back:
                        self.answer(self.world.order(key, OrderState.CANCELED, name=name))

    def tell_list(self) -> None:
        """Tell what is held back."""
        found = tuple(
            WaitingTrigger(
                client_order_id=key,
                venue_order_id=f"a{key[-4:]}",
                instrument_id=stop.intent.instrument_id,
                side=stop.intent.side,
                quantity=stop.quantity,
                trigger_price=stop.intent.trigger_price or Decimal(0),
                reduce_only=True,
            )
            for key, stop in self.held_back.items()
        )
        now_ns = self.world.now_ns
        self.answer(
            self.world.feed(TriggersListed(triggers=found, asked_ns=now_ns, received_ns=now_ns))
        )

    def by_leg(self) -> dict[str, list[ApprovedOrder]]:
        """Return the stops held back by instrument."""
        found: dict[str, list[ApprovedOrder]] = {}
        for stop in self.held_back.values():
            found.setdefault(stop.intent.instrument_id, []).append(stop)
        return found

    def _place(self, approved: ApprovedOrder) -> None:
        key, name = approved.intent.client_order_id, approved.intent.instrument_id
        self.world.order(key, OrderState.SUBMITTED, name=name, venue_order_id=None)
        if not self.takes:
            self.world.order(key, OrderState.REJECTED, name=name, code="51302")
            return
        self.taken += 1
        self.held_back[key] = approved
        self.world.order(key, OrderState.ACCEPTED, name=name, venue_order_id=f"a{self.taken}")


def stop_world(run=None, **account) -> StopWorld:
    """Return a reconciled engine whose venue has listed nothing yet."""
    return StopWorld(world=ready(run or stop_run(), **(account or {"positions": HEDGED})))
