"""Failures by day

Revision ID: 0010
Revises: 0009
Create Date: 2026-11-25 17:16:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade():
    op.create_table('failure_counts',
    sa.Column('signature_id', sa.Integer(), nullable=False),
    sa.Column('day', sa.Date(), nullable=False),
    sa.Column('devices', sa.BigInteger(), nullable=False),
    sa.Column('events', sa.BigInteger(), nullable=False),
    sa.ForeignKeyConstraint(['signature_id'], ['failure_signatures.id'], name=op.f('fk_failure_counts_signature_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('signature_id', 'day', name=op.f('pk_failure_counts'))
    )
    day = 'CAST({} AS DATE)' if op.get_bind().dialect.name == 'postgresql' else 'date({})'
    op.execute(f"""
        INSERT INTO failure_counts (signature_id, day, devices, events)
        SELECT signature_id, {day.format('received_at')}, 0, count(*) FROM events
        WHERE signature_id IN (SELECT id FROM failure_signatures) GROUP BY 1, 2
    """)
    op.execute(f"""
        UPDATE failure_counts SET devices = coalesce((
            SELECT count(*) FROM (
                SELECT signature_id, device_id, {day.format('min(received_at)')} AS first_day FROM events GROUP BY signature_id, device_id
            ) AS firsts WHERE firsts.signature_id = failure_counts.signature_id AND firsts.first_day = failure_counts.day), 0)
    """)


def downgrade():
    op.drop_table('failure_counts')
