"""The rules that priced something are still there, word for word."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from ..tables import activation, line_item, mapping_version
from ..versions import version_of
from .violations import Invariant, Violation, stream

RULES: Final = Invariant(
    "rules",
    "each version of the rules that something refers to is stored, and its name is the hash of "
    "its files",
    "take the version from a backup, or activate the same files again: they get the same name",
)
_STORED: Final = select(mapping_version.c.version)
_GONE: Final = (
    (
        "activation",
        select(activation.c.version)
        .where(activation.c.version.not_in(_STORED))
        .distinct()
        .order_by(activation.c.version),
    ),
    (
        "line_item",
        select(line_item.c.mapping_version.label("version"))
        .where(line_item.c.mapping_version.not_in(_STORED))
        .distinct()
        .order_by(line_item.c.mapping_version),
    ),
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:  # noqa: ARG001
    """Yield versions of the rules that were changed, or that are named and not there."""
    for row in stream(connection, select(mapping_version.c.version, mapping_version.c.files)):
        if version_of(row["files"]) != row["version"]:
            yield RULES.broken(
                f"mapping_version:{row['version'][:12]}", "its files are not those it is named for"
            )
    for table, query in _GONE:
        for row in stream(connection, query):
            yield RULES.broken(
                f"mapping_version:{row['version'][:12]}",
                f"is named by rows of {table} and is not there",
            )
