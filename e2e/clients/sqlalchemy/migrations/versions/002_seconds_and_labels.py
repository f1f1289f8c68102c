import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "002"
down_revision = "001"

kind = sa.Enum("studio", "live", name="track_kind")


def upgrade():
    op.create_table(
        "label",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False, unique=True),
    )
    op.create_table(
        "label_of_track",
        sa.Column("track_id", sa.Integer, sa.ForeignKey("track.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("label_id", sa.Integer, sa.ForeignKey("label.id"), primary_key=True),
    )
    kind.create(op.get_bind())
    op.add_column("track", sa.Column("kind", kind, nullable=False, server_default="studio"))
    op.add_column("track", sa.Column("seconds", sa.Integer, nullable=False, server_default="0"))
    op.add_column("track", sa.Column("facts", JSONB, nullable=False, server_default="{}"))
    op.create_foreign_key("track_has_artist", "track", "artist", ["artist_id"], ["id"])
    with op.get_context().autocommit_block():
        op.create_index("longest_first", "track", ["seconds"], postgresql_concurrently=True)


def downgrade():
    op.drop_index("longest_first", "track")
    op.drop_constraint("track_has_artist", "track")
    op.drop_column("track", "facts")
    op.drop_column("track", "seconds")
    op.drop_column("track", "kind")
    kind.drop(op.get_bind())
    op.drop_table("label_of_track")
    op.drop_table("label")
