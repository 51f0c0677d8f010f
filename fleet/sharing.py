"""Organisations that keep secrets and variables: which images share one, and what these must agree on. Pure.

A secret of an organisation holds one login, that of one registry, and is named after both: two registries' logins lie
beside each other in one organisation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fleet.config import BuiltImage, Loaded
from fleet.diagnostics import Diagnostic
from fleet.model import SecretRef
from fleet.provider import Home, Organization, OwnLogin


@dataclass(frozen=True, slots=True)
class Sharing:
    """The homes of all images, with logins whose secrets are named as they are kept; by image, the organisation that
    keeps what its builds are given; and what is wrong with that."""

    homes: Mapping[str, Home]
    organizations: Mapping[str, Organization] = field(default_factory=dict)
    wrong: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True)
class _Sharer:
    """An image that an organisation keeps something for, and its login's secrets as they are named there."""

    key: str
    image: BuiltImage
    organization: str
    home: Home

    @property
    def secrets(self) -> Mapping[str, SecretRef]:
        """Where the value of each secret is revealed."""
        return self.home.login.secrets if self.home.login else {}


def share(loaded: Loaded, homes: Mapping[str, Home]) -> Sharing:
    """What organisations keep for the images that live in these homes."""
    sharers = list(_sharers(loaded, homes))
    renamed: dict[str, Home] = {}
    organizations: dict[str, Organization] = {}
    for alike in _alike(sharers):
        organization, warnings = _kept_for(alike), _warnings(alike)
        organizations |= {one.key: organization for one in alike}
        renamed |= {one.key: replace(one.home, notes=(*one.home.notes, *warnings)) for one in alike}
    wrong = [*_unshareable(loaded, sharers), *_disagreements(loaded, sharers)]
    return Sharing({key: renamed.get(key, home) for key, home in homes.items()}, organizations, tuple(wrong))


def _sharers(loaded: Loaded, homes: Mapping[str, Home]) -> Iterator[_Sharer]:
    for key, home in homes.items():
        image = loaded.fleet.images[key]
        if isinstance(image, BuiltImage) and image.secrets is not None and image.secrets.organization is not None:
            suffix = image.registry.upper().replace("-", "_")  # no two registries' names become one
            login = home.login.suffixed(suffix) if home.login else None
            yield _Sharer(key, image, image.secrets.organization, replace(home, login=login))


def _alike(sharers: Sequence[_Sharer]) -> list[list[_Sharer]]:
    """The images that push with the same secret of the same organisation, together."""
    groups: dict[tuple[str, ...], list[_Sharer]] = {}
    for one in sharers:
        groups.setdefault((one.organization.lower(), *one.secrets), []).append(one)
    return list(groups.values())


def _kept_for(alike: Sequence[_Sharer]) -> Organization:
    """What an organisation keeps, the same for all that share it, and under one name however each spells it."""
    first = alike[0]
    logins = {name: {str(one.image.repository): one.secrets[name] for one in alike} for name in first.secrets}
    needs = dict.fromkeys(resource.address for one in alike for resource in one.home.resources)
    return Organization(first.organization.lower(), logins, tuple(needs))


def _warnings(alike: Sequence[_Sharer]) -> tuple[str, ...]:
    first = alike[0]
    if not first.secrets or len(alike) == 1:
        return ()
    return (
        f"{len(alike)} images share the login of {first.image.registry}, kept by {first.organization.lower()}: the "
        "build of each can push to all that it may push to.",
    )


def _unshareable(loaded: Loaded, sharers: Sequence[_Sharer]) -> Iterator[Diagnostic]:
    """Logins that no organisation may hold, and images that would keep nothing there."""
    for one in sharers:
        keys, where = ("images", one.key, "secrets", "organization"), f"the image {one.key}"
        if not one.secrets and not one.image.variables:
            summary = (
                f"{where}: its builds log in without a stored secret, and it has no variables, so {one.organization} "
                "has nothing to keep"
            )
            yield loaded.source.diagnostic(keys, summary, "Take `secrets:` out.")
        elif not all(map(OwnLogin.is_asked_for, one.secrets.values())):
            summary = (
                f"{where}: the credential that fleet issues for {one.home.name} can push nowhere else, so it is "
                "never shared"
            )
            detail = f"Give {one.image.registry} a login of your own (`push:`), or take `secrets:` out."
            yield loaded.source.diagnostic(keys, summary, detail)


@dataclass(frozen=True, slots=True)
class _Claim:
    """What an image says of something that it shares, and where."""

    image: str
    value: str
    keys: tuple[str, ...]


def _disagreements(loaded: Loaded, sharers: Sequence[_Sharer]) -> Iterator[Diagnostic]:
    """Images that would have one secret or variable of an organisation be two things."""
    first: dict[tuple[str, ...], _Claim] = {}
    for one in sharers:
        for what, setting, claim in _claims(one):
            other = first.setdefault((one.organization.casefold(), what, setting), claim)
            if other.value == claim.value:
                continue
            summary = (
                f"the images {other.image} and {one.key} share the {what} of {one.organization}, and want another "
                f"{setting} of it: {other.value!r} and {claim.value!r}"
            )
            line = loaded.source.range(other.keys).start.line
            yield loaded.source.diagnostic(claim.keys, summary, f"The other stands in line {line}.")


def _claims(one: _Sharer) -> Iterator[tuple[str, str, _Claim]]:
    """Each secret and variable of an image, what of it others must say too, and what the image says."""
    at = ("images", one.key)
    for name in one.secrets:
        yield f"secret {name}", "adopt_secrets", _Claim(one.key, one.image.adopt_secrets, (*at, "adopt_secrets"))
    for name, value in one.image.variables.items():
        yield f"variable {name}", "value", _Claim(one.key, value, (*at, "variables", name))
