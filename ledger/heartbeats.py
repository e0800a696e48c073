"""Signs of life of the processes, for `/readyz` and `flask doctor`."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, select

from .database import insert_for
from .tables import heartbeat


def beat(connection: Connection, name: str, now: datetime) -> None:
    """Write down that a process is alive."""
    connection.execute(
        insert_for(connection, heartbeat)
        .values(name=name, at=now, detail={})
        .on_conflict_do_update(index_elements=["name"], set_={"at": now})
    )


def last_beat(connection: Connection, name: str) -> datetime | None:
    """Return when a process last showed that it is alive."""
    return connection.scalar(select(heartbeat.c.at).where(heartbeat.c.name == name))
