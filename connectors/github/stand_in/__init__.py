"""GitHub's stand-in, for tests and the demo; never for production."""

from __future__ import annotations

from .rig import ContractRig, contract_setup, sha_of
from .server import TOKEN, GitHubStandIn

__all__ = ["TOKEN", "ContractRig", "GitHubStandIn", "contract_setup", "sha_of"]
