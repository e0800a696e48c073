"""What accepting is measured against: a Flask view that reads the body and keeps nothing."""

from __future__ import annotations

from flask import Flask, Response, request


def create_app() -> Flask:
    """Return the application; `accepting.py` has the Procfile's own server run it."""
    app = Flask(__name__)

    @app.post("/webhooks/<name>")
    def read(name: str) -> Response:  # noqa: ARG001
        request.get_data()
        # As long as our own answer: an empty one would save the server a system call.
        return Response(b'{"status":"accepted"}\n', status=202, mimetype="application/json")

    return app
