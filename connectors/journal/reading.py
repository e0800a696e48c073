"""A small reader of journals: transactions with their links, comments and plain amounts.

It reads what the connector has written, and payments in the journals of people. It knows less than
hledger and beancount do, so it never takes a number that it is not sure of: whoever needs the
amount of a posting asks `Posting.amount`, which says where it cannot be read. Syntax:
https://beancount.github.io/docs/beancount_language_syntax.html, https://hledger.org/hledger.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from ledger.errors import PermanentError

_NUMBER: Final = re.compile(r"[-+]?(\d+|\d{1,3}(,\d{3})+(?=\.))(\.\d*)?")
_AMOUNTS: Final = (
    re.compile(r"(?P<number>[-+]?\s*[\d.,]+)\s*(?P<currency>[A-Z]{3})"),
    re.compile(r"(?P<currency>[A-Z]{3})\s*(?P<number>[-+]?\s*[\d.,]+)"),
)


@dataclass(slots=True)
class Posting:
    """One account of a transaction, as it is written."""

    account: str
    written: str
    """What stands behind the account, without comments; "" where it is left out."""
    where: str
    said: dict[str, str] = field(default_factory=dict)
    """Metadata in beancount, tags in hledger."""

    def amount(self) -> tuple[Decimal, str]:
        """Return number and currency; raise PermanentError if they are not plainly written."""
        # A price or a cost says what it is in another currency, an assertion what is left.
        plain = re.split(r"[@{=]", self.written, maxsplit=1)[0].strip()
        for form in _AMOUNTS:
            found = form.fullmatch(plain)
            if found is not None:
                number = found["number"].replace(" ", "")
                if _NUMBER.fullmatch(number):
                    return Decimal(number.replace(",", "")), found["currency"]
        raise PermanentError(
            f'journal: {self.where}: "{self.written[:40]}" cannot be read - write the amount of '
            f"{self.account} out, like 1500.00 EUR"
        )


@dataclass(slots=True)
class Transaction:
    """One transaction."""

    flag: str
    """`*` or `!`; "" without."""
    texts: tuple[str, ...]
    """Payee and narration, as far as they are there."""
    links: set[str]
    """In beancount links and tags, in hledger the code and the values of its tags."""
    where: str
    """File and line."""
    said: dict[str, str] = field(default_factory=dict)
    postings: list[Posting] = field(default_factory=list)

    def amount_on(self, account: str, currency: str) -> Decimal | None:
        """Return what it moves on an account, None if it does not touch it.

        The one amount that is left out is what the others leave. Raise PermanentError if it cannot
        be told for sure.
        """
        ours = [posting for posting in self.postings if posting.account == account]
        if not ours:
            return None
        left_out = [posting for posting in self.postings if not posting.written]
        counted = ours
        if any(posting in left_out for posting in ours):
            if len(left_out) > 1 or any(re.search("[@{]", each.written) for each in self.postings):
                raise PermanentError(
                    f"journal: {self.where}: the amount on {account} is left out - write it out"
                )
            counted = [each for each in self.postings if each.written]
        total = Decimal(0)
        for posting in counted:
            number, written_currency = posting.amount()
            if written_currency != currency:
                raise PermanentError(
                    f"journal: {posting.where}: {account} is in {written_currency}, and the "
                    f"invoice in {currency} - write what it is in {currency}"
                )
            total += number
        return total if counted is ours else -total


_BEAN_HEAD: Final = re.compile(r"\d{4}[-/]\d\d?[-/]\d\d?\s+(txn|[!*&#?%PSTCURM])(\s.*)?")
_BEAN_POSTING: Final = re.compile(
    r"\s+(?:[!*&#?%PSTCURM]\s+)?(?P<account>[^\W\d_a-z][\w-]*(?::[\w-]+)+)(?:\s+(?P<rest>.*))?"
)
_BEAN_SAID: Final = re.compile(r"\s+(?P<name>[a-z][\w-]*):(?:\s+(?P<value>.*))?")
_BEAN_INCLUDE: Final = re.compile(r'include\s+"((?:\\.|[^"\\])*)"')
_BEAN_STRING: Final = re.compile(r'"((?:\\.|[^"\\])*)"')
_BEAN_LINK: Final = re.compile(r"(?<!\S)[#^]([\w./-]+)")
_STRING_OR_COMMENT: Final = re.compile(r'"(?:\\.|[^"\\])*"|;[^\n]*', re.DOTALL)


def read_beancount(text: str, name: str) -> Iterator[Transaction]:
    """Yield the transactions of a beancount file."""
    # Comments go, and no text goes over several lines any more: the rest is read by line.
    lines = _STRING_OR_COMMENT.sub(_on_as_many_lines, text).split("\n")
    current: Transaction | None = None
    for at, line in enumerate(lines, 1):
        where = f"{name}:{at}"
        if head := _BEAN_HEAD.fullmatch(line.rstrip()):
            if current is not None:
                yield current
            rest = head[2] or ""
            texts = tuple(unescaped(each) for each in _BEAN_STRING.findall(rest))
            links = set(_BEAN_LINK.findall(_BEAN_STRING.sub('""', rest)))
            current = Transaction("*" if head[1] == "txn" else head[1], texts, links, where)
        elif current is not None and line[:1] in (" ", "\t") and line.strip():
            _read_bean_line(current, line.rstrip(), where)
        elif line.strip() and current is not None:
            yield current
            current = None
    if current is not None:
        yield current


def _on_as_many_lines(found: re.Match[str]) -> str:
    text = found[0]
    if text.startswith(";"):
        return ""
    # Lines are counted for messages, so those of a long text come behind it.
    return text.replace("\n", " ") + "\n" * text.count("\n") if "\n" in text else text


def _read_bean_line(current: Transaction, line: str, where: str) -> None:
    if said := _BEAN_SAID.fullmatch(line):
        value = (said["value"] or "").strip()
        string = _BEAN_STRING.fullmatch(value)
        place = current.postings[-1].said if current.postings else current.said
        place[said["name"]] = unescaped(string[1]) if string else value
    elif posting := _BEAN_POSTING.fullmatch(line):
        written = (posting["rest"] or "").strip()
        current.postings.append(Posting(posting["account"], written, where))
    else:
        current.links |= set(_BEAN_LINK.findall(line))


def unescaped(text: str) -> str:
    """Return a text as beancount means it."""
    return re.sub(r"\\(.)", lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)


_HL_HEAD: Final = re.compile(
    r"(?:\d{4}[-/.])?\d{1,2}[-/.]\d{1,2}(?:=\S+)?(?:\s+(?P<flag>[!*]))?"
    r"(?:\s*\((?P<code>[^)]*)\))?(?:\s+(?P<told>[^;]*))?(?:;(?P<comment>.*))?"
)
_HL_POSTING: Final = re.compile(
    r"\s+(?:[!*]\s+)?(?P<account>[^\s;]+(?: [^\s;]+)*)(?:(?:\s{2,}|\t)(?P<rest>[^;]*))?"
    r"\s*(?:;(?P<comment>.*))?"
)
_HL_TAG: Final = re.compile(r"(?P<name>[^\s:,]+):(?P<value>[^,]*)")
_HL_INCLUDE: Final = re.compile(r"include\s+(\S.*)")


def read_hledger(text: str, name: str) -> Iterator[Transaction]:
    """Yield the transactions of an hledger journal."""
    current: Transaction | None = None
    is_comment = False
    for at, line in enumerate(text.split("\n"), 1):
        where, word = f"{name}:{at}", line.strip()
        if is_comment or word == "comment":
            is_comment = word != "end comment"
        elif line[:1] in (" ", "\t"):
            if current is not None and word:
                _read_hledger_line(current, line.rstrip(), where)
        else:
            if current is not None:
                yield current
            head = _HL_HEAD.fullmatch(line.rstrip())
            current = None if head is None else _hledger_head(head, where)
    if current is not None:
        yield current


def _hledger_head(head: re.Match[str], where: str) -> Transaction:
    told = (head["told"] or "").strip()
    texts = tuple(part.strip() for part in told.split("|", 1)) if told else ()
    current = Transaction(head["flag"] or "", texts, {(head["code"] or "").strip()}, where)
    _read_comment(current, current.said, head["comment"] or "")
    return current


def _read_hledger_line(current: Transaction, line: str, where: str) -> None:
    place = current.postings[-1].said if current.postings else current.said
    if line.lstrip().startswith(";"):
        _read_comment(current, place, line.lstrip()[1:])
        return
    found = _HL_POSTING.fullmatch(line)
    if found is not None:
        posting = Posting(found["account"], (found["rest"] or "").strip(), where)
        current.postings.append(posting)
        _read_comment(current, posting.said, found["comment"] or "")


def _read_comment(current: Transaction, place: dict[str, str], comment: str) -> None:
    # Our own tags are alone on their lines, and their values may have commas.
    name, colon, value = comment.strip().partition(":")
    if colon and re.fullmatch(r"[\w-]+", name):
        place[name] = value.strip()
    for tag in _HL_TAG.finditer(comment):
        current.links.add(tag["value"].strip())


def includes(text: str, dialect: str) -> list[str]:
    """Return the patterns of the files that a journal includes."""
    form = _BEAN_INCLUDE if dialect == "beancount" else _HL_INCLUDE
    lines = (line.strip() for line in text.split("\n") if line.startswith("include"))
    found = [form.match(line) for line in lines]
    return [each[1].strip() for each in found if each is not None]
