"""An explanation as a tree that people read: `flask invoices explain` prints it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .texts import one_line


@dataclass(frozen=True, slots=True)
class _Node:
    """A sentence and what explains it."""

    text: str
    children: Sequence[_Node] = ()


def drawn(explanation: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the tree of what `ledger.explain` returned."""
    invoice, sums = explanation["invoice"], explanation["sums"]
    nodes = [_line(line) for line in explanation["lines"]]
    if explanation["not_printed"]:
        entries = [_entry(entry) for entry in explanation["not_printed"]]
        nodes.append(_Node("not printed: together it changes nothing of what is billed", entries))
    if not explanation["is_current"]:
        nodes.append(_Node("its line items have changed since: it is assembled again next"))
    nodes += [_tax(tax) for tax in explanation["taxes"]]
    told = ", ".join(f"{name} {_money(amount)}" for name, amount in sums.items())
    verdict = "they agree" if explanation["adds_up"] else "THEY DO NOT AGREE"
    nodes.append(_Node(f"sums: {told}: {verdict}"))
    state = " ".join(filter(None, (invoice["state"], invoice["payment"])))
    root = f"{invoice['reference']} for {invoice['customer']}, {state}: {_money(invoice['total'])}"
    yield one_line(root)
    yield from _branches(nodes, "")


def _branches(nodes: Sequence[_Node], indent: str) -> Iterator[str]:
    for node in nodes:
        is_last = node is nodes[-1]
        yield f"{indent}{'└─' if is_last else '├─'} {one_line(node.text)}"
        yield from _branches(node.children, indent + ("   " if is_last else "│  "))


def _line(line: Mapping[str, Any]) -> _Node:
    price = f"{line['quantity']} x {line['unit_price']} = {_money(line['amount'])}"
    here = {entry["id"] for entry in line["line_items"]}
    children = [_entry(entry, here) for entry in line["line_items"]]
    children += [
        _Node(f"line {each['line']}: its entries differ by {_money(each['difference'])}")
        for each in line.get("makes_up_for", ())
    ]
    priced = [entry for entry in line["line_items"] if entry["kind"] != "counted"]
    if len(priced) > 1:
        amounts = " + ".join(entry["amount"]["text"] for entry in priced)
        children.append(_Node(f"entries: {amounts} = {_money(line['entries_amount'])}"))
    if line["line_items"] and line["difference"]["minor"]:
        difference = _money(line["difference"])
        children.append(_Node(f"the difference of {difference} is in the line for rounding"))
    return _Node(f"line {line['number']}: {line['description']}: {price}", children)


def _tax(tax: Mapping[str, Any]) -> _Node:
    said = [_Node(tax["text"])] if tax["text"] else []
    told = f"{tax['name']} ({tax['tax']}) of {_money(tax['net'])}: {_money(tax['amount'])}"
    return _Node(told, said)


def _entry(entry: Mapping[str, Any], here: Collection[int] = ()) -> _Node:
    price = f"{entry['quantity']} x {entry['unit_price']} = {_money(entry['amount'])}"
    if entry["kind"] == "counted":
        price = f"{entry['quantity']} counted"
    who = f", {entry['person']}" if entry["person"] else ""
    children = [_Node(step) for step in entry["steps"]]
    children.append(_Node(f'rule "{entry["rule"]}" of rules version {entry["rules_version"][:12]}'))
    original = entry.get("takes_back")
    if original is not None:
        children.append(_Node(f"billed before on {original['invoice']}", [_entry(original)]))
    children += [_counted(each) for each in entry.get("counted", ()) if each["id"] not in here]
    if entry["event"] is not None:
        children.append(_event(entry))
    what = "line item" if entry["kind"] in ("entry", "counted") else entry["kind"]
    return _Node(f"{what} {entry['id']}, {entry['on']}{who}: {price}", children)


def _counted(entry: Mapping[str, Any]) -> _Node:
    """Return an entry of the same pool that stands elsewhere."""
    told = (entry["person"], entry["item"], f"on {entry['invoice']}" if entry["invoice"] else None)
    where = "".join(f", {each}" for each in told if each)
    return _Node(f"counts line item {entry['id']}, {entry['on']}: {entry['quantity']}{where}")


def _event(entry: Mapping[str, Any]) -> _Node:
    event, delivery = entry["event"], entry["delivery"]
    said = [f"{event['kind']} {event['subject']} of {event['endpoint']}", f"on {event['on']}"]
    said += [
        f"{name} {event[name]}"
        for name in ("project", "item", "title", "person", "seconds")
        if event[name] is not None
    ]
    children = []
    if entry["filled_in"] is not None:
        filled_in = entry["filled_in"]
        news = ", ".join(f"{name} {value}" for name, value in filled_in["said"].items())
        children.append(_Node(f"filled in from {filled_in['about']}: {news}"))
    sent_as = f"sent as {delivery['delivery_id']}, " if delivery["delivery_id"] else ""
    came = f"received {delivery['received_at']} at {delivery['endpoint']}"
    children.append(
        _Node(f"delivery {delivery['id']}: {came}, {sent_as}sha256 {delivery['body_hash']}")
    )
    return _Node(f"event {event['id']}: {', '.join(said)}", children)


def _money(amount: Mapping[str, Any]) -> str:
    return f"{amount['text']} {amount['currency']}"
