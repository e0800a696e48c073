"""Writes an e-invoice as XML, and proves it by the official XSD and EN 16931 Schematron.

The `factur-x` package writes both syntaxes and brings the schemas and the compiled Schematron;
`saxonche` runs it. `facturx.xml_check_schematron()` is not used: it asks a server, and finds
everything good if there is none. All of them are big, so they are loaded when first needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from ledger.errors import RejectedError

from .seller import FACTUR_X, UBL

_SVRL: Final = "{http://purl.oclc.org/dsdl/svrl}"
_LEVEL: Final = "en16931"
_FLAVORS: Final = {UBL: "ubl-2.1", FACTUR_X: "factur-x"}
_XSLT: Final = {
    UBL: "ubl-2.1/EN16931-UBL-validation.xslt",
    FACTUR_X: "facturx-en16931/FACTUR-X_EN16931.xslt",
}
_XSD: Final = {
    "Invoice": "ubl-2.1/maindoc/UBL-Invoice-2.1.xsd",
    "CreditNote": "ubl-2.1/maindoc/UBL-CreditNote-2.1.xsd",
    "CrossIndustryInvoice": "facturx-en16931/Factur-X_EN16931.xsd",
}
"""By the name of the document's root."""
_MOST_TOLD: Final = 5
_RULE: Final = re.compile(r"^\s*\[[^\]]+\]\s*-?\s*")


def as_xml(terms: Mapping[str, Any], form: str) -> bytes:
    """Return business terms as XML in a format; raise RejectedError for what is none."""
    import facturx

    try:
        written: bytes = facturx.generate_xml(
            dict(terms),
            flavor=_FLAVORS[form],
            level=_LEVEL,
            check_xsd=False,
            check_schematron=False,
        )
    except ValueError as error:
        raise RejectedError(f"einvoice: {terms['BT-1']}: {error} - change it") from error
    return written


def must_be_valid(xml: bytes, form: str, reference: str) -> None:
    """Raise RejectedError, naming the rules that are broken, unless the document is valid."""
    broken = list(broken_rules(xml, form))
    if broken:
        more = f" (and {len(broken) - _MOST_TOLD} more)" if len(broken) > _MOST_TOLD else ""
        raise RejectedError(
            f"einvoice: {reference}: EN 16931 forbids it: {'; '.join(broken[:_MOST_TOLD])}{more} - "
            "mend what the rules name"
        )


def broken_rules(xml: bytes, form: str) -> Iterator[str]:
    """Yield the rules that a document breaks, each with its id and its words; none: it is valid."""
    from lxml import etree

    # It is ours, and it is read without anything from outside of it all the same.
    parser = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)
    document = etree.fromstring(xml, parser)
    root = etree.QName(document).localname
    schema = _schema(root)
    if not schema.validate(document):
        yield f"XSD: {schema.error_log[0].message}"
        return
    report = etree.fromstring(_schematron(form).transformed(xml))
    if report.find(f"{_SVRL}fired-rule") is None:
        raise RuntimeError(f"the Schematron of {form} has looked at nothing")
    for found in report.iter(f"{_SVRL}failed-assert", f"{_SVRL}successful-report"):
        if found.get("flag") == "warning":
            continue
        words = " ".join("".join(found.itertext()).split())
        yield f"{found.get('id')}: {_RULE.sub('', words)}"


class _Schematron:
    """A Schematron that is compiled once for a process."""

    def __init__(self, form: str) -> None:
        from saxonche import PySaxonProcessor

        # Its native library must not be entered by two processors of one thread at a time.
        self._processor = _processor(PySaxonProcessor)
        self._compiled = self._processor.new_xslt30_processor().compile_stylesheet(
            stylesheet_file=str(_shipped(_XSLT[form]))
        )

    def transformed(self, xml: bytes) -> bytes:
        """Return the report, SVRL."""
        node = self._processor.parse_xml(xml_text=xml.decode())
        report: str = self._compiled.transform_to_string(xdm_node=node)
        return report.encode()


@lru_cache(maxsize=1)
def _processor(made_by: Any) -> Any:
    return made_by(license=False)


@lru_cache(maxsize=len(_XSLT))
def _schematron(form: str) -> _Schematron:
    return _Schematron(form)


@lru_cache(maxsize=len(_XSD))
def _schema(root: str) -> Any:
    from lxml import etree

    return etree.XMLSchema(file=str(_shipped(_XSD[root])))


def _shipped(name: str) -> Path:
    import facturx

    return Path(facturx.__file__).parent / "xsd_and_schematron" / name
