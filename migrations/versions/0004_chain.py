"""The hash chain: one row per batch of stored rows, each naming the one before.

Revision 0004, after 0003.
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BLOCK = """
CREATE TABLE audit.block (
  chain text NOT NULL, block_no bigint NOT NULL CHECK (block_no > 0),
  kind text NOT NULL CHECK (kind IN ('shipped', 'adopted')), spool_id text NOT NULL,
  seqs bigint[] NOT NULL CHECK (cardinality(seqs) > 0),
  leaves bytea NOT NULL CHECK (octet_length(leaves) = 32 * cardinality(seqs)),
  previous_hash bytea NOT NULL CHECK (octet_length(previous_hash) = 32),
  sealed_ns bigint NOT NULL, hash bytea NOT NULL CHECK (octet_length(hash) = 32),
  PRIMARY KEY (chain, block_no),
  -- Two blocks behind the same one would be a fork.
  CONSTRAINT block_chain_previous_hash_key UNIQUE (chain, previous_hash));
CREATE INDEX block_spool ON audit.block (spool_id);
CREATE TRIGGER append_only_row BEFORE UPDATE OR DELETE ON audit.block
  FOR EACH ROW EXECUTE FUNCTION audit.refuse_change();
CREATE TRIGGER append_only_table BEFORE TRUNCATE ON audit.block
  FOR EACH STATEMENT EXECUTE FUNCTION audit.refuse_change();
ALTER TABLE audit.block ENABLE ALWAYS TRIGGER append_only_row;
ALTER TABLE audit.block ENABLE ALWAYS TRIGGER append_only_table;

CREATE VIEW audit.blocks AS
SELECT chain, block_no, kind, spool_id, cardinality(seqs) AS row_count,
  seqs[1] AS first_seq, seqs[cardinality(seqs)] AS last_seq,
  encode(hash, 'hex') AS hash, encode(previous_hash, 'hex') AS previous_hash,
  audit.moment(sealed_ns) AS sealed_at
FROM audit.block;

SELECT ops.grant_roles();
"""


def upgrade() -> None:
    """Create the chain's table; the daemon seals what is there when it starts next."""
    op.execute(_BLOCK)


def downgrade() -> None:
    """Drop the chain; the rows it sealed stay."""
    op.execute("DROP VIEW audit.blocks")
    op.execute("DROP TABLE audit.block")
