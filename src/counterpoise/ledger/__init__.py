"""The record: spool, journal, schema, reader, embedded Postgres."""
