"""The console over the small firm's month of work: the application without its other parts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient, FlaskCliRunner

from console import api, health, views
from console.commands import COMMANDS
from ledger.access import create_token
from line import Line
from settings import Settings
from tests.conftest import ON_BOTH
from tests.databases import copy_sqlite
from tests.ledger.seed import SmallFirm, month_of_work

SECRET_KEY = "a-key-for-tests-" * 4


@dataclass
class RecordingDoorbell:
    """A doorbell that remembers which stages were rung."""

    rung: list[str] = field(default_factory=list)

    def ring(self, stage: str) -> None:
        """Remember a ring."""
        self.rung.append(stage)


@pytest.fixture
def doorbell() -> RecordingDoorbell:
    """Give the doorbell of the application."""
    return RecordingDoorbell()


@pytest.fixture(scope="session")
def month_on_sqlite(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[SmallFirm, Path]:
    """Give the small firm after its month of work, played once, and its file to copy."""
    path = tmp_path_factory.mktemp("month") / "billhook.sqlite3"
    firm = SmallFirm(copy_sqlite(sqlite_template, path))
    month_of_work(firm)
    firm.close()
    return firm, path


@pytest.fixture
def firm(month_on_sqlite: tuple[SmallFirm, Path], tmp_path: Path) -> Iterator[SmallFirm]:
    """Give the small firm after its month of work, on SQLite."""
    played, path = month_on_sqlite
    firm = played.gone_on_from(copy_sqlite(path, tmp_path / "billhook.sqlite3"))
    yield firm
    firm.close()


@pytest.fixture(params=ON_BOTH)
def any_firm(request: pytest.FixtureRequest) -> Iterator[SmallFirm]:
    """Give the small firm after its month of work, on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        yield request.getfixturevalue("firm")
        return
    firm = SmallFirm(request.getfixturevalue("postgres_url"))
    month_of_work(firm)
    yield firm
    firm.close()


def console_of(firm: SmallFirm, doorbell: RecordingDoorbell) -> Flask:
    """Return an application with the console alone."""
    environ = {"DATABASE_URL": "sqlite:///unused", "BILLHOOK_SECRET_KEY": SECRET_KEY}
    line = Line(
        Settings.from_env(environ),
        environ=environ,
        database=firm.database,
        clock=firm.clock,
        doorbell=doorbell,
    )
    app = Flask("billhook", static_folder=None, template_folder=None)
    app.extensions["billhook"] = line
    app.register_blueprint(views.blueprint)
    app.register_blueprint(health.blueprint)
    api.register(app)
    for command in COMMANDS:
        app.cli.add_command(command)
    return app


@pytest.fixture
def app(firm: SmallFirm, doorbell: RecordingDoorbell) -> Flask:
    """Give the console over the small firm."""
    return console_of(firm, doorbell)


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Give a browser that nobody has signed in yet."""
    return app.test_client()


@pytest.fixture
def command_line(app: Flask) -> FlaskCliRunner:
    """Give Flask's command line."""
    return app.test_cli_runner()


def bearer(firm: SmallFirm, role: str, name: str = "mia") -> dict[str, str]:
    """Make a token and return the header that sends it."""
    text = firm.database.write(
        lambda connection: create_token(connection, name, role, actor="test", now=firm.now)
    )
    return {"Authorization": f"Bearer {text}"}


@pytest.fixture
def viewer(firm: SmallFirm) -> dict[str, str]:
    """Give the header of a token that may look."""
    return bearer(firm, "viewer", "vera")


@pytest.fixture
def approver(firm: SmallFirm) -> dict[str, str]:
    """Give the header of a token that may approve."""
    return bearer(firm, "approver", "mia")
