"""One stand-in for Xero whose clock stands still, and a connector to it."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from connectors.http import Http, Request, Response
from connectors.stand_in import InProcess
from connectors.stand_in_identity import IdentityStandIn
from connectors.xero.connector import XeroConnector
from connectors.xero.stand_in import XeroStandIn
from connectors.xero.stand_in.rig import SETTINGS, Bearer, rig_of
from ledger.payments import payment_of
from tests.contracts.billing import DRAFT, push
from tests.journeys.house import TestClock


class Recorder:
    """An HTTP port that remembers the requests."""

    def __init__(self, inner: Http) -> None:
        self._inner = inner
        self.requests: list[Request] = []

    def send(self, request: Request) -> Response:
        self.requests.append(request)
        return self._inner.send(request)

    def body(self, index: int = -1) -> Any:
        return json.loads(self.requests[index].body or b"", parse_float=Decimal)


class House:
    """A stand-in whose clock stands still, and a connector to it."""

    def __init__(self, **more: Any) -> None:
        self.clock = TestClock()
        # Its tokens outlast each test but the one about them.
        identity = IdentityStandIn(self.clock, lasts_seconds=10**8)
        self.site = XeroStandIn(self.clock, identity=identity, **more)
        self.rig = rig_of(self.site)
        self.http = Recorder(self.rig.http or InProcess(self.site))
        connector = self.rig.connect(self.http)
        assert isinstance(connector, XeroConnector)
        self.connector = connector

    def happen(self, what: str, remote_id: str, minor: int = 0) -> None:
        self.clock.go_on(1)
        self.rig.happenings[what](remote_id, minor)

    def word(self, remote_id: str) -> str:
        return payment_of(self.connector.fetch_invoice(remote_id).amounts)

    def with_settings(self, **more: str) -> XeroConnector:
        token = self.site.identity.grant()
        return XeroConnector({**SETTINGS, **more}, Bearer(self.http, token))


def opened(house: House) -> str:
    remote_id = push(house.connector, DRAFT)
    house.happen("finalize", remote_id)
    return remote_id


def today() -> date:
    return datetime.now(UTC).date()
