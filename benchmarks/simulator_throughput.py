"""How many messages a second the simulator serves on one core, beside a bare sender of the same bytes.

500 markets whose books change 20 times a second are 10,000 messages a second. Binance pushes a book
ten times a second at most, so there it takes 1,000 markets. The server has one core, the client that
counts them another; loopback only. Nothing is asserted: figures are printed.

    python benchmarks/simulator_throughput.py [--venue okx] [--markets N] [--rate N] [--seconds 30]
"""

import argparse
import asyncio
import collections
import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Self

import aiohttp
from aiohttp import WSMsgType, web

from counterpoise.exchange.events import ExchangeEvent
from counterpoise.exchange.parameters import ExchangeParameters, demo_parameters
from counterpoise.simulator import files
from counterpoise.simulator.clock import Clock
from counterpoise.simulator.faults import FaultPlan
from counterpoise.simulator.links import Links
from counterpoise.simulator.okx import symbols
from counterpoise.simulator.server import Simulator, settle_memory
from counterpoise.simulator.store import Store
from counterpoise.simulator.venue import RunningVenue
from counterpoise.simulator.venues import VenueName
from counterpoise.simulator.wire import Floor

#: Topics per connection; a client that leaves too many frames unread is cut.
TOPICS_MAX = 125
#: Every so many messages one is decoded to see how old it is.
SAMPLE_EVERY = 97
#: Messages per connection the bare sender sends again and again.
RECORDED_MAX = 5_000
#: Markets and updates a second that make 10,000 messages a second.
LOADS = {VenueName.OKX: (500, 20), VenueName.BINANCE: (1_000, 10), VenueName.BYBIT: (500, 20)}
#: Ages that mean nothing: of a market without a wall clock, of bytes sent again.
AGELESS = {"age_ms_p50": 0.0, "age_ms_p99": 0.0, "age_ms_max": 0.0}
#: Core of the server and of the client; on a machine of one core they share it.
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]


def pin(place: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {CORES[place % len(CORES)]})


# --- the servers, each a process of its own ---------------------------------------------------


def report(steps: "Steps | None") -> None:
    """Answer each line on standard input with what was used and done so far; end at its end."""
    for _ in sys.stdin:
        told = {"cpu": time.process_time()}
        if steps is not None:
            told |= {"steps": steps.made, "merged": steps.merged}
        print(json.dumps(told), flush=True)
    os._exit(0)


async def listen(application: web.Application, steps: "Steps | None" = None) -> None:
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    listener = socket.create_server(("127.0.0.1", 0))
    await web.SockSite(runner, listener).start()
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    threading.Thread(target=report, args=(steps,), daemon=True).start()


def listed_markets(seed: int, count: int, step_ms: int) -> ExchangeParameters:
    """The demonstration's markets again and again under other names, as OKX lists them."""
    demo = demo_parameters(seed)
    markets = []
    for number in range(count):
        like = demo.instruments[number % len(demo.instruments)]
        base = f"M{number:03d}"
        instrument = dataclasses.replace(like.instrument, instrument_id=f"{base}USDT", base=base)
        markets.append(dataclasses.replace(like, instrument=instrument))
        contract = dataclasses.replace(
            symbols.BY_INSTRUMENT[like.instrument.instrument_id],
            instrument_id=f"{base}USDT",
            base=base,
            code=number,
        )
        symbols.BY_INSTRUMENT[contract.instrument_id] = contract
        symbols.BY_SYMBOL[contract.symbol] = contract
        symbols.BY_FAMILY[contract.family] = contract
    return dataclasses.replace(demo, instruments=tuple(markets), step_ms=step_ms, history_days=1)


class Steps:
    """How many steps the market made, and how many of them were told in one go with others."""

    def __init__(self, venue: RunningVenue) -> None:
        self.made = self.merged = 0
        self._step_ns = venue.exchange.parameters.step_ms * 1_000_000
        self._number = venue.exchange.now_ns // self._step_ns
        self._venue = venue
        venue.listeners.append(self._hear)

    def _hear(self, _events: Sequence[ExchangeEvent]) -> None:
        number = self._venue.exchange.now_ns // self._step_ns
        steps, self._number = number - self._number, number
        self.made += steps
        self.merged += max(0, steps - 1)


async def serve_simulator(name: str, count: int, step_ms: int, speed: float) -> None:
    directory = Path(tempfile.mkdtemp(prefix="counterpoise-benchmark-"))
    clock = Clock(speed=speed)
    faults = FaultPlan(clock, seed=1)
    venue = RunningVenue.open(
        Store(files.store_path(directory), durable=False),
        seed=1,
        now_ns=clock.now_ns(),
        parameters=lambda seed: listed_markets(seed, count, step_ms),
        faults=faults,
    )
    key = files.make_credentials(directory, seed=1)
    venue.open_account(key.account_id, Decimal(10_000))
    floor = Floor(venue=venue, credentials=key, faults=faults, links=Links(faults, clock))
    simulator = Simulator(floor, VenueName(name))
    steps = Steps(venue)
    settle_memory()
    await listen(simulator.application(), steps)
    while True:
        present = clock.lock_step or simulator.turn(steps_max=1)
        await asyncio.sleep(step_ms / 4_000 if present else 0)


async def serve_bare(encoded: list[list[bytes]], rate: int) -> None:
    """Send recorded frames at the same rate, in the same bursts, and do nothing else."""

    async def stream(request: web.Request) -> web.WebSocketResponse:
        answer = web.WebSocketResponse(compress=False)
        await answer.prepare(request)
        await answer.receive()
        mine = encoded[int(request.match_info["place"])]
        burst = max(1, min(len(mine), TOPICS_MAX))
        started, sent = time.monotonic(), 0
        while not answer.closed:
            due = int((time.monotonic() - started) * rate) * burst
            while sent < due:
                with contextlib.suppress(aiohttp.ClientConnectionResetError):
                    await answer.send_frame(mine[sent % len(mine)], WSMsgType.TEXT)
                sent += 1
            await asyncio.sleep(1 / rate / 4)
        return answer

    application = web.Application()
    application.router.add_get("/{place}", stream)
    await listen(application)
    await asyncio.Event().wait()


# --- the client ---------------------------------------------------------------------------------


class Server:
    """One of them in a process of its own on its own core."""

    def __init__(self, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, __file__, *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.port = self.read()["port"]

    def read(self) -> dict[str, float]:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the server ended early")
        return json.loads(line)

    def used(self) -> dict[str, float]:
        """Return CPU seconds, and of a venue the steps made and merged, so far."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait(10)
        self.process.stdin.close()
        self.process.stdout.close()


class Counter:
    """What arrived on all connections."""

    def __init__(self) -> None:
        self.messages = 0
        self.bytes = 0
        #: Messages by whole seconds of the clock.
        self.seconds = collections.Counter()
        self.ages_ms = []
        self.recorded = []

    async def read(self, stream: aiohttp.ClientWebSocketResponse, place: int) -> None:
        self.recorded.append([])
        async for message in stream:
            if message.type is not WSMsgType.TEXT:
                return
            text = message.data
            self.messages += 1
            self.bytes += len(text)
            kept = self.recorded[place]
            now_ns = time.time_ns()
            self.seconds[now_ns // 1_000_000_000] += 1
            if len(kept) < RECORDED_MAX and '"snapshot"' not in text:
                kept.append(text)
            if self.messages % SAMPLE_EVERY == 0:
                stamp = changed_ms(json.loads(text))
                if stamp is not None:
                    self.ages_ms.append(now_ns / 1e6 - stamp)


def changed_ms(frame: dict) -> int | None:
    """Return when the book changed that a frame tells of, ms; None = it tells of none."""
    if frame.get("e") == "depthUpdate":
        return frame["T"]
    if "cts" in frame:
        return frame["cts"]
    data = frame.get("data")
    return int(data[0]["ts"]) if data and frame.get("action") == "update" else None


async def step_by_step(
    session: aiohttp.ClientSession, port: int, grant: float, seconds: float
) -> None:
    """Grant a lock-step market its steps one by one, as fast as it takes them."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        url = f"http://127.0.0.1:{port}/_control"
        async with session.post(url, json={"advance_seconds": grant}) as answer:
            await answer.read()
    # What still waits in the server's queues belongs to these steps.
    await asyncio.sleep(0.5)


async def measure(
    server: Server, subscriptions: list[tuple[str, str]], seconds: float, grant: float = 0.0
) -> tuple[dict[str, float], list[list[str]]]:
    """Return what a client saw in so many seconds, and the CPU the server used for it."""
    counter = Counter()
    async with aiohttp.ClientSession() as session:
        streams = []
        for path, request in subscriptions:
            url = f"ws://127.0.0.1:{server.port}{path}"
            stream = await session.ws_connect(url, max_msg_size=0)
            await stream.send_str(request)
            streams.append(stream)
        readers = [
            asyncio.create_task(counter.read(each, place)) for place, each in enumerate(streams)
        ]
        await asyncio.sleep(2)
        loop = asyncio.get_running_loop()
        used = await loop.run_in_executor(None, server.used)
        counted, size, started = counter.messages, counter.bytes, time.monotonic()
        counter.ages_ms.clear()
        counter.seconds.clear()
        if grant:
            await step_by_step(session, server.port, grant, seconds)
        else:
            await asyncio.sleep(seconds)
        took = time.monotonic() - started
        counted, size = counter.messages - counted, counter.bytes - size
        after = await loop.run_in_executor(None, server.used)
        used = {name: figure - used[name] for name, figure in after.items()}
        cpu = used["cpu"]
        alive = sum(not each.closed for each in streams)
        for each in readers:
            each.cancel()
        await asyncio.gather(*readers, return_exceptions=True)
    ages = sorted(counter.ages_ms) or [0.0]
    # The first and the last second are not whole.
    whole = [counter.seconds[each] for each in sorted(counter.seconds)[1:-1]]
    return {
        "per_second": counted / took,
        "worst_second": min(whole, default=0),
        "steps": used.get("steps", 0),
        "merged": used.get("merged", 0),
        "bytes": size / max(1, counted),
        "cpu_us": 1e6 * cpu / max(1, counted),
        "core": cpu / took,
        "age_ms_p50": ages[len(ages) // 2],
        "age_ms_p99": ages[len(ages) * 99 // 100],
        "age_ms_max": ages[-1],
        "cut": len(streams) - alive,
    }, counter.recorded


def show(name: str, found: dict[str, float]) -> None:
    print(
        f"{name:<24}{found['per_second']:>8,.0f} msg/s (worst second"
        f" {found['worst_second']:>6,}) {found['bytes']:>5,.0f} B"
        f" {found['cpu_us']:>8.1f} us/msg {100 * found['core']:>6.1f} % of a core"
        f"   age ms p50 {found['age_ms_p50']:.0f} p99 {found['age_ms_p99']:.0f}"
        f" max {found['age_ms_max']:.0f}   steps {found['steps']:,} merged {found['merged']:,}"
        f"   connections cut {found['cut']}"
    )


def subscriptions(name: VenueName, markets: int) -> list[tuple[str, str]]:
    """Return path and request per connection: the changes of all books."""
    bases = [f"M{number:03d}" for number in range(markets)]
    found = []
    for start in range(0, markets, TOPICS_MAX):
        part = bases[start : start + TOPICS_MAX]
        if name is VenueName.OKX:
            topics = [{"channel": "books", "instId": f"{base}-USDT-SWAP"} for base in part]
            found.append(("/ws/v5/public", json.dumps({"op": "subscribe", "args": topics})))
        elif name is VenueName.BINANCE:
            names = [f"{base.lower()}usdt@depth@100ms" for base in part]
            request = {"method": "SUBSCRIBE", "params": names, "id": 1}
            found.append(("/public/ws", json.dumps(request)))
        else:
            # The deepest one: the model's books have about 20 levels a side.
            names = [f"orderbook.50.{base}USDT" for base in part]
            request = {"op": "subscribe", "args": names}
            found.append(("/v5/public/linear", json.dumps(request)))
    return found


async def compare(name: VenueName, markets: int, rate: int, seconds: float) -> None:
    asked = subscriptions(name, markets)
    wanted, step_ms = markets * rate, 1_000 // rate
    print(f"{name}: {markets} markets x {rate} updates/s = {wanted:,} messages/s wanted")
    with Server("serve", name, markets, step_ms, 0) as server:
        stepped, recorded = await measure(server, asked, seconds / 3, grant=step_ms / 1_000)
    show(f"{name} books, lock-step", {**stepped, **AGELESS})
    with Server("serve", name, markets, step_ms, 1) as server:
        paced, _ = await measure(server, asked, seconds)
    show(f"{name} books, real time", paced)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(recorded, file)
        file.flush()
        again = [(f"/{place}", "go") for place in range(len(recorded))]
        with Server("bare", file.name, rate) as server:
            bare, _ = await measure(server, again, seconds / 3)
    show("bare aiohttp sender", {**bare, **AGELESS})
    print(
        f"real time served {paced['per_second'] / wanted:.4f} of what was wanted;"
        f" one core makes {1e6 / stepped['cpu_us']:,.0f} messages/s;"
        f" {stepped['cpu_us'] / bare['cpu_us']:.1f} x the CPU of the bare sender"
    )


def main() -> None:
    if sys.argv[1:2] == ["serve"]:
        pin(0)
        count, step_ms, speed = int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
        asyncio.run(serve_simulator(sys.argv[2], count, step_ms, speed))
    if sys.argv[1:2] == ["bare"]:
        pin(0)
        frames = json.loads(Path(sys.argv[2]).read_text())
        encoded = [[text.encode() for text in each] for each in frames]
        asyncio.run(serve_bare(encoded, int(sys.argv[3])))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venue", type=VenueName, choices=list(VenueName), default=VenueName.OKX)
    parser.add_argument("--markets", type=int, help="as many as make 10,000 messages a second")
    parser.add_argument("--rate", type=int, help="updates per market and second")
    parser.add_argument("--seconds", type=float, default=30.0, help="of real time")
    options = parser.parse_args()
    markets, rate = LOADS[options.venue]
    markets, rate = options.markets or markets, options.rate or rate
    if rate < 1 or 1_000 % rate:
        parser.error("--rate must divide 1,000: a step is a whole number of milliseconds")
    pin(1)
    asyncio.run(compare(options.venue, markets, rate, options.seconds))


if __name__ == "__main__":
    main()
