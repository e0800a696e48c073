"""Corruptions that are planted in the small firm's ledger: each is named by its invariant.

They are SQL behind Billhook's back, on the ledger that `seed.month_of_work` leaves. `docs/audit.md`
lists them beside the invariants that they prove.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ledger.tables import line_item

OTHER_HASH: Final = "0" * 64
LONG_AGO: Final = "'2026-11-01T08:00:00.000000Z'"
IN_AN_HOUR: Final = "'2026-11-02T10:00:00.000000Z'"
NEVER: Final = "'9999-12-31T00:00:00.000000Z'"
OCTOBER, NOVEMBER, YEN = "acme-2026-10", "acme-2026-11", "beta-2026-10"
_COLUMNS: Final = tuple(column.name for column in line_item.columns if column.name != "id")


@dataclass(frozen=True, slots=True)
class Corruption:
    """A change behind the ledger's back, and what the audit says of it."""

    name: str
    invariant: str
    sql: str
    entity: str
    """The row that is named, as it is or as a query for it (`select ...`), which is asked before
    the change, and after it if nothing was there yet."""
    at_risk: tuple[int, str] | None = None
    """The amount that is named with it."""
    also: tuple[str, ...] = ()
    """Other invariants that the same change breaks of necessity."""


def line(subject: str, state: str) -> str:
    """Return a condition for the line item of a subject that takes nothing back."""
    return (
        f"corrects_id is null and state = '{state}' and "
        f"subject_id = (select id from subject where name = '{subject}')"
    )


def line_id(subject: str, state: str) -> str:
    """Return the query for the name of that line item."""
    return f"select 'line_item:' || id from line_item where {line(subject, state)}"


def subject_id(name: str) -> str:
    """Return the query for the name of a subject."""
    return f"select 'subject:' || id from subject where name = '{name}'"


def invoice(reference: str) -> str:
    """Return a condition for what belongs to an invoice."""
    return f"invoice_id = (select id from invoice where reference = '{reference}')"


def copied(which: str, **values: str) -> str:
    """Return the statement that copies a line, with other values in some columns."""
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    taken = ", ".join(values.get(name, f'"{name}"') for name in _COLUMNS)
    return f"insert into line_item ({names}) select {taken} from line_item where {which}"


_OPEN: Final = {"state": "'open'", "invoice_id": "null"}
_CORRECTION: Final = "(select max(id) from line_item where corrects_id is not null)"
_FIRST_LOGGED: Final = "(select min(position) from audit_entry where action = '{action}')"

CORRUPTIONS: Final = (
    # What came in.
    Corruption(
        "an event that its delivery did not tell",
        "deliveries",
        "update event set delivery_id = 1 where subject = 'worklog:7'",
        "delivery:1",
    ),
    Corruption(
        "a delivery that says it told nothing",
        "deliveries",
        "update delivery set events = 0 where id = 2",
        "delivery:2",
    ),
    Corruption(
        "a body that somebody has edited",
        "bodies",
        "update delivery set body = (select body from delivery where id = 1) where id = 2",
        "delivery:2",
    ),
    # What does not go on.
    Corruption(
        "a delivery in a state that nobody knows",
        "reasons",
        "update delivery set state = 'lost' where state = 'ignored'",
        "select 'delivery:' || id from delivery where state = 'ignored'",
    ),
    Corruption(
        "a delivery that is ignored without a word",
        "reasons",
        "update delivery set reason = ' ' where state = 'ignored'",
        "select 'delivery:' || id from delivery where state = 'ignored'",
    ),
    Corruption(
        "excluded time without a reason",
        "reasons",
        "update subject set reason = null where state = 'nothing'",
        subject_id("worklog:5"),
    ),
    Corruption(
        "a draft that is blocked without a reason",
        "reasons",
        f"update invoice set state = 'blocked', reasons = '[]' where reference = '{NOVEMBER}'",
        f"select 'invoice:' || id from invoice where reference = '{NOVEMBER}'",
        also=("states",),
    ),
    Corruption(
        "a draft that waits for ever, in no list",
        "reasons",
        f"update invoice set next_at = {NEVER} where reference = '{NOVEMBER}'",
        f"select 'invoice:' || id from invoice where reference = '{NOVEMBER}'",
    ),
    # What waits.
    Corruption(
        "a delivery that nobody has read",
        "resting",
        f"update delivery set state = 'waiting', next_at = {LONG_AGO} where id = 1",
        "delivery:1",
    ),
    Corruption(
        "a subject whose worker has died",
        "resting",
        f"update subject set state = 'waiting', next_at = {LONG_AGO}, lease_until = {LONG_AGO} "
        "where name = 'worklog:6'",
        subject_id("worklog:6"),
    ),
    Corruption(
        "a customer whose drafts nobody assembles",
        "resting",
        f"update customer set state = 'waiting', next_at = {LONG_AGO} where \"key\" = 'acme'",
        "select 'customer:' || id from customer where \"key\" = 'acme'",
    ),
    Corruption(
        "an invoice that nobody asks about",
        "resting",
        f"update invoice set sync_at = {LONG_AGO}, next_at = {LONG_AGO} "
        f"where reference = '{OCTOBER}'",
        f"select 'invoice:' || id from invoice where reference = '{OCTOBER}'",
    ),
    Corruption(
        "a subject that a worker holds for an hour",
        "resting",
        f"update subject set lease_token = 'w', lease_until = {IN_AN_HOUR} "
        "where name = 'worklog:6'",
        subject_id("worklog:6"),
    ),
    Corruption(
        "an invoice that a worker holds for ever",
        "resting",
        f"update invoice set lease_token = 'w' where reference = '{OCTOBER}'",
        f"select 'invoice:' || id from invoice where reference = '{OCTOBER}'",
    ),
    Corruption(
        "a subject that is tried for ever",
        "attempts",
        f"update subject set state = 'waiting', attempts = 99, next_at = {IN_AN_HOUR} "
        "where name = 'worklog:6'",
        subject_id("worklog:6"),
    ),
    # Time.
    Corruption(
        "a subject that overlooked a newer event",
        "present",
        "update event set version = 9 where subject = 'worklog:8' and kind = 'time.logged'",
        "subject:jira/worklog:8",
    ),
    Corruption(
        "a subject that stands at another time than its event",
        "present",
        "update subject set seconds = 701, held_seconds = 701 where name = 'worklog:6'",
        subject_id("worklog:6"),
    ),
    Corruption(
        "an event without a subject",
        "present",
        "update event set subject = 'worklog:80' where subject = 'worklog:8' "
        "and kind = 'time.logged'",
        "subject:jira/worklog:80",
    ),
    Corruption(
        "a line with a minute too much",
        "time",
        f"update line_item set seconds = seconds + 60 where {line('worklog:9', 'open')}",
        subject_id("worklog:9"),
    ),
    Corruption(
        "held time that is forgotten",
        "time",
        "update subject set held_seconds = 0 where state = 'held'",
        subject_id("worklog:6"),
    ),
    Corruption(
        "excluded time that grew",
        "time",
        "update subject set excluded_seconds = 901 where state = 'nothing'",
        subject_id("worklog:5"),
    ),
    Corruption(
        "a line that stays with a former customer",
        "time",
        "update subject set customer = 'beta' where name = 'worklog:9'",
        subject_id("worklog:9"),
        (24000, "EUR"),
    ),
    Corruption(
        "time on a line whose subject is gone",
        "time",
        copied(line("worklog:9", "open"), subject_id="987654321"),
        "ledger",
        also=("origins", "printing"),
    ),
    # Billed once.
    Corruption(
        "a milestone that is billed twice",
        "billed once",
        copied(line("milestone:1", "billed"), **_OPEN),
        subject_id("milestone:1"),
        (900000, "EUR"),
        also=("places",),
    ),
    Corruption(
        "time that is billed twice",
        "billed once",
        copied(line("worklog:3", "billed"), **_OPEN),
        subject_id("worklog:3"),
        (22222, "EUR"),
        also=("places", "time"),
    ),
    Corruption(
        "a line that is billed beside what took it back",
        "billed once",
        f"update line_item set corrects_id = null where id = {_CORRECTION}",
        subject_id("worklog:2"),
        (0, "EUR"),
        also=("printing",),
    ),
    Corruption(
        "a billed line that is open again",
        "places",
        f"update line_item set state = 'open' where {line('worklog:3', 'billed')}",
        line_id("worklog:3", "billed"),
        (11111, "EUR"),
        also=("frozen",),
    ),
    Corruption(
        "billed lines on an invoice that may still change",
        "places",
        f"update invoice set is_frozen = false where reference = '{YEN}'",
        line_id("worklog:7", "billed"),
        (240, "JPY"),
    ),
    Corruption(
        "a withdrawn line that is on an invoice",
        "places",
        "update line_item set invoice_id = "
        f"(select id from invoice where reference = '{NOVEMBER}') where state = 'withdrawn'",
        line_id("worklog:9", "withdrawn"),
        (12000, "EUR"),
    ),
    Corruption(
        "an open line that is on no draft",
        "places",
        f"update line_item set invoice_id = null where {line('worklog:9', 'open')}",
        line_id("worklog:9", "open"),
        (24000, "EUR"),
        also=("printing",),
    ),
    Corruption(
        "a line in no known state",
        "places",
        f"update line_item set state = 'lost' where {line('worklog:9', 'open')}",
        line_id("worklog:9", "open"),
        (24000, "EUR"),
        also=("billed once", "printing"),
    ),
    Corruption(
        "a released line of an invoice that stands",
        "places",
        copied(
            line("worklog:7", "billed"),
            state="'released'",
            corrects_id="id",
            quantity='-"quantity"',
            amount="-amount",
            seconds="-seconds",
        ),
        "select 'line_item:' || id from line_item where state = 'released'",
        (240, "JPY"),
        also=("billed once", "time"),
    ),
    Corruption(
        "a line that is taken back twice",
        "corrections",
        copied(f"id = {_CORRECTION}", again="1"),
        "select 'line_item:' || corrects_id from line_item where id = " + _CORRECTION,
        (20000, "EUR"),
        also=("billed once", "printing", "time"),
    ),
    Corruption(
        "a correction of another line than its own",
        "corrections",
        "update line_item set corrects_id = (select id from line_item where "
        f"{line('worklog:3', 'billed')}) where id = {_CORRECTION}",
        f"select 'line_item:' || {_CORRECTION}",
        (10000, "EUR"),
    ),
    Corruption(
        "a correction that leaves a second of time",
        "corrections",
        f"update line_item set seconds = seconds + 1 where id = {_CORRECTION}",
        f"select 'line_item:' || {_CORRECTION}",
        (10000, "EUR"),
        also=("time",),
    ),
    # Every amount is explained.
    Corruption(
        "a cent too much on a line",
        "prices",
        f"update line_item set amount = amount + 1 where {line('worklog:9', 'open')}",
        line_id("worklog:9", "open"),
        (1, "EUR"),
        also=("priced again", "printing"),
    ),
    Corruption(
        "a cent too much on a line that was withdrawn",
        "prices",
        f"update line_item set amount = amount + 1 where {line('worklog:9', 'withdrawn')}",
        line_id("worklog:9", "withdrawn"),
        (1, "EUR"),
    ),
    Corruption(
        "a line without a rule",
        "origins",
        f"update line_item set rule = '' where {line('worklog:9', 'withdrawn')}",
        line_id("worklog:9", "withdrawn"),
        (12000, "EUR"),
    ),
    Corruption(
        "a line that names another subject's event",
        "origins",
        "update line_item set event_id = (select id from event where subject = 'worklog:3') "
        f"where {line('worklog:9', 'open')}",
        line_id("worklog:9", "open"),
        (24000, "EUR"),
    ),
    Corruption(
        "a delivery that is gone from under its line",
        "origins",
        "delete from delivery where id = "
        "(select delivery_id from event where subject = 'worklog:3')",
        line_id("worklog:3", "billed"),
        (11111, "EUR"),
    ),
    Corruption(
        "an event that says another person than the price",
        "priced again",
        "update event set person = 'ben' where subject = 'worklog:9' and version = 2",
        line_id("worklog:9", "open"),
        (8000, "EUR"),
    ),
    Corruption(
        "a billed event that says another project than the price",
        "priced again",
        "update event set project = 'FREE' where subject = 'worklog:3'",
        line_id("worklog:3", "billed"),
        (11111, "EUR"),
    ),
    Corruption(
        "a pool without its sum",
        "sums",
        f"update line_item set pool = 'usage' where {line('worklog:9', 'open')}",
        line_id("worklog:9", "open"),
        (500, "EUR"),
        also=("priced again",),
    ),
    Corruption(
        "rules with another text",
        "rules",
        "update mapping_version set files = replace(files, 'tool: jira', 'tool: toggl')",
        "mapping_version:{version}",
    ),
    Corruption(
        "a line by rules that are nowhere",
        "rules",
        f"update line_item set mapping_version = 'gone' where {line('worklog:9', 'open')}",
        "mapping_version:gone",
        also=("origins",),
    ),
    # What stands on invoices.
    Corruption(
        "a total that is not the sum",
        "contents",
        f"update invoice set total = total + 1 where reference = '{NOVEMBER}'",
        f"invoice:{NOVEMBER}",
        (20001, "EUR"),
    ),
    Corruption(
        "a content that somebody has edited",
        "contents",
        "update invoice set content = replace(content, 'ap@acme', 'ap@eve') "
        f"where reference = '{NOVEMBER}'",
        f"invoice:{NOVEMBER}",
        (20000, "EUR"),
    ),
    Corruption(
        "an invoice of another customer than it says",
        "contents",
        f"update invoice set customer = 'beta' where reference = '{NOVEMBER}'",
        f"invoice:{NOVEMBER}",
        (20000, "EUR"),
        also=("one currency",),
    ),
    Corruption(
        "an open line with another text than is printed",
        "printing",
        f"update line_item set description = 'More' where {line('worklog:9', 'open')}",
        f"invoice:{NOVEMBER}",
        (20000, "EUR"),
    ),
    Corruption(
        "two currencies on one invoice",
        "one currency",
        f"update line_item set currency = 'USD' where {line('worklog:9', 'open')}",
        line_id("worklog:9", "open"),
        (24000, "USD"),
        also=("priced again",),
    ),
    Corruption(
        "another customer's line",
        "one currency",
        f"update line_item set customer = 'beta' where {line('worklog:9', 'open')}",
        line_id("worklog:9", "open"),
        (24000, "EUR"),
        also=("priced again", "time"),
    ),
    Corruption(
        "a billed line of another person",
        "frozen",
        f"update line_item set person = 'eve' where {line('worklog:3', 'billed')}",
        f"invoice:{OCTOBER}",
        (489111, "EUR"),
    ),
    Corruption(
        "a billed line with other steps to its amount",
        "frozen",
        f"update line_item set steps = '[]' where {line('worklog:7', 'billed')}",
        f"invoice:{YEN}",
        (240, "JPY"),
    ),
    # States and approvals.
    Corruption(
        "a pushed invoice that is a draft again",
        "states",
        f"update invoice set state = 'draft' where reference = '{OCTOBER}'",
        f"invoice:{OCTOBER}",
        (489111, "EUR"),
    ),
    Corruption(
        "a draft that was canceled by nobody",
        "states",
        f"update invoice set state = 'canceled', reasons = '[\"x\"]' "
        f"where reference = '{NOVEMBER}'",
        f"invoice:{NOVEMBER}",
        (20000, "EUR"),
    ),
    Corruption(
        "an invoice whose log was cut off",
        "states",
        f"delete from audit_entry where entity = 'invoice:{NOVEMBER}'",
        f"invoice:{NOVEMBER}",
        (20000, "EUR"),
    ),
    Corruption(
        "an approval of what was blocked",
        "states",
        "update audit_entry set detail = replace(detail, '\"draft\"', '\"blocked\"') "
        f"where entity = 'invoice:{OCTOBER}'",
        f"invoice:{OCTOBER}",
        (489111, "EUR"),
        also=("audit log",),
    ),
    Corruption(
        "a push without an approval",
        "approvals",
        f"delete from approval where {invoice(OCTOBER)}",
        f"invoice:{OCTOBER}",
        (489111, "EUR"),
    ),
    Corruption(
        "an approval of something else",
        "approvals",
        f"update approval set content_hash = '{OTHER_HASH}' where {invoice(YEN)}",
        f"invoice:{YEN}",
        (240, "JPY"),
    ),
    Corruption(
        "a push that one of two had not approved",
        "approvals",
        f"update invoice set approvers = '[\"mia\",\"noa\"]' where reference = '{OCTOBER}'",
        f"invoice:{OCTOBER}",
        (489111, "EUR"),
    ),
    # What went out.
    Corruption(
        "a push that was not written down",
        "intents",
        f"delete from intent where operation = 'create:1' and {invoice(YEN)}",
        f"invoice:{YEN}",
        (240, "JPY"),
    ),
    Corruption(
        "a push of another content than was intended",
        "intents",
        f"update intent set content_hash = '{OTHER_HASH}' where operation = 'create:1' "
        f"and {invoice(OCTOBER)}",
        f"invoice:{OCTOBER}",
        (489111, "EUR"),
    ),
    Corruption(
        "a push that nobody confirmed",
        "intents",
        f"update intent set state = 'refused' where operation = 'create:1' and {invoice(YEN)}",
        f"invoice:{YEN}",
        (240, "JPY"),
    ),
    Corruption(
        "a draft that is at the billing system already",
        "intents",
        f"update invoice set remote_id = 'in_1' where reference = '{NOVEMBER}'",
        f"invoice:{NOVEMBER}",
        (20000, "EUR"),
    ),
    Corruption(
        "a request in doubt that nobody looks after",
        "doubts",
        f"update intent set state = 'uncertain', changed_at = {LONG_AGO} "
        f"where operation = 'customer:1' and {invoice(OCTOBER)}",
        f"invoice:{OCTOBER}",
        (489111, "EUR"),
    ),
    Corruption(
        "a change in a state that nobody knows",
        "doubts",
        f"update intent set state = 'perhaps' where operation = 'customer:1' and {invoice(YEN)}",
        f"invoice:{YEN}",
        (240, "JPY"),
    ),
    Corruption(
        "two invoices that are one at the billing system",
        "remote ids",
        f"update invoice set remote_id = 'create-{YEN}' where state = 'pushed'",
        f"invoice:{OCTOBER}",
        (489111, "EUR"),
    ),
    Corruption(
        "a draft that a later one has passed",
        "order",
        "update invoice set period_from = '2026-10-01', sequence = -1 "
        f"where reference = '{NOVEMBER}'",
        f"invoice:{NOVEMBER}",
        (20000, "EUR"),
    ),
    # What was paid.
    Corruption(
        "an invoice that is called paid",
        "payments",
        f"update invoice set payment = 'paid' where reference = '{OCTOBER}'",
        f"invoice:{OCTOBER}",
        (489111, "EUR"),
    ),
    Corruption(
        "amounts that say another word",
        "payments",
        "update payment set paid = total, remaining = 0 where paid = 10000",
        "select 'payment:' || id from payment where paid = 10000",
        (489111, "EUR"),
    ),
    Corruption(
        "more paid than there was to pay",
        "payments",
        "update payment set paid = total + 1 where paid = 10000",
        "select 'payment:' || id from payment where paid = 10000",
        (489112, "EUR"),
    ),
    Corruption(
        "a payment in another currency",
        "payments",
        f"update payment set currency = 'USD' where {invoice(YEN)}",
        f"invoice:{YEN}",
        (240, "JPY"),
    ),
    Corruption(
        "an old snapshot that replaced a newer one",
        "payments",
        f"update payment set observed_at = {LONG_AGO} where paid = 10000",
        "select 'payment:' || id from payment where paid = 10000",
        (10000, "EUR"),
    ),
    Corruption(
        "a payment that is in no log",
        "payments",
        f"delete from audit_entry where action = 'invoice.payment' and entity = 'invoice:{YEN}'",
        f"invoice:{YEN}",
        (240, "JPY"),
        also=("audit log",),
    ),
    # The log and the secrets.
    Corruption(
        "an audit entry with another name",
        "audit log",
        "update audit_entry set actor = 'eve' where position = 3",
        "select 'audit_entry:' || id from audit_entry where position = 3",
    ),
    Corruption(
        "an audit entry that was never sealed",
        "audit log",
        f"update audit_entry set position = null, hash = null, at = {LONG_AGO} "
        "where position = (select max(position) from audit_entry)",
        "select 'audit_entry:' || id from audit_entry where position = "
        "(select max(position) from audit_entry)",
    ),
    Corruption(
        "an entry that is gone from the middle of the log",
        "audit log",
        f"delete from audit_entry where position = {_FIRST_LOGGED.format(action='invoice.pushed')}",
        "select 'audit_entry:' || id from audit_entry where position = 1 + "
        + _FIRST_LOGGED.format(action="invoice.pushed"),
        also=("states",),
    ),
    Corruption(
        "a secret in the rules",
        "secrets",
        "update mapping_version set files = replace(files, '${JIRA_SECRET}', 'hunter2hunter2')",
        "mapping_version:{version}",
        also=("rules",),
    ),
    Corruption(
        "a token that is kept as it is",
        "secrets",
        "update api_token set token_hash = 'tiger'",
        "select 'api_token:' || id from api_token",
    ),
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A change that the database does not let happen."""

    name: str
    invariant: str
    """What it would break."""
    sql: str


def _again(table: str, which: str, **values: str) -> str:
    """Return the statement that copies a row of a table, without its number."""
    from ledger.tables import metadata

    names = [column.name for column in metadata.tables[table].columns if column.name != "id"]
    quoted = ", ".join(f'"{name}"' for name in names)
    taken = ", ".join(values.get(name, f'"{name}"') for name in names)
    return f"insert into {table} ({quoted}) select {taken} from {table} where {which}"


REFUSED: Final = (
    Refused("the same delivery twice", "deliveries", _again("delivery", "id = 1")),
    Refused("the same event twice", "billed once", _again("event", "subject = 'worklog:7'")),
    Refused("two subjects for one thing", "billed once", _again("subject", "name = 'worklog:7'")),
    Refused(
        "a line that is taken back by two lines",
        "corrections",
        _again("line_item", f"id = {_CORRECTION}"),
    ),
    Refused(
        "two drafts of one period",
        "places",
        _again("invoice", f"reference = '{NOVEMBER}'", reference="'acme-2026-11-b'"),
    ),
    Refused(
        "two invoices of one reference",
        "contents",
        _again("invoice", f"reference = '{NOVEMBER}'", sequence="77"),
    ),
    Refused("two changes with one key", "intents", _again("intent", "operation = 'create:1'")),
    Refused(
        "two entries at one place of the log",
        "audit log",
        "update audit_entry set position = 1 where position = 2",
    ),
    Refused(
        "a line whose event was deleted",
        "origins",
        "delete from event where subject = 'worklog:7'",
    ),
    Refused(
        "a line without rules",
        "origins",
        "update line_item set mapping_version = null where id = 1",
    ),
    Refused(
        "rules that are deleted from under their lines", "rules", "delete from mapping_version"
    ),
)
"""What constraints of the schema make impossible."""
