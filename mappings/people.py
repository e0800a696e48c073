"""Who worked: from a tool's account id to one of our people. Called by `book.py`."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.events import Event

from .model import Person


class People:
    """The people of the firm, by name and by account."""

    def __init__(self, people: Sequence[Person]) -> None:
        self._by_name = {person.name: person for person in people}
        self._by_account = {account: person for person in people for account in person.accounts}

    def named(self, name: str | None) -> Person | None:
        """Return the person of that name, None if there is none."""
        return self._by_name.get(name) if name else None

    def of(self, event: Event) -> Person | None:
        """Return who worked; None if the event does not say or the account is unknown.

        An account listed for the endpoint comes before one listed for the tool. Only `generic`
        events, which the firm's own scripts sign, may name a person by name: in other tools
        everybody chooses his own.
        """
        if event.person is None:
            return None
        found = self._by_account.get((event.endpoint, event.person))
        found = found or self._by_account.get((event.source, event.person))
        if found is None and event.source == "generic":
            return self.named(event.person)
        return found
