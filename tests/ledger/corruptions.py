"""Corruptions that are planted in the small firm's ledger: each is named by its invariant.

`docs/audit.md` lists them beside the invariants that they prove.
"""

from __future__ import annotations

from typing import Final

from tests.ledger.corruptions_of_invoices import OF_INVOICES
from tests.ledger.planting import (
    CORRECTION,
    IN_AN_HOUR,
    LONG_AGO,
    NEVER,
    NOVEMBER,
    OCTOBER,
    OPEN,
    YEN,
    Corruption,
    copied,
    line,
    line_id,
    subject_id,
)

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
        "a delivery that nobody has dismissed",
        "deliveries",
        "update delivery set reason = 'dismissed by zoe: a test' where state = 'ignored'",
        "select 'delivery:' || id from delivery where state = 'ignored'",
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
        copied(line("milestone:1", "billed"), **OPEN),
        subject_id("milestone:1"),
        (900000, "EUR"),
        also=("places",),
    ),
    Corruption(
        "time that is billed twice",
        "billed once",
        copied(line("worklog:3", "billed"), **OPEN),
        subject_id("worklog:3"),
        (22222, "EUR"),
        also=("places", "time"),
    ),
    Corruption(
        "a line that is billed beside what took it back",
        "billed once",
        f"update line_item set corrects_id = null where id = {CORRECTION}",
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
        copied(f"id = {CORRECTION}", again="1"),
        "select 'line_item:' || corrects_id from line_item where id = " + CORRECTION,
        (20000, "EUR"),
        also=("billed once", "printing", "time"),
    ),
    Corruption(
        "a correction of another line than its own",
        "corrections",
        "update line_item set corrects_id = (select id from line_item where "
        f"{line('worklog:3', 'billed')}) where id = {CORRECTION}",
        f"select 'line_item:' || {CORRECTION}",
        (10000, "EUR"),
    ),
    Corruption(
        "a correction that leaves a second of time",
        "corrections",
        f"update line_item set seconds = seconds + 1 where id = {CORRECTION}",
        f"select 'line_item:' || {CORRECTION}",
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
    *OF_INVOICES,
)
