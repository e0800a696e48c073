"""QuickBooks' requests and answers against Intuit's own XSD, read as a contract for JSON.

Element names there are the keys of the JSON. The files stay outside: `BILLHOOK_CORPUS` names the
folder that has them in `specs/qbo-xsd`.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree

import pytest

from connectors.http import Http, Request, Response
from connectors.quickbooks.connector import QuickBooksConnector
from connectors.quickbooks.stand_in import QuickBooksStandIn, fields, happenings
from connectors.quickbooks.stand_in.rig import SETTINGS
from connectors.stand_in import InProcess
from ledger.invoices import Address, Coding
from tests.contracts.billing import DRAFT, draft_of, line, push

XS: Final = "{http://www.w3.org/2001/XMLSchema}"
Node = ElementTree.Element


@dataclass(frozen=True)
class Field:
    """A key that an object may have."""

    type: str
    is_list: bool


class Schema:
    """The types of Intuit's XSD, and what JSON they allow."""

    def __init__(self, folder: Path) -> None:
        self._complex: dict[str, Node] = {}
        self._simple: dict[str, Node] = {}
        for file in sorted(folder.glob("*.xsd")):
            for node in ElementTree.parse(file).getroot():
                kept = {f"{XS}complexType": self._complex, f"{XS}simpleType": self._simple}
                if node.tag in kept:
                    kept[node.tag][node.get("name", "")] = node

    def problems(self, value: Any, kind: str, path: str = "") -> Iterator[str]:
        """Yield what is wrong with a JSON value of a type."""
        path = path or kind
        if kind.startswith("xs:"):
            if not _is_plain(value, kind):
                yield f"{path}: {value!r} is no {kind}"
        elif kind in self._simple:
            yield from self._simple_problems(value, kind, path)
        elif kind in self._complex:
            yield from self._object_problems(value, kind, path)
        else:
            yield f"{path}: there is no type {kind}"

    def _simple_problems(self, value: Any, kind: str, path: str) -> Iterator[str]:
        words = [node.get("value") for node in self._simple[kind].iter(f"{XS}enumeration")]
        if words and value not in words:
            yield f"{path}: {value!r} is none of {words}"
        restricted = self._simple[kind].find(f"{XS}restriction")
        assert restricted is not None
        yield from self.problems(value, restricted.get("base", ""), path)

    def _object_problems(self, value: Any, kind: str, path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no object"
            return
        known = self.fields(kind)
        for name, member in value.items():
            at = f"{path}.{name}"
            if name not in known:
                yield f"{at}: there is no such field"
            elif not known[name].is_list:
                yield from self.problems(member, known[name].type, at)
            elif not isinstance(member, list):
                yield f"{at}: {member!r} is no list"
            else:
                for each in member:
                    yield from self.problems(each, known[name].type, at)

    @cache  # noqa: B019 - one schema for the whole run
    def fields(self, kind: str) -> Mapping[str, Field]:
        """Return the keys of a type, with those of what it extends. Text content is `value`."""
        found: dict[str, Field] = {}
        node = self._complex[kind]
        for extended in node.iter(f"{XS}extension"):
            base = extended.get("base", "")
            if base in self._complex:
                found |= self.fields(base)
            else:
                found["value"] = Field("xs:string" if base == "id" else base, is_list=False)
        for each in node.iter():
            if each.tag in (f"{XS}element", f"{XS}attribute") and each.get("name"):
                is_list = each.get("maxOccurs") == "unbounded"
                found[each.get("name", "")] = Field(each.get("type", "xs:string"), is_list)
        return found


def _is_plain(value: Any, kind: str) -> bool:
    """Return whether a JSON value is one of an XML Schema type."""
    number = isinstance(value, (int, Decimal)) and not isinstance(value, bool)
    match kind:
        case "xs:boolean":
            return isinstance(value, bool)
        case "xs:decimal" | "xs:double" | "xs:float":
            return number
        case "xs:int" | "xs:integer" | "xs:positiveInteger":
            return number and Decimal(value) == int(value)
        case "xs:date":
            return isinstance(value, str) and _read(date.fromisoformat, value)
        case "xs:dateTime":
            return isinstance(value, str) and _read(datetime.fromisoformat, value)
    return isinstance(value, str)


def _read(read: Any, text: str) -> bool:
    try:
        read(text)
    except (ValueError, InvalidOperation):
        return False
    return True


@pytest.fixture(scope="module")
def schema() -> Schema:
    corpus = os.environ.get("BILLHOOK_CORPUS")
    folder = Path(corpus or "", "specs", "qbo-xsd")
    if not corpus or not folder.is_dir():
        pytest.skip("BILLHOOK_CORPUS has no specs/qbo-xsd: Intuit's schema is not at hand")
    return Schema(folder)


class Watching:
    """Passes requests on, and keeps everything that was said by the kind of its object."""

    def __init__(self, inner: Http) -> None:
        self._inner = inner
        self.said: list[tuple[str, str, Any]] = []

    def send(self, request: Request) -> Response:
        answer = self._inner.send(request)
        if request.body is not None:
            kind = re.search(r"/company/\d+/(\w+)\?", request.url)
            assert kind
            self._keep("request", kind[1].capitalize(), request.body)
        told = json.loads(answer.body, parse_float=Decimal)
        self._keep_answer(told)
        return answer

    def _keep(self, what: str, kind: str, body: bytes) -> None:
        self.said.append((what, kind, json.loads(body, parse_float=Decimal)))

    def _keep_answer(self, told: Any) -> None:
        for name, value in told.items():
            if name == "CDCResponse":
                for answer in value[0]["QueryResponse"]:
                    self._keep_answer(answer)
            elif name == "QueryResponse":
                self._keep_answer(value)
            elif isinstance(value, list):
                self.said += [("answer", name, each) for each in value]
            elif name not in ("time", "startPosition", "maxResults", "Fault"):
                self.said.append(("answer", name, value))


def everything(draft_as: str) -> Watching:
    """Do all that the connector does, and let all happen that can happen."""
    site = QuickBooksStandIn()
    watching = Watching(InProcess(site))
    settings = {**SETTINGS, "draft_as": draft_as, "tax_code": "14"}
    connector = QuickBooksConnector(settings, watching)
    connector.check()
    customer = replace(
        DRAFT.customer,
        address=Address(("Ringstr. 1", "Hof"), "Berlin", "DE", "10115"),
        tax_id="DE123456789",
    )
    coded = replace(DRAFT.lines[0], coding=Coding(item="Travel", tracking=(("Class", "7"),)))
    draft = replace(DRAFT, customer=customer, lines=(coded, *DRAFT.lines))
    for happens in ([], ["pay"], ["pay", "unpay"], ["credit"], ["void"], ["delete"], ["edit"]):
        reference = "-".join(["acme", *happens])
        remote_id = push(connector, replace(draft, reference=reference), reference)
        changed = replace(draft, reference=reference, memo=None, purchase_order=None)
        connector.update_draft(changed, remote_id, idempotency_key=f"{reference}-2")
        for step in ["finalize", *happens] if happens else []:
            getattr(happenings, step)(site.book, remote_id, 5000)
        connector.fetch_invoice(remote_id)
    taxed = replace(draft.lines[0], tax="A 19 % included")
    push(connector, replace(draft, reference="taxed", lines=(taxed,)), "taxed")
    yen = draft_of(line("0.5", "3001", "JPY"), currency="JPY", reference="yen")
    yen = replace(yen, customer=replace(customer, key="yen", name="Yen KK", email=None))
    connector.delete_draft(push(connector, yen, "yen"), idempotency_key="yen-2")
    connector.changes_since(None)
    list(connector.made_since(datetime(2020, 1, 1, tzinfo=UTC)))
    return watching


@pytest.mark.parametrize("draft_as", ["estimate", "unsent invoice"])
def test_all_that_is_said_is_as_intuits_schema_has_it(schema: Schema, draft_as: str) -> None:
    said = everything(draft_as).said
    kinds = {(what, kind) for what, kind, _ in said}
    sent = "Estimate" if draft_as == "estimate" else "Invoice"
    assert {("request", sent), ("request", "Customer"), ("answer", "Preferences")} <= kinds
    answers = {"Invoice", "Payment", "Customer", "Item", "CompanyInfo", "CreditMemo", "TaxRate"}
    assert {("answer", kind) for kind in answers} <= kinds
    wrong = {f"{what} {told}" for what, kind, each in said for told in schema.problems(each, kind)}
    assert sorted(wrong) == []


def names_in(known: Any, kind: str, schema: Schema) -> Iterator[str]:
    """Yield the fields that our stand-in takes and the schema does not have, and other words."""
    has = schema.fields(kind)
    for name, inner in known.items():
        if name not in has:
            yield f"{kind}.{name}"
            continue
        each = inner[0] if isinstance(inner, list) else inner
        if isinstance(each, Mapping):
            yield from names_in(each, has[name].type, schema)
        elif isinstance(each, tuple) and isinstance(each[0], str):
            for word in each:
                yield from schema.problems(word, has[name].type)


@pytest.mark.parametrize("kind", fields.FIELDS)
def test_the_stand_in_takes_only_fields_that_the_schema_has(schema: Schema, kind: str) -> None:
    assert list(names_in(fields.FIELDS[kind], kind, schema)) == []


GOOD: Final[Mapping[str, Any]] = {
    "CustomerRef": {"value": "1", "name": "Acme"},
    "TxnDate": "2026-03-31",
    "EmailStatus": "NotSet",
    "Line": [
        {
            "Amount": Decimal("1.50"),
            "DetailType": "SalesItemLineDetail",
            "SalesItemLineDetail": {"ItemRef": {"value": "1"}, "Qty": Decimal("1.5")},
        }
    ],
    "CustomerMemo": {"value": "Hello"},
    "sparse": True,
}


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        (("DueDay",), "2026-03-31", "no such field"),
        (("TxnDate",), "31.3.2026", "xs:date"),
        (("EmailStatus",), "Sent", "none of"),
        (("sparse",), "true", "xs:boolean"),
        (("CustomerRef",), "1", "no object"),
        (("CustomerRef", "id"), "1", "no such field"),
        (("Line",), {"Amount": 1}, "no list"),
        (("Line", 0, "Amount"), "1.50", "xs:decimal"),
        (("Line", 0, "DetailType"), "SalesLine", "none of"),
        (("Line", 0, "SalesItemLineDetail", "Quantity"), 1, "no such field"),
        (("Line", 0, "SalesItemLineDetail", "Qty"), True, "xs:decimal"),
        (("CustomerMemo", "text"), "Hello", "no such field"),
    ],
)
def test_the_contract_notices_what_is_wrong(
    schema: Schema, path: tuple[str | int, ...], value: Any, told: str
) -> None:
    assert list(schema.problems(GOOD, "Invoice")) == []
    spoiled = json.loads(json.dumps(GOOD, default=float), parse_float=Decimal)
    holder = spoiled
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    (problem,) = schema.problems(spoiled, "Invoice")
    assert told in problem
