"""Silence, and what each test of a release found

Revision ID: 0007
Revises: 0006
Create Date: 2026-11-25 15:10:00.000000

"""
from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None

_NUMBERS = ('evidence', 'peak', 'threshold', 'rollout', 'control', 'failing_rollout', 'failing_control', 'curve')


def upgrade():
    with op.batch_alter_table('devices') as table:
        table.add_column(sa.Column('longest_gap', sa.Integer(), server_default=sa.text('2592000'), nullable=False))
    with op.batch_alter_table('release_devices') as table:
        table.add_column(sa.Column('is_regular', sa.Boolean(), nullable=True))
        table.add_column(sa.Column('silent_at', sa.DateTime(), nullable=True))
    with op.batch_alter_table('health_policies') as table:
        table.add_column(sa.Column('silence_hours', sa.Integer(), server_default=sa.text('0'), nullable=False))
    with op.batch_alter_table('release_health') as table:
        table.add_column(sa.Column('test', sa.String(length=10), server_default='alone', nullable=False))
        table.add_column(sa.Column('tests', sa.JSON(), server_default='[]', nullable=False))
    _tell_tests()
    with op.batch_alter_table('release_health') as table:
        table.alter_column('test', existing_type=sa.String(length=10), existing_nullable=False, server_default=None)
        table.alter_column('tests', existing_type=sa.JSON(), existing_nullable=False, server_default=None)
        table.create_check_constraint(op.f('ck_release_health_test_known'), "test IN ('control', 'alone', 'silence')")
        table.drop_column('curve')
        table.drop_column('has_control')


def _tell_tests():
    """A release that was stopped is not looked at again: what was found about it is kept."""
    found = sa.table('release_health', *map(sa.column, ('release_id', 'has_control', 'test')), *map(sa.column, _NUMBERS[:-1]),
                     sa.column('curve', sa.JSON()), sa.column('tests', sa.JSON()))
    connection = op.get_bind()
    for row in connection.execute(sa.select(found)).mappings().all():
        test = 'control' if row['has_control'] else 'alone'
        told = {'test': test, **{name: row[name] for name in _NUMBERS}}
        connection.execute(found.update().where(found.c.release_id == row['release_id']).values(test=test, tests=[told]))


def downgrade():
    with op.batch_alter_table('release_health') as table:
        table.drop_constraint(op.f('ck_release_health_test_known'), type_='check')
        table.add_column(sa.Column('has_control', sa.Boolean(), server_default=sa.false(), nullable=False))
        table.add_column(sa.Column('curve', sa.JSON(), server_default='[]', nullable=False))
        table.drop_column('tests')
        table.drop_column('test')
    with op.batch_alter_table('release_health') as table:
        table.alter_column('curve', existing_type=sa.JSON(), existing_nullable=False, server_default=None)
    with op.batch_alter_table('health_policies') as table:
        table.drop_column('silence_hours')
    with op.batch_alter_table('release_devices') as table:
        table.drop_column('silent_at')
        table.drop_column('is_regular')
    with op.batch_alter_table('devices') as table:
        table.drop_column('longest_gap')
