"""purchase orders and their budgets, amounts without taxes, approval by several people"""

import json

from alembic import op
import sqlalchemy as sa


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table('invoice', schema=None) as batch_op:
        batch_op.add_column(sa.Column('net', sa.BigInteger(), server_default='0', nullable=False))
        batch_op.add_column(sa.Column('purchase_order', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('order_use', sa.Text(), nullable=True))
        batch_op.add_column(sa.Column('approvers', sa.Text(), server_default='[]', nullable=False))
    with op.batch_alter_table('approval', schema=None) as batch_op:
        batch_op.add_column(sa.Column('revision', sa.Integer(), nullable=True))
    _say_what_stands()


def _say_what_stands() -> None:
    """Nothing had taxes before; what was ordered stands in the content."""
    invoice = sa.table(
        'invoice', *(sa.column(name) for name in ('id', 'content', 'net', 'total', 'purchase_order'))
    )
    connection = op.get_bind()
    connection.execute(sa.update(invoice).values(net=invoice.c.total))
    last = 0
    while True:
        rows = connection.execute(
            sa.select(invoice.c.id, invoice.c.content)
            .where(invoice.c.id > last)
            .order_by(invoice.c.id)
            .limit(500)
        ).all()
        if not rows:
            return
        for row in rows:
            number = json.loads(row.content)['purchase_order']
            if number:
                connection.execute(
                    sa.update(invoice).where(invoice.c.id == row.id).values(purchase_order=number)
                )
        last = rows[-1].id


def downgrade() -> None:
    with op.batch_alter_table('approval', schema=None) as batch_op:
        batch_op.drop_column('revision')
    with op.batch_alter_table('invoice', schema=None) as batch_op:
        batch_op.drop_column('approvers')
        batch_op.drop_column('order_use')
        batch_op.drop_column('purchase_order')
        batch_op.drop_column('net')
