"""The firm that sends the invoices, as the settings of the connector describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from connectors.connector import Setting
from ledger.errors import PermanentError

UBL: Final = "ubl"
FACTUR_X: Final = "factur-x"
FORMATS: Final = (UBL, FACTUR_X)
SETTINGS: Final = (
    Setting("format", "ubl (an XML file and a PDF to read) or factur-x (a PDF with the XML in it)"),
    Setting("seller", "The firm's legal name, as it is registered"),
    Setting("street", "Street and number of the firm; a second line after a semicolon"),
    Setting("city", "The firm's city"),
    Setting("country", "The firm's country, ISO 3166: DE, FR, AT"),
    Setting("postal_code", "The firm's postal code", required=False),
    Setting("trading_name", "The name it is known by, if another one", required=False),
    Setting("vat_id", "The firm's VAT number: DE123456789", required=False),
    Setting("tax_number", "Its local tax number, where it has no VAT number", required=False),
    Setting("registration", "Its number in the register of companies", required=False),
    Setting("contact", "Who answers questions about invoices", required=False),
    Setting("email", "Where questions about invoices go", required=False),
    Setting("phone", "The telephone number for questions about invoices", required=False),
    Setting("iban", "The account that is paid into", required=False),
    Setting("bic", "The bank of that account", required=False),
    Setting(
        "electronic_address",
        "Its address in an e-invoice network, SCHEME:VALUE, like 0204:991-01234-56; default: EM "
        "and the e-mail address",
        required=False,
    ),
    Setting(
        "tax_code",
        "The VAT category of lines for which no tax is agreed: S Z E AE K G O; without it they "
        "are refused",
        required=False,
    ),
    Setting(
        "unit", "The unit of quantities, UN/ECE Rec 20: HUR is hours; default C62", False, False
    ),
    Setting("time_zone", "Whose day is the date of an invoice; default UTC", required=False),
    Setting("fonts", "A folder of more fonts for the PDF: Chinese, Japanese", required=False),
)


@dataclass(frozen=True, slots=True)
class Seller:
    """The firm; what is not said is empty."""

    name: str
    lines: tuple[str, ...]
    city: str
    country: str
    postal_code: str = ""
    trading_name: str = ""
    vat_id: str = ""
    tax_number: str = ""
    registration: str = ""
    contact: str = ""
    email: str = ""
    phone: str = ""
    iban: str = ""
    bic: str = ""
    electronic_address: str = ""
    """SCHEME:VALUE."""


def seller_of(settings: Mapping[str, str]) -> Seller:
    """Return the firm; raise PermanentError if an e-invoice could not name it so."""
    said = {name: value.strip() for name, value in settings.items()}
    missing = [each.name for each in SETTINGS if each.required and not said.get(each.name)]
    if missing:
        raise PermanentError(f"einvoice: no `{missing[0]}:` - write it under the connector")
    if said["format"] not in FORMATS:
        raise PermanentError(
            f'einvoice: format: "{said["format"]}" is none - write {" or ".join(FORMATS)}'
        )
    numbers = ("vat_id", "tax_number", "registration")
    if not any(said.get(name) for name in numbers):
        raise PermanentError(
            "einvoice: nothing identifies the seller - write vat_id:, tax_number: or registration:"
        )
    email = said.get("email", "")
    address = said.get("electronic_address") or (f"EM:{email}" if email else "")
    if address and not all(address.partition(":")):
        raise PermanentError(
            f'einvoice: electronic_address: "{address}" has no scheme - write it like '
            "0204:991-01234-56"
        )
    names = ("city", "country", "postal_code", "trading_name", "contact", "phone", *numbers)
    return Seller(
        name=said["seller"],
        lines=tuple(line.strip() for line in said["street"].split(";") if line.strip()),
        **{name: said.get(name, "") for name in names},
        email=email,
        iban=said.get("iban", "").replace(" ", "").upper(),
        bic=said.get("bic", "").replace(" ", "").upper(),
        electronic_address=address,
    )


def zone_of(settings: Mapping[str, str]) -> ZoneInfo:
    """Return the time zone of the firm; raise PermanentError if there is none of that name."""
    name = settings.get("time_zone") or "UTC"
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PermanentError(
            f'einvoice: time_zone: "{name}" is none - write it like Europe/Berlin'
        ) from error
