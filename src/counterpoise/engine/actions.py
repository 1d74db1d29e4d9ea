"""What a step asks the outside to do. Performed in order by `execution`."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from counterpoise.domain.orders import ApprovedOrder
from counterpoise.domain.records import IntentWritten, Record

#: Cause of a question after the account's stream came back; whoever answers it says who he is.
RECONNECT: Final = "reconnect"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """Put a record on the one write path."""

    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Journal an approved order, then send it once."""

    approved: ApprovedOrder
    intent: IntentWritten


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdraw:
    """Do not send an order that is still in the journal; one that is being sent goes on, once.

    Answered by the order's own update: EXPIRED if it was never sent. The venue may refuse the time
    one is stamped with and nothing else: it does not follow with a new stamp.
    """

    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Ask the venue to cancel an order."""

    instrument_id: str
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconcile:
    """Ask the venue for the whole account; answered by AccountReconciled or its failure."""

    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve:
    """Ask the venue what became of an order."""

    instrument_id: str
    client_order_id: str
    #: When the intent was made, ns.
    created_ns: int
    #: After this instant the request can no longer be carried out by us, ns.
    expires_ns: int
    #: Base units ordered.
    quantity: Decimal
    #: +1 for a buy, -1 for a sell.
    sign: int
    #: True = it may only reduce: the venue may carry it out for longer than its approval lasts.
    reduce_only: bool
    #: Signed base units held when it was made, if nothing else has moved them since; None = other
    #: executions did, or it is another run's.
    position_before: Decimal | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListTriggers:
    """Ask the venue for the orders it holds back; answered by TriggersListed or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelTrigger:
    """Ask the venue to drop an order it holds back, then what became of it."""

    instrument_id: str
    client_order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolveTrigger:
    """Ask the venue what became of an order it held back."""

    instrument_id: str
    client_order_id: str
    #: After this instant the request can no longer be carried out by us, ns.
    expires_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDaemon:
    """The work is done; leave."""

    reason: str
    exit_code: int


Action = (
    Write
    | Submit
    | Withdraw
    | Cancel
    | Reconcile
    | Resolve
    | ListTriggers
    | CancelTrigger
    | ResolveTrigger
    | StopDaemon
)
