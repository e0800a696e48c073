"""The corruptions that are planted in invoices, in what was paid, in the log and in the rules."""

from __future__ import annotations

from typing import Final

from tests.ledger.planting import (
    LONG_AGO,
    NOVEMBER,
    OCTOBER,
    OTHER_HASH,
    YEN,
    Corruption,
    invoice,
    line,
    line_id,
)

_FIRST_LOGGED: Final = "(select min(position) from audit_entry where action = '{action}')"


def _recorded(state: str, invoice_id: str, currency: str) -> str:
    """Return the statement that writes a recorded payment past everything else."""
    return (
        "insert into recorded_payment (id, identity, source, account, entry_reference, amount, "
        'currency, "on", text, state, invoice_id, recorded_by, recorded_at) '
        f"values (7, 'x', 'hand', '', '', 5000, '{currency}', '2026-11-01', '', '{state}', "
        f"({invoice_id}), 'eve', {LONG_AGO})"
    ).format(OCTOBER=OCTOBER)


OF_INVOICES: Final = (
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
    # What people and banks told of payments.
    Corruption(
        "a payment that nobody has counted on its invoice",
        "recorded payments",
        _recorded("counted", "select id from invoice where reference = '{OCTOBER}'", "EUR"),
        f"invoice:{OCTOBER}",
        (5000, "EUR"),
    ),
    Corruption(
        "a payment that an invoice shows and nobody has recorded",
        "recorded payments",
        "update payment set recorded = 100 where paid = 10000",
        f"invoice:{OCTOBER}",
        (100, "EUR"),
    ),
    Corruption(
        "a payment that is counted on no invoice",
        "recorded payments",
        _recorded("counted", "null", "EUR"),
        "select 'recorded_payment:' || max(id) from recorded_payment",
        (5000, "EUR"),
    ),
    Corruption(
        "a payment in a state that nobody knows",
        "recorded payments",
        _recorded("lost", "null", "EUR"),
        "select 'recorded_payment:' || max(id) from recorded_payment",
        (5000, "EUR"),
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
