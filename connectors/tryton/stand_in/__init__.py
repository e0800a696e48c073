"""Tryton for tests: the rig of the contract tests, over the stand-in or over a real server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from connectors.contract import ContractRig
from connectors.http import Http, Request, Response
from connectors.stand_in import InProcess

from ..connector import TrytonConnector
from .person import Person, happenings
from .site import DATABASE, PASSWORD, SERVICES, USER, TrytonSite

READINGS: Final = ("login", "get_preferences", "search", "search_read", "read", "on_change")
"""The last parts of methods that change nothing."""


URL: Final = "https://tryton.stand-in"


def contract_setup(_folder: Path) -> ContractRig:
    """Return a rig over a fresh stand-in."""
    http = InProcess(TrytonSite())
    person = Person(http, URL, DATABASE, USER, PASSWORD)
    person.context = {"company": 1}
    login = {"user": USER, "password": PASSWORD}
    settings = {"url": URL, "database": DATABASE, **login, "account": SERVICES}
    return rig_for(http, settings, lambda: person)


def rig_for(http: Http, settings: Mapping[str, str], person: Callable[[], Person]) -> ContractRig:
    """Return a rig that reaches a Tryton, and somebody who works in it."""
    return ContractRig(
        connect=lambda port: TrytonConnector(settings, port),
        http=http,
        secret=settings["password"],
        happenings=happenings(person),
        refusal=refusal,
        is_change=is_change,
        customers=lambda customers: person().enter_customers(customers),
    )


def is_change(request: Request) -> bool:
    """Return whether a request changes something: all of them are posted."""
    method: str = json.loads(request.body or b"{}").get("method", "")
    return method.rpartition(".")[2] not in READINGS


def refusal(status: int) -> Response:
    """Return the page of an HTTP status as Tryton's server writes it.

    It names no time after "too many requests"; what stands before it may.
    """
    words = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 409: "Conflict"}
    title = words.get(status, "Error")
    page = f"<!doctype html>\n<html lang=en>\n<title>{status} {title}</title>\n<h1>{title}</h1>\n"
    headers = {"content-type": "text/html; charset=utf-8"}
    if status == 429:
        headers["retry-after"] = "7"
    return Response(status, headers, page.encode())
