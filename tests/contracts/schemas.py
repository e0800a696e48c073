"""Holds the requests and answers of a contract run to the vendor's own published schema.

Where `BILLHOOK_CORPUS` names a folder with the vendors' schemas (`specs/`), the rig of such a
connector gets an HTTP port that checks both ways. Without it nothing is checked here.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlsplit

import yaml

from connectors.contract import ContractRig
from connectors.http import Http, Request, Response

if TYPE_CHECKING:
    from openapi_core import OpenAPI

XERO_PATH: Final = "/api.xro/2.0"
STRICT: Final = (
    "Address",
    "Contact",
    "Contacts",
    "Invoice",
    "Invoices",
    "LineItem",
    "LineItemTracking",
    "Organisation",
    "Payment",
)
"""Objects of Xero's that take no field besides those that it knows."""


def corpus() -> Path | None:
    """Return the folder of the vendors' schemas, None where there is none."""
    named = os.environ.get("BILLHOOK_CORPUS")
    return Path(named) / "specs" if named else None


def loaded(name: str) -> Any:
    """Return a vendor's schema; the safe loader in C takes a third of a second."""
    folder = corpus()
    assert folder is not None
    with (folder / name).open(encoding="utf-8") as file:
        return yaml.load(file, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def without_references(spec: Any) -> Any:
    """Return a schema in which what is referred to stands in its place."""

    def put_in(part: Any) -> Any:
        if isinstance(part, list):
            return [put_in(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            found = spec
            for name in part["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            return put_in(found)
        return {name: put_in(value) for name, value in part.items()}

    return put_in(spec)


@cache
def xero() -> OpenAPI:
    """Return Xero's Accounting API, which lets no unknown field pass."""
    # Imported here, because it takes a second and is of no use without the schemas.
    from openapi_core import Config, OpenAPI

    spec = loaded("xero_accounting.yaml")
    for name in STRICT:
        spec["components"]["schemas"][name]["additionalProperties"] = False
    # All that can be checked of OAuth 2 is that a token is there.
    spec["components"]["securitySchemes"]["OAuth2"] = {"type": "http", "scheme": "bearer"}
    # The document itself is not flawless: defaults of booleans are texts there.
    return OpenAPI.from_dict(spec, config=Config(spec_validator_cls=None))


class HeldToXero:
    """An HTTP port that raises AssertionError for what Xero's schema does not know."""

    def __init__(self, inner: Http) -> None:
        self._inner = inner
        self.checked = 0

    def send(self, request: Request) -> Response:
        """Return the answer, after both were checked."""
        from openapi_core.testing import MockRequest, MockResponse

        parts = urlsplit(request.url)
        if not parts.path.startswith(XERO_PATH):
            return self._inner.send(request)
        asked = MockRequest(
            host_url=f"{parts.scheme}://{parts.netloc}",
            method=request.method.lower(),
            path=parts.path,
            args=dict(parse_qsl(parts.query, strict_parsing=bool(parts.query))),
            headers=dict(request.headers),
            data=request.body,
        )
        self._must_fit(xero().validate_request, asked)
        answer = self._inner.send(request)
        # Of refusals only 400 is described.
        if answer.status in (200, 400):
            given = MockResponse(answer.body, status_code=answer.status)
            self._must_fit(xero().validate_response, asked, given)
        self.checked += 1
        return answer

    def _must_fit(self, validate: Callable[..., None], *given: Any) -> None:
        try:
            validate(*given)
        except Exception as error:
            raise AssertionError(f"{given[0].method} {given[0].path}: {told(error)}") from error


def told(error: BaseException) -> str:
    """Return what is wrong: the schema's own errors stand behind the outer one."""
    seen: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        seen += [f"{cause}", *(f"{each}" for each in getattr(cause, "schema_errors", ()))]
        cause = cause.__cause__
    return "; ".join(seen)[:2000]


SCHEMAS: Final[dict[str, Callable[[Http], Http]]] = {"xero": HeldToXero}
"""How the HTTP port of a connector is held to its vendor's schema."""


def held_to_schema(key: str, rig: ContractRig) -> ContractRig:
    """Return a rig whose requests and answers are checked, where that is possible."""
    if key not in SCHEMAS or rig.http is None or corpus() is None:
        return rig
    return replace(rig, http=SCHEMAS[key](rig.http))
