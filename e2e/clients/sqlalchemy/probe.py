"""SQLAlchemy and Alembic against the gateway: probe.py migrate|work|read|rollback, each for the account that may do it."""

import asyncio
import os
import ssl
import sys
from contextlib import contextmanager
from pathlib import Path

import alembic
import asyncpg
import psycopg2
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from models import Artist, Base, Customer, Label, Office, Order, Secret, Track
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, joinedload, selectinload

scratch = sa.create_engine("postgresql+psycopg2:///scratch", future=True)
app = sa.create_engine("postgresql+psycopg2:///app", future=True)

alembic_config = Config()
alembic_config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))


@contextmanager
def denied(reason):
    try:
        yield
    except ProgrammingError as error:
        driver = error.orig if hasattr(error.orig, "pgcode") else error.orig.__cause__
        state = getattr(driver, "pgcode", None) or driver.sqlstate
        assert state == "42501" and reason in str(error), error
    else:
        raise SystemExit(f"not denied: {reason}")


def columns(table):
    return [c["name"] for c in sa.inspect(scratch).get_columns(table)]


def migrate():
    command.upgrade(alembic_config, "001")
    with scratch.begin() as connection:
        connection.execute(sa.text("INSERT INTO artist (name) VALUES ('Nina')"))
        connection.execute(sa.text("INSERT INTO track (artist_id, title, length) SELECT id, 'Four', '4:04' FROM artist"))
    command.upgrade(alembic_config, "head")
    with Session(scratch, future=True) as session:
        assert session.scalars(sa.select(Track)).one().seconds == 244
    command.downgrade(alembic_config, "001")
    assert "length" in columns("track") and "seconds" not in columns("track")
    command.upgrade(alembic_config, "head")
    with scratch.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_object": of_ours})
        assert context.get_current_revision() == "003"
        assert compare_metadata(context, Base.metadata) == []


def of_ours(item, name, kind, reflected, other):
    return kind != "table" or name in Base.metadata.tables


def rollback():
    command.downgrade(alembic_config, "base")
    left = sa.inspect(scratch).get_table_names()
    assert "alembic_version" in left and "track" not in left, left


def work():
    Base.metadata.create_all(scratch)  # finds everything there
    with Session(scratch, future=True) as session:
        rows_and_relations(session)
        queries(session)
        transactions(session)
    reflection()
    denials()
    asyncio.run(asynchronous())
    read()


def rows_and_relations(session):
    sea = Label(name="sea")
    tracks = [Track(title=f"Song {n}", seconds=n, facts={"n": n}, words=["la", str(n)], labels=[sea]) for n in range(50)]
    session.add_all([Artist(name="Ella", tracks=tracks), Artist(name="Etta")])
    session.commit()
    session.execute(sa.insert(Label), [{"name": f"label {n}"} for n in range(200)])
    session.bulk_update_mappings(Track, [{"id": t.id, "seconds": t.seconds + 100} for t in tracks])
    session.commit()
    new = insert(Label).values([{"name": "sea"}, {"name": "land"}])
    upsert = new.on_conflict_do_update(index_elements=["name"], set_={"name": sa.func.upper(new.excluded.name)})
    assert sorted(session.scalars(upsert.returning(Label.name))) == ["SEA", "land"]
    session.execute(insert(Label).values(name="land").on_conflict_do_nothing())
    session.commit()
    artists = session.scalars(sa.select(Artist).options(joinedload(Artist.tracks).selectinload(Track.labels)).order_by(Artist.id))
    nina, ella, etta = artists.unique().all()
    assert len(ella.tracks) == 50 and ella.tracks[0].labels[0].name == "SEA" and etta.tracks == []
    ella.tracks.pop()  # an orphan is deleted
    session.delete(etta)
    session.commit()
    assert session.scalar(sa.select(sa.func.count()).select_from(Track)) == 50


def queries(session):
    seconds = sa.select(sa.func.sum(Track.seconds), sa.func.avg(Track.seconds).filter(Track.seconds > 120)).join(Track.artist)
    assert session.execute(seconds.where(Artist.name == "Ella")).one()[0] == sum(range(100, 149))
    rank = sa.func.row_number().over(partition_by=Track.artist_id, order_by=Track.seconds.desc())
    longest = sa.select(Track.title, rank.label("rank")).cte("longest")
    assert len(session.execute(sa.select(longest).where(longest.c.rank <= 3).order_by("rank").offset(1).limit(3)).all()) == 3
    found = sa.select(Track).where(Track.facts["n"].astext.cast(sa.Integer) >= 40, Track.words.contains(["la"]), Track.title.ilike("song %"))
    assert len(session.scalars(found).all()) == 9
    rows = session.execute(sa.select(Track.id).execution_options(stream_results=True, yield_per=10))
    assert sum(1 for _ in rows) == 50
    assert session.execute(sa.text("SELECT name FROM artist WHERE id = :id"), {"id": 1}).scalar_one() == "Nina"
    assert session.execute(sa.update(Track).where(Track.seconds < 110).values(seconds=110).returning(Track.id)).all()
    session.rollback()


def transactions(session):
    track = session.scalars(sa.select(Track).where(Track.title == "Song 7").with_for_update(of=Track, skip_locked=True)).one()
    try:
        with session.begin_nested():
            session.add(Label(name="SEA"))
            session.flush()
        raise SystemExit("the label is there twice")
    except IntegrityError:
        pass
    track.seconds = 7
    session.flush()
    session.rollback()
    assert track.seconds == 107
    session.commit()
    session.connection(execution_options={"isolation_level": "SERIALIZABLE"})
    assert session.scalar(sa.text("SHOW transaction_isolation")) == "serializable"


def reflection():
    tables = sa.MetaData()
    tables.reflect(scratch)
    assert {c.name for c in tables.tables["track"].foreign_key_constraints} == {"track_has_artist"}
    assert "longest_first" in {i.name for i in tables.tables["track"].indexes}
    inspector = sa.inspect(scratch)
    assert inspector.get_unique_constraints("artist")[0]["column_names"] == ["name"]
    assert "track_id_seq" in inspector.get_sequence_names() and inspector.has_table("label")
    assert "track_kind" in {e["name"] for e in inspector.get_enums()}
    office = sa.MetaData()
    office.reflect(app, views=True)
    assert office.tables["orders"].c.customer_id.foreign_keys and "order_totals" in office.tables


def denials():
    with denied("CREATE TABLE is not permitted"):
        Office.metadata.create_all(scratch)
    with denied("UPDATE or DELETE of public.label needs a WHERE"), scratch.begin() as connection:
        connection.execute(sa.delete(Label))
    with denied("function pg_catalog.nextval is not granted"), scratch.begin() as connection:
        connection.execute(sa.Sequence("track_id_seq"))
    with Session(app, future=True) as session:
        order = session.get(Order, 100, with_for_update=True)
        with denied("table app.secrets is not granted"), session.begin_nested():
            session.scalars(sa.select(Secret)).all()
        order.status = "open" if order.status == "paid" else "paid"  # goes on after the savepoint
        session.flush()
        session.rollback()


async def asynchronous():
    context = ssl.create_default_context(cafile=os.environ["PGSSLROOTCERT"])
    engine = create_async_engine("postgresql+asyncpg://localhost/scratch", connect_args={"ssl": context})
    async with AsyncSession(engine) as session:
        session.add(Artist(name="Billie", tracks=[Track(title="Blue", kind="live", facts={"n": 1}, words=["la"])]))
        await session.flush()
        artist = (await session.scalars(sa.select(Artist).options(selectinload(Artist.tracks)).filter_by(name="Billie"))).one()
        assert artist.tracks[0].facts == {"n": 1} and artist.tracks[0].kind == "live"
        async with session.begin_nested():
            await session.execute(sa.insert(Label), [{"name": f"blue {n}"} for n in range(20)])
        rows = await session.stream(sa.select(Track.id))
        assert len([row async for row in rows]) == 51
        with denied("CREATE TABLE is not permitted"):
            await session.execute(sa.text("CREATE TABLE t ()"))
        await session.rollback()
        assert await session.scalar(sa.select(sa.func.count()).select_from(Track)) == 50
        connection = await session.connection()
        await connection.run_sync(lambda c: sa.MetaData().reflect(c))
    await engine.dispose()


def read():
    """What an analyst can do too."""
    with Session(app, future=True) as session:
        customer = session.scalars(sa.select(Customer).options(selectinload(Customer.orders)).filter_by(id=42)).one()
        assert customer.name == "Chidi Jansen" and customer.orders
        with denied("table app.secrets is not granted"):
            session.scalars(sa.select(Secret)).all()
        session.rollback()
        assert session.scalar(sa.select(sa.func.count()).select_from(Order)) > 0
    assert {"customers", "orders", "secrets"} <= set(sa.inspect(app).get_table_names())


globals()[sys.argv[1]]()
print("SQLAlchemy", sa.__version__, "with Alembic", alembic.__version__, "on psycopg2", psycopg2.__version__, "and asyncpg", asyncpg.__version__)
print("ok")
