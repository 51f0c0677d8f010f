"""Short ways to say what a test looks at: a hub's files as text, and its slots as text."""

from __future__ import annotations

from textwrap import dedent

from fleet.values import find_sites, parse_values


def slots(*texts: str) -> dict[str, list[tuple[str, str]]]:
    """Each slot with the path and the reference of its sites, for a hub whose files are `texts` in Helm's order."""
    files = [parse_values(f"{n}.yaml", dedent(text).encode()) for n, text in enumerate(texts)]
    return {slot: [(site.path, str(site.reference)) for site in sites] for slot, sites in find_sites(files).items()}
