"""Statements as banks write them, made for the tests: entries in, the bytes of a file out."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from xml.sax.saxutils import escape

IBAN = "DE89370400440532013000"


@dataclass(frozen=True)
class Booked:
    """One entry as a bank has booked it; amounts in euros, below zero money that went out."""

    amount: str
    text: str = ""
    on: str = "2026-11-16"
    reference: str = ""
    payer: str = "Acme GmbH"
    is_reversal: bool = False
    status: str = "BOOK"


def camt(*entries: Booked, version: int = 8, opening: str = "1000.00", doctype: str = "") -> bytes:
    """Return a camt.053 of one statement, as version 2 or 8 has it."""
    booked = sum(Decimal(each.amount) for each in entries if each.status == "BOOK")
    closing = Decimal(opening) + booked
    balances = "".join(
        f"<Bal><Tp><CdOrPrtry><Cd>{code}</Cd></CdOrPrtry></Tp>{_camt_amount(str(amount))}"
        "<Dt><Dt>2026-11-16</Dt></Dt></Bal>"
        for code, amount in (("OPBD", Decimal(opening)), ("CLBD", closing))
    )
    namespace = f"urn:iso:std:iso:20022:tech:xsd:camt.053.001.{version:02}"
    body = "".join(_camt_entry(each, version) for each in entries)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>{doctype}<Document xmlns="{namespace}">'
        "<BkToCstmrStmt><GrpHdr><MsgId>1</MsgId><CreDtTm>2026-11-16T20:00:00</CreDtTm></GrpHdr>"
        f"<Stmt><Id>1</Id><Acct><Id><IBAN>{IBAN}</IBAN></Id><Ccy>EUR</Ccy></Acct>"
        f"{balances}{body}</Stmt></BkToCstmrStmt></Document>"
    ).encode()


def _camt_amount(amount: str) -> str:
    side = "DBIT" if amount.startswith("-") else "CRDT"
    return f'<Amt Ccy="EUR">{amount.lstrip("-")}</Amt><CdtDbtInd>{side}</CdtDbtInd>'


def _camt_entry(entry: Booked, version: int) -> str:
    name = f"<Nm>{escape(entry.payer)}</Nm>"
    debtor = name if version == 2 else f"<Pty>{name}</Pty>"
    return (
        f"<Ntry>{_camt_amount(entry.amount)}"
        + ("<RvslInd>true</RvslInd>" if entry.is_reversal else "")
        + (f"<Sts>{entry.status}</Sts>" if version == 2 else f"<Sts><Cd>{entry.status}</Cd></Sts>")
        + f"<BookgDt><Dt>{entry.on}</Dt></BookgDt><ValDt><Dt>{entry.on}</Dt></ValDt>"
        + (f"<AcctSvcrRef>{entry.reference}</AcctSvcrRef>" if entry.reference else "")
        + "<BkTxCd><Prtry><Cd>166</Cd></Prtry></BkTxCd><NtryDtls><TxDtls>"
        + "<Refs><EndToEndId>NOTPROVIDED</EndToEndId></Refs>"
        + (f'<Amt Ccy="EUR">{entry.amount.lstrip("-")}</Amt>' if version > 2 else "")
        + f"<RltdPties><Dbtr>{debtor}</Dbtr></RltdPties>"
        + f"<RmtInf><Ustrd>{escape(entry.text)}</Ustrd></RmtInf></TxDtls></NtryDtls></Ntry>"
    )


def mt940(*entries: Booked, opening: str = "1000.00", account: str = "37040044/532013000") -> bytes:
    """Return an MT940 of one statement, its details in the numbered fields of German banks."""
    closing = Decimal(opening) + sum(Decimal(each.amount) for each in entries)
    lines = [":20:STARTUMSE", f":25:{account}", ":28C:00011/001", f":60F:{_balance(opening)}"]
    for entry in entries:
        day = entry.on[2:].replace("-", "")
        is_out = entry.amount.startswith("-")
        mark = ("RC" if is_out else "RD") if entry.is_reversal else ("D" if is_out else "C")
        amount = entry.amount.lstrip("-").replace(".", ",")
        lines.append(f":61:{day}{day[2:]}{mark}{amount}NTRFNONREF//{entry.reference or 'NONREF'}")
        # Banks cut the text after 27 characters, wherever that is.
        told = f"SVWZ+{entry.text}"
        pieces = [told[at : at + 27] for at in range(0, len(told), 27)]
        fields = "".join(f"?{20 + at}{piece}" for at, piece in enumerate(pieces))
        lines.append(f":86:166?00GUTSCHRIFT?109310{fields}?30COBADEFF?32{entry.payer}")
    lines += [f":62F:{_balance(str(closing))}", "-"]
    return "\r\n".join(lines).encode()


def _balance(amount: str) -> str:
    side = "D" if amount.startswith("-") else "C"
    return f"{side}261116EUR{amount.lstrip('-').replace('.', ',')}"
