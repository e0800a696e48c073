"""Reads camt.053, the account statement of ISO 20022, in every version since 2.

Message definitions: https://www.iso20022.org/iso-20022-message-definitions. No document type is
let in, so no entity is expanded and nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from typing import Final
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from ledger.bank import Entry, account_key
from ledger.money import Money

from .amounts import clean, minor_of
from .errors import StatementError

_NAMESPACE: Final = re.compile(r"\{urn:iso:std:iso:20022:tech:xsd:(camt\.053\.001\.\d\d)\}Document")
_SIGNS: Final = {"CRDT": 1, "DBIT": -1}
_OPENING: Final = ("OPBD", "PRCD")
_CLOSING: Final = "CLBD"
_NO_REFERENCE: Final = frozenset({"", "NONREF", "NOTPROVIDED"})


def read_camt(data: bytes) -> list[list[Entry]]:
    """Return the booked entries of each statement; raise StatementError."""
    try:
        document = fromstring(data, forbid_dtd=True)
    except (ParseError, ValueError, LookupError, DefusedXmlException) as error:
        # What was refused as dangerous is a ValueError, too.
        raise StatementError(
            f"file: is no XML that is read here ({type(error).__name__}) - ask the bank for "
            "camt.053 without a document type"
        ) from error
    found = _NAMESPACE.fullmatch(document.tag)
    if found is None:
        raise StatementError(
            f"file: <{document.tag[:80]}> is no camt.053 - choose the account statement (camt.053) "
            "at the bank"
        )
    statements = document.findall("{*}BkToCstmrStmt/{*}Stmt")
    if not statements:
        raise StatementError("file: has no statement (<Stmt>) - ask the bank for it anew")
    return [
        _read_statement(statement, found[1], f"statement {number}")
        for number, statement in enumerate(statements, 1)
    ]


def _read_statement(statement: Element, source: str, where: str) -> list[Entry]:
    number = _text(statement, "Acct/Id/IBAN") or _text(statement, "Acct/Id/Othr/Id")
    if not number:
        raise StatementError(f"{where}: names no account - ask the bank for it anew")
    account = account_key(number)
    entries: list[Entry] = []
    booked = 0
    for at, entry in enumerate(statement.findall("{*}Ntry"), 1):
        place = f"{where}, entry {at}"
        # A word in version 2, a code since version 4.
        status = _text(entry, "Sts/Cd") or _text(entry, "Sts")
        if status == "BOOK":
            amount = _amount(entry, place)
            booked += amount.minor
            entries += _read_entry(entry, amount, source, account, place)
    _must_add_up(statement, booked, where)
    return entries


def _must_add_up(statement: Element, booked: int, where: str) -> None:
    """Raise StatementError if the entries do not lead from one balance to the next."""
    if _text(statement, "StmtPgntn/LastPgInd") == "false":
        return
    balances: dict[str, Money] = {}
    for balance in statement.findall("{*}Bal"):
        code = _text(balance, "Tp/CdOrPrtry/Cd")
        balances.setdefault(code, _amount(balance, f"{where}, balance {code}"))
    opening = next((balances[code] for code in _OPENING if code in balances), None)
    closing = balances.get(_CLOSING)
    if opening is None or closing is None:
        return
    if opening.currency != closing.currency or opening.minor + booked != closing.minor:
        raise StatementError(
            f"{where}: its entries do not lead from {opening} to {closing} - it is not whole, ask "
            "the bank for it anew"
        )


def _read_entry(
    entry: Element, amount: Money, source: str, account: str, place: str
) -> Iterator[Entry]:
    """Yield the payments of an entry: several where the bank has booked them as one sum."""
    reference = _reference(_text(entry, "AcctSvcrRef"))
    details = entry.findall("{*}NtryDtls/{*}TxDtls")
    parts = [_part(each, amount, place) for each in details] if len(details) > 1 else []
    is_divided = bool(parts) and all(part is not None for part in parts)
    is_divided = is_divided and sum(part or 0 for part in parts) == amount.minor
    groups = [[each] for each in details] if is_divided else [details]
    for at, group in enumerate(groups):
        own = _reference(_text(group[0], "Refs/AcctSvcrRef")) if group else ""
        if is_divided:
            own = own or (f"{reference}/{at + 1}" if reference else "")
        yield Entry(
            source=source,
            account=account,
            amount=(parts[at] or 0) if is_divided else amount.minor,
            currency=amount.currency,
            on=_day(entry, place),
            texts=tuple(_texts(entry, group, is_alone=not is_divided)),
            payer=_payer(group) if len(group) == 1 else None,
            entry_reference=(own if is_divided else reference or own)[:64],
            number=clean(_text(entry, "NtryRef")) + (f"/{at + 1}" if is_divided else ""),
            is_reversal=_text(entry, "RvslInd") in ("true", "1"),
        )


def _part(details: Element, whole: Money, place: str) -> int | None:
    """Return what one payment of a sum comes to, None where the bank does not say."""
    found = details.find("{*}Amt")
    if found is None:
        found = details.find("{*}AmtDtls/{*}TxAmt/{*}Amt")
    if found is None or found.get("Ccy") != whole.currency:
        return None
    minor = minor_of(clean(found.text), whole.currency, place)
    sign = _SIGNS.get(_text(details, "CdtDbtInd"))
    return minor * (sign or (1 if whole.minor > 0 else -1))


def _texts(entry: Element, group: list[Element], *, is_alone: bool) -> Iterator[str]:
    for details in group:
        told = details.find("{*}RmtInf")
        for each in [] if told is None else told.iter():
            if each.text and each.tag.rpartition("}")[2] in ("Ustrd", "Ref", "Nb", "AddtlRmtInf"):
                yield clean(each.text)
        for name in ("Refs/EndToEndId", "AddtlTxInf"):
            if (text := clean(_text(details, name))) not in _NO_REFERENCE:
                yield text
    if is_alone and (text := clean(_text(entry, "AddtlNtryInf"))):
        yield text


def _payer(group: list[Element]) -> str | None:
    parties = "RltdPties/Dbtr/"
    return clean(_text(group[0], parties + "Nm") or _text(group[0], parties + "Pty/Nm")) or None


def _amount(parent: Element, place: str) -> Money:
    """Return an amount with its sign: what came in is above zero."""
    found = parent.find("{*}Amt")
    sign = _SIGNS.get(_text(parent, "CdtDbtInd"))
    if found is None or sign is None:
        raise StatementError(f"{place}: has no amount with its side - ask the bank for it anew")
    currency = clean(found.get("Ccy"))
    return Money(sign * minor_of(clean(found.text), currency, place), currency)


def _day(entry: Element, place: str) -> date:
    for name in ("ValDt/Dt", "ValDt/DtTm", "BookgDt/Dt", "BookgDt/DtTm"):
        if text := _text(entry, name):
            try:
                return date.fromisoformat(text[:10])
            except ValueError:
                break
    raise StatementError(f"{place}: has no date - ask the bank for it anew")


def _reference(text: str) -> str:
    text = clean(text)
    return "" if text in _NO_REFERENCE else text


def _text(parent: Element, path: str) -> str:
    found = parent.find("/".join(f"{{*}}{name}" for name in path.split("/")))
    return "" if found is None else (found.text or "").strip()
