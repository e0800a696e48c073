"""The web process: `create_app()` puts the parts together and holds no logic.

Flask's command line finds it too: `flask --help` lists what people can do.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog
from flask import Flask, Response
from sqlalchemy.exc import SQLAlchemyError

import logs
from console import api, health, views
from console.commands import COMMANDS
from ledger.errors import ConfigurationError
from ledger.inbox import Inbox
from line import Line
from webhooks.receiver import receiver

log = structlog.get_logger("web")


def create_app(line: Line | None = None, environ: Mapping[str, str] | None = None) -> Flask:
    """Return the web application.

    A mistake in the settings ends the process with all of them listed, one line each.
    """
    app = Flask(__name__, static_folder=None)
    for command in COMMANDS:
        app.cli.add_command(command)
    try:
        line = line or Line.from_env(environ)
    except ConfigurationError as error:
        raise SystemExit(str(error)) from None
    app.extensions["billhook"] = line
    inbox = app.extensions["billhook_inbox"] = Inbox(line.database, line.clock)
    app.register_blueprint(
        receiver(
            inbox,
            line.endpoint,
            line.clock,
            line.doorbell,
            most_bytes=line.settings.max_body,
            base_url=line.settings.base_url,
        )
    )
    app.register_blueprint(views.blueprint)
    app.register_blueprint(health.blueprint)
    api.register(app)
    app.after_request(_never_guessed)
    return app


def _never_guessed(response: Response) -> Response:
    """Have every answer taken for what it says it is: a handshake echoes what a stranger sent."""
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def create_web() -> Flask:
    """Return the application for a web server; end the process if an endpoint has no secret."""
    app = create_app()
    line: Line = app.extensions["billhook"]
    logs.set_up(line.settings.log_level)
    line.database.answer_quickly()
    try:
        book = line.book()
    except SQLAlchemyError as error:
        # It starts all the same and answers 503; an endpoint without its secret accepts nothing.
        log.error("database_away", error=type(error).__name__)
        book = None
    mistakes = line.missing(book) if book else []
    if mistakes:
        raise SystemExit("\n".join(mistakes))
    return app
