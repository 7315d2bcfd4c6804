"""Counting devices by version from an index

Revision ID: 0006
Revises: 0005
Create Date: 2026-11-24 13:15:00.000000

"""
from alembic import op


# revision identifiers, used by Alembic.
revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade():
    op.drop_index('ix_devices_active', table_name='devices')
    op.create_index('ix_devices_active', 'devices', ['app_id', 'platform', 'last_seen_at', 'version_code'], unique=False)


def downgrade():
    op.drop_index('ix_devices_active', table_name='devices')
    op.create_index('ix_devices_active', 'devices', ['app_id', 'platform', 'last_seen_at'], unique=False)
