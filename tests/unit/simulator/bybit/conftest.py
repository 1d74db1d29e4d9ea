"""One lock-step Bybit venue per module, with its ccxt client."""

import pytest
import pytest_asyncio

from bybit_rehearsal import opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def venue(tmp_path_factory):
    async with opened(tmp_path_factory.mktemp("bybit") / "venue") as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(venue):
    made = venue.client()
    await made.load_markets()
    return made


@pytest_asyncio.fixture(loop_scope="module")
async def rehearsal(venue):
    """The venue with an account that holds and wants nothing."""
    venue.flatten()
    yield venue
    venue.flatten()


@pytest.fixture
def bybit(rehearsal, client):
    return client
