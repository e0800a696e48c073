"""The verdict on a run: is everything there, once, to the second and to the minor unit?

Called when nothing waits any more. The truth is the harness's own (`truth.py`); ledger, billing
systems and project tool are read and compared with it.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, func, select

from ledger.database import Database
from ledger.tables import audit_entry, invoice, line_item, subject

from .bodies import CANARY
from .firm import AGREEMENTS
from .sender import History
from .site import PROFILES, Site
from .truth import Due, Truth, in_words
from .watch import deliveries

STANDING: Final = {"draft", "open", "paid"}
"""Documents at a billing system that somebody owes, or will."""
Key = tuple[str, str, str]
"""A delivery: endpoint, delivery id, hash of the body."""
Billed = Mapping[str, Sequence[Mapping[str, Any]]]
"""All invoices of each billing system, by its profile."""
MOST_SHOWN: Final = 12
"""How many of many failures alike are told one by one."""


@dataclass
class Verdict:
    """What was found wrong, in words, and how much was compared."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    compared: Counter[str] = field(default_factory=Counter)

    @property
    def failures(self) -> list[str]:
        """Return everything that is wrong."""
        found = _shortened([f"lost: {each}" for each in self.lost])
        found += _shortened([f"doubled: {each}" for each in self.doubled])
        return found + _shortened(self.wrong)


def judge(site: Site, truth: Truth, history: History) -> Verdict:
    """Return the verdict on a site at rest."""
    database = Database(site.database_url)
    billed = site.truth_of_billing()
    try:
        with database.read() as connection:
            verdict = judge_ledger(connection, truth, history.acked, billed)
    finally:
        database.close()
    _judge_notes(verdict, site.jira.comments)
    _judge_logs(verdict, site.processes.folder / "logs")
    _judge_by_audit(verdict, site)
    verdict.wrong += history.wrong
    return verdict


def judge_ledger(
    connection: Connection, truth: Truth, acked: Collection[Key], billed: Billed
) -> Verdict:
    """Return the verdict on a ledger and on what the billing systems hold.

    `acked` names the deliveries that were accepted, `billed` has the invoices by profile.
    """
    verdict = Verdict()
    _judge_inbox(verdict, connection, acked)
    _judge_subjects(verdict, connection, truth)
    _judge_money(verdict, connection, truth, billed)
    _judge_invoices(verdict, connection, billed)
    return verdict


def _judge_inbox(verdict: Verdict, connection: Connection, acked: Collection[Key]) -> None:
    """Whatever was answered with 202 is in the inbox, and has been read."""
    stored = deliveries(connection)
    verdict.compared["deliveries"] = len(acked)
    for key in acked:
        state = stored.get(key)
        if state is None:
            verdict.lost.append(f"delivery {key[1]} was accepted and is not in the inbox")
        elif state in ("waiting", "failed"):
            verdict.wrong.append(f"delivery {key[1]} is {state}")


def _judge_subjects(verdict: Verdict, connection: Connection, truth: Truth) -> None:
    """Each entry is accounted for to the second, and comes to its amount."""
    found = {
        (row.endpoint, row.name): row
        for row in connection.execute(select(subject.c.id, *_COLUMNS)).all()
    }
    lines: dict[int, list[Any]] = defaultdict(list)
    for row in connection.execute(
        select(
            line_item.c.subject_id,
            line_item.c.customer,
            func.sum(line_item.c.seconds).label("seconds"),
            func.sum(line_item.c.amount).label("amount"),
        )
        .where(line_item.c.state != "withdrawn", line_item.c.subject_id.is_not(None))
        .group_by(line_item.c.subject_id, line_item.c.customer)
    ):
        lines[row.subject_id].append(row)
    accounted = 0
    for endpoint, name, due in truth.all_due():
        verdict.compared["entries and milestones"] += 1
        if (endpoint, name) not in found:
            if due.state != "gone":
                verdict.lost.append(f"{endpoint} {name}: the ledger does not know it")
            continue
        known = found.pop((endpoint, name))
        accounted += _judge_subject(verdict, f"{endpoint} {name}", due, known, lines[known.id])
    for endpoint, name in found:
        if not name.startswith("issue:"):
            verdict.doubled.append(f"{endpoint} {name}: there is no such thing")
    verdict.compared["seconds"] = truth.seconds()
    if accounted != truth.seconds():
        verdict.wrong.append(f"{truth.seconds()} s were logged, {accounted} s are accounted for")


_COLUMNS: Final = (
    subject.c.endpoint,
    subject.c.name,
    subject.c.state,
    subject.c.reason,
    subject.c.held_seconds,
    subject.c.excluded_seconds,
)


def _judge_subject(verdict: Verdict, name: str, due: Due, row: Any, lines: Sequence[Any]) -> int:
    """Compare one subject; return the seconds that are accounted for."""
    if row.state != due.state:
        verdict.wrong.append(f"{name}: is {row.state} ({row.reason}), should be {due.state}")
    on_lines = sum(each.seconds for each in lines)
    accounted = int(on_lines + row.held_seconds + row.excluded_seconds)
    if accounted < due.seconds:
        verdict.lost.append(f"{name}: {due.seconds - accounted} of {due.seconds} s")
    elif accounted > due.seconds:
        verdict.doubled.append(f"{name}: {accounted - due.seconds} s beyond {due.seconds} s")
    for each in lines:
        wanted = due.amount if each.customer == due.customer else 0
        if each.amount != wanted:
            wrong = verdict.lost if each.amount < wanted else verdict.doubled
            wrong.append(f"{name}: {each.customer} pays {each.amount}, should pay {wanted}")
    if due.state == "priced" and due.customer not in {each.customer for each in lines}:
        verdict.lost.append(f"{name}: {due.customer} should pay {due.amount}, pays nothing")
    return accounted


def _judge_money(verdict: Verdict, connection: Connection, truth: Truth, billed: Billed) -> None:
    """What stands at the billing system plus what is open here is what is owed, exactly."""
    open_here = {
        row.customer: int(row.amount)
        for row in connection.execute(
            select(line_item.c.customer, func.sum(line_item.c.amount).label("amount"))
            .where(line_item.c.state == "open")
            .group_by(line_item.c.customer)
        )
    }
    for agreement, profile in zip(AGREEMENTS, PROFILES, strict=True):
        owed = truth.totals().get(agreement.key, 0)
        remote = sum(
            sum(line["amount"] for line in each["lines"])
            for each in billed[profile]
            # Where money has come in nothing is billed again by itself, whatever became of it.
            if each["state"] in STANDING or each["paid"]
        )
        accounted = remote + open_here.get(agreement.key, 0)
        verdict.compared[f"{agreement.currency} billed"] = remote
        if accounted != owed:
            wrong = verdict.lost if accounted < owed else verdict.doubled
            wrong.append(
                f"{agreement.key} owes {in_words(agreement, owed)}, and "
                f"{in_words(agreement, accounted)} are billed or open"
            )


def _judge_invoices(verdict: Verdict, connection: Connection, billed: Billed) -> None:
    """The billing system has one invoice for each that was pushed, with the same lines."""
    there: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in chain.from_iterable(billed.values()):
        there[each["reference"]].append(each)
    rested = select(func.count()).where(audit_entry.c.action == "connector.rests")
    verdict.compared["times a billing system rested"] = connection.scalar(rested) or 0
    rows = connection.execute(select(invoice)).mappings().all()
    ours = {row["reference"]: row for row in rows}
    for reference, found in there.items():
        verdict.compared["invoices at billing systems"] += 1
        verdict.compared["lines at billing systems"] += sum(len(each["lines"]) for each in found)
        most = max(len(each["lines"]) for each in found)
        verdict.compared["longest invoice"] = max(verdict.compared["longest invoice"], most)
        if len(found) > 1:
            ids = ", ".join(each["id"] for each in found)
            verdict.doubled.append(f"{reference}: {len(found)} invoices have it: {ids}")
        row = ours.get(reference)
        pushed = row["pushed_content"] if row is not None else None
        if pushed is None:
            state = row["state"] if row is not None else "unknown"
            verdict.doubled.append(f"{reference}: is at the billing system, and {state} here")
            continue
        # What is amended just now stands there as it was pushed last.
        sent = [_line(each) for each in pushed["lines"]]
        if sent != [_line(each) for each in found[0]["lines"]]:
            verdict.wrong.append(f"{reference}: has other lines there than were pushed last")
    for reference, row in ours.items():
        if row["state"] == "pushed" and row["released_at"] is None and reference not in there:
            verdict.lost.append(f"{reference}: is pushed, and not at the billing system")
        if row["state"] == "approved":
            verdict.wrong.append(f"{reference}: is still approved: {row['problem']}")


def _line(line: Mapping[str, Any]) -> tuple[str, int]:
    return str(line["description"]), int(line["amount"])


def _judge_notes(verdict: Verdict, comments: Mapping[int, Mapping[str, Any]]) -> None:
    """Each issue has one note about each invoice."""
    notes: Counter[tuple[int, str]] = Counter()
    for comment in comments.values():
        for marker in re.findall(r"billhook/\S+", comment["body"]):
            notes[comment["issue"], marker] += 1
    verdict.compared["notes in the project tool"] = len(notes)
    for (issue, marker), times in notes.items():
        if times > 1:
            verdict.doubled.append(f"the note {marker} stands {times} times on issue {issue}")


def _judge_logs(verdict: Verdict, folder: Path) -> None:
    """No log holds a secret or a body."""
    for path in sorted(folder.iterdir()):
        verdict.compared["log files"] += 1
        if CANARY.encode() in path.read_bytes():
            verdict.wrong.append(f"{path.name}: holds a secret or the text of a body")


def _judge_by_audit(verdict: Verdict, site: Site) -> None:
    """The product's own audit, the billing systems included, has nothing to say."""
    done = site.flask("audit", "--deep")
    if done.returncode != 0:
        verdict.wrong += [f"flask audit --deep: {line}" for line in done.told.splitlines()]


def _shortened(failures: Sequence[str]) -> list[str]:
    found = list(failures[:MOST_SHOWN])
    if len(failures) > MOST_SHOWN:
        found.append(f"... and {len(failures) - MOST_SHOWN} more like these")
    return found
