"""How QuickBooks words a refusal."""

from __future__ import annotations

from typing import Any, Final

TITLES: Final = {
    "610": "Object Not Found",
    "2010": "Request has invalid or unsupported property",
    "2020": "Required param missing, need to supply the required value for the API",
    "2050": "String length is either shorter or longer than supported by specification",
    "2500": "Invalid Reference Id",
    "3200": "message=AuthenticationFailed; errorCode=003200; statusCode=401",
    "4000": "Error parsing query",
    "4001": "Invalid query",
    "5010": "Stale Object Error",
    "6000": "A business validation error has occurred while processing your request",
    "6070": "Amount calculation incorrect in the request",
    "6140": "Duplicate Document Number Error",
    "6240": "Duplicate Name Exists Error",
}


class FaultError(Exception):
    """A request that QuickBooks refuses; nothing of it is carried out."""

    def __init__(self, code: str, detail: str = "", element: str = "") -> None:
        super().__init__(f"{code} {detail}")
        self.code, self.detail, self.element = code, detail, element

    def as_json(self) -> dict[str, Any]:
        """Return the body of the refusal."""
        return fault(self.code, self.detail, self.element)


def fault(code: str, detail: str = "", element: str = "") -> dict[str, Any]:
    """Return a fault as most services of QuickBooks word it."""
    title = TITLES.get(code, "A validation error")
    error = {"Message": title, "Detail": detail or title, "code": code, "element": element}
    return {
        "Fault": {"Error": [error], "type": "ValidationFault"},
        "time": "2026-03-01T09:00:00.000-08:00",
    }


def refused_token(detail: str) -> dict[str, Any]:
    """Return the refusal of a token: the gateway spells the names otherwise."""
    error = {"message": TITLES["3200"], "detail": detail, "code": "3200", "element": None}
    return {
        "warnings": None,
        "intuitObject": None,
        "fault": {"error": [error], "type": "AUTHENTICATION"},
        "report": None,
        "queryResponse": None,
        "time": 1772355600000,
    }
