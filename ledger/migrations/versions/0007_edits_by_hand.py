"""what people do to drafts by hand, and what they decide about work that was opened again"""

from alembic import op
import sqlalchemy as sa

from ledger import tables


revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table(
        'draft_edit',
        sa.Column('id', _id, nullable=False),
        sa.Column('customer', sa.String(length=64), nullable=False),
        sa.Column('invoice_id', _id, nullable=False),
        sa.Column('kind', sa.String(length=16), nullable=False),
        sa.Column('about', tables.CanonicalJson(), nullable=False),
        sa.Column('value', tables.CanonicalJson(), nullable=False),
        sa.Column('said', sa.Text(), nullable=False),
        sa.Column('state', sa.String(length=16), nullable=False),
        sa.Column('is_seen', sa.Boolean(), nullable=False),
        sa.Column('made_by', sa.Text(), nullable=False),
        sa.Column('made_at', tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column('undone_by', sa.Text(), nullable=True),
        sa.Column('undone_at', tables.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(['invoice_id'], ['invoice.id'], name=op.f('fk_draft_edit_invoice_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_draft_edit')),
    )
    op.create_index(op.f('ix_draft_edit_customer'), 'draft_edit', ['customer'], unique=False)
    op.create_index(op.f('ix_draft_edit_invoice_id'), 'draft_edit', ['invoice_id'], unique=False)
    with op.batch_alter_table('line_item', schema=None) as batch_op:
        batch_op.add_column(sa.Column('edit_id', _id, nullable=True))
        batch_op.create_foreign_key(op.f('fk_line_item_edit_id'), 'draft_edit', ['edit_id'], ['id'])
        batch_op.create_index(op.f('ix_line_item_edit_id'), ['edit_id'], unique=False)
    with op.batch_alter_table('subject', schema=None) as batch_op:
        batch_op.add_column(sa.Column('settled', sa.String(length=16), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table('subject', schema=None) as batch_op:
        batch_op.drop_column('settled')
    with op.batch_alter_table('line_item', schema=None) as batch_op:
        batch_op.drop_index(op.f('ix_line_item_edit_id'))
        batch_op.drop_constraint(op.f('fk_line_item_edit_id'), type_='foreignkey')
        batch_op.drop_column('edit_id')
    op.drop_table('draft_edit')
