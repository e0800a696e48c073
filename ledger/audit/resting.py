"""Nothing is forgotten: what waits is taken, what is held by a worker is given back in time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Table,
    and_,
    bindparam,
    literal,
    or_,
    select,
    type_coerce,
    union_all,
)

from ..approvals import by_rule
from ..claims import LEASE_SECONDS, MOST_ATTEMPTS, waits
from ..events import as_utc_text
from ..pushing import may_go
from ..sync import LOOKED_AT, due
from ..tables import (
    UtcDateTime,
    customer,
    delivery,
    fact,
    hint,
    invoice,
    poll,
    report,
    subject,
)
from .violations import Invariant, Violation, named, stream

LONGEST_REST: Final = timedelta(seconds=30)
"""How long after its time a row may wait for a worker to take it."""
CLOCKS_APART: Final = timedelta(seconds=10)
"""How far the clocks of two machines may differ."""
RESTING: Final = Invariant(
    "resting",
    f"nothing waits longer than {LONGEST_REST.seconds} seconds unclaimed, and nobody holds "
    f"anything longer than {LEASE_SECONDS} seconds without a sign of life",
    "see that workers run (`flask doctor`); if a row is held into the future, the clock of a "
    "machine is wrong",
)
ATTEMPTS: Final = Invariant(
    "attempts",
    "what fails again and again is set aside for a person, and is not tried for ever",
    "stop the workers, look for the row's errors in their log, and open an issue",
)
_MOST: Final = 2 * MOST_ATTEMPTS
"""Attempts whose worker died are counted too, until the first that could say what broke."""
_BOUNDED: Final = (delivery, subject, customer, hint, report)
"""Tables whose rows are set aside; the others ask a system outside, which may be away for long."""
_LEASED: Final = (poll, delivery, fact, subject, customer, invoice, hint, report)
_BEFORE: Final = type_coerce(bindparam("before"), UtcDateTime)
_LATEST: Final = type_coerce(bindparam("latest"), UtcDateTime)
_Stage = tuple[str, Table, str | tuple[str, ...], Callable[[datetime], Any] | None]
_STAGES: Final[tuple[_Stage, ...]] = (
    ("poll", poll, "waiting", None),
    ("normalize", delivery, "waiting", None),
    ("enrich", fact, "wanted", None),
    ("map", subject, "waiting", None),
    ("assemble", customer, "waiting", None),
    ("approve", invoice, "draft", by_rule),
    ("push", invoice, "approved", may_go),
    ("follow", hint, "waiting", None),
    ("look", invoice, LOOKED_AT, due),
    ("report", report, "waiting", None),
)
"""What waits for each stage of `worker.py`: table, state and a further condition."""


def _resting(
    stage: str,
    table: Table,
    state: str | tuple[str, ...],
    only: Callable[[datetime], Any] | None,
) -> Any:
    """Return the query for rows that could have been claimed before a moment and wait still."""
    before: Any = _BEFORE
    conditions = [waits(table, state, before), *([] if only is None else [only(before)])]
    return select(literal(stage).label("stage"), *named(table)).where(*conditions)


# Each is one statement: of a small ledger, going to and fro would take the most time.
_LYING: Final = union_all(*(_resting(*stage) for stage in _STAGES))
_HELD: Final = union_all(
    *(
        select(*named(table), table.c.lease_until).where(
            or_(
                table.c.lease_until > _LATEST,
                and_(table.c.lease_token.is_not(None), table.c.lease_until.is_(None)),
            )
        )
        for table in _LEASED
    )
)
_TRIED: Final = union_all(
    *(
        select(*named(table), table.c.attempts).where(
            or_(and_(table.c.state == "waiting", table.c.attempts > _MOST), table.c.attempts < 0)
        )
        for table in _BOUNDED
    )
)


def find(connection: Connection, now: datetime) -> Iterator[Violation]:
    """Yield rows that nobody takes, that somebody holds too long, or that are tried for ever."""
    yield from left_lying(connection, now)
    latest = now + timedelta(seconds=LEASE_SECONDS) + CLOCKS_APART
    for row in stream(connection, _HELD, {"latest": latest}):
        until = as_utc_text(row["lease_until"]) if row["lease_until"] else "for ever"
        yield RESTING.broken(f"{row['table']}:{row['id']}", f"is held by a worker until {until}")
    for row in stream(connection, _TRIED):
        detail = f"has been tried {row['attempts']} times and is not set aside"
        yield ATTEMPTS.broken(f"{row['table']}:{row['id']}", detail)


def left_lying(connection: Connection, now: datetime) -> Iterator[Violation]:
    """Yield rows that have waited for a worker longer than `LONGEST_REST`."""
    for row in stream(connection, _LYING, {"before": now - LONGEST_REST}):
        yield RESTING.broken(
            f"{row['table']}:{row['id']}",
            f"waits for {row['stage']} longer than {LONGEST_REST.seconds} s, and no worker has "
            "taken it",
        )
