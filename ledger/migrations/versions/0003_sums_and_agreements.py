"""lines that are counted together, what they come to, what agreements take off, and taxes"""

from alembic import op
import sqlalchemy as sa


revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    with op.batch_alter_table('line_item', schema=None) as batch_op:
        batch_op.add_column(sa.Column('kind', sa.String(length=16), server_default='entry', nullable=False))
        batch_op.add_column(sa.Column('pool', sa.Text(), server_default='', nullable=False))
        batch_op.add_column(sa.Column('adjusts_id', _id, nullable=True))
        batch_op.add_column(sa.Column('tax', sa.String(length=64), server_default='', nullable=False))
        batch_op.alter_column('subject_id', existing_type=_id, nullable=True)
        batch_op.alter_column('event_id', existing_type=_id, nullable=True)
        batch_op.create_foreign_key(op.f('fk_line_item_adjusts_id'), 'line_item', ['adjusts_id'], ['id'])
    op.create_index(
        'ix_line_item_pool', 'line_item', ['customer', 'pool'], unique=False,
        sqlite_where=sa.text("pool != ''"), postgresql_where=sa.text("pool != ''"),
    )


def downgrade() -> None:
    op.drop_index('ix_line_item_pool', table_name='line_item')
    with op.batch_alter_table('line_item', schema=None) as batch_op:
        batch_op.drop_constraint(op.f('fk_line_item_adjusts_id'), type_='foreignkey')
        batch_op.alter_column('event_id', existing_type=_id, nullable=False)
        batch_op.alter_column('subject_id', existing_type=_id, nullable=False)
        batch_op.drop_column('tax')
        batch_op.drop_column('adjusts_id')
        batch_op.drop_column('pool')
        batch_op.drop_column('kind')
