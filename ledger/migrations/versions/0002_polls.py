"""polls, what facts tell about who worked, and what a total was before its first change"""

from alembic import op
import sqlalchemy as sa

from ledger import tables


revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('poll',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('endpoint', sa.String(length=64), nullable=False),
    sa.Column('what', sa.String(length=16), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('cursor', sa.Text(), nullable=True),
    sa.Column('found', sa.BigInteger(), nullable=False),
    sa.Column('polled_at', tables.UtcDateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('lease_token', sa.String(length=32), nullable=True),
    sa.Column('lease_until', tables.UtcDateTime(timezone=True), nullable=True),
    sa.Column('attempts', sa.Integer(), nullable=False),
    sa.Column('next_at', tables.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_poll')),
    sa.UniqueConstraint('endpoint', 'what', name=op.f('uq_poll_endpoint_what'))
    )
    op.create_index('ix_poll_state', 'poll', ['state', 'next_at', 'id'], unique=False)
    op.add_column('event', sa.Column('seconds_before', sa.BigInteger(), nullable=True))
    op.add_column('fact', sa.Column('person', sa.Text(), nullable=True))
    op.add_column('fact', sa.Column('person_name', sa.Text(), nullable=True))
    op.add_column('fact', sa.Column('billable', sa.Boolean(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('event', schema=None) as batch_op:
        batch_op.drop_column('seconds_before')
    with op.batch_alter_table('fact', schema=None) as batch_op:
        batch_op.drop_column('billable')
        batch_op.drop_column('person_name')
        batch_op.drop_column('person')
    op.drop_index('ix_poll_state', table_name='poll')
    op.drop_table('poll')
