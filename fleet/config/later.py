"""Keys that the roadmap knows and that nothing obeys yet: refused by name, never ignored."""

from __future__ import annotations

from typing import Final

KEYS: Final = frozenset(
    {
        "waves",
        "gates",
        "freeze",
        "quarantine",
        "moved",
        "soak",
        "proved-on",
        "calver",
        "semver",
        "regex",
        "digest",
        "minimum_age",
        "maximum_jump",
        "ignore",
        "valid_for",
        "on_failure",
        "on_newer",
        "at_once",
        "max_failures",
        "approvals",
        "branch_protection",
        "release_sets",
        "notify",
    }
)


def refusal(key: str) -> str:
    """The sentence that refuses one of them."""
    return f'"{key}" is planned but not built yet; leave it out'
