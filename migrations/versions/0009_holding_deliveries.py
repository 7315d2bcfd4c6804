"""Deliveries that are held while they are sent; the history without addresses of webhooks and recipients

Revision ID: 0009
Revises: 0008
Create Date: 2026-11-25 16:20:00.000000

"""
from urllib.parse import urlsplit

from alembic import op
import sqlalchemy as sa


# revision identifiers, used by Alembic.
revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade():
    with op.batch_alter_table('deliveries') as table:
        table.add_column(sa.Column('held_until', sa.DateTime(), nullable=True))
    _clean_history()


def _clean_history():
    """Of a webhook's address only scheme and host are told, of a recipient's only the domain: everybody reads the history."""
    events = sa.table('audit_events', sa.column('id'), sa.column('subject_type'), sa.column('before', sa.JSON()), sa.column('after', sa.JSON()))
    connection = op.get_bind()
    query = sa.select(events).where(events.c.subject_type.in_(('webhook', 'recipient')))
    for row in connection.execute(query).mappings().all():
        values = {name: _cleaned(row[name]) for name in ('before', 'after') if row[name] is not None}
        if any(values[name] != row[name] for name in values):
            connection.execute(events.update().where(events.c.id == row['id']).values(**values))


def _cleaned(facts):
    cleaned = dict(facts)
    if 'url' in cleaned:
        parts = urlsplit(cleaned['url'])
        cleaned['url'] = f'{parts.scheme}://{parts.netloc}'
    if 'email' in cleaned:
        cleaned['domain'] = cleaned.pop('email').rpartition('@')[2]
    return cleaned


def downgrade():
    with op.batch_alter_table('deliveries') as table:
        table.drop_column('held_until')
