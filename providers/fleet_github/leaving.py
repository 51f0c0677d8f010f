"""How a repository leaves: forgotten, archived or destroyed, as long as it carries our topic."""

from __future__ import annotations

from fleet.provider import Removal
from fleet_github.client import Client
from fleet_github.making import owner_of
from fleet_github.specs import TOPIC


def leave(client: Client, fleet: str, repository: str, removal: Removal) -> None:
    """Take our topic off a repository, archive it, or delete it with all that it holds.

    An archived one keeps the topic: nothing can be written to it any more, and nothing before it is archived tells that
    it is to be.
    """
    path = f"/repos/{repository}"
    found = client.rest("GET", path, None, 404)
    topics = found.document.get("topics") or [] if found.status == 200 else []
    if owner_of(topics, fleet) != fleet:
        return  # gone, or somebody else's by now
    match removal:
        case "destroy":
            client.rest("DELETE", path, None, 404)
        case "archive" if not found.document.get("archived"):
            client.rest("PATCH", path, {"archived": True})
        case "forget":
            kept = [topic for topic in topics if topic != f"{TOPIC}{fleet}"]
            client.rest("PUT", f"{path}/topics", {"names": kept})
