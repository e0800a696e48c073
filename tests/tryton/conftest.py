"""A real Tryton server for the tests here; without `.venv-tryton` they are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.contract import ContractRig
from connectors.customers import CustomerThere
from connectors.tryton.stand_in.person import Person
from tests.journeys.office import Office, open_office
from tests.tryton.rig import contract_setup, settings_for, shared_http, shared_person, shared_server
from tests.tryton_server import WHY_NOT, TrytonServer, is_installed


@pytest.fixture(scope="session")
def server() -> TrytonServer:
    """Give the server that all tests of this process share."""
    if not is_installed():
        pytest.skip(WHY_NOT)
    return shared_server()


@pytest.fixture
def rig(server: TrytonServer, tmp_path: Path) -> ContractRig:
    """Give a rig with nothing of ours in the books."""
    return contract_setup(tmp_path)


@pytest.fixture
def person(rig: ContractRig) -> Person:
    """Give somebody who works in the books, in which nothing is of ours."""
    return shared_person()


@pytest.fixture
def office(
    server: TrytonServer, person: Person, tmp_path: Path, sqlite_url: str
) -> Iterator[Office]:
    """Give an office that bills through Tryton, where a month of work waits for approval."""
    with open_office(tmp_path, sqlite_url) as office:
        office.outside.add(server.url, shared_http())
        said = {**settings_for(server), "password": '"${TRYTON_PASSWORD}"'}
        office.line.environ["TRYTON_PASSWORD"] = settings_for(server)["password"]  # type: ignore[index]
        words = ", ".join(f"{name}: {value}" for name, value in said.items())
        connectors = f"connectors:\n  tryton: {{system: tryton, private_address: yes, {words}}}\n"
        office.change("workspace.yaml", "connectors:\n", connectors)
        office.change("acme.yaml", "send_to: files", "send_to: tryton")
        person.enter_customers([CustomerThere("", "Acme GmbH", "ap@acme.example")])
        office.activate()
        yield office
