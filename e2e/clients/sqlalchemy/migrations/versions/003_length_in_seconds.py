import sqlalchemy as sa
from alembic import op

revision = "003"
down_revision = "002"

track = sa.table("track", sa.column("id"), sa.column("length"), sa.column("seconds"))


def upgrade():
    connection = op.get_bind()
    for row in connection.execute(sa.select(track.c.id, track.c.length)).all():
        minutes, seconds = row.length.split(":")
        changed = {"seconds": 60 * int(minutes) + int(seconds)}
        connection.execute(sa.update(track).where(track.c.id == row.id).values(changed))
    op.drop_column("track", "length")


def downgrade():
    op.add_column("track", sa.Column("length", sa.Text, nullable=False, server_default="0:00"))
    op.execute("UPDATE track SET length = seconds / 60 || ':' || lpad((seconds % 60)::text, 2, '0')")
