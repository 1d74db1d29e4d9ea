"""The schema refuses to forget, whoever asks."""

from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from counterpoise.domain.errors import LedgerUnavailable, StartRefused
from counterpoise.ledger import connections, migrate, schema

SCRIPTS = migrate.find_scripts()
#: The newest revision; a change of it is a change of everybody's database.
HEAD = "0007"
TABLES = sorted(table.name for table in schema.metadata.tables.values() if table.schema == "audit")


def as_role(dsn: str, role: str) -> "psycopg.Connection[tuple[object, ...]]":
    connection = psycopg.connect(dsn, autocommit=True)
    connection.execute(connections.set_role(role))
    return connection


def test_up_down_up(empty_database: str) -> None:
    assert migrate.current(empty_database) is None
    assert migrate.upgrade(empty_database, SCRIPTS) == migrate.head(SCRIPTS) == HEAD
    assert migrate.upgrade(empty_database, SCRIPTS) == HEAD
    assert migrate.downgrade(empty_database, SCRIPTS, "base") is None
    with psycopg.connect(empty_database) as connection:
        left = connection.execute(
            "SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'v') AND relnamespace IN "
            "(SELECT oid FROM pg_namespace WHERE nspname IN ('audit', 'public'))"
        ).fetchone()
    assert left == (0,)
    assert migrate.upgrade(empty_database, SCRIPTS) == HEAD
    assert migrate.current(empty_database) == HEAD


def test_a_database_of_the_first_revision_gets_the_new_tables(empty_database: str) -> None:
    migrate.upgrade(empty_database, SCRIPTS, "0001")
    assert migrate.upgrade(empty_database, SCRIPTS) == HEAD
    with as_role(empty_database, schema.WRITER_ROLE) as connection:
        values = "('a', 'b1', 'r', -5, 1, 2, 's', 1)"
        columns = "account_id, transfer_id, run_id, transfer, event_ns, recorded_ns"
        insert = f"INSERT INTO audit.transfer ({columns}, spool_id, spool_seq) VALUES {values}"
        connection.execute(insert.encode())
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute(insert.replace("'s', 1", "'s', 2").encode())
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("UPDATE audit.transfer SET transfer = 0")
    assert migrate.downgrade(empty_database, SCRIPTS, "0001") == "0001"


def test_the_migrated_database_is_what_the_code_writes_to(database: str) -> None:
    engine = sa.create_engine(connections.sqlalchemy_url(database))
    with engine.connect() as connection:
        found = connection.execute(sa.text("SELECT relname FROM pg_class WHERE relispartition"))
        partitions = set(found.scalars())
        assert "decision_rest" in partitions
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "compare_type": True,
                "version_table": migrate.VERSION_TABLE,
                "version_table_schema": schema.OPS,
                # Partitions are the server's matter; the code writes to their parents.
                "include_name": lambda name, kind, _: kind != "table" or name not in partitions,
            },
        )
        differences = compare_metadata(context, schema.metadata)
    engine.dispose()
    # Indexes serve readers; only the migration knows them.
    assert [one for one in differences if one[0] != "remove_index"] == []


def test_a_schema_of_a_newer_version_is_left_alone(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("UPDATE ops.schema_version SET version_num = '9999'")
    with pytest.raises(StartRefused, match="9999"):
        migrate.upgrade(database, SCRIPTS)


def test_a_database_that_is_away_is_unavailable() -> None:
    with pytest.raises(LedgerUnavailable, match="does not answer"):
        migrate.current("postgresql://nobody@/nothing?host=/nonexistent")


def test_scripts_are_found_where_they_are_put(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="COUNTERPOISE_MIGRATIONS"):
        migrate.find_scripts(tmp_path)
    (tmp_path / "versions").mkdir()
    (tmp_path / "env.py").touch()
    assert migrate.find_scripts(tmp_path) == tmp_path
    assert migrate.find_scripts(SCRIPTS.parent) == SCRIPTS


def test_every_table_is_sealed_even_for_the_owner(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SELECT ops.make_partitions('2026-01-31', '2026-02-01')")
        connection.execute("SET session_replication_role = replica")
        tables = sorted(
            row[0]
            for row in connection.execute(
                "SELECT relname FROM pg_class WHERE relnamespace = 'audit'::regnamespace "
                "AND relkind IN ('r', 'p')"
            ).fetchall()
        )
        assert {"decision_rest", "decision_2026_01", "decision_2026_02", *TABLES} <= set(tables)
        for table in tables:
            with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
                connection.execute(f"TRUNCATE audit.{table}")
        triggers = connection.execute(
            "SELECT relname, tgname, tgenabled FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid "
            "WHERE tgname LIKE 'append_only%' ORDER BY relname, tgname"
        ).fetchall()
    assert triggers == [
        (table, f"append_only_{kind}", "A") for table in tables for kind in ("row", "table")
    ]


def test_rows_cannot_be_changed_or_removed(database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("INSERT INTO audit.memory VALUES ('d', 'r', 'a', '1', '{}', 1, 's', 1)")
        connection.execute("SET session_replication_role = replica")
        for statement in (
            "UPDATE audit.memory SET body = '[]'",
            "DELETE FROM audit.memory",
            (
                "INSERT INTO audit.memory VALUES ('d', 'r', 'a', '1', '{}', 1, 's', 2) "
                "ON CONFLICT (decision_id, kept_ns) DO UPDATE SET kept_ns = 2"
            ),
        ):
            with pytest.raises(psycopg.errors.RestrictViolation, match="append-only"):
                connection.execute(statement)
        assert connection.execute("SELECT body::text, kept_ns FROM audit.memory").fetchall() == [
            ("{}", 1)
        ]


def test_the_writer_may_only_add(database: str) -> None:
    with as_role(database, schema.WRITER_ROLE) as connection:
        for statement in (
            "UPDATE audit.decision SET summary = ''",
            "DELETE FROM audit.fill",
            "TRUNCATE audit.fill",
            "ALTER TABLE audit.fill DISABLE TRIGGER append_only_row",
            "DROP TABLE audit.fill",
            "SET session_replication_role = replica",
            "INSERT INTO audit.control (action, reason) VALUES ('resume', '')",
            "DELETE FROM ops.lease",
            "UPDATE ops.schema_version SET version_num = '0'",
            "CREATE TABLE audit.other ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


@pytest.mark.parametrize("role", [schema.READER_ROLE, schema.OPERATOR_ROLE])
def test_readers_and_operators_may_not_write_the_record(database: str, role: str) -> None:
    with as_role(database, role) as connection:
        for view in ("decisions", "orders", "fills", "positions", "controls"):
            assert connection.execute(f"SELECT * FROM audit.{view}").fetchall() == []
        for statement in (
            "INSERT INTO audit.memory VALUES ('d', 'r', 'a', '1', '{}', 1, 's', 1)",
            "UPDATE ops.lease SET epoch = 9",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_who_asked_is_the_servers_to_say(database: str) -> None:
    with as_role(database, schema.OPERATOR_ROLE) as connection:
        row = connection.execute(
            "INSERT INTO audit.control (action, reason, actor) VALUES ('pause', 'x', 'forged') "
            "RETURNING actor"
        ).fetchone()
        assert row == ("counterpoise_owner",)
        with pytest.raises(psycopg.errors.CheckViolation):
            connection.execute("INSERT INTO audit.control (action, reason) VALUES ('sing', '')")


def test_an_owner_who_is_no_superuser_migrates_too(
    postgres_server: object, empty_database: str
) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        database = connection.info.dbname
        connection.execute("DROP ROLE IF EXISTS plain")
        connection.execute("CREATE ROLE plain LOGIN PASSWORD 'plain'")
        connection.execute(f"ALTER DATABASE {database} OWNER TO plain")
        host = connection.info.host
    url = f"postgresql://plain:plain@/{database}?host={host}&port=5432"
    assert migrate.upgrade(url, SCRIPTS) == HEAD
    # The roles are there from other databases, but this user is no member and stays itself.
    with connections.open_sync(url, "test", schema.WRITER_ROLE) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("plain",)
        with pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute("TRUNCATE audit.fill")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {database} OWNER TO counterpoise_owner")
        connection.execute("DROP OWNED BY plain CASCADE")
        connection.execute("DROP ROLE plain")


JANUARY_NS = 1_767_225_600 * 10**9  # 2026-01-01


def put_memory(connection: "psycopg.Connection[tuple[object, ...]]", number: int, ns: int) -> None:
    connection.execute(
        "INSERT INTO audit.memory VALUES (%s, 'r', 'a', '1', '{}', %s, 's', %s)",
        (f"d{number}", ns, number),
    )


def test_rows_go_to_their_month_and_never_nowhere(database: str) -> None:
    day = 86_400 * 10**9
    with psycopg.connect(database, autocommit=True) as connection:
        put_memory(connection, 1, JANUARY_NS - 1)
        made = connection.execute("SELECT ops.make_partitions('2026-01-10', '2026-02-01')")
        assert made.fetchone() == (12,)
        again = connection.execute("SELECT ops.make_partitions('2026-01-10', '2026-02-28')")
        assert again.fetchone() == (0,)
        # December stands in the default partition and stays there: not a failure.
        late = connection.execute("SELECT ops.make_partitions('2025-12-10', '2025-12-11')")
        assert late.fetchone() == (5,)
        put_memory(connection, 2, JANUARY_NS)
        put_memory(connection, 3, JANUARY_NS + 31 * day - 1)
        put_memory(connection, 4, JANUARY_NS + 31 * day)
        put_memory(connection, 5, JANUARY_NS + 400 * day)
        places = connection.execute(
            "SELECT decision_id, tableoid::regclass::text FROM audit.memory ORDER BY 1"
        ).fetchall()
    assert places == [
        ("d1", "audit.memory_rest"),
        ("d2", "audit.memory_2026_01"),
        ("d3", "audit.memory_2026_01"),
        ("d4", "audit.memory_2026_02"),
        ("d5", "audit.memory_rest"),
    ]


def test_the_writer_makes_partitions_and_nothing_else(database: str) -> None:
    with as_role(database, schema.WRITER_ROLE) as connection:
        made = connection.execute("SELECT ops.make_partitions('2026-03-01', '2026-03-02')")
        assert made.fetchone() == (6,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DROP TABLE audit.memory_2026_03")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("INSERT INTO audit.archived DEFAULT VALUES")
    with (
        as_role(database, schema.READER_ROLE) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT ops.make_partitions('2026-03-01', '2026-03-02')")


def test_rows_survive_every_migration_down_and_up(empty_database: str) -> None:
    migrate.upgrade(empty_database, SCRIPTS, "0001")
    with psycopg.connect(empty_database, autocommit=True) as connection:
        for number in range(1, 6):
            put_memory(connection, number, JANUARY_NS + number * 20 * 86_400 * 10**9)
            connection.execute(
                "INSERT INTO audit.decision VALUES (%s, 'r', 'a', 'cycle', 1, %s, 'active', "
                "'traded', '{X}', 's', '1', 1.50, NULL, 1, '{ \"a\": 1.0}', '{}', 's', %s)",
                (f"d{number}", JANUARY_NS + number * 20 * 86_400 * 10**9, number),
            )
        everything = "SELECT * FROM audit.{} ORDER BY 1"
        names = ("memory", "decision")
        before = [
            [tuple(map(str, row)) for row in connection.execute(everything.format(name))]
            for name in names
        ]
    for revision in (HEAD, "0001", HEAD):
        if revision == "0001":
            migrate.downgrade(empty_database, SCRIPTS, revision)
        else:
            migrate.upgrade(empty_database, SCRIPTS, revision)
        with psycopg.connect(empty_database) as connection:
            after = [
                [tuple(map(str, row)) for row in connection.execute(everything.format(name))]
                for name in names
            ]
            view = connection.execute("SELECT count(*) FROM audit.decisions").fetchone()
        assert after == before, revision
        assert view == (5,)
