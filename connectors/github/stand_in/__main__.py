"""Serves the stand-in: `python -m connectors.github.stand_in --port 8802`."""

from __future__ import annotations

from connectors.stand_in import serve_for_ever

from .server import GitHubStandIn

if __name__ == "__main__":
    serve_for_ever(GitHubStandIn())
