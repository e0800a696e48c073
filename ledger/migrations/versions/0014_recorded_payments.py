"""payments that people and bank statements tell of"""

from alembic import op
import sqlalchemy as sa

from ledger import tables


revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table(
        'recorded_payment',
        sa.Column('id', _id, nullable=False),
        sa.Column('identity', sa.String(length=64), nullable=False),
        sa.Column('source', sa.String(length=16), nullable=False),
        sa.Column('account', sa.String(length=64), nullable=False),
        sa.Column('entry_reference', sa.String(length=64), nullable=False),
        sa.Column('amount', sa.BigInteger(), nullable=False),
        sa.Column('currency', sa.String(length=3), nullable=False),
        sa.Column('on', sa.Date(), nullable=False),
        sa.Column('text', sa.Text(), nullable=False),
        sa.Column('payer', sa.Text(), nullable=True),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('reason', sa.Text(), nullable=True),
        sa.Column('invoice_id', _id, nullable=True),
        sa.Column('about_id', _id, nullable=True),
        sa.Column('recorded_by', sa.Text(), nullable=False),
        sa.Column('recorded_at', tables.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(['invoice_id'], ['invoice.id'], name=op.f('fk_recorded_payment_invoice_id')),
        sa.ForeignKeyConstraint(['about_id'], ['recorded_payment.id'], name=op.f('fk_recorded_payment_about_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_recorded_payment')),
        sa.UniqueConstraint('identity', name=op.f('uq_recorded_payment_identity')),
    )
    op.create_index('ix_recorded_payment_invoice_id', 'recorded_payment', ['invoice_id', 'state'], unique=False)
    op.create_index('ix_recorded_payment_about_id', 'recorded_payment', ['about_id'], unique=False)
    op.create_index('ix_recorded_payment_state', 'recorded_payment', ['state', 'id'], unique=False)
    op.create_index('ix_recorded_payment_entry', 'recorded_payment', ['on', 'amount', 'currency'], unique=False)
    with op.batch_alter_table('payment', schema=None) as batch_op:
        batch_op.add_column(sa.Column('recorded', sa.BigInteger(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('recorded_refunds', sa.BigInteger(), server_default='0', nullable=False))


def downgrade() -> None:
    with op.batch_alter_table('payment', schema=None) as batch_op:
        batch_op.drop_column('recorded_refunds')
        batch_op.drop_column('recorded')
    op.drop_table('recorded_payment')
