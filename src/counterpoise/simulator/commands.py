"""Every change of the venue as a value that can be written down and carried out again."""

from decimal import Decimal
from typing import Final

import msgspec

from counterpoise.domain.instruments import InstrumentState, MarginTier
from counterpoise.exchange.events import ExchangeEvent
from counterpoise.exchange.exchange import Exchange
from counterpoise.exchange.modes import PositionMode, PositionSide
from counterpoise.exchange.orders import NewOrder, PlacedOrder, TriggerSource
from counterpoise.exchange.triggers import NewTrigger


class OpenAccount(msgspec.Struct, frozen=True, tag="open_account"):
    """An account begins with cash."""

    account_id: str
    wallet: Decimal


class Place(msgspec.Struct, frozen=True, tag="place"):
    """An order comes in; `taken_max` is a fault's bound on what fills at once, None = none."""

    account_id: str
    order: NewOrder
    taken_max: Decimal | None = None


class Amend(msgspec.Struct, frozen=True, tag="amend"):
    """An amendment comes in; None = as it is."""

    account_id: str
    order_id: str | None
    client_order_id: str | None
    quantity: Decimal | None
    price_limit: Decimal | None


class Cancel(msgspec.Struct, frozen=True, tag="cancel"):
    """A cancel comes in."""

    account_id: str
    order_id: str | None
    client_order_id: str | None


class PlaceTrigger(msgspec.Struct, frozen=True, tag="place_trigger"):
    """A trigger order comes in."""

    account_id: str
    trigger: NewTrigger


class AmendTrigger(msgspec.Struct, frozen=True, tag="amend_trigger"):
    """An amendment of a trigger order comes in; None = as it is."""

    account_id: str
    order_id: str
    quantity: Decimal | None = None
    trigger_price: Decimal | None = None
    price_limit: Decimal | None = None
    source: TriggerSource | None = None


class CancelTrigger(msgspec.Struct, frozen=True, tag="cancel_trigger"):
    """A cancel of a trigger order comes in."""

    account_id: str
    order_id: str


class SetLeverage(msgspec.Struct, frozen=True, tag="set_leverage"):
    """The account changes a leverage setting."""

    account_id: str
    instrument_id: str
    leverage: Decimal


class SetPositionMode(msgspec.Struct, frozen=True, tag="set_position_mode"):
    """The account changes its position mode; instrument None = everywhere."""

    account_id: str
    mode: PositionMode
    instrument_id: str | None


class ArmDeadline(msgspec.Struct, frozen=True, tag="arm_deadline"):
    """Cancel-all-after: every open order is canceled at an instant; 0 = disarmed."""

    account_id: str
    deadline_ns: int


class Shock(msgspec.Struct, frozen=True, tag="shock"):
    """Somebody moves a market."""

    instrument_id: str
    fraction: float
    seconds: float


class Transfer(msgspec.Struct, frozen=True, tag="transfer"):
    """Cash moves in (> 0) or out."""

    account_id: str
    change: Decimal


class SetInstrumentState(msgspec.Struct, frozen=True, tag="set_instrument_state"):
    """The venue changes what orders an instrument takes."""

    instrument_id: str
    state: InstrumentState


class Delist(msgspec.Struct, frozen=True, tag="delist"):
    """The venue ends an instrument."""

    instrument_id: str


class ChangeRules(msgspec.Struct, frozen=True, tag="change_rules"):
    """The venue changes an instrument's rules; None = as it is."""

    instrument_id: str
    lot_size: Decimal | None = None
    tiers: tuple[MarginTier, ...] | None = None
    tick_size: Decimal | None = None


class SetFundingInterval(msgspec.Struct, frozen=True, tag="set_funding_interval"):
    """The venue charges funding every so many hours."""

    instrument_id: str
    hours: int


class ForceReduce(msgspec.Struct, frozen=True, tag="force_reduce"):
    """The venue auto-deleverages a position; quantity None = all of it."""

    account_id: str
    instrument_id: str
    quantity: Decimal | None
    position_side: PositionSide


class ForceLiquidate(msgspec.Struct, frozen=True, tag="force_liquidate"):
    """The venue does one liquidation step on an account, whatever its equity."""

    account_id: str


class ForceCancel(msgspec.Struct, frozen=True, tag="force_cancel"):
    """The venue cancels an order nobody asked it to."""

    account_id: str
    order_id: str


class ForceCancelTrigger(msgspec.Struct, frozen=True, tag="force_cancel_trigger"):
    """The venue cancels a trigger order nobody asked it to."""

    account_id: str
    order_id: str


Command = (
    OpenAccount
    | Place
    | Amend
    | Cancel
    | PlaceTrigger
    | AmendTrigger
    | CancelTrigger
    | SetLeverage
    | SetPositionMode
    | ArmDeadline
    | Shock
    | Transfer
    | SetInstrumentState
    | Delist
    | ChangeRules
    | SetFundingInterval
    | ForceReduce
    | ForceLiquidate
    | ForceCancel
    | ForceCancelTrigger
)

ENCODER: Final = msgspec.json.Encoder(order="sorted")
DECODER: Final = msgspec.json.Decoder(Command)


def carry_out(
    exchange: Exchange, command: Command
) -> tuple[PlacedOrder | None, list[ExchangeEvent]]:
    """Do one thing now; return an order's acknowledgement, if any, and what happened.

    OrderRefused, ValueError: the model's own refusal; nothing happened. An ArmDeadline is the
    venue process's own and not taken here.
    """
    match command:
        case Place(account_id, order, taken_max):
            return exchange.place(account_id, order, taken_max=taken_max)
        case Amend(account_id, order_id, client_order_id, quantity, price_limit):
            return exchange.amend(
                account_id,
                order_id=order_id,
                client_order_id=client_order_id,
                quantity=quantity,
                price_limit=price_limit,
            )
        case Cancel(account_id, order_id, client_order_id):
            events = exchange.cancel(account_id, order_id=order_id, client_order_id=client_order_id)
        case PlaceTrigger() | AmendTrigger() | CancelTrigger() | ForceCancelTrigger():
            return _trigger_acts(exchange, command)
        case SetLeverage(account_id, instrument_id, leverage):
            events = exchange.set_leverage(account_id, instrument_id, leverage)
        case SetPositionMode(account_id, mode, instrument_id):
            events = exchange.set_position_mode(account_id, mode, instrument_id)
        case OpenAccount(account_id, wallet):
            exchange.open_account(account_id, wallet)
            events = []
        case _:
            events = _venue_acts(exchange, command)
    return None, events


def _trigger_acts(
    exchange: Exchange, command: PlaceTrigger | AmendTrigger | CancelTrigger | ForceCancelTrigger
) -> tuple[PlacedOrder | None, list[ExchangeEvent]]:
    match command:
        case PlaceTrigger(account_id, trigger):
            return exchange.place_trigger(account_id, trigger)
        case AmendTrigger(account_id, order_id, quantity, trigger_price, price_limit, source):
            return exchange.amend_trigger(
                account_id,
                order_id=order_id,
                quantity=quantity,
                trigger_price=trigger_price,
                price_limit=price_limit,
                source=source,
            )
        case CancelTrigger(account_id, order_id):
            return None, exchange.cancel_trigger(account_id, order_id=order_id)
        case ForceCancelTrigger(account_id, order_id):
            return None, exchange.force_cancel_trigger(account_id, order_id)


def _venue_acts(exchange: Exchange, command: Command) -> list[ExchangeEvent]:
    # What comes from nobody's account.
    match command:
        case Shock(instrument_id, fraction, seconds):
            exchange.shock(instrument_id, fraction, seconds)
            events = []
        case Transfer(account_id, change):
            events = exchange.transfer(account_id, change)
        case SetInstrumentState(instrument_id, state):
            events = exchange.set_instrument_state(instrument_id, state)
        case Delist(instrument_id):
            events = exchange.delist(instrument_id)
        case ChangeRules(instrument_id, lot_size, tiers, tick_size):
            events = exchange.change_rules(
                instrument_id, lot_size=lot_size, tiers=tiers, tick_size=tick_size
            )
        case SetFundingInterval(instrument_id, hours):
            events = exchange.set_funding_interval(instrument_id, hours)
        case ForceReduce(account_id, instrument_id, quantity, position_side):
            events = exchange.force_reduce(
                account_id, instrument_id, quantity=quantity, position_side=position_side
            )
        case ForceLiquidate(account_id):
            events = exchange.force_liquidate(account_id)
        case ForceCancel(account_id, order_id):
            events = exchange.force_cancel(account_id, order_id=order_id)
        case _:
            raise AssertionError(f"{type(command).__name__} is the process's own")
    return events
