"""Credentials that their service shows once: issued while a group is written, and the only ones left once it is.

The journal says that the group is about to be written before anything is issued. A run that is killed in between leaves
the group open: the next run writes it again, with a newer credential, and revokes what was never stored.

A credential that is replaced stays until no build that could use it is running: the plan then has a step of its own
for that, and the journal knows which identities wait for it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from fleet.errors import TryAgain, Unsure
from fleet.model import Address, SecretRef
from fleet.pace import Pace
from fleet.provider import Credential, Issued, Issuer, Secret
from fleet.world import Providers


@dataclass(slots=True)
class Issuing:
    """The secrets of one group, for as long as it is being written.

    However often the group is tried, each identity issues once; `stored` says which credential was stored last, and
    `retired_later` of which identities another step revokes it.
    """

    providers: Providers
    stored: Mapping[Address, str] = field(default_factory=dict)
    retired_later: Collection[Address] = ()
    _issued: dict[Address, Issued] = field(default_factory=dict, repr=False)
    _proved: set[Address] = field(default_factory=set)

    def reveal(self, ref: SecretRef) -> Secret:
        """A secret at the moment of use; one that is shown once is issued now, and proved before it leaves."""
        source = ref.source
        issuer = issuer_of(source, self.providers)
        if issuer is None:
            return self.providers[source.provider].reveal(ref)
        if source not in self._issued:
            self._issued[source] = issuer.issue(source, self.stored.get(source))
        issued = self._issued[source]
        if source not in self._proved:
            issuer.prove(source, issued)
            self._proved.add(source)
        return issued.values[ref.field]

    def settle(self, pace: Pace) -> Mapping[Address, str]:
        """The group is written: revoke all but what was issued for it, and what another step retires; the answer
        names what was issued, for the journal."""
        for source in self._issued:
            if source in self.retiring:
                continue
            revoke(source, self._issued[source].key, self.providers, pace)
        return {source: issued.key for source, issued in self._issued.items()}

    @property
    def retiring(self) -> tuple[Address, ...]:
        """The identities whose older credential is left, because builds may be using it."""
        return tuple(
            source
            for source, issued in self._issued.items()
            if source in self.retired_later and self.stored.get(source) not in (None, "", issued.key)
        )


def issuer_of(source: Address, providers: Providers) -> Issuer | None:
    """What issues the credentials of an identity; None for an own login."""
    provider = providers[source.provider]
    return provider if isinstance(provider, Issuer) and source.kind in provider.issuing else None


def standing(sources: Iterable[Address], providers: Providers, pace: Pace) -> Mapping[Address, Sequence[Credential]]:
    """The credentials of identities, oldest first, as their services tell of them."""
    of_provider: dict[str, dict[Address, None]] = {}
    for source in sources:
        of_provider.setdefault(source.provider, {})[source] = None
    found: dict[Address, Sequence[Credential]] = {}
    for asked in of_provider.values():
        issuer = issuer_of(next(iter(asked)), providers)
        assert issuer is not None
        found |= pace.repeat(issuer.limits, partial(issuer.standing, list(asked)))
    return found


def revoke(source: Address, keep: str | None, providers: Providers, pace: Pace) -> None:
    """Revoke all credentials of an identity but one, or all of them, asked again while the trouble is a passing one."""
    issuer = issuer_of(source, providers)
    assert issuer is not None

    def once() -> None:
        try:
            issuer.revoke(source, keep)
        except Unsure as error:  # revoking once more does no harm
            raise TryAgain(str(error)) from error

    pace.repeat(issuer.limits, once)
