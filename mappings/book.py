"""One version of all rule files: checked as a whole, immutable, ready to price events.

`worker.py` prices with the active book, `flask rules` and the console load new ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from ledger.errors import ConfigurationError
from ledger.events import UNDOES, Event
from ledger.versions import version_of

from . import trials, words
from .checking import customer_of
from .clauses.shares import check_payers
from .contract import Customer
from .model import Person, Workspace
from .people import People
from .phrases import environment_names
from .pricing import Outcome, Pricing
from .reading import MOST_BYTES, Mistakes, Place, Table, read
from .sharing import Blame, Contract, SharedFiles, contracts, is_shared
from .trials import TestResult
from .workspaces import workspace_of

WORKSPACE: Final = "workspace.yaml"
"""The one file that is not a customer's."""


EXAMPLES: Final = "examples"
"""A subfolder of this name is never read: it holds a firm of its own."""


def _rule_files(folder: Path) -> list[Path]:
    """Return the YAML files of a folder and, one level down, of its subfolders."""
    folders = [
        folder,
        *(
            below
            for below in sorted(folder.iterdir())
            if below.is_dir() and below.name != EXAMPLES and not below.name.startswith(".")
        ),
    ]
    return sorted(
        path for each in folders for kind in ("*.yaml", "*.yml") for path in each.glob(kind)
    )


def _is_in_place(table: Table, mistakes: Mistakes) -> bool:
    """Return whether a file may stand where it does; only one folder describes the firm."""
    if table.at.file.rpartition("/")[2] != WORKSPACE:
        return True
    problem = "a second workspace.yaml - the firm is described once, in the folder above"
    mistakes.add(Place(table.at.file, 1, 1), problem)
    return False


class Book:
    """The rules of one version. Nothing in it changes; a change is a new book."""

    def __init__(
        self, files: Mapping[str, str], workspace: Workspace, customers: Iterable[Customer]
    ) -> None:
        self.files: Mapping[str, str] = MappingProxyType(dict(files))
        """Name -> text as loaded; files in subfolders with their folder: `rates/standard.yaml`."""
        self.version = version_of(files)
        """SHA-256 over names and texts: the same files are the same version."""
        self.workspace = workspace
        self.customers: Mapping[str, Customer] = MappingProxyType(
            {customer.key: customer for customer in customers}
        )
        self._people = People(workspace.people)
        self._pricing = Pricing(
            tuple(self.customers.values()),
            billable_when_not_said=workspace.billable_when_not_said,
        )

    @classmethod
    def load(cls, files: Mapping[str, str]) -> Book:
        """Return the book of these files: name -> text.

        Raise ConfigurationError with all mistakes of all files, one line each.
        """
        mistakes = Mistakes()
        tables = {name: read(name, files[name], mistakes) for name in sorted(files)}
        if WORKSPACE not in tables:
            problem = "this file is missing - it holds the firm's name, people and connectors"
            mistakes.add(Place(WORKSPACE, 1, 1), problem)
        firm = tables.pop(WORKSPACE, None)
        workspace = workspace_of(firm, mistakes) if firm else None
        readable = [table for table in tables.values() if table and _is_in_place(table, mistakes)]
        shared = SharedFiles.of(filter(is_shared, readable), are_all=None not in tables.values())
        blame = Blame(shared.alone)
        customers: dict[str, Customer] = {}
        for contract, found in contracts(readable, shared):
            customer = None
            if contract.is_whole:
                customer = customer_of(contract.table, found, workspace)
            else:
                words.PARTIAL.read(contract.table, found)
            blame.sort(found, contract.file, contract.key, mistakes)
            if customer is None:
                continue
            first = customers.setdefault(customer.key, customer)
            if first is not customer:
                problem = f'customer: "{customer.key}" has a file already, {first.at.file}'
                mistakes.add(customer.at, f"{problem} - a customer has one file")
        check_payers(customers, mistakes, are_all_known=not mistakes.found)
        blame.tell(mistakes)
        if mistakes.found or workspace is None:
            raise ConfigurationError(mistakes.lines())
        return cls(files, workspace, customers.values())

    @classmethod
    def read_folder(cls, folder: Path) -> Book:
        """Return the book of a folder's `*.yaml` files and those of its subfolders.

        A subfolder `examples` is not read: it is a firm of its own. Raise ConfigurationError
        with all mistakes, also if a file cannot be read.
        """
        if not folder.is_dir():
            raise ConfigurationError([f"{folder}: there is no such folder - set BILLHOOK_RULES"])
        files: dict[str, str] = {}
        problems: list[str] = []
        for path in _rule_files(folder):
            name = path.relative_to(folder).as_posix()
            try:
                content = path.read_bytes() if path.stat().st_size <= MOST_BYTES else None
                if content is None:
                    problem = f"longer than {MOST_BYTES // 1024} KiB - split it into several files"
                    problems.append(f"{name}:1:1: {problem}")
                else:
                    files[name] = content.decode()
            except UnicodeDecodeError:
                problems.append(f"{name}:1:1: is not UTF-8 text - save the file as UTF-8")
            except OSError as error:
                problems.append(f"{name}:1:1: cannot be read - {error.strerror}")
        try:
            book = cls.load(files)
        except ConfigurationError as error:
            raise ConfigurationError(problems + error.mistakes) from None
        if problems:
            raise ConfigurationError(problems)
        return book

    def joined(self) -> tuple[SharedFiles, list[Contract]]:
        """Return the shared files and every customer's contract, as they stand in the texts.

        The texts are read anew: nobody asks for this while events are priced.
        """
        found = (read(name, text, Mistakes()) for name, text in self.files.items())
        tables = [table for table in found if table and table.at.file != WORKSPACE]
        shared = SharedFiles.of(filter(is_shared, tables))
        return shared, [contract for contract, _ in contracts(tables, shared)]

    def price(self, event: Event) -> Outcome:
        """Return what an event is worth. Pure; the event is already filled in from facts.

        Raise ValueError for a kind that undoes another (`time.removed`): no rule prices those.
        """
        if event.kind in UNDOES:
            raise ValueError(f"{event.kind} has no price: it takes back what was earned")
        return self._pricing.outcome(event, self._people.of(event))

    def price_as(self, event: Event, person: Person | None) -> Outcome:
        """Return what an event would be worth if a person had worked it; None: a stranger."""
        return self._pricing.outcome(event, person)

    def knows_person(self, event: Event) -> bool:
        """Return whether an event names nobody, or an account of one of our people."""
        return event.person is None or self._people.of(event) is not None

    def person_name(self, event: Event) -> str | None:
        """Return the name of who worked: ours, else the tool's, else the tool's id."""
        person = self._people.of(event)
        return person.name if person else event.person_name or event.person

    def run_tests(self) -> list[TestResult]:
        """Return how the tests in the files go, in the order of customers and files."""
        return [
            result
            for customer in self.customers.values()
            for result in trials.results(self, customer, self._people, self._pricing)
        ]

    def secret_names(self) -> Mapping[str, str]:
        """Return every ${NAME} that the workspace uses, with the file and line of its first use."""
        names: dict[str, str] = {}
        for source in self.workspace.sources.values():
            used = [name for text in source.settings.values() for name in environment_names(text)]
            for name in (*source.secrets, *used):
                names.setdefault(name, source.where)
        for connector in self.workspace.connectors.values():
            for text in connector.settings.values():
                for name in environment_names(text):
                    names.setdefault(name, connector.where)
        return names
