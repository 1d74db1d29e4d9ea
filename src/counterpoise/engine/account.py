"""The account as the streams and the venue's REST tell it, event by event.

The venue's position is truth and fills explain it: a fill moves the tracked position only until a
position message at least as new arrives (venues.md names the order of OKX's messages).
"""

from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from counterpoise.domain.account import AccountSnapshot, AccountView, Balance, Position
from counterpoise.domain.orders import Fill
from counterpoise.domain.units import NS_PER_MS
from counterpoise.engine import same_instant
from counterpoise.engine.balance_doubt import BalanceDoubt, doubted, is_jump
from counterpoise.engine.contradiction import (
    ANSWER_LAG_NS,
    Absence,
    Contradiction,
    emptied,
    explained,
    is_before_seizure,
    is_believed,
    is_newer,
    restamped,
)
from counterpoise.engine.execution_sum import ExecutionSum, trade_sequence
from counterpoise.engine.positions import after_fill, flat, realised_pnl
from counterpoise.engine.start_record import StartRecord
from counterpoise.engine.supposed_transfer import SupposedTransfer
from counterpoise.risk import equity as risk_equity

#: Fill ids kept to recognise a fill told twice; far above what one reconnect can repeat.
FILLS_REMEMBERED_MAX: Final = 20_000
#: Movements of cash kept that may be newer than the next answer's balance.
CASH_TOLD_MAX: Final = 1_000

ZERO: Final = Decimal(0)


@dataclass(slots=True, kw_only=True)
class Account:
    """Positions, cash and the equity anchor."""

    #: By instrument; a flat one is kept with quantity 0 for the time of its last change.
    positions: dict[str, Position] = field(default_factory=dict)
    #: The same as the venue last told them, without the executions since.
    told: dict[str, Position] = field(default_factory=dict)
    #: The latest instant of each, as executions and messages tell it.
    instants: dict[str, same_instant.Instant] = field(default_factory=dict)
    #: Cash as last told, adjusted by later fills and funding; None = never told.
    wallet_balance: Decimal | None = None
    #: Venue clock of the last balance, ns.
    balance_ns: int = 0
    #: A balance that is not believed yet; None = the last one was.
    balance_doubt: BalanceDoubt | None = None
    #: Equity as the venue last figured it, quote; None = never told.
    venue_equity: Decimal | None = None
    #: The venue's last equity with the marks and positions it belongs to; None = never told.
    anchor: risk_equity.EquityAnchor | None = None
    #: Fills newer than the anchor; cleared by the next one.
    fills_since_anchor: list[Fill] = field(default_factory=list)
    #: Funding newer than the anchor, quote.
    cash_since_anchor: Decimal = ZERO
    #: Cash that fills, funding and transfers explain since the last reconciliation, quote.
    cash_explained: Decimal = ZERO
    #: Venue clock of that reconciliation's balance, ns; what is older is in its balance.
    reconciled_ns: int = 0
    #: The latest of what explains cash: (venue clock, ns; quote; True = of an execution).
    cash_told: deque[tuple[int, Decimal, bool]] = field(
        default_factory=lambda: deque(maxlen=CASH_TOLD_MAX)
    )
    #: Venue clock up to which the last whole answer about positions has every execution, ns.
    positions_ns: int = 0
    #: What the last whole answer denied and is not believed yet, by instrument.
    contradicted: dict[str, Contradiction] = field(default_factory=dict)
    #: What is flat only because answers lacked it, by instrument.
    absent: dict[str, Absence] = field(default_factory=dict)
    #: Base units that messages showed taken by the venue and no execution has told yet.
    taken: dict[str, Decimal] = field(default_factory=dict)
    #: When the last fill was told, our clock, ns; 0 = none yet.
    filled_ns: int = 0
    #: Fill ids already counted, oldest first.
    fills_seen: OrderedDict[tuple[str, str], None] = field(default_factory=OrderedDict)
    #: When the account stream was last proven alive, our clock, ns; None = never.
    alive_ns: int | None = None
    #: Deposits less withdrawals told since the decision before, quote.
    transfers: Decimal = ZERO
    #: What of it no bill has told.
    supposed: SupposedTransfer = field(default_factory=SupposedTransfer)
    #: Positions as executions add them up since the last answer that was counted from.
    sums: ExecutionSum = field(default_factory=ExecutionSum)
    #: What may explain the positions of the start.
    start: StartRecord = field(default_factory=StartRecord)
    #: True = REST gave the whole account at least once and nothing contradicts it since.
    complete: bool = False

    def quantities(self) -> dict[str, Decimal]:
        """Return signed base units of every position that is not flat."""
        return {i: p.quantity for i, p in self.positions.items() if p.quantity != 0}

    def entry_prices(self) -> dict[str, Decimal]:
        """Return the average entry of every position that is not flat."""
        return {
            i: p.entry_price
            for i, p in self.positions.items()
            if p.quantity != 0 and p.entry_price is not None
        }

    def equity(self, marks: Mapping[str, Decimal]) -> Decimal | None:
        """Return equity at mark as invariant 1 defines it; None = unknown."""
        if not self.complete or self.anchor is None:
            return None
        own = risk_equity.equity_at_mark(
            self.wallet_balance, self.quantities(), self.entry_prices(), marks
        )
        carried = risk_equity.equity_from_anchor(
            self.anchor, marks, self.fills_since_anchor, self.cash_since_anchor
        )
        return risk_equity.equity(own, carried)

    def view(self, now_ns: int, marks: Mapping[str, Decimal], age_ms_max: int) -> AccountView:
        """Return what a decision may know now."""
        age_ms = None if self.alive_ns is None else max(0, (now_ns - self.alive_ns) // NS_PER_MS)
        missing: list[str] = []
        if not self.complete or self.wallet_balance is None:
            missing.append("ACCOUNT_MISSING")
        if age_ms is None or age_ms > age_ms_max:
            missing.append("ACCOUNT_STALE")
        return AccountView(
            equity=self.equity(marks),
            wallet_balance=self.wallet_balance,
            quantities=self.quantities(),
            entry_prices=self.entry_prices(),
            transfers=self.transfers,
            age_ms=age_ms,
            missing=tuple(missing),
            adl_ranks={
                i: p.adl_rank
                for i, p in self.positions.items()
                if p.quantity != 0 and p.adl_rank is not None
            },
        )

    def told_position(self, position: Position) -> bool:
        """Take a position message; False = it is older than what is known."""
        name = position.instrument_id
        known = self.positions.get(name)
        if known is not None and not self._is_newer(position, known):
            return False
        self._take(position)
        return True

    def is_answered(self, instrument_id: str, event_ns: int) -> bool:
        """Tell whether an answer lacks what is told now and happened before it was asked for.

        `event_ns` is by the venue's clock.
        """
        absence = self.absent.get(instrument_id)
        if absence is not None and event_ns <= absence.asked_ns:
            return True
        return self.positions_ns < event_ns <= self.positions_ns + ANSWER_LAG_NS

    def took(self, instrument_id: str, quantity: Decimal) -> None:
        """Note base units that the venue took by a message; executions of them come later."""
        self.taken[instrument_id] = self.taken.get(instrument_id, ZERO) + quantity

    def is_doubtful(self, told: Position) -> bool:
        """Tell whether quantities alone decide what a message is worth beside executions.

        One that seems to be of a moment before the last told, or goes against what executions told
        a moment before; without numbers of the venue either may be wrong for once.
        """
        instant = self.instants.get(told.instrument_id)
        if instant is None or told.trade_sequence is not None or not instant.has(told.event_ns):
            return False
        behind = instant.is_behind(told.quantity, told.event_ns)
        return behind or not instant.joins(told.quantity, told.event_ns)

    def told_instant(self, instrument_id: str) -> same_instant.Instant | None:
        """Return the instant of the last message; None = not known, or numbers tell."""
        told, instant = self.told.get(instrument_id), self.instants.get(instrument_id)
        same = told is not None and instant is not None and told.event_ns == instant.event_ns
        return instant if same else None

    def _is_newer(self, told: Position, known: Position) -> bool:
        last = self.told.get(told.instrument_id)
        if not is_newer(told, known, last):
            return False
        # That an answer lacked a position is no message of it.
        if told.instrument_id not in self.absent and is_before_seizure(told, last):
            return False
        instant = self.instants.get(told.instrument_id)
        if instant is None or told.trade_sequence is not None:
            return True
        return not instant.is_behind(told.quantity, told.event_ns)

    def _take(self, position: Position) -> None:
        name = position.instrument_id
        known = self.positions.get(name) or flat(name)
        # What was held before a stamp is not known where its first message came with the start.
        told = self.told.get(name)
        again = told is not None and told.event_ns == position.event_ns
        begun = not again or self.told_instant(name) is not None
        if self.complete and begun and position.event_ns >= known.event_ns:
            since_ns = 0 if told is None else told.event_ns
            self.instants[name] = same_instant.with_message(
                self.instants.get(name), known.quantity, position, since_ns
            )
        else:
            self.instants.pop(name, None)
        self.positions[name] = self.told[name] = position
        self.contradicted.pop(name, None)
        self.absent.pop(name, None)

    def told_balance(
        self,
        balance: Balance,
        marks: Mapping[str, Decimal],
        received_ns: int,
        known: Sequence[Decimal | None] | None = None,
    ) -> bool:
        """Take a balance message and anchor equity at it.

        False = older than what is known, or not believed yet. `known` = equity before what came
        with it, by each set of marks it may have been made with; None = as it is now. What moved
        cash after it was made may have been told before it.
        """
        if balance.event_ns < self.balance_ns:
            return False
        if self._is_doubted(balance, marks, received_ns, known or [self.equity(marks)]):
            return False
        self.wallet_balance = balance.wallet_balance + self.cash_after(balance.event_ns)
        self.balance_ns = balance.event_ns
        self.venue_equity = balance.equity
        quantities = self.quantities()
        self.anchor = risk_equity.EquityAnchor(
            venue_equity=balance.equity,
            quantities=quantities,
            marks={i: marks[i] for i in quantities if i in marks},
            anchor_ns=balance.event_ns,
        )
        self.fills_since_anchor = [
            fill for fill in self.fills_since_anchor if fill.event_ns > balance.event_ns
        ]
        self.cash_since_anchor = self.cash_after(balance.event_ns, executions=False)
        return True

    def _is_doubted(
        self,
        balance: Balance,
        marks: Mapping[str, Decimal],
        received_ns: int,
        known: Sequence[Decimal | None],
    ) -> bool:
        # Whose equity is nowhere near any that is known waits for more that say the same.
        held = self.quantities()
        wallet = balance.wallet_balance + self.cash_after(balance.event_ns)
        own = risk_equity.equity_at_mark(wallet, held, self.entry_prices(), marks)
        told = balance.equity if own is None else min(own, balance.equity)
        if not all(is_jump(each, told, holds=bool(held)) for each in known):
            self.balance_doubt = None
        else:
            self.balance_doubt = doubted(self.balance_doubt, known[0], told, received_ns)
        return self.balance_doubt is not None

    def cash_after(self, event_ns: int, *, executions: bool = True) -> Decimal:
        """Return what was told to move cash after a moment of the venue's clock, quote."""
        return sum(
            (
                cash
                for ns, cash, fill in self.cash_told
                if ns > event_ns and (executions or not fill)
            ),
            ZERO,
        )

    def told_fill(self, fill: Fill, *, reduce_only: bool = False) -> bool:
        """Take a fill once; False = it was told before and changes nothing.

        `reduce_only` = its order could not open or turn a position, so it never does here.
        """
        key = (fill.instrument_id, fill.fill_id)
        if key in self.fills_seen:
            return False
        self.fills_seen[key] = None
        while len(self.fills_seen) > FILLS_REMEMBERED_MAX:
            self.fills_seen.popitem(last=False)
        known = self.positions.get(fill.instrument_id) or flat(fill.instrument_id)
        realised = fill.realised_pnl
        if realised is None:
            realised = realised_pnl(known, fill)
        cash = realised - fill.fee
        self._explain(cash, fill.event_ns, execution=True)
        if self.wallet_balance is not None and fill.event_ns > self.balance_ns:
            self.wallet_balance += cash
            self.fills_since_anchor.append(fill)
        # The end of what answers lacked already moves nothing a second time.
        absence = self.absent.get(fill.instrument_id)
        left = None if absence is None else explained(absence, fill)
        if left is not None:
            self.absent[fill.instrument_id] = left
        elif self.complete:
            moved = self._moved(fill, known, reduce_only=reduce_only)
            if moved != 0:
                part = replace(fill, quantity=abs(moved))
                self.positions[fill.instrument_id] = after_fill(known, part)
                self.contradicted.pop(fill.instrument_id, None)
        self.start.told_fill(fill)
        if left is None:
            self.sums.add(fill)
        self.filled_ns = max(self.filled_ns, fill.received_ns)
        return True

    def _moved(self, fill: Fill, known: Position, *, reduce_only: bool) -> Decimal:
        # Signed base units by which an execution moves the position. The venue's execution numbers
        # decide where both sides have one, else its clock, and within one stamp the quantities.
        name = fill.instrument_id
        turns = reduce_only and known.quantity * fill.side.sign >= 0
        if turns or fill.event_ns <= self.positions_ns:
            return ZERO
        number = trade_sequence(fill)
        # Against what the venue told, not against later executions: these may come in any order.
        told, instant = self.told.get(name) or flat(name), self.instants.get(name)
        if number is not None and told.trade_sequence is not None:
            moved = fill.signed_quantity if number > told.trade_sequence else ZERO
            counted = same_instant.with_numbered_fill(
                instant, known.quantity, fill, moved, told.event_ns
            )
            if counted is not None:
                self.instants[name] = counted
            return moved
        if fill.event_ns < told.event_ns:
            if instant is None or instant.event_ns != told.event_ns:
                return ZERO
            self.instants[name], moved = same_instant.with_earlier_fill(instant, fill)
            return moved
        same = instant is not None and instant.event_ns == fill.event_ns
        if fill.event_ns == told.event_ns and not same:
            return ZERO
        self.instants[name], moved = same_instant.with_fill(
            instant, known.quantity, fill, told.event_ns
        )
        return moved

    def told_funding(self, payment: Decimal, event_ns: int) -> None:
        """Take a funding payment, positive = received."""
        self._told_cash(payment, event_ns)

    def told_transfer(self, transfer: Decimal, event_ns: int) -> None:
        """Take a deposit (positive) or withdrawal: it buys or sells NAV units."""
        self._told_cash(transfer, event_ns)
        self.transfers += transfer

    def _explain(self, change: Decimal, event_ns: int, *, execution: bool) -> None:
        self.cash_told.append((event_ns, change, execution))
        if event_ns > self.reconciled_ns:
            self.cash_explained += change
        else:
            # It was in a balance that was counted from, and may have been unexplained there.
            self.transfers -= self.supposed.explained(change)

    def suppose_transfer(self, cash: Decimal, now_ns: int) -> None:
        """Take cash that nothing explains for a deposit, or a withdrawal; quote."""
        self.transfers += self.supposed.suppose(cash, now_ns)

    def give_up_supposed(self, now_ns: int) -> None:
        """Count cash that went, and that no bill explained in time, as lost."""
        self.transfers -= self.supposed.given_up(now_ns)

    def _told_cash(self, change: Decimal, event_ns: int) -> None:
        self._explain(change, event_ns, execution=False)
        if self.wallet_balance is not None and event_ns > self.balance_ns:
            self.wallet_balance += change
            self.cash_since_anchor += change

    def count_from(self, snapshot: AccountSnapshot) -> None:
        """Add up cash from this answer's balance on and executions from its positions on.

        What moved cash after the balance was made may have been told before the whole answer.
        """
        self.reconciled_ns = snapshot.balance.event_ns
        self.cash_explained = self.cash_after(self.reconciled_ns)
        # An execution that was counted may have a number of another kind; what is told has not.
        instants = {name: self.told_instant(name) for name in self.told}
        self.sums.begin(self.told, instants, self.positions_ns)

    def reconciled(
        self,
        snapshot: AccountSnapshot,
        marks: Mapping[str, Decimal],
        denied: Mapping[str, int] | None = None,
    ) -> dict[str, tuple[Decimal, Decimal]]:
        """Take the venue's whole account; return {instrument: (ours, theirs)} where it moved ours.

        What only denies what is known is kept in `contradicted` until it is believed. `denied` =
        when, by the venue's clock, it refused an order as if nothing were held, by instrument: an
        answer asked for after that is the second word.
        """
        theirs = {p.instrument_id: p for p in snapshot.positions}
        # Venues stamp whole milliseconds: what is stamped with the one in which they were asked may
        # have happened after they looked.
        asked_ns = (snapshot.positions_ns or snapshot.event_ns) // NS_PER_MS * NS_PER_MS - 1
        # What no stream has told a mark of yet was valued at the answer's own.
        valued = {p.instrument_id: p.mark for p in snapshot.positions if p.mark is not None}
        known = [self.equity(valued | dict(marks)), self.equity(dict(marks) | valued)]
        drift: dict[str, tuple[Decimal, Decimal]] = {}
        for name in sorted(self.positions.keys() | theirs.keys()):
            ours, other = self.positions.get(name) or flat(name), theirs.get(name)
            refused_ns = (denied or {}).get(name)
            if not self._answered(name, ours, other, snapshot, asked_ns, refused_ns):
                continue
            if self.complete and ours.quantity != self.positions[name].quantity:
                drift[name] = (ours.quantity, self.positions[name].quantity)
        self.told_balance(snapshot.balance, valued | dict(marks), snapshot.received_ns, known)
        self.positions_ns = asked_ns - ANSWER_LAG_NS
        self.complete = True
        # REST tells what is, not that the stream lives: only the first answer counts as life.
        self.alive_ns = self.alive_ns or snapshot.received_ns
        return drift

    def _answered(
        self,
        name: str,
        ours: Position,
        other: Position | None,
        snapshot: AccountSnapshot,
        asked_ns: int,
        refused_ns: int | None,
    ) -> bool:
        # Takes what an answer says of one position; False = it is not believed yet.
        quantity = ZERO if other is None else other.quantity
        last = self.told.get(name) or flat(name)
        if other is not None and self._is_newer(other, ours):
            self._take(other)
        elif quantity == ours.quantity:
            self.contradicted.pop(name, None)
            self.positions[name] = ours if other is None else restamped(other, ours)
            self.told[name] = emptied(last) if other is None else restamped(other, last)
        else:
            settled = ours.event_ns <= asked_ns - ANSWER_LAG_NS
            known = self.contradicted.get(name)
            second = refused_ns is not None and asked_ns >= refused_ns
            at_once = settled and (second or not self.complete)
            if not at_once and not is_believed(
                ours, known, quantity, asked_ns, snapshot.received_ns
            ):
                # Asked for before the first one: the measure of the venue's clock jumped.
                jumped = known is not None and asked_ns < known.asked_ns
                if known is None or known.quantity != quantity or jumped:
                    known = Contradiction(
                        quantity=quantity, asked_ns=asked_ns, since_ns=snapshot.received_ns
                    )
                self.contradicted[name] = known
                return False
            self._take(other or emptied(ours))
            if other is None:
                self.told[name] = emptied(last)
                self.instants.pop(name, None)
                self.absent[name] = Absence(quantity=ours.quantity, asked_ns=asked_ns)
        return True
