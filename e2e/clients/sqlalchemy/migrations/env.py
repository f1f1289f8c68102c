"""How Alembic connects: by libpq's variables."""

from alembic import context
from models import Base
from sqlalchemy import create_engine, pool

engine = create_engine("postgresql+psycopg2:///scratch", poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_object=lambda item, name, kind, reflected, other: kind != "table" or name in Base.metadata.tables,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
