"""Who counts in the health tests of a release

Revision ID: 0008
Revises: 0007
Create Date: 2026-11-25 16:10:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None

_KEY = 'pk_release_devices'


def upgrade():
    with op.batch_alter_table('release_devices') as table:
        table.add_column(sa.Column('turn', sa.Integer(), server_default=sa.text('0'), nullable=False))
        table.add_column(sa.Column('bucket', sa.Integer(), nullable=True))
        table.add_column(sa.Column('is_known', sa.Boolean(), server_default=sa.true(), nullable=False))
        table.add_column(sa.Column('is_drawn', sa.Boolean(), server_default=sa.true(), nullable=False))
        table.add_column(sa.Column('crashed_at', sa.DateTime(), nullable=True))
        table.drop_constraint(op.f(_KEY), type_='primary')
        table.create_primary_key(op.f(_KEY), ['release_id', 'device_id', 'is_control', 'turn'])
    # Devices that were offered a release and have not installed it were not enrolled so far.
    op.execute("UPDATE release_devices SET enrolled_at = offered_at WHERE enrolled_at IS NULL")
    op.execute("UPDATE release_devices SET crashed_at = failed_at WHERE failure IS NULL OR failure <> 'install_failed'")
    with op.batch_alter_table('release_health') as table:
        table.add_column(sa.Column('rounds', sa.Integer(), server_default=sa.text('0'), nullable=False))
        table.add_column(sa.Column('is_suspect', sa.Boolean(), server_default=sa.false(), nullable=False))
    with op.batch_alter_table('releases') as table:
        table.add_column(sa.Column('full_since', sa.DateTime(), nullable=True))
    op.execute("UPDATE releases SET full_since = starts_at WHERE rollout = 10000")


def downgrade():
    with op.batch_alter_table('releases') as table:
        table.drop_column('full_since')
    with op.batch_alter_table('release_health') as table:
        table.drop_column('is_suspect')
        table.drop_column('rounds')
    op.execute("DELETE FROM release_devices WHERE turn > 0")
    with op.batch_alter_table('release_devices') as table:
        table.drop_constraint(op.f(_KEY), type_='primary')
        table.create_primary_key(op.f(_KEY), ['release_id', 'device_id', 'is_control'])
        table.drop_column('crashed_at')
        table.drop_column('is_drawn')
        table.drop_column('is_known')
        table.drop_column('bucket')
        table.drop_column('turn')
