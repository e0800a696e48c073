"""Whatever is sent to the API, it answers as its OpenAPI document says, and never with a 5xx."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, assume, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.schemas import BaseSchema

from tests.console.conftest import RecordingDoorbell, bearer, console_of
from tests.databases import copy_sqlite
from tests.examples import examples
from tests.ledger.seed import SmallFirm, month_of_work

OPERATIONS = (
    *("GET /api/v1/events", "GET /api/v1/lines", "GET /api/v1/held", "GET /api/v1/invoices"),
    *("GET /api/v1/invoices/{reference}", "POST /api/v1/invoices/{reference}/approve"),
    "POST /api/v1/invoices/{reference}/edits",
    "DELETE /api/v1/invoices/{reference}/edits/{edit_id}",
    *("GET /api/v1/payments", "POST /api/v1/payments"),
)
EXAMPLES = examples(25)
"""Requests for each operation; derived from the document, so the same ones in each run."""


@pytest.fixture(scope="module")
def small_firm(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SmallFirm]:
    """Give one small firm to all requests: they change nothing but drafts they cannot guess."""
    target = tmp_path_factory.mktemp("openapi") / "billhook.sqlite3"
    firm = SmallFirm(copy_sqlite(sqlite_template, target))
    month_of_work(firm)
    yield firm
    firm.close()


@pytest.fixture(scope="module")
def api_schema(small_firm: SmallFirm) -> BaseSchema:
    """Give the document as the application serves it."""
    app = console_of(small_firm, RecordingDoorbell())
    return schemathesis.openapi.from_wsgi("/api/v1/openapi.json", app)


@pytest.fixture(scope="module")
def approver_of_all(small_firm: SmallFirm) -> dict[str, str]:
    """Give the header of a token that may do everything."""
    return bearer(small_firm, "approver")


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("label", OPERATIONS)
def test_every_request_is_answered_as_documented(
    api_schema: BaseSchema, approver_of_all: dict[str, str], label: str, mode: GenerationMode
) -> None:
    _ask(api_schema, label, mode, approver_of_all, EXAMPLES)


@pytest.mark.parametrize("label", OPERATIONS)
def test_whoever_may_only_look_is_answered_as_documented_too(
    api_schema: BaseSchema, small_firm: SmallFirm, label: str
) -> None:
    viewer = bearer(small_firm, "viewer", f"vera of {label}")
    _ask(api_schema, label, GenerationMode.POSITIVE, viewer, 5)


def _ask(
    api_schema: BaseSchema, label: str, mode: GenerationMode, token: dict[str, str], examples: int
) -> None:
    operation = api_schema.find_operation_by_label(label)
    assert operation is not None

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Case[Any]) -> None:
        # What is empty cannot be written into an address: without it a request may be a right one.
        assume(all(value not in ([], {}) for value in (case.query or {}).values()))
        case.call_and_validate(headers=token)

    ask()


def test_every_operation_of_the_document_is_asked(api_schema: BaseSchema) -> None:
    paths = api_schema.raw_schema["paths"]
    labels = [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]
    assert sorted(labels) == sorted(OPERATIONS)
