"""Which customer of an accounting system is meant: found by what identifies it, never guessed.

Accounting systems are full of customers that somebody else has entered. So a connector lists those
that may be meant, and `identified` says which one it is, or asks the admin.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.errors import PermanentError
from ledger.invoices import BilledCustomer

_MOST_NAMED: Final = 5


class NoSuchCustomerError(PermanentError):
    """The system has no customer with the id by which it was to be found."""


@dataclass(frozen=True, slots=True)
class CustomerThere:
    """A customer as the accounting system has it."""

    remote_id: str
    name: str
    email: str | None = None
    tax_id: str | None = None
    ours: str | None = None
    """Our key of the customer, where the system can carry it: written when we created it."""


def identified(system: str, customer: BilledCustomer, there: Sequence[CustomerThere]) -> str | None:
    """Return the remote id of our customer; None if it is to be created.

    `there` are all customers of the system that may be meant; too many do no harm. The first of
    these that fits exactly one decides: the id that is known (the admin wrote it, or the last
    invoice has it), our own key, the tax id, the e-mail address, the name. Raise
    NoSuchCustomerError for an id that is not there, and another PermanentError, worded as a
    question to the admin, if one of them fits several, or none fits and `create: yes` is not
    agreed.
    """
    if customer.remote_id is not None:
        if any(each.remote_id == customer.remote_id for each in there):
            return customer.remote_id
        raise NoSuchCustomerError(
            f"{system}: customer {customer.key}: there is no customer with the id "
            f"{customer.remote_id} - mend books: customer: in its rule file"
        )
    for what, fits in _ways(customer):
        fitting = {each.remote_id: each for each in there if fits(each)}
        if len(fitting) == 1:
            return next(iter(fitting))
        if fitting:
            named = ", ".join(
                f"{each.remote_id} ({each.name})" for each in list(fitting.values())[:_MOST_NAMED]
            )
            raise PermanentError(
                f"{system}: customer {customer.key}: {len(fitting)} customers have its {what}: "
                f"{named} - write the right one as books: {{customer: ID}} into its rule file"
            )
    if customer.may_be_created:
        return None
    raise PermanentError(
        f"{system}: customer {customer.key}: no customer there has its tax id, e-mail address or "
        "name - write books: {customer: ID} into its rule file, or books: {create: yes}"
    )


def _ways(customer: BilledCustomer) -> list[tuple[str, Callable[[CustomerThere], bool]]]:
    """Return what a customer can be known by, the surest first."""
    tax_id, email = _plain(customer.tax_id), _lower(customer.email)
    names = {_lower(customer.name), _lower(customer.legal_name)} - {""}
    return [
        ("key", lambda there: there.ours == customer.key),
        ("tax id", lambda there: tax_id != "" and _plain(there.tax_id) == tax_id),
        ("e-mail address", lambda there: email != "" and _lower(there.email) == email),
        ("name", lambda there: _lower(there.name) in names),
    ]


def _plain(tax_id: str | None) -> str:
    """Return a tax id without what people put between its characters."""
    return "".join(each for each in tax_id or "" if each.isalnum()).upper()


def _lower(text: str | None) -> str:
    return " ".join((text or "").split()).casefold()
