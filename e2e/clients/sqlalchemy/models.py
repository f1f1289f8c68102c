"""What the migrations make in scratch, and what is there already in app (see stack/sql/app.sql)."""

from sqlalchemy import Column, DateTime, Enum, ForeignKey, Index, Integer, Numeric, String, Table, Text, func
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import declarative_base, relationship

Base = declarative_base()
Office = declarative_base()

labels = Table(
    "label_of_track",
    Base.metadata,
    Column("track_id", ForeignKey("track.id", ondelete="CASCADE"), primary_key=True),
    Column("label_id", ForeignKey("label.id"), primary_key=True),
)


class Artist(Base):
    __tablename__ = "artist"
    id = Column(Integer, primary_key=True)
    name = Column(String(100), nullable=False, unique=True)
    tracks = relationship("Track", back_populates="artist", cascade="all, delete-orphan")


class Label(Base):
    __tablename__ = "label"
    id = Column(Integer, primary_key=True)
    name = Column(String(50), nullable=False, unique=True)


class Track(Base):
    __tablename__ = "track"
    __table_args__ = (Index("longest_first", "seconds"),)
    id = Column(Integer, primary_key=True)
    artist_id = Column(ForeignKey("artist.id"), nullable=False)
    title = Column(Text, nullable=False)
    kind = Column(Enum("studio", "live", name="track_kind"), nullable=False, server_default="studio")
    seconds = Column(Integer, nullable=False, server_default="0")
    facts = Column(JSONB, nullable=False, server_default="{}")
    words = Column(ARRAY(Text))
    added_at = Column(DateTime(timezone=True), nullable=False, server_default=func.now())
    artist = relationship("Artist", back_populates="tracks")
    labels = relationship("Label", secondary=labels)


class Customer(Office):
    __tablename__ = "customers"
    id = Column(Integer, primary_key=True)
    name = Column(Text, nullable=False)
    orders = relationship("Order", back_populates="customer")


class Order(Office):
    __tablename__ = "orders"
    id = Column(Integer, primary_key=True)
    customer_id = Column(ForeignKey("customers.id"), nullable=False)
    amount = Column(Numeric(10, 2), nullable=False)
    status = Column(Text, nullable=False)
    customer = relationship("Customer", back_populates="orders")


class Secret(Office):
    __tablename__ = "secrets"
    id = Column(Integer, primary_key=True)
    value = Column(Text, nullable=False)
