"""Tables of the record as SQLAlchemy Core sees them; `migrations` creates them.

Schema `audit` is append-only (triggers and grants), one table per class of `domain.records`.
Schema `ops` is small mutable state: the lease and the cursor of each spool. `audit.block` seals
what was stored (`ledger.chain`); `body` columns are of type `json`, which keeps the exact bytes.

There are no foreign keys: a record must never be refused because another one is missing.
"""

import dataclasses
import types
import typing
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import UserDefinedType

from counterpoise.domain import records
from counterpoise.domain.records import Record

AUDIT: Final = "audit"
OPS: Final = "ops"

#: The daemon's role: INSERT and SELECT on `audit`, INSERT and UPDATE on `ops`.
WRITER_ROLE: Final = "counterpoise_writer"
#: The reports' role: SELECT.
READER_ROLE: Final = "counterpoise_reader"
#: The operator's role: may add control requests, and read.
OPERATOR_ROLE: Final = "counterpoise_operator"

#: Channel a new control request is announced on.
CONTROL_CHANNEL: Final = "counterpoise_control"

metadata: Final = sa.MetaData()


class JsonText(UserDefinedType[str]):
    """Column type `json`, given and read as text so that its bytes stay what they are."""

    cache_ok = True

    def get_col_spec(self, **_options: Any) -> str:
        """Return the type's name in SQL."""
        return "JSON"

    def column_expression(self, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        """Read the stored text instead of a parsed object."""
        return sa.cast(column, sa.Text)


#: Record fields that hold canonical JSON.
JSON_FIELDS: Final = frozenset({"body", "inputs", "outputs"})

_TYPES: Final[dict[Any, type[sa.types.TypeEngine[Any]]]] = {
    str: sa.Text,
    int: sa.BigInteger,
    float: sa.Double,
    bool: sa.Boolean,
    Decimal: sa.Numeric,
}


def _column(name: str, annotation: Any, *, key: bool) -> sa.Column[Any]:
    nullable = False
    if isinstance(annotation, types.UnionType):
        nullable = True
        annotation = next(part for part in annotation.__args__ if part is not types.NoneType)
    if name in JSON_FIELDS:
        return sa.Column(name, JsonText(), nullable=nullable)
    if annotation == tuple[str, ...]:
        return sa.Column(name, postgresql.ARRAY(sa.Text), nullable=nullable)
    return sa.Column(name, _TYPES[annotation](), nullable=nullable, primary_key=key)


#: Table that is partitioned by month -> the column that says when; part of its unique keys.
PARTITIONED: Final = {
    "market_snapshot": "event_ns",
    "signals": "event_ns",
    "decision": "decided_ns",
    "position": "recorded_ns",
    "equity": "event_ns",
    "memory": "kept_ns",
}


def _table(name: str, record: type[Record], key: tuple[str, ...]) -> sa.Table:
    moment = (PARTITIONED[name],) if name in PARTITIONED else ()
    key = (*key, *moment)
    hints = typing.get_type_hints(record)
    columns = [
        _column(field.name, hints[field.name], key=field.name in key)
        for field in dataclasses.fields(record)
    ]
    if not key:
        columns.insert(
            0, sa.Column("row_id", sa.BigInteger, sa.Identity(always=True), primary_key=True)
        )
    return sa.Table(
        name,
        metadata,
        *columns,
        sa.Column("spool_id", sa.Text, nullable=False),
        sa.Column("spool_seq", sa.BigInteger, nullable=False),
        sa.Column(
            "shipped_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("clock_timestamp()"),
        ),
        sa.UniqueConstraint("spool_id", "spool_seq", *moment, name=f"{name}_spool_key"),
        schema=AUDIT,
    )


_CLASSES: Final[tuple[tuple[str, type[Record], tuple[str, ...]], ...]] = (
    ("run", records.RunStarted, ("run_id",)),
    ("run_end", records.RunEnded, ("run_id",)),
    ("configuration", records.ConfigurationUsed, ("configuration_sha256", "run_id")),
    ("attestation", records.AttestationSeen, ("attestation_sha256", "run_id")),
    ("instrument", records.InstrumentSeen, ("run_id", "instrument_id", "valid_from_ns")),
    ("market_snapshot", records.MarketSeen, ("decision_id", "instrument_id")),
    ("signals", records.SignalsSeen, ("decision_id", "instrument_id")),
    ("decision", records.DecisionMade, ("decision_id",)),
    ("decision_outcome", records.DecisionEnded, ("decision_id",)),
    ("pair", records.PairOpened, ("decision_id",)),
    ("order_intent", records.IntentWritten, ("client_order_id",)),
    ("order_denial", records.OrderDenied, ()),
    ("order_event", records.OrderEventSeen, ("event_id",)),
    ("fill", records.FillSeen, ("account_id", "instrument_id", "fill_id")),
    ("position", records.PositionSeen, ("position_event_id",)),
    ("equity", records.EquitySeen, ("equity_event_id",)),
    ("funding", records.FundingSeen, ("account_id", "payment_id")),
    ("transfer", records.TransferSeen, ("account_id", "transfer_id")),
    ("clock", records.ClockSeen, ("clock_event_id",)),
    ("control_ack", records.ControlHandled, ("control_id", "run_id")),
    ("trading_state", records.TradingStateChanged, ()),
    ("incident", records.IncidentOpened, ("incident_id",)),
    ("memory", records.MemoryKept, ("decision_id",)),
)

#: Class of a record -> its table.
TABLES: Final[dict[type[Record], sa.Table]] = {
    record: _table(name, record, key) for name, record, key in _CLASSES
}
#: Name of a table without its schema -> class of the records in it.
RECORD_TYPES: Final[dict[str, type[Record]]] = {name: record for name, record, _ in _CLASSES}
#: Class of a record -> name of its table without the schema.
TABLE_NAMES: Final[dict[type[Record], str]] = {record: name for name, record, _ in _CLASSES}

#: Tables whose records carry an id from outside (the venue's, or one derived from content), so
#: that the same fact may arrive twice: by stream and by REST, before and after a restart.
REPEATABLE: Final = frozenset(
    {
        "attestation",
        "configuration",
        "control_ack",
        "fill",
        "funding",
        "instrument",
        "order_event",
        "transfer",
    }
)

#: An operator's wish. The daemon answers in `control_ack`.
CONTROL: Final = sa.Table(
    "control",
    metadata,
    sa.Column("control_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("account_id", sa.Text, nullable=True),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("from_halt", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("actor", sa.Text, nullable=False, server_default=sa.text("session_user")),
    sa.Column(
        "requested_at",
        sa.DateTime(timezone=True),
        nullable=False,
        server_default=sa.text("clock_timestamp()"),
    ),
    sa.Column("client_order_id", sa.Text, nullable=True),
    sa.Column("stated_end", sa.Text, nullable=True),
    sa.Column("filled_quantity", sa.Numeric, nullable=True),
    schema=AUDIT,
)

#: A record Postgres would not take (its own fault, not the server's), kept beside the others.
REFUSED: Final = sa.Table(
    "refused_record",
    metadata,
    sa.Column("spool_id", sa.Text, primary_key=True),
    sa.Column("spool_seq", sa.BigInteger, primary_key=True),
    sa.Column("table_name", sa.Text, nullable=False),
    sa.Column("body", sa.Text, nullable=False),
    sa.Column("error", sa.Text, nullable=False),
    sa.Column(
        "shipped_at",
        sa.DateTime(timezone=True),
        nullable=False,
        server_default=sa.text("clock_timestamp()"),
    ),
    schema=AUDIT,
)

#: The hash chain: rows sealed together, each block naming the one before (`ledger.chain`).
BLOCK: Final = sa.Table(
    "block",
    metadata,
    sa.Column("chain", sa.Text, primary_key=True),
    sa.Column("block_no", sa.BigInteger, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("spool_id", sa.Text, nullable=False),
    sa.Column("seqs", postgresql.ARRAY(sa.BigInteger), nullable=False),
    sa.Column("leaves", sa.LargeBinary, nullable=False),
    sa.Column("previous_hash", sa.LargeBinary, nullable=False),
    sa.Column("sealed_ns", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("chain", "previous_hash", name="block_chain_previous_hash_key"),
    schema=AUDIT,
)

#: A partition whose rows were written to a file and dropped (`ledger.archiving`).
ARCHIVED: Final = sa.Table(
    "archived",
    metadata,
    sa.Column("archive_id", sa.BigInteger, sa.Identity(always=True), primary_key=True),
    sa.Column("table_name", sa.Text, nullable=False),
    sa.Column("partition_name", sa.Text, nullable=False),
    sa.Column("spool_id", sa.Text, nullable=False),
    sa.Column("seqs", postgresql.INT8MULTIRANGE, nullable=False),
    sa.Column("row_count", sa.BigInteger, nullable=False),
    sa.Column("file_name", sa.Text, nullable=False),
    sa.Column("file_sha256", sa.Text, nullable=False),
    sa.Column(
        "archived_at",
        sa.DateTime(timezone=True),
        nullable=False,
        server_default=sa.text("clock_timestamp()"),
    ),
    sa.Column("archived_by", sa.Text, nullable=False, server_default=sa.text("session_user")),
    schema=AUDIT,
)

#: One row per account's writer.
LEASE: Final = sa.Table(
    "lease",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),
    sa.Column("machine", sa.Text, nullable=False),
    sa.Column("released", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("acquired_at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
    schema=OPS,
)

#: How far each spool's records have been moved here.
SPOOL_CURSOR: Final = sa.Table(
    "spool_cursor",
    metadata,
    sa.Column("spool_id", sa.Text, primary_key=True),
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column(
        "updated_at",
        sa.DateTime(timezone=True),
        nullable=False,
        server_default=sa.text("clock_timestamp()"),
    ),
    schema=OPS,
)


def row_of(record: Record) -> dict[str, Any]:
    """Return a record's columns as the driver takes them.

    Postgres text holds no NUL; a venue's message that has one keeps a replacement character.
    """
    row: dict[str, Any] = {}
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if isinstance(value, tuple):
            value = [_storable(item) for item in value]
        elif isinstance(value, str) and field.name not in JSON_FIELDS:
            value = _storable(value)
        row[field.name] = value
    return row


def _storable(text: str) -> str:
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
