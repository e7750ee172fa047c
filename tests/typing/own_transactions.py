"""One's own transaction as a user's strict type checker sees it. Checked by mypy and pyright, never executed."""

import sqlite3
from typing import assert_type

import aiosqlite
import psycopg
from sqlalchemy import Engine, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, scoped_session, sessionmaker

from minuet import App, Event, Service


class OrderPlaced(Event, key="order_id"):
    """A customer committed to buy."""

    order_id: str


class Base(DeclarativeBase):
    """The tables of the application."""


class Order(Base):
    """A row."""

    __tablename__ = "orders"

    order_id: Mapped[str] = mapped_column(primary_key=True)


orders = Service("orders", owns=[OrderPlaced])
app = App([orders], broker="postgres://localhost/shop")
placed = OrderPlaced(order_id="1")
engine: Engine = create_engine("postgresql+psycopg://localhost/shop")
async_engine: AsyncEngine = create_async_engine("postgresql+asyncpg://localhost/shop")
sessions = async_sessionmaker(async_engine)


async def awaited() -> None:
    """Where statements are awaited, emission is."""
    async with app.connected() as connected:
        assert_type(connected, App)
        async with sessions.begin() as session:
            assert_type(session, AsyncSession)
            session.add(Order(order_id="1"))
            assert_type(await orders.emit(placed, tx=session), str)
        async with async_engine.begin() as core:
            await orders.emit(placed, tx=core)
        async with await psycopg.AsyncConnection.connect("dbname=shop") as connection:
            await orders.emit(placed, tx=connection)
        async with aiosqlite.connect("shop.db") as file:
            await orders.emit(placed, tx=file, id="1", correlation_id="2")


def unawaited() -> None:
    """Where nothing is awaited, neither is emission."""
    scoped = scoped_session(sessionmaker(engine))
    with app.emitting() as emitting:
        assert_type(emitting, App)
        with Session(engine) as session, session.begin():
            session.add(Order(order_id="1"))
            assert_type(orders.emit_sync(placed, tx=session), str)
        orders.emit_sync(placed, tx=scoped)
        with engine.begin() as core:
            orders.emit_sync(placed, tx=core)
        with psycopg.connect("dbname=shop") as connection:
            orders.emit_sync(placed, tx=connection, id="1", correlation_id="2", traceparent="00-1-1-01")
        with sqlite3.connect("shop.db") as file:
            orders.emit_sync(placed, tx=file)
