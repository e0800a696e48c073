"""what happens to an invoice's lines after it was pushed: amended, released, credited"""

from alembic import op
import sqlalchemy as sa

from ledger import tables


revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
_before = ['customer', 'currency', 'schedule', 'period_from', 'sequence']
_now = ['customer', 'currency', 'kind', 'schedule', 'period_from', 'sequence']


def upgrade() -> None:
    with op.batch_alter_table('invoice', schema=None) as batch_op:
        batch_op.add_column(sa.Column('kind', sa.String(length=16), server_default='invoice', nullable=False))
        batch_op.add_column(sa.Column('credits_id', _id, nullable=True))
        batch_op.add_column(sa.Column('pushed_content', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('pushed_revision', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('conflict', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('released_at', tables.UtcDateTime(timezone=True), nullable=True))
        batch_op.create_foreign_key(op.f('fk_invoice_credits_id'), 'invoice', ['credits_id'], ['id'])
        batch_op.drop_constraint(op.f('uq_invoice_' + '_'.join(_before)), type_='unique')
        batch_op.create_unique_constraint(op.f('uq_invoice_' + '_'.join(_now)), _now)
    op.create_index('ix_invoice_credits_id', 'invoice', ['credits_id'], unique=False)
    with op.batch_alter_table('line_item', schema=None) as batch_op:
        batch_op.add_column(sa.Column('billed_revision', sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column('again', sa.Integer(), server_default='0', nullable=False))
    _taken_back_once(
        'uq_line_item_taken_back', ['corrects_id', 'again'],
        "corrects_id is not null and state in ('open', 'billed')",
    )
    _taken_back_once(
        'uq_line_item_released', ['corrects_id'], "corrects_id is not null and state = 'released'"
    )
    op.execute("update invoice set pushed_content = content, pushed_revision = revision where state = 'pushed'")


def _taken_back_once(name: str, columns: list, where: str) -> None:
    op.create_index(
        name, 'line_item', columns, unique=True,
        sqlite_where=sa.text(where), postgresql_where=sa.text(where),
    )


def downgrade() -> None:
    op.drop_index('uq_line_item_released', table_name='line_item')
    op.drop_index('uq_line_item_taken_back', table_name='line_item')
    with op.batch_alter_table('line_item', schema=None) as batch_op:
        batch_op.drop_column('again')
        batch_op.drop_column('billed_revision')
    op.drop_index('ix_invoice_credits_id', table_name='invoice')
    with op.batch_alter_table('invoice', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('uq_invoice_' + '_'.join(_now)), type_='unique')
        batch_op.create_unique_constraint(op.f('uq_invoice_' + '_'.join(_before)), _before)
        batch_op.drop_constraint(op.f('fk_invoice_credits_id'), type_='foreignkey')
        for name in ('released_at', 'conflict', 'pushed_revision', 'pushed_content', 'credits_id', 'kind'):
            batch_op.drop_column(name)
