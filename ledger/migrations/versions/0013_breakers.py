"""billing systems that rest, and consents that are asked for"""

from alembic import op
import sqlalchemy as sa

from ledger import columns


revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('breaker',
    sa.Column('connector', sa.String(length=64), nullable=False),
    sa.Column('failures', sa.BigInteger(), nullable=False),
    sa.Column('failing_since', columns.UtcDateTime(timezone=True), nullable=True),
    sa.Column('failed_at', columns.UtcDateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('rests', sa.Integer(), nullable=False),
    sa.Column('rests_until', columns.UtcDateTime(timezone=True), nullable=True),
    sa.Column('probe_until', columns.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('connector', name=op.f('pk_breaker'))
    )
    op.create_table('consent',
    sa.Column('state_hash', sa.String(length=64), nullable=False),
    sa.Column('connector', sa.String(length=64), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.Column('expires_at', columns.UtcDateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('state_hash', name=op.f('pk_consent'))
    )


def downgrade() -> None:
    op.drop_table('consent')
    op.drop_table('breaker')
