"""Runs the migrations over the connection that `counterpoise.ledger.migrate` gives it."""

from alembic import context
from sqlalchemy import text

from counterpoise.ledger import migrate, schema

connection = context.config.attributes.get("connection")
if connection is None:
    raise SystemExit("run `counterpoise migrate`: it gives the connection and takes the lock")

connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {schema.OPS}"))
context.configure(
    connection=connection,
    target_metadata=schema.metadata,
    version_table=migrate.VERSION_TABLE,
    version_table_schema=schema.OPS,
    include_schemas=True,
)
with context.begin_transaction():
    context.run_migrations()
