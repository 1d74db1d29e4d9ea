"""Ordered faults strike the requests they name, as often as they say."""

import msgspec
import pytest

from counterpoise.simulator.fault_kinds import FaultKind
from counterpoise.simulator.faults import FAULTS_MAX, Fault, FaultPlan


def test_a_fault_strikes_only_its_path_and_only_so_often():
    plan = FaultPlan()
    plan.add(Fault(kind=FaultKind.DELAY, path_contains="trade/order", count=2))
    struck = [
        plan.next("GET", path) is not None
        for path in (
            "/api/v5/account/balance",
            "/api/v5/trade/order",
            "/api/v5/trade/orders-pending?instId=BTC-USDT-SWAP",
            "/api/v5/trade/order",
        )
    ]
    assert struck == [False, True, True, False]


def test_the_older_fault_strikes_first():
    plan = FaultPlan()
    plan.add(Fault(kind=FaultKind.DELAY))
    plan.add(Fault(kind=FaultKind.HTTP_200_EMPTY))
    kinds = [fault.kind for _ in range(2) if (fault := plan.next("GET", "/any")) is not None]
    assert kinds == [FaultKind.DELAY, FaultKind.HTTP_200_EMPTY]


@pytest.mark.parametrize(
    ("kind", "stage", "carries_out"),
    [
        (FaultKind.DROP_AFTER_READ, None, True),
        (FaultKind.HTTP_200_EMPTY, None, True),
        (FaultKind.DELAY, None, True),
        (FaultKind.REJECT_50026, None, False),
        (FaultKind.REJECT_50026, "answer", True),
        (FaultKind.DROP_AFTER_READ, "request", False),
    ],
)
def test_whether_the_venue_sees_the_request(kind, stage, carries_out):
    assert Fault(kind=kind, stage=stage).carries_out is carries_out


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"meteor"}',
        b'{"kind":"delay","count":0}',
        b'{"kind":"delay","seconds":-1}',
        b'{"kind":"delay","stage":"later"}',
        b'{"kind":"delay","colour":"red"}',
    ],
)
def test_a_wrong_order_for_trouble_is_refused(body):
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Fault)


def test_waiting_faults_are_bounded():
    plan = FaultPlan()
    for _ in range(FAULTS_MAX):
        plan.add(Fault(kind=FaultKind.DELAY))
    with pytest.raises(ValueError, match="waiting"):
        plan.add(Fault(kind=FaultKind.DELAY))
    plan.clear()
    assert plan.next("GET", "/any") is None


def test_a_fault_with_a_method_strikes_only_that_one() -> None:
    plan = FaultPlan()
    plan.add(Fault(kind=FaultKind.DELAY, method="POST", path_contains="/trade/order"))
    assert plan.next("GET", "/api/v5/trade/order?clOrdId=x") is None
    assert plan.next("POST", "/api/v5/trade/order") is not None
    assert plan.next("POST", "/api/v5/trade/order") is None
