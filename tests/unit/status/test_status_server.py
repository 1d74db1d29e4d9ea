import asyncio
import json

import aiohttp
import pytest

from counterpoise.domain.errors import StartRefused
from counterpoise.status import client
from counterpoise.status.server import LIVE_SECONDS_MAX, StatusServer


def facts(**other):
    return {"ready": True, "held_back_by": [], "tick_age_seconds": 0.4, "leverage": "2.4", **other}


@pytest.fixture
async def served():
    told = {}
    async with StatusServer("127.0.0.1", 0, lambda: facts(**told)) as server:
        yield server, told


async def get(server, path, method="GET"):
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession() as session, session.request(method, url) as response:
        return response.status, await response.text()


async def test_all_is_well(served):
    server, _ = served
    assert server.port != 0
    assert await get(server, "/livez") == (200, '{"live":true,"tick_age_seconds":0.4}')
    status, body = await get(server, "/readyz")
    assert status == 200
    assert json.loads(body) == facts()


async def test_what_holds_back_is_said(served):
    server, told = served
    told.update(ready=False, held_back_by=["database"])
    assert (await get(server, "/livez"))[0] == 200
    status, body = await get(server, "/readyz")
    assert status == 503
    assert json.loads(body)["held_back_by"] == ["database"]


@pytest.mark.parametrize("age", [None, LIVE_SECONDS_MAX + 0.1])
async def test_a_risk_loop_that_stands_is_neither_live_nor_ready(served, age):
    server, told = served
    told.update(tick_age_seconds=age)
    assert (await get(server, "/livez"))[0] == 503
    status, body = await get(server, "/readyz")
    assert status == 503
    assert json.loads(body)["ready"] is False
    assert json.loads(body)["held_back_by"] == ["risk_loop"]


@pytest.mark.parametrize(("path", "method", "status"), [("/", "GET", 404), ("/livez", "POST", 405)])
async def test_there_is_nothing_else(served, path, method, status):
    assert (await get(served[0], path, method))[0] == status


async def test_a_taken_port_refuses_the_start(served):
    with pytest.raises(StartRefused, match="set COUNTERPOISE_STATUS_PORT to a free one"):
        async with StatusServer("127.0.0.1", served[0].port, facts):
            pass


async def test_it_stops_listening_at_the_end():
    async with StatusServer("127.0.0.1", 0, facts) as server:
        pass
    with pytest.raises(aiohttp.ClientConnectionError):
        await get(server, "/livez")


async def ask(tmp_path, server):
    (tmp_path / "daemon.json").write_text(json.dumps({"pid": 1, "status_port": server.port}))
    return await asyncio.to_thread(client.ask, tmp_path, "0.0.0.0")


async def test_a_command_asks_it(served, tmp_path):
    server, told = served
    found = await ask(tmp_path, server)
    assert (found.live, found.ready, found.summary) == (True, True, "trading")
    assert found.facts["leverage"] == "2.4"
    told.update(ready=False, held_back_by=["operator", "database"])
    found = await ask(tmp_path, server)
    assert (found.live, found.ready) == (True, False)
    assert found.summary == "running, held back by: operator, database"
    told.update(tick_age_seconds=None)
    found = await ask(tmp_path, server)
    assert (found.live, found.summary) == (False, "the risk loop stands")


@pytest.mark.parametrize(
    ("address", "summary"),
    [(None, "no daemon has started"), ("{", "no daemon has started"), (1, "does not answer")],
)
def test_nobody_there_is_an_answer(tmp_path, address, summary):
    if address is not None:
        text = json.dumps({"status_port": 1}) if address == 1 else address
        (tmp_path / "daemon.json").write_text(text)
    found = client.ask(tmp_path, "127.0.0.1")
    assert (found.live, found.ready, found.facts) == (False, False, {})
    assert summary in found.summary
