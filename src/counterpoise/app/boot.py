"""From what the venue and the ledger say to the engine's first state.

A restart is the same path as a first start: attest, read the memory back, warm the signals, take
up orders whose end is not recorded. Nothing is closed or canceled here.
"""

import asyncio
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, Final

import structlog

from counterpoise.app import attesting, parameters
from counterpoise.app.settings import Settings
from counterpoise.domain import identity
from counterpoise.domain.account import AccountSnapshot, Attestation, OpenOrder, Position
from counterpoise.domain.errors import StartRefused
from counterpoise.domain.instruments import Instrument, InstrumentState
from counterpoise.domain.orders import Fill, IntentSource, OrderState, Side, TimeInForce
from counterpoise.domain.records import DecisionEnded
from counterpoise.domain.rounding import float_from_decimal
from counterpoise.domain.units import NS_PER_DAY, NS_PER_SECOND
from counterpoise.engine.account import Account
from counterpoise.engine.order_tracker import OrderTracker
from counterpoise.engine.pairing import Pair
from counterpoise.engine.plan import PairProgress, Plan, attempts_after
from counterpoise.engine.run import ForeignPolicy, Run
from counterpoise.engine.start_record import RecordedInstant
from counterpoise.engine.state import State
from counterpoise.engine.trading_state import PERSISTED, Cause
from counterpoise.execution.sends import SendPermit
from counterpoise.ledger import codec
from counterpoise.market.state import Market
from counterpoise.ports import Candle, Clock, Venue
from counterpoise.signals.state import Signals
from counterpoise.signals.warming import WarmCandle
from counterpoise.strategy.memory import Memory

log = structlog.get_logger(__name__)

#: Warm-up: (candle length, seconds; how far back, days).
WARM_UP: Final = ((300, 30), (60, 1))
#: Fills on record that the first questions could tell again.
FILLS_REMEMBERED: Final = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Universe:
    """The instruments a run follows."""

    #: All of them, the core first.
    instrument_ids: tuple[str, ...]
    #: Those followed only to be counted: what is held or ordered in them is somebody else's.
    unmanaged: frozenset[str]


def universe(
    settings: Settings, snapshot: AccountSnapshot, ours: Mapping[str, Decimal]
) -> Universe:
    """Return the instruments to follow: configured ones and those this account still holds.

    `ours` is what the ledger says was held in instruments we ordered in. Any other held one that
    is not configured is foreign, and so is an open order without our kind of id. The setting `foreign` says what that means: StartRefused,
    taken over, or counted and left alone.
    """
    configured = (settings.core_instrument, *settings.hedge_candidates)
    held = [p.instrument_id for p in snapshot.positions]
    strange = [i for i in held if i not in configured and not ours.get(i)]
    foreign = [
        order
        for order in snapshot.open_orders
        if order.client_order_id is None or not identity.is_ours(order.client_order_id)
    ]
    policy = ForeignPolicy(settings.foreign)
    if policy is ForeignPolicy.REFUSE:
        _refuse_foreign(strange, foreign)
    ordered = [o.instrument_id for o in foreign]
    followed = dict.fromkeys((*configured, *held, *ordered))
    unmanaged: frozenset[str] = frozenset()
    if policy is ForeignPolicy.IGNORE:
        unmanaged = frozenset(
            i for i in (*strange, *ordered) if i not in configured and not ours.get(i)
        )
    if strange or foreign:
        log.warning(
            "foreign.found",
            policy=policy.value,
            positions=strange,
            orders=[order.venue_order_id for order in foreign],
        )
    return Universe(instrument_ids=tuple(followed), unmanaged=unmanaged)


def _refuse_foreign(strange: Sequence[str], foreign: Sequence[OpenOrder]) -> None:
    if strange:
        raise StartRefused(
            f"the account holds {', '.join(strange)}, which neither the configuration nor the "
            "ledger knows; close it, add it to COUNTERPOISE_HEDGE_CANDIDATES, or set "
            "COUNTERPOISE_FOREIGN=adopt or ignore"
        )
    if foreign:
        named = ", ".join(f"{o.instrument_id} {o.venue_order_id}" for o in foreign)
        raise StartRefused(
            f"open orders that are not ours stand on the account ({named}); cancel them, give "
            "the daemon an account of its own, or set COUNTERPOISE_FOREIGN=adopt or ignore"
        )


async def attest(
    venue: Venue,
    settings: Settings,
    snapshot: AccountSnapshot,
    instrument_ids: Sequence[str],
    permit: SendPermit,
) -> Attestation:
    """Return what the venue attests, after setting what the daemon may set (never to observe).

    Raises StartRefused for an account, key or clock that is not as it must be, and like
    `attesting.prepare`.
    """
    attestation = await attesting.attest(venue, instrument_ids)
    limit_ms = settings.clock_offset_ms_max
    attesting.check(attestation, limit_ms, before_preparing=True)
    if settings.mode == "trade":
        setting = leverage_setting(parameters.leverage_ceiling(settings))
        changed, kept = await attesting.prepare(venue, attestation, snapshot, setting, permit)
        if kept:
            log.warning("leverage_setting.kept", instruments=kept, wanted=str(setting))
        if changed:
            attestation = await attesting.attest(venue, instrument_ids)
    attesting.check(attestation, limit_ms)
    if attestation.ip_bound is False:
        log.warning("key.not_bound", remedy="bind the API key to this machine's address")
    return attestation


def leverage_setting(ceiling: Decimal) -> Decimal:
    """Return what the venue is told: the ceiling, up to the next whole number."""
    return ceiling.to_integral_value(rounding=ROUND_CEILING)


async def warm_candles(
    venue: Venue, instrument_ids: Sequence[str], now_ns: int
) -> dict[str, list[WarmCandle]]:
    """Return mark candles of every instrument for the warm-up, all asked for at once."""

    async def history(instrument_id: str) -> list[WarmCandle]:
        parts = await asyncio.gather(
            *(
                venue.mark_candles(instrument_id, step, now_ns - days * NS_PER_DAY, now_ns)
                for step, days in WARM_UP
            )
        )
        return [_warm(candle) for part in parts for candle in part]

    found = await asyncio.gather(*(history(i) for i in instrument_ids))
    return dict(zip(instrument_ids, found, strict=True))


def new_state(
    settings: Settings, run: Run, instruments: Iterable[Instrument], memory: Memory
) -> State:
    """Return the engine's state before the first event."""
    strategy = parameters.strategy_parameters(settings)
    rules = {i.instrument_id: i for i in instruments}
    live = rules[strategy.core_instrument].state is InstrumentState.LIVE
    return State(
        run=run,
        strategy=strategy,
        guard=parameters.guard_parameters(settings),
        instruments=rules,
        market=Market(rules.values(), parameters.freshness_limits(settings)),
        signals=Signals(
            strategy.core_instrument,
            strategy.side,
            tuple(rules),
            parameters.signal_parameters(settings),
        ),
        account=Account(),
        orders=OrderTracker(),
        memory=memory,
        encode=codec.encode,
        causes=set() if live else {Cause.CORE},
    )


def take_up_positions(state: State, recorded: Mapping[str, Decimal]) -> None:
    """Start from the positions on record, so that what changed meanwhile is seen and written."""
    for instrument_id, quantity in recorded.items():
        if quantity != 0:
            state.account.positions[instrument_id] = Position(
                instrument_id=instrument_id, quantity=quantity, entry_price=None
            )


def take_up_fills(state: State, rows: Iterable[Mapping[str, Any]]) -> None:
    """Let fills explain positions whose rows a crash kept off the record (`fills_unplaced`)."""
    for row in rows:
        state.account.start.fills.append(
            Fill(
                fill_id=row["fill_id"],
                instrument_id=row["instrument_id"],
                client_order_id=row["client_order_id"],
                venue_order_id=row["venue_order_id"],
                side=Side(row["side"]),
                quantity=row["quantity"],
                price=row["price"],
                fee=row["fee"],
                fee_currency=row["fee_currency"],
                liquidity=None,
                realised_pnl=row["realised_pnl"],
                event_ns=row["event_ns"],
                received_ns=row["received_ns"],
            )
        )


def take_up_instants(state: State, rows: Iterable[Mapping[str, Any]]) -> None:
    """Let all executions of one stamp explain a position on record with part of them.

    `rows` are `StartReader.last_instants`.
    """
    for row in rows:
        executions = dict(zip(row["fill_ids"], row["quantities"], strict=True))
        state.account.start.instants[row["instrument_id"]] = RecordedInstant(
            since_ns=row["since_ns"], before=row["before"], executions=executions
        )


def restore_memory(row: Mapping[str, Any] | None) -> Memory:
    """Return the strategy's memory as the last decision left it, or a first one."""
    if row is None:
        return Memory.first()
    try:
        return codec.decode(str(row["body"]), Memory)
    except ValueError as error:
        # Forgetting the high-water mark would raise risk after a loss: a person must decide.
        raise StartRefused(
            f"the strategy's memory in the ledger (decision {row['decision_id']}) cannot be read "
            f"by this version: {error}"
        ) from error


def restore_causes(row: Mapping[str, Any] | None) -> set[Cause]:
    """Return what an operator or a broken invariant left behind."""
    if row is None:
        return set()
    return {cause for cause in PERSISTED if cause.value in row["causes"]}


def take_up_losses(state: State, kinds: Container[str]) -> None:
    """Go on answering what the venue took away before the last run ended (`StartReader.losses`).

    Either answer ends by itself: a core within its unhedged limit, an account that is flat.
    """
    state.leg_vanished = "leg.vanished" in kinds or "stop.acted" in kinds
    state.core_vanished = "core.vanished" in kinds


def take_up_intents(state: State, rows: Iterable[Mapping[str, Any]]) -> int:
    """Track orders whose end is not recorded as unknown until the venue says; return how many."""
    count = 0
    for row in rows:
        executed = row["executed"]
        order = OpenOrder(
            client_order_id=row["client_order_id"],
            venue_order_id=row.get("venue_order_id"),
            instrument_id=row["instrument_id"],
            side=Side(row["side"]),
            quantity=row["quantity"],
            filled_quantity=max(row.get("filled_quantity") or Decimal(0), executed),
            price_limit=row["price_limit"],
            reduce_only=row["reduce_only"],
            state=OrderState.UNKNOWN,
        )
        trigger_price = row["trigger_price"]
        if trigger_price is not None:
            state.protection.trigger_prices[row["client_order_id"]] = trigger_price
        tracker = state.orders if trigger_price is None else state.protection.orders
        tracker.adopt(
            order,
            created_ns=row["created_ns"],
            expires_ns=row["expires_ns"],
            rests=row["time_in_force"] == TimeInForce.GTC.value,
            # Executions on record are not told again, though the venue may list them again.
            executed=executed,
        )
        count += 1
    return count


def take_up_decisions(
    state: State,
    pairs: Iterable[Mapping[str, Any]],
    decisions: Iterable[Mapping[str, Any]],
    clock: Clock,
) -> list[DecisionEnded]:
    """Go on with the pairs the last run left; return the ends of its other decisions."""
    taken = take_up_pairs(state, pairs, clock.now_ns())
    return [
        interrupted(state.run.run_id, row, clock.now_ns())
        for row in decisions
        if row["decision_id"] not in taken
    ]


def take_up_pairs(state: State, rows: Iterable[Mapping[str, Any]], now_ns: int) -> set[str]:
    """Go on with decisions that were cut off between their legs; return their ids.

    Each is completed or unwound once its orders' ends and the account are known. In observe mode
    nothing is sent, so nothing is taken up.
    """
    taken: set[str] = set()
    for row in () if state.run.observe else rows:
        try:
            pair = codec.decode(str(row["body"]), Pair)
        except ValueError as error:
            # Another version's: the guard and the next cycle see to what it left.
            log.warning("pair.unreadable", decision=row["decision_id"], error=str(error))
            continue
        if not pair.planned.keys() <= state.instruments.keys():
            log.warning("pair.not_followed", decision=row["decision_id"])
            continue
        plan = Plan(
            decision_id=row["decision_id"],
            source=IntentSource.CYCLE,
            phases=[],
            started_ns=now_ns,
            attempts_from=attempts_after(row["attempt_last"]),
            order_ids=list(row["client_order_ids"]),
            orders_sent=len(row["client_order_ids"]),
            orders_filled=row["orders_filled"],
            pair=PairProgress(
                pair=pair,
                budget=pair.notional * row["naked_leg_seconds"],
                resumed=True,
                increased_before=codec.decode(str(row["increased"]), dict[str, Decimal]),
            ),
            reductions_only=row["overtaken"],
        )
        state.plans[plan.decision_id] = plan
        taken.add(plan.decision_id)
    return taken


def interrupted(run_id: str, row: Mapping[str, Any], now_ns: int) -> DecisionEnded:
    """Return the row that explains a decision which the last run did not bring to its end."""
    return DecisionEnded(
        decision_id=row["decision_id"],
        run_id=run_id,
        outcome="interrupted",
        summary=(
            "the daemon ended before this decision was carried out; its orders were looked up at "
            "the venue by the next start and its positions adopted"
        ),
        orders_sent=0,
        orders_filled=0,
        leverage=None,
        leverage_max=None,
        ended_ns=now_ns,
    )


def asked_from_ns(last_fill_ns: int | None, memory_kept_ns: int | None, clock: Clock) -> int:
    """Return from when on executions, funding and transfers are asked for at start.

    The earlier of the last execution and the last decision on record: cash may have moved
    between them. Without a record, from now on.
    """
    known = [moment for moment in (last_fill_ns, memory_kept_ns) if moment is not None]
    return min(known, default=clock.now_ns() - NS_PER_SECOND)


def _warm(candle: Candle) -> WarmCandle:
    return (candle.open_ns, candle.step_seconds, float_from_decimal(candle.close))
