"""The kinds of faults: one table that says where each strikes and what a client sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class FaultKind(StrEnum):
    """What goes wrong. What each does stands in `RULES`."""

    DROP_AFTER_READ = "drop_after_read"
    HTTP_200_EMPTY = "http_200_empty"
    DELAY = "delay"
    REJECT_50026 = "reject_50026"
    ACCEPT_THEN_TIMEOUT = "accept_then_timeout"
    UNAVAILABLE = "unavailable"
    UNKNOWN_OUTCOME = "unknown_outcome"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    MAINTENANCE = "maintenance"
    REJECT_INCREASES = "reject_increases"
    DUPLICATE_CLIENT_ID = "duplicate_client_id"
    PARTIAL_FILL = "partial_fill"
    LATE_PRIVATE = "late_private"
    DUPLICATE_PRIVATE = "duplicate_private"
    REORDER_PRIVATE = "reorder_private"
    LOSE_PRIVATE = "lose_private"
    SILENT_STREAMS = "silent_streams"
    HALF_OPEN = "half_open"
    RECONNECT_STORM = "reconnect_storm"
    GAP_BOOKS = "gap_books"
    WRONG_SEQUENCE_BOOKS = "wrong_sequence_books"
    CROSSED_BOOK = "crossed_book"
    EMPTY_BOOK = "empty_book"
    FREEZE_BOOK = "freeze_book"
    STALE_MARK = "stale_mark"
    CLOCK_JUMP = "clock_jump"
    EMPTY_POSITIONS = "empty_positions"
    EMPTY_MARGINS = "empty_margins"
    KEY_PERMISSION = "key_permission"
    KEY_UNBOUND = "key_unbound"
    ACCOUNT_MODE = "account_mode"
    FEE = "fee"
    CONTRACT_SIZE = "contract_size"
    CUT_STREAMS = "cut_streams"
    LOSE_SUBSCRIPTION = "lose_subscription"
    UPGRADE_NOTICE = "upgrade_notice"
    FORCE_REDUCE = "force_reduce"
    LIQUIDATE = "liquidate"
    CANCEL_BEHIND = "cancel_behind"
    INSTRUMENT_STATE = "instrument_state"
    LOT_SIZE = "lot_size"
    TICK_SIZE = "tick_size"
    FUNDING_INTERVAL = "funding_interval"
    TIERS = "tiers"
    TRANSFER = "transfer"
    LEVERAGE = "leverage"
    POSITION_MODE = "position_mode"
    CLEAR = "clear"


class Place(StrEnum):
    """Where a fault strikes."""

    #: An answered request; `path_contains`, `method` and `stage` narrow it.
    ANSWER = "answer"
    #: An order the venue is about to take; `symbol` narrows it.
    ORDER = "order"
    #: A push of private events.
    PRIVATE_PUSH = "private push"
    #: A push of a book; `symbol` narrows it.
    BOOK_PUSH = "book push"
    #: Lasts: what a venue shows or a connection does for `duration_seconds`.
    LASTING = "lasting"
    #: Happens once, when it is due.
    ACT = "act"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What one kind of fault does."""

    #: Where it strikes.
    place: Place
    #: What a client sees, for the docs.
    words: str
    #: What `value` means; "" = not used.
    value: str = ""
    #: Whether it strikes order entry alone unless `path_contains` says otherwise.
    order_entry: bool = False
    #: Whether the venue has carried the request out unless `stage` says otherwise.
    carries_out: bool = True
    #: Venues that have no such thing, by name, with the reason; an order for it is refused there.
    absent: Mapping[str, str] = field(default_factory=dict)


_OTHERS_THAN_OKX: Final = ("binance", "bybit")

#: The one table of faults; `docs/simulator.md` shows it and a test holds them together.
RULES: Final[Mapping[FaultKind, Rule]] = {
    FaultKind.DROP_AFTER_READ: Rule(
        place=Place.ANSWER, words="the connection ends without an answer"
    ),
    FaultKind.HTTP_200_EMPTY: Rule(place=Place.ANSWER, words="HTTP 200 with an empty body"),
    FaultKind.DELAY: Rule(place=Place.ANSWER, words="the answer comes `seconds` late"),
    FaultKind.REJECT_50026: Rule(
        place=Place.ANSWER,
        words="the older name of `unavailable`",
        carries_out=False,
        absent=dict.fromkeys(_OTHERS_THAN_OKX, "50026 is a code of OKX; order unavailable"),
    ),
    FaultKind.ACCEPT_THEN_TIMEOUT: Rule(
        place=Place.ANSWER,
        words="carried out, then silence for `seconds` and the connection ends",
        order_entry=True,
    ),
    FaultKind.UNAVAILABLE: Rule(
        place=Place.ANSWER,
        words="HTTP 503 in the venue's words; with `stage` answer it comes after acceptance",
        carries_out=False,
    ),
    FaultKind.UNKNOWN_OUTCOME: Rule(
        place=Place.ANSWER,
        words="the venue's own code for 'may or may not have been carried out'",
        order_entry=True,
    ),
    FaultKind.RATE_LIMITED: Rule(
        place=Place.ANSWER, words="too many requests, in the venue's words", carries_out=False
    ),
    FaultKind.BANNED: Rule(place=Place.ANSWER, words="the address is shut out", carries_out=False),
    FaultKind.MAINTENANCE: Rule(
        place=Place.ANSWER,
        words="a maintenance window: every request is refused",
        carries_out=False,
    ),
    FaultKind.REJECT_INCREASES: Rule(
        place=Place.ORDER, words="orders that could grow a position are refused for margin"
    ),
    FaultKind.DUPLICATE_CLIENT_ID: Rule(
        place=Place.ORDER, words="an order is refused because its client id is said to exist"
    ),
    FaultKind.PARTIAL_FILL: Rule(
        place=Place.ORDER,
        words="a taking order fills in part, the rest is canceled",
        value="fraction that fills, default 0.5",
    ),
    FaultKind.LATE_PRIVATE: Rule(
        place=Place.PRIVATE_PUSH, words="a private event comes `seconds` late"
    ),
    FaultKind.DUPLICATE_PRIVATE: Rule(
        place=Place.PRIVATE_PUSH, words="a private event comes twice"
    ),
    FaultKind.REORDER_PRIVATE: Rule(
        place=Place.PRIVATE_PUSH, words="a private event comes after the one behind it"
    ),
    FaultKind.LOSE_PRIVATE: Rule(place=Place.PRIVATE_PUSH, words="a private event is lost"),
    FaultKind.SILENT_STREAMS: Rule(
        place=Place.LASTING, words="no pushes, while pings are answered"
    ),
    FaultKind.LOSE_SUBSCRIPTION: Rule(
        place=Place.ACT,
        words="private subscriptions are forgotten without a word, while pings are answered;"
        " `path_contains` narrows the channel, at Binance it is the whole stream of the key",
    ),
    FaultKind.HALF_OPEN: Rule(
        place=Place.ACT,
        words="open sockets stay open, nothing is read or written, not even pongs; cut at the end",
    ),
    FaultKind.RECONNECT_STORM: Rule(
        place=Place.LASTING, words="every WebSocket is cut each `seconds`"
    ),
    FaultKind.GAP_BOOKS: Rule(
        place=Place.BOOK_PUSH, words="book updates are lost, their numbers taken"
    ),
    FaultKind.WRONG_SEQUENCE_BOOKS: Rule(
        place=Place.BOOK_PUSH, words="a book update names a predecessor that never was"
    ),
    FaultKind.CROSSED_BOOK: Rule(
        place=Place.LASTING, words="the shown book's best bid stands above its best ask"
    ),
    FaultKind.EMPTY_BOOK: Rule(place=Place.LASTING, words="the shown book has no levels"),
    FaultKind.FREEZE_BOOK: Rule(place=Place.LASTING, words="the shown book stands still"),
    FaultKind.STALE_MARK: Rule(place=Place.LASTING, words="the shown mark and index stand still"),
    FaultKind.CLOCK_JUMP: Rule(
        place=Place.LASTING,
        words="server time and the check of request stamps are off",
        value="seconds the clock jumps, default 60",
    ),
    FaultKind.EMPTY_POSITIONS: Rule(
        place=Place.LASTING, words="position lists are empty although positions are held"
    ),
    FaultKind.EMPTY_MARGINS: Rule(
        place=Place.LASTING, words="margin figures of account and positions are empty strings"
    ),
    FaultKind.KEY_PERMISSION: Rule(
        place=Place.LASTING,
        words="the key is said to be allowed more, or less",
        value="withdraw, transfer or read_only",
    ),
    FaultKind.KEY_UNBOUND: Rule(
        place=Place.LASTING, words="the key is said to work from every address"
    ),
    FaultKind.ACCOUNT_MODE: Rule(
        place=Place.LASTING,
        words="the account is said to be in another mode, until the client sets it right",
        value="OKX's acctLv, Bybit's marginMode, multi_asset or isolated at Binance",
    ),
    FaultKind.FEE: Rule(
        place=Place.LASTING, words="the account is said to pay another taker fee", value="bps"
    ),
    FaultKind.CONTRACT_SIZE: Rule(
        place=Place.LASTING,
        words="an instrument is listed with another contract size",
        value="factor, 10 = ten times the base units",
        absent=dict.fromkeys(_OTHERS_THAN_OKX, "it has no contracts; order lot_size"),
    ),
    FaultKind.CUT_STREAMS: Rule(place=Place.ACT, words="every WebSocket is cut"),
    FaultKind.UPGRADE_NOTICE: Rule(
        place=Place.ACT,
        words="sockets are told they will be closed for an upgrade, and are",
        absent=dict.fromkeys(
            _OTHERS_THAN_OKX, "it closes its sockets without a word; order cut_streams"
        ),
    ),
    FaultKind.FORCE_REDUCE: Rule(
        place=Place.ACT,
        words="auto-deleveraging: a position shrinks without an order",
        value="base quantity, default all of it",
    ),
    FaultKind.LIQUIDATE: Rule(
        place=Place.ACT,
        words="the venue closes a position as in a liquidation",
        value="base quantity, default all of it",
    ),
    FaultKind.CANCEL_BEHIND: Rule(
        place=Place.ACT,
        words="open orders and trigger orders are canceled without a request",
    ),
    FaultKind.INSTRUMENT_STATE: Rule(
        place=Place.ACT,
        words="an instrument's state changes",
        value="live, post_only, closing, suspend or delisted",
    ),
    FaultKind.LOT_SIZE: Rule(
        place=Place.ACT, words="an instrument's lot size changes", value="base quantity"
    ),
    FaultKind.TICK_SIZE: Rule(
        place=Place.ACT, words="an instrument's tick size changes", value="quote"
    ),
    FaultKind.FUNDING_INTERVAL: Rule(
        place=Place.ACT, words="an instrument's funding interval changes", value="hours"
    ),
    FaultKind.TIERS: Rule(
        place=Place.ACT,
        words="an instrument's margin fractions change in every tier",
        value="factor, 2 = doubled",
    ),
    FaultKind.TRANSFER: Rule(
        place=Place.ACT, words="cash moves in or out", value="quote, negative = out"
    ),
    FaultKind.LEVERAGE: Rule(
        place=Place.ACT,
        words="the leverage setting changes behind the client's back",
        value="leverage",
    ),
    FaultKind.POSITION_MODE: Rule(
        place=Place.ACT,
        words="the position mode changes behind the client's back",
        value="one_way or hedge",
    ),
    FaultKind.CLEAR: Rule(place=Place.ACT, words="faults that wait or last are forgotten"),
}

#: How long a lasting fault lasts if nothing is said, seconds.
LASTING_SECONDS: Final = 10.0
#: How far a clock jumps if nothing is said, seconds.
CLOCK_JUMP_SECONDS: Final = 60.0


def check_venue(kind: FaultKind, venue: str) -> None:
    """ValueError: the venue has no such thing; it names the venue and what to order instead."""
    reason = RULES[kind].absent.get(venue)
    if reason is not None:
        raise ValueError(f"{kind.value} does not exist at {venue}: {reason}")
