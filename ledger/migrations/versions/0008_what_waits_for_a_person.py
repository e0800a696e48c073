"""attempts that ended with their worker, since when a row needs a person, copies of a ledger"""

from alembic import op
import sqlalchemy as sa

from ledger import tables


revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

LEASED = ('customer', 'delivery', 'fact', 'hint', 'invoice', 'poll', 'report', 'subject')


def upgrade() -> None:
    for name in LEASED:
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.add_column(
                sa.Column('unended', sa.Integer(), server_default='0', nullable=False)
            )
            batch_op.add_column(sa.Column('since_at', tables.UtcDateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for name in LEASED:
        with op.batch_alter_table(name, schema=None) as batch_op:
            batch_op.drop_column('since_at')
            batch_op.drop_column('unended')
