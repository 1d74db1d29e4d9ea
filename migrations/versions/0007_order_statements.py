"""What an operator states of an order that the venue's evidence leaves open.

Revision 0007, after 0006.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ACTIONS = "'pause', 'resume', 'flatten', 'stop', 'flatten_stop', 'high_water_reset'"

_COLUMNS = f"""
ALTER TABLE audit.control
  ADD COLUMN client_order_id text,
  ADD COLUMN stated_end text CHECK (stated_end IN ('absent', 'ended')),
  ADD COLUMN filled_quantity numeric CHECK (filled_quantity >= 0),
  DROP CONSTRAINT control_action_check,
  ADD CONSTRAINT control_action_check CHECK (action IN ({_ACTIONS}, 'resolve_order')),
  ADD CONSTRAINT control_statement_check CHECK (
    num_nonnulls(client_order_id, stated_end, filled_quantity) =
      CASE WHEN action = 'resolve_order' THEN 3 ELSE 0 END);
"""

_VIEW = """
CREATE OR REPLACE VIEW audit.controls AS
SELECT c.control_id, c.requested_at, c.actor, c.account_id, c.action, c.from_halt, c.reason,
  a.result, a.message, a.trading_state, audit.moment(a.handled_ns) AS handled_at, a.run_id,
  c.client_order_id, c.stated_end, c.filled_quantity
FROM audit.control c LEFT JOIN audit.control_ack a ON a.control_id = c.control_id::text;
"""

_VIEW_BEFORE = """
DROP VIEW audit.controls;
CREATE VIEW audit.controls AS
SELECT c.control_id, c.requested_at, c.actor, c.account_id, c.action, c.from_halt, c.reason,
  a.result, a.message, a.trading_state, audit.moment(a.handled_ns) AS handled_at, a.run_id
FROM audit.control c LEFT JOIN audit.control_ack a ON a.control_id = c.control_id::text;
"""

# Rows stay as they are: what was stated before cannot be removed, only not be checked.
_COLUMNS_BEFORE = f"""
ALTER TABLE audit.control
  DROP COLUMN client_order_id, DROP COLUMN stated_end, DROP COLUMN filled_quantity,
  DROP CONSTRAINT control_action_check,
  ADD CONSTRAINT control_action_check CHECK (action IN ({_ACTIONS})) NOT VALID;
"""


def upgrade() -> None:
    """Let a request state the end of an order; NULL in every other one."""
    op.execute(_COLUMNS)
    op.execute(_VIEW)


def downgrade() -> None:
    """Take no such request any more."""
    op.execute(_VIEW_BEFORE)
    op.execute(_COLUMNS_BEFORE)
    op.execute("SELECT ops.grant_roles()")
