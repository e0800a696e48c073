"""Tokens in the database are ciphertext, each bound to its connection, under a key that rotates."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import select, update

from ledger import tokens
from ledger.audit import secrecy
from ledger.database import Database
from ledger.tables import audit_entry, credential
from ledger.tokens import Pair
from ledger.vault import SealedError, Vault

NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)
OLD, NEW = Vault("k" * 40), Vault("n" * 40, ("k" * 40,))
PAIR = Pair("access-token-1", "refresh-token-1", NOW)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    yield database
    database.close()


def store(database: Database, name: str, pair: Pair = PAIR, vault: Vault = OLD) -> None:
    database.write(
        lambda connection: tokens.store(connection, vault, name, pair, actor="mia", now=NOW)
    )


def load(database: Database, name: str, vault: Vault = OLD) -> tokens.Stored:
    with database.read() as connection:
        found = tokens.load(connection, vault, name)
    assert found is not None
    return found


def test_what_is_stored_comes_back_and_cannot_be_read_in_the_database(database: Database) -> None:
    store(database, "xero")
    assert load(database, "xero").pair == PAIR
    with database.read() as connection:
        cells = [str(cell) for row in connection.execute(select(credential)) for cell in row]
        cells += [str(cell) for row in connection.execute(select(audit_entry)) for cell in row]
    assert not [cell for cell in cells if "token-1" in cell]
    assert "token-1" not in repr(load(database, "xero"))


def test_the_same_token_is_sealed_differently_each_time() -> None:
    assert OLD.seal("refresh-token-1", "xero") != OLD.seal("refresh-token-1", "xero")


def test_a_row_swapped_with_another_cannot_be_opened(database: Database) -> None:
    store(database, "xero")
    store(database, "quickbooks", Pair("access-token-2", "refresh-token-2", NOW))
    with database.read() as connection:
        theirs = select(credential.c.sealed).where(credential.c.name == "quickbooks")
        stolen = connection.scalar(theirs)
    database.write(
        lambda connection: connection.execute(
            update(credential).where(credential.c.name == "xero").values(sealed=stolen)
        )
    )
    with pytest.raises(SealedError, match=r"^xero: "):
        load(database, "xero")


@pytest.mark.parametrize(
    "sealed", ["", "refresh-token-1", "gAAAA", "gAAAAAB" + "x" * 93, "é" * 100]
)
def test_what_was_never_sealed_is_refused_by_name(sealed: str) -> None:
    with pytest.raises(SealedError, match=r"^xero: .*`flask secrets"):
        OLD.open(sealed, "xero")


def test_a_changed_byte_is_noticed() -> None:
    sealed = OLD.seal("refresh-token-1", "xero")
    for at in range(0, len(sealed) - 2, 7):
        other = "A" if sealed[at] != "A" else "B"
        with pytest.raises(SealedError):
            OLD.open(sealed[:at] + other + sealed[at + 1 :], "xero")


def test_after_a_rotation_the_old_key_is_not_needed(database: Database) -> None:
    store(database, "xero")
    store(database, "quickbooks")
    with pytest.raises(SealedError):
        load(database, "xero", Vault("n" * 40))
    assert load(database, "xero", NEW).pair == PAIR
    count = database.write(lambda connection: tokens.rotate(connection, NEW, actor="mia", now=NOW))
    assert count == 2
    assert load(database, "xero", Vault("n" * 40)).pair == PAIR
    with pytest.raises(SealedError):
        load(database, "xero", OLD)
    with database.read() as connection:
        assert {each["key_id"] for each in tokens.list_stored(connection)} == {NEW.key_id}


def test_a_rotation_that_cannot_open_one_row_changes_none(database: Database) -> None:
    store(database, "quickbooks")
    store(database, "xero", vault=Vault("x" * 40))
    with pytest.raises(SealedError, match=r"^xero: "):
        database.write(lambda connection: tokens.rotate(connection, NEW, actor="mia", now=NOW))
    assert load(database, "quickbooks", OLD).pair == PAIR


def test_no_renewal_is_lost_to_a_rotation_at_the_same_time(database: Database) -> None:
    store(database, "xero")

    def renew() -> int:
        saved = 0
        for number in range(15):
            stored = load(database, "xero", NEW)
            pair = Pair(f"access-{number}", f"refresh-{number}", NOW)
            saved += database.write(
                lambda connection: tokens.save(
                    connection,
                    OLD,
                    "xero",
                    pair,  # noqa: B023
                    version=stored.version,  # noqa: B023
                    now=NOW,
                )
            )
        return saved

    def rotate() -> None:
        for _ in range(15):
            database.write(lambda connection: tokens.rotate(connection, NEW, actor="mia", now=NOW))

    with ThreadPoolExecutor(2) as pool:
        renewing, rotating = pool.submit(renew), pool.submit(rotate)
        assert renewing.result() == 15
        rotating.result()
    stored = load(database, "xero", NEW)
    assert (stored.pair.refresh, stored.version) == ("refresh-14", 16)


def test_the_audit_finds_a_token_that_is_not_sealed(database: Database) -> None:
    store(database, "xero")
    with database.read() as connection:
        assert list(secrecy.find(connection, NOW)) == []
    plain = update(credential).values(sealed='{"access": "a", "refresh": "refresh-token-1"}')
    database.write(lambda connection: connection.execute(plain))
    with database.read() as connection:
        (found,) = secrecy.find(connection, NOW)
    assert found.entity == "credential:xero"
    assert "refresh-token-1" not in found.detail
