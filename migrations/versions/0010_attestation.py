"""What the venue attests of account and instruments, and its hash in the run's row.

Revision 0010, after 0007.
"""

from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

_ATTESTATION = """
CREATE TABLE audit.attestation (
  attestation_sha256 text NOT NULL, run_id text NOT NULL, body json NOT NULL,
  attested_ns bigint NOT NULL, PRIMARY KEY (attestation_sha256, run_id),
  spool_id text NOT NULL, spool_seq bigint NOT NULL,
  shipped_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  CONSTRAINT attestation_spool_key UNIQUE (spool_id, spool_seq));
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.attestation
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON audit.attestation
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.attestation ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.attestation ENABLE ALWAYS TRIGGER append_only_table;
"""

# What the roles are given anew is everything; archives stay the administrator's.
_NOT_THE_WRITERS = """
DO $$ BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'counterpoise_writer') THEN
    REVOKE INSERT ON audit.archived FROM counterpoise_writer;
  END IF;
END $$
"""


def upgrade() -> None:
    """Add both; NULL in rows of runs of an earlier version."""
    op.execute(_ATTESTATION)
    op.execute("ALTER TABLE audit.run ADD COLUMN attestation_sha256 text")
    op.execute("SELECT ops.grant_roles()")
    op.execute(_NOT_THE_WRITERS)


def downgrade() -> None:
    """Drop both."""
    op.execute("DROP TABLE audit.attestation")
    op.execute("ALTER TABLE audit.run DROP COLUMN attestation_sha256")
