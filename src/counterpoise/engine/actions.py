"""What a step asks the outside to do. Performed in order by `execution`."""

from dataclasses import dataclass

from counterpoise.domain.orders import ApprovedOrder
from counterpoise.domain.records import IntentWritten, Record


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


@dataclass(frozen=True, slots=True, kw_only=True)
class StopDaemon:
    """The work is done; leave."""

    reason: str
    exit_code: int


Action = Write | Submit | Cancel | Reconcile | Resolve | StopDaemon
