"""Every word that a rule file may hold, with its shape and its meaning: the one list of them.

`checking.py` checks with it, `schema.py` makes JSON Schema of it, and a test holds
docs/mapping.md against it. A new word starts here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from ledger.calendar import DUE as FEE_DUE
from ledger.events import KINDS

from . import phrases
from .atoms import (
    CURRENCY,
    DAY,
    EMAIL,
    KEY,
    NUMBER,
    PATTERNS,
    SIGNED,
    TEXT,
    TOOL,
    WHOLE,
    YES_NO,
    ZONE,
)
from .clauses import (
    afterwards,
    agreements,
    books,
    exchange,
    factors,
    fees,
    forms,
    parties,
    prices,
    rates,
    shares,
    sums,
    taxes,
)
from .clauses.tiers import TIERS
from .conditions import WHEN
from .descriptions import WORDS as DESCRIPTION_WORDS
from .descriptions import parse as parse_description
from .periods import SCHEDULES
from .shapes import ListOf, Named, OneOf, Phrase, PhraseOr, TableOf, Word, WordOr

SCHEDULE: Final = OneOf(SCHEDULES)

FORMAT: Final = Word(OneOf({"1": "this format"}), "the version of the format: 1", required=True)

EXTENDS: Final = Word(ListOf(KEY), "shared files whose words hold here too, the nearest first")

TAKES: Final = TableOf(
    {
        "project": Word(PATTERNS, "projects as the tool calls them: a Jira key, owner/repository"),
        "source": Word(PATTERNS, "only of these tools: jira, github, generic"),
        "endpoint": Word(PATTERNS, "only from these endpoints of workspace.yaml"),
    }
)

ONE_LINE_PER: Final = OneOf(
    {
        "item": "a line for each issue",
        "person": "a line for each person",
        "project": "a line for each project",
        "role": "a line for each role",
        "activity": "a line for each activity",
        "factor": "a line for each factor",
        "day": "a line for each day",
        "week": "a line for each week, from Monday to Sunday",
        "month": "a line for each month",
        "title": "a line for each title",
        "label": "a line for each label, or each set of labels",
        "scope": "a line for each text of scope:",
        "rule": "one line for the rule",
        "all": "one line for everything with the same text and price, also of other rules",
    }
)

BILL: Final = TableOf(
    {
        "description": Word(
            Phrase(
                "a description",
                parse_description,
                most=500,
            ),
            f"the text of the line, with words in braces from: {', '.join(DESCRIPTION_WORDS)}",
            required=True,
        ),
        "quantity": Word(
            Phrase(
                'a number above zero, or the word "hours", "days" or "units"',
                phrases.word_or(("hours", "days", "units"), phrases.positive),
                suggests={
                    "hours": "the hours of the entry",
                    "days": "the days that the hours of each day come to",
                    "units": "the units of what was used",
                },
            ),
            "hours (of the entry), days, units (of what was used), or a number",
        ),
        "unit_price": Word(
            PhraseOr(
                Phrase(
                    'a number like 120.00, or the word "rate" or "cost"',
                    phrases.word_or(("rate", "cost"), phrases.number),
                    suggests={"rate": "the rate from rates:", "cost": "the cost of an expense"},
                ),
                TIERS,
            ),
            "rate (from rates:), cost (of an expense), a number in the rule's currency, or tiers",
        ),
        "round": Word(
            Phrase(
                "a rounding like: up to 15 minutes per entry, to the nearest 6 minutes per day",
                phrases.rounding,
                f"^{phrases.ROUND}$",
            ),
            "how hours are rounded: per entry, per day, per person and day, or per line",
        ),
        "one_line_per": Word(
            ListOf(ONE_LINE_PER), "entries that agree in these share a line; else each has its own"
        ),
        **shares.BILL_WORDS,
        **prices.BILL_WORDS,
        **sums.BILL_WORDS,
        **taxes.BILL_WORDS,
        **forms.BILL_WORDS,
        **books.BILL_WORDS,
    }
)

RULE: Final = TableOf(
    {
        "rule": Word(TEXT, "the name of the rule, as line items keep it", required=True),
        "when": Word(WHEN, "the events that the rule fits; without it, every one"),
        "bill": Word(
            WordOr({"nothing": "there is nothing to bill"}, BILL),
            "nothing, or what the line says",
            required=True,
        ),
        "invoice": Word(SCHEDULE, "when this rule's lines are invoiced, if not like the others"),
        "currency": Word(CURRENCY, "the currency of this rule's lines, if not the customer's"),
        **shares.RULE_WORDS,
        **forms.RULE_WORDS,
        **afterwards.RULE_WORDS,
    },
    label=("rule", "rule"),
)

GIVEN: Final = TableOf(
    {
        "event": Word(
            OneOf({kind: KINDS[kind] for kind in (*phrases.PRICEABLE, FEE_DUE)}),
            "the kind of event",
            required=True,
        ),
        "on": Word(DAY, "the day of the work", required=True),
        "source": Word(TEXT, "the tool"),
        "endpoint": Word(TEXT, "the endpoint"),
        "project": Word(TEXT, "the project"),
        "item": Word(TEXT, "the key or number of the issue"),
        "title": Word(TEXT, "the title"),
        "person": Word(TEXT, "the name of a person; one not in people: is an unknown person"),
        "seconds": Word(WHOLE, "the time of the entry"),
        "billable": Word(YES_NO, "what the tool says; without it, the tool is silent"),
        "labels": Word(ListOf(TEXT), "the labels"),
        "activity": Word(TEXT, "the kind of work: short for the field of that name"),
        "fields": Word(Named(TEXT, TEXT, "field"), "fields of the tool by their path"),
        "fee": Word(TEXT, "of fee.due: the fee whose period holds the day"),
    }
)

LINE: Final = TableOf(
    {
        "description": Word(Phrase("a text", most=500), "the text of the line"),
        "quantity": Word(SIGNED, "the quantity"),
        "unit_price": Word(SIGNED, "the unit price"),
        "amount": Word(SIGNED, "the amount in the customer's currency"),
    }
)
INVOICED: Final[Mapping[str, Word]] = {
    "total": Word(SIGNED, "what all lines come to"),
    "lines": Word(ListOf(LINE, needs_brackets=True), "all lines as they are printed, in order"),
    "has_line": Word(ListOf(LINE), "lines that are among the printed ones"),
}
INVOICE: Final = TableOf(
    {
        "period": Word(TEXT, "the period as our number has it: 2026-10, 2026-W41", required=True),
        **INVOICED,
    },
    label=("invoice", "period"),
)

OUTCOMES: Final = {
    "hold": "the event waits for a person's decision",
    "nothing": "there is nothing to bill",
}
EXPECT: Final = TableOf(
    {
        "rule": Word(TEXT, "the rule that fits"),
        "quantity": Word(NUMBER, "the quantity"),
        "unit_price": Word(NUMBER, "the unit price"),
        "amount": Word(NUMBER, "the amount in the currency of the rule"),
        "currency": Word(CURRENCY, "the currency of the line"),
        "description": Word(Phrase("a text", most=500), "the text of the line"),
        "tax": Word(taxes.CODE, "the code of its tax"),
        "customer": Word(KEY, "who pays; without it, the customer of this file"),
        **afterwards.EXPECT_WORDS,
        **books.EXPECT_WORDS,
        **INVOICED,
        "invoices": Word(
            ListOf(INVOICE, needs_brackets=True), "all invoices, by period", names_entries=True
        ),
    }
)

OF_ONE_EVENT: Final = (
    *("rule", "quantity", "unit_price", "amount", "currency", "description", "tax", "reopened"),
    "books",
)
"""The words of `expect:` that say what one event is worth."""

TEST: Final = TableOf(
    {
        "test": Word(TEXT, "the promise, as a sentence", required=True),
        "given": Word(ListOf(GIVEN), "an event, or a list of events", required=True),
        "expect": Word(WordOr(OUTCOMES, EXPECT), "what comes of it", required=True),
    },
    label=("test", "test"),
)

CUSTOMER: Final = TableOf(
    {
        "format": FORMAT,
        "customer": Word(KEY, "the customer's key, stable for ever", required=True, is_own=True),
        "name": Word(TEXT, "the name on the invoice", required=True, is_own=True),
        "extends": EXTENDS,
        "billing_email": Word(
            EMAIL, "where invoices go; drafts are blocked without it", is_own=True
        ),
        "currency": Word(
            CURRENCY,
            "ISO 4217: EUR, USD, JPY",
            required=True,
        ),
        "send_to": Word(KEY, "the connector of workspace.yaml that drafts go to", required=True),
        "terms": Word(
            Phrase(
                'payment terms: "net 30" or "due on receipt"',
                phrases.terms,
                f"^(due on receipt|{phrases.NET})$",
            ),
            "net 30 or due on receipt; drafts are blocked without it",
        ),
        "purchase_order_required": Word(YES_NO, "yes: drafts without a PO number are blocked"),
        "invoice": Word(
            SCHEDULE,
            "at once, weekly, every two weeks, monthly, quarterly or yearly",
            required=True,
        ),
        "approval": Word(
            OneOf(
                {
                    "by hand": "a person approves every draft",
                    "automatic": "a draft whose period is over approves itself",
                }
            ),
            "by hand (default) or automatic",
        ),
        "after_push": Word(
            OneOf(
                {
                    "leave as draft": "a person finalizes it in the billing system",
                    "finalize": "it becomes an open invoice",
                    "send": "it becomes an open invoice and the billing system sends it",
                }
            ),
            "what happens to the remote draft: leave as draft (default), finalize or send",
        ),
        **afterwards.WORDS,
        "time_zone": Word(ZONE, "where the customer's days end; default: the workspace's"),
        "memo": Word(forms.INVOICE_TEXT, "a text on the invoice, above"),
        "footer": Word(forms.INVOICE_TEXT, "a text on the invoice, at the bottom"),
        "takes": Word(TAKES, "which events are this customer's", required=True, is_own=True),
        **rates.WORDS,
        **factors.WORDS,
        **exchange.WORDS,
        **sums.WORDS,
        **agreements.WORDS,
        **fees.WORDS,
        **taxes.WORDS,
        **parties.WORDS,
        **forms.WORDS,
        **books.WORDS,
        "rules": Word(
            ListOf(RULE, needs_brackets=True),
            "read from the top: the first rule that fits is used",
            required=True,
            names_entries=True,
        ),
        "when_no_rule_fits": Word(
            OneOf({"hold": "the event waits for a person's decision"}),
            "hold: never dropped, never guessed",
        ),
        "vague_texts": Word(
            ListOf(TEXT, least=0), "line texts that block a draft, beside the workspace's"
        ),
        "tests": Word(
            ListOf(TEST, needs_brackets=True, least=0),
            "tests of this file",
            names_entries=True,
            is_own=True,
        ),
    }
)

PARTIAL: Final = TableOf(
    {name: replace(word, required=False) for name, word in CUSTOMER.words.items()}
)
"""A customer's file of which a part is elsewhere, so nothing counts as missing."""

SHARED: Final = TableOf(
    {
        "format": FORMAT,
        "shared": Word(KEY, "the name by which customers extend it", required=True),
        **{
            name: word
            for name, word in PARTIAL.words.items()
            if name != "format" and not word.is_own
        },
    }
)
"""A shared file: what a customer's file may say, without what makes it one customer's."""

SECRET: Final = Phrase(
    "a name like ${JIRA_ACME_SECRET}", phrases.environment_name, r"^\$\{", is_secret=True
)
SETTING: Final = Phrase("a text", most=1000, is_secret=True)

SOURCE: Final = TableOf(
    {
        "tool": Word(TOOL, "jira, github, generic, ...: see flask sources list", required=True),
        "secret": Word(
            ListOf(SECRET),
            "the signing secret by name; two while it is being rotated, more where a tool makes "
            "one for each webhook",
        ),
        "url": Word(SETTING, "the tool's address, where we ask it or tell it something"),
        "api_url": Word(SETTING, "the address of its API, where that is another one"),
        "private_address": Word(
            YES_NO, "yes: the tool stands in your own network, so its address may be a private one"
        ),
        "user": Word(SETTING, "the user that we ask as"),
        "token": Word(SETTING, "the token that we ask with, by name"),
        "write_back": Word(YES_NO, "yes: the tool is told what became of the work"),
        "poll": Word(YES_NO, "no: the tool is not asked what its webhooks missed"),
        "only_polled": Word(YES_NO, "yes: nothing is posted here, the tool is asked instead"),
        "handshake": Word(
            YES_NO, "yes while a webhook is made in a tool that asks for an answer before it signs"
        ),
        "unsigned": Word(YES_NO, "yes: unsigned deliveries are accepted; needs path_token"),
        "path_token": Word(SETTING, "the random end of an unsigned endpoint's URL, by name"),
    },
    others=Word(SETTING, "a setting of this tool"),
)

CONNECTOR: Final = TableOf(
    {"system": Word(TOOL, "stripe, file, ...", required=True)},
    others=Word(SETTING, "a setting of this system"),
)

PERSON: Final = TableOf(
    {
        "person": Word(TEXT, "the name, as on invoices and in rates:", required=True),
        "role": Word(TEXT, "the role, as in rates:"),
        "accounts": Word(
            Named(TOOL, ListOf(TEXT), "account"),
            "the person's id in each tool, or at one endpoint",
            names_entries=True,
        ),
    },
    label=("person", "person"),
)

WORKSPACE: Final = TableOf(
    {
        "format": FORMAT,
        "name": Word(TEXT, "the firm that sends the invoices", required=True),
        "time_zone": Word(ZONE, "where days end, unless a customer says otherwise", required=True),
        "sources": Word(Named(KEY, SOURCE, "source"), "endpoints by name", names_entries=True),
        "connectors": Word(
            Named(KEY, CONNECTOR, "connector"), "systems by name", names_entries=True
        ),
        "people": Word(
            ListOf(PERSON, needs_brackets=True, least=0),
            "who works, and as whom the tools know them",
            names_entries=True,
        ),
        "vague_texts": Word(ListOf(TEXT, least=0), "line texts that block a draft"),
        "billable_when_not_said": Word(
            OneOf(
                {
                    "yes": "an entry counts as billable",
                    "no": "an entry counts as not billable",
                    "hold": "an entry waits for a person",
                }
            ),
            "what billable: means for a tool that does not say; default yes",
        ),
        "agreed_terms_required": Word(
            YES_NO, "yes: a customer's first draft is blocked until its file says agreed:"
        ),
    }
)
