"""sealed tokens of systems that renew them"""

from alembic import op
import sqlalchemy as sa

from ledger import columns


revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('credential',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), nullable=False),
    sa.Column('name', sa.String(length=64), nullable=False),
    sa.Column('sealed', sa.Text(), nullable=False),
    sa.Column('key_id', sa.String(length=16), nullable=False),
    sa.Column('version', sa.BigInteger(), nullable=False),
    sa.Column('expires_at', columns.UtcDateTime(timezone=True), nullable=False),
    sa.Column('changed_at', columns.UtcDateTime(timezone=True), nullable=False),
    sa.Column('refreshing_since', columns.UtcDateTime(timezone=True), nullable=True),
    sa.Column('needs_reauth', sa.Text(), nullable=True),
    sa.Column('lease_token', sa.String(length=32), nullable=True),
    sa.Column('lease_until', columns.UtcDateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_credential')),
    sa.UniqueConstraint('name', name=op.f('uq_credential_name'))
    )


def downgrade() -> None:
    op.drop_table('credential')
