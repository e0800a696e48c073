"""who shares what a subject is worth, where several customers do"""

from alembic import op
import sqlalchemy as sa


revision = '0004_payers'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('subject', schema=None) as batch_op:
        batch_op.add_column(sa.Column('payers', sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('subject', schema=None) as batch_op:
        batch_op.drop_column('payers')
