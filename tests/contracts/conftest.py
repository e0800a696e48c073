"""A fresh stand-in for each contract test of a billing connector."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.connector import BillingConnector
from connectors.contract import ContractRig
from tests.contracts.billing import KEYS, OVER_HTTP, setup_of
from tests.contracts.spoiled_http import NoHttp, SpoiledHttp


@pytest.fixture(params=KEYS)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> ContractRig:
    return setup_of(request.param)(tmp_path)


@pytest.fixture
def connector(rig: ContractRig) -> BillingConnector:
    return rig.connect(rig.http or NoHttp())


@pytest.fixture(params=OVER_HTTP)
def http_rig(request: pytest.FixtureRequest, tmp_path: Path) -> ContractRig:
    return setup_of(request.param)(tmp_path)


@pytest.fixture
def spoiled(http_rig: ContractRig) -> SpoiledHttp:
    assert http_rig.http
    return SpoiledHttp(http_rig.http, http_rig.is_change)
