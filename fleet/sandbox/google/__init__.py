"""A sandbox Google Cloud: Artifact Registry, IAM, the token exchange and the registry, behind one address.

What it takes and sends is parsed and written by Google's own message types where their packages have them, so that a
wrong field is an error here as it is there. Who may push is decided by the policies that the API was given.
"""

from __future__ import annotations

from fleet.sandbox.google.service import GoogleCloud
from fleet.sandbox.google.state import FLEETS_PERMISSIONS, Principal, State

__all__ = ["FLEETS_PERMISSIONS", "GoogleCloud", "Principal", "State"]
