"""from when on a restored copy waits before it pushes, and what it found at billing systems"""

from alembic import op
import sqlalchemy as sa

from ledger import tables


revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None

_id = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')


def upgrade() -> None:
    op.create_table('restoration',
    sa.Column('id', _id, nullable=False),
    sa.Column('copied_at', tables.UtcDateTime(timezone=True), nullable=False),
    sa.Column('ended_at', tables.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_restoration'))
    )
    op.create_table('stray',
    sa.Column('id', _id, nullable=False),
    sa.Column('connector', sa.String(length=64), nullable=False),
    sa.Column('remote_id', sa.String(length=255), nullable=False),
    sa.Column('reference', sa.String(length=255), nullable=False),
    sa.Column('currency', sa.String(length=3), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.Column('reason', sa.Text(), nullable=False),
    sa.Column('found_at', tables.UtcDateTime(timezone=True), nullable=False),
    sa.Column('settled_at', tables.UtcDateTime(timezone=True), nullable=True),
    sa.Column('settled_by', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_stray')),
    sa.UniqueConstraint('connector', 'remote_id', name=op.f('uq_stray_connector_remote_id'))
    )


def downgrade() -> None:
    op.drop_table('stray')
    op.drop_table('restoration')
