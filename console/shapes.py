"""The shapes of the API: what is asked, what is answered. The OpenAPI document comes from them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, model_validator

from ledger.edits import MOST_TEXT
from ledger.held import ALL_KINDS
from ledger.listings import MOST

BIGGEST_ID = 2**63 - 1
_NUMBER = r"^([1-9][0-9]{0,11}(\.[0-9]{1,6})?|0\.[0-9]{0,5}[1-9])$"

# PostgreSQL stores no NUL, so nothing can be found by a text that holds one. Optional words are
# described without null, which no query string can say.
Word = Annotated[
    str | None,
    Field(pattern=r"^[^\x00]*$", max_length=255),
    WithJsonSchema({"type": "string", "pattern": r"^[^\x00]*$", "maxLength": 255}),
]
_Day = Annotated[date | None, WithJsonSchema({"type": "string", "format": "date"})]
_After = Annotated[
    int | None,
    Field(ge=0, le=BIGGEST_ID),
    WithJsonSchema({"type": "integer", "minimum": 0, "maximum": BIGGEST_ID}),
]
_HELD_KEY = f"^({'|'.join(ALL_KINDS)}):[0-9]{{1,18}}$"
_HeldKey = Annotated[
    str | None,
    Field(pattern=_HELD_KEY),
    WithJsonSchema({"type": "string", "pattern": _HELD_KEY}),
]

_Coding = dict[str, str | dict[str, str]]
"""Where a line stands in the books: item, account, tax_code, tracking; what is not said is not."""
_KIND = f"^({'|'.join(ALL_KINDS)})$"
_Kind = Annotated[
    str | None, Field(pattern=_KIND), WithJsonSchema({"type": "string", "pattern": _KIND})
]
_LineNumber = Annotated[int, Field(ge=1, le=100_000)]
_Decimal = Annotated[
    Decimal, Field(gt=0, max_digits=18), WithJsonSchema({"type": "string", "pattern": _NUMBER})
]
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Text = Annotated[str, Field(min_length=1, max_length=MOST_TEXT)]


class Asked(BaseModel):
    """A query: a word that is not known is a mistake, it is not overlooked."""

    model_config = ConfigDict(extra="forbid")


class Page(Asked):
    after: _After = None
    limit: Annotated[int, Field(ge=1, le=MOST)] = 50


class EventsAsked(Page):
    """Which events; `since` is the first day of work."""

    endpoint: Word = None
    kind: Word = None
    project: Word = None
    since: _Day = None


class LinesAsked(Page):
    """Which line items; `invoice` is a reference."""

    customer: Word = None
    state: Annotated[
        Literal["open", "billed", "withdrawn", "released"] | None,
        WithJsonSchema({"type": "string", "enum": ["open", "billed", "withdrawn", "released"]}),
    ] = None
    invoice: Word = None


class InvoicesAsked(Page):
    """Which invoices."""

    customer: Word = None
    state: Annotated[
        Literal["draft", "blocked", "approved", "pushed", "canceled"] | None,
        WithJsonSchema(
            {"type": "string", "enum": ["draft", "blocked", "approved", "pushed", "canceled"]}
        ),
    ] = None


class HeldAsked(Asked):
    """Which page of the held things; `after` is the key of the last one that was seen.

    With `customer` only what is about one customer's money.
    """

    kind: _Kind = None
    customer: Word = None
    after: _HeldKey = None
    limit: Annotated[int, Field(ge=1, le=MOST)] = 50


class Approval(Asked):
    """What is approved: the draft whose content has this hash, and no other."""

    content_hash: _Hash


_EDITS: Final = {"line": True, "order": False, "hold": False, "percent": True, "amount": True}
"""What an edit is one of, and whether it comes with a text."""


def _only(name: str) -> dict[str, Any]:
    """Return the JSON Schema of an edit that is just this."""
    given = {name, *(("text",) if _EDITS[name] else ())}
    others = {*_EDITS, "text"} - given
    return {
        "required": sorted(given),
        "properties": {
            **{each: {"not": {"type": "null"}} for each in sorted(given)},
            **{each: {"type": "null"} for each in sorted(others)},
        },
    }


class NewEdit(Asked):
    """What is done to the draft whose content has this hash: just one of `text` (of `line`),
    `order`, `hold`, `percent` and `amount` (taken off, with the `text` of its line).

    Lines are numbered from 1, as they stand in that content.
    """

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"anyOf": [_only(name) for name in _EDITS]}
    )

    content_hash: _Hash
    line: _LineNumber | None = None
    text: _Text | None = None
    order: Annotated[list[_LineNumber], Field(min_length=1, max_length=500)] | None = None
    hold: _LineNumber | None = None
    percent: _Decimal | None = None
    amount: _Decimal | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> NewEdit:
        given = [name for name in _EDITS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("say one of line with text, order, hold, percent and amount")
        if (self.text is not None) != _EDITS[given[0]]:
            raise ValueError("text belongs to line, percent and amount, and they need it")
        return self


class Money(BaseModel):
    """An amount: integer minor units, and the same as a decimal text."""

    minor: int
    text: str
    currency: str


class Event(BaseModel):
    """One fact, as the tool told it; what it did not say is null."""

    id: int
    delivery: int
    kind: str
    source: str
    endpoint: str
    subject: str
    occurred_at: str
    on: str
    project: str | None
    item: str | None
    title: str | None
    person: str | None
    person_name: str | None
    seconds: int | None
    billable: bool | None
    labels: list[str]
    fields: dict[str, Any]


class Line(BaseModel):
    """One priced fact, with every number on the way to its amount in `steps`.

    `kind` is entry, counted (into its pool, without an amount of its own), sum (what a pool comes
    to), agreement (a cap, prepaid hours, a minimum, a discount) or discount (that a person gave on
    a draft). The latter three have no event.
    """

    id: int
    customer: str
    invoice: str | None
    state: str
    kind: str
    pool: str | None
    project: str | None
    item: str | None
    person: str | None
    on: str
    description: str
    quantity: str
    unit_price: str
    amount: Money
    seconds: int
    tax: str | None
    coding: _Coding
    rule: str
    rules_version: str
    steps: list[str]
    event: int | None
    corrects: int | None


class Invoice(BaseModel):
    """An invoice: `state` is ours, `payment` is what the billing system reports.

    `kind` is invoice or credit note; a credit note `credits` an invoice, and is below zero.
    """

    id: int
    reference: str
    customer: str
    kind: str
    credits: str | None
    state: str
    payment: str | None
    is_overdue: bool
    total: Money
    period_from: str
    period_to: str
    revision: int
    content_hash: str
    reasons: list[str]
    warnings: list[str]
    problem: str | None
    connector: str
    remote_id: str | None
    remote_number: str | None
    remote_url: str | None
    created_at: str


class PrintedLine(BaseModel):
    """A line as it stands on the paper."""

    description: str
    quantity: str
    unit_price: str
    amount: Money
    tax: str | None
    coding: _Coding


class TaxTotal(BaseModel):
    """What one tax comes to: code, rate in percent, and the text that the invoice must show."""

    tax: str
    code: str
    rate: str
    name: str
    text: str | None
    net: Money
    amount: Money


class Address(BaseModel):
    """Where a customer has its seat; `country` is ISO 3166."""

    lines: list[str]
    postal_code: str | None
    city: str
    country: str


class OrderUse(BaseModel):
    """How much of the purchase order's budget is used, without taxes; `used` is with this one."""

    budget: Money
    before: Money
    used: Money


class Approved(BaseModel):
    """Who approved which content, and when; it is void if the invoice has changed since."""

    approved_by: str
    approved_at: str
    content_hash: str
    is_void: bool


class Payment(BaseModel):
    """What the billing system reported at one time."""

    payment: str
    observed_at: str
    total: Money
    paid: Money
    credited: Money
    refunded: Money
    disputed: Money
    overpaid: Money
    remaining: Money


class RecordedPayment(BaseModel):
    """A payment that a person or a bank statement told.

    `state`: counted, waiting (a question to a person), taken back, takes back (the bank's entry
    that did so), same (as the payment `about`, told once more), set aside.
    """

    id: int
    invoice: str | None
    state: str
    reason: str | None
    amount: Money
    on: str
    text: str
    payer: str | None
    source: str
    account: str | None
    bank_reference: str | None
    about: int | None
    recorded_by: str
    recorded_at: str


class Edit(BaseModel):
    """What a person did to a draft: text, order, hold or discount.

    `state` is standing, or without effect where its line is gone or a later edit replaces it.
    """

    id: int
    kind: str
    said: str
    state: str
    made_by: str
    made_at: str


class ShownLine(BaseModel):
    """A line as the billing system shows it; null: it does not say."""

    description: str
    quantity: str | None
    unit_price: str | None
    amount: Money
    tax: str | None


class StandsThere(BaseModel):
    """What was pushed last, while the invoice is being changed."""

    revision: int
    total: Money
    lines: list[PrintedLine]


class Conflict(BaseModel):
    """How somebody has changed the draft at the billing system; `kept` is null, theirs or ours."""

    seen_at: str
    kept: str | None
    differences: list[str]
    total: Money
    lines: list[ShownLine]


class WholeInvoice(Invoice):
    """An invoice with everything that an approval signs.

    `total` is what the customer pays; `waits_for` is who has yet to approve it, the next one first;
    `notes` tell of work on it that was opened again and stays billed.
    """

    net: Money
    taxes: list[TaxTotal]
    customer_name: str
    legal_name: str | None
    address: Address | None
    tax_id: str | None
    contact: str | None
    language: str
    billing_email: str | None
    contract: str | None
    agreed: str | None
    late_payment: str | None
    early_payment: str | None
    payment_methods: list[str]
    purchase_order: str | None
    order_use: OrderUse | None
    days_until_due: int | None
    memo: str | None
    footer: str | None
    lines: list[PrintedLine]
    approvers: list[str]
    waits_for: list[str]
    approvals: list[Approved]
    payments: list[Payment]
    recorded_payments: list[RecordedPayment]
    edits: list[Edit]
    notes: list[str]
    released_at: str | None
    stands_there: StandsThere | None
    conflict: Conflict | None


class Held(BaseModel):
    """One thing that waits for a person: why, since when, how much, and the way to go on."""

    key: str
    kind: str
    where: str
    what: str
    reason: str
    since: str | None
    age_seconds: int | None
    at_risk: Money | None
    go_on: str


class PassedOver(BaseModel):
    """How many things were passed over on purpose at one endpoint, for one reason."""

    kind: str
    where: str
    reason: str
    count: int
    last_at: str


class Events(BaseModel):
    """A page of events; give `next` as `after` for the next one, it is null on the last."""

    events: list[Event]
    next: int | None


class Lines(BaseModel):
    """A page of line items."""

    lines: list[Line]
    next: int | None


class Invoices(BaseModel):
    """A page of invoices."""

    invoices: list[Invoice]
    next: int | None


class HeldThings(BaseModel):
    """A page of held things, and how many there are of each kind."""

    counts: dict[str, int]
    held: list[Held]
    passed_over: list[PassedOver]
    next: str | None


class Problem(BaseModel):
    """Where something is wrong, what it is, and what to do about it."""

    where: str
    what: str
    todo: str


class Error(BaseModel):
    """The answer to every request that failed."""

    error: Problem
