"""One lock-step venue of each kind for the whole suite of faults, and a client in each test file."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from ccxt_venues import ROWS, SEED, pointed_at
from fault_rows import FAULT_ROWS
from fault_venues import FaultDesk
from venue_process import VenueProcess, venue_process

BTC = "BTC/USDT:USDT"


@pytest.fixture(scope="session", params=list(FAULT_ROWS))
def process(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VenueProcess]:
    options = {"seed": SEED, "speed": 0, "port": 0, "wallet": 2_000_000}
    log_path = tmp_path_factory.mktemp(request.param) / "process.log"
    with venue_process(request.param, log_path, **options) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def opened(process: VenueProcess) -> AsyncIterator[FaultDesk]:
    row = ROWS[process.venue]
    exchange = pointed_at(process, row.class_name, row.options)
    made = FaultDesk(process, exchange, row)
    made.faulty = FAULT_ROWS[process.venue]
    try:
        await exchange.load_markets()
        yield made
    finally:
        await exchange.close()


@pytest_asyncio.fixture(loop_scope="module")
async def desk(opened: FaultDesk) -> AsyncIterator[FaultDesk]:
    """The venue without a fault, an order or a position, before and after."""
    opened.exchange.timeout = 10_000
    yield opened
    opened.fault("clear")
    await opened.flatten([BTC])
    # Orders and requests were counted, the book was eaten into; a moment later they are not.
    opened.process.advance(2)
