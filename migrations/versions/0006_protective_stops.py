"""Orders that the venue holds back until a mark is reached.

Revision 0006, after 0005.
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the mark; NULL = sent at once, as every order of an earlier version."""
    op.execute("ALTER TABLE audit.order_intent ADD COLUMN trigger_price numeric")


def downgrade() -> None:
    """Drop it."""
    op.execute("ALTER TABLE audit.order_intent DROP COLUMN trigger_price")
