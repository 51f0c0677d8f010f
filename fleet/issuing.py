"""Credentials that their service shows once: issued while a group is written, and the only ones left once it is.

The journal says that the group is about to be written before anything is issued. A run that is killed in between leaves
the group open: the next run writes it again, with a newer credential, and revokes what was never stored.

A credential that is replaced stays until no build that could use it is running: the plan then has a step of its own
for that, and the journal knows which identities wait for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from fleet.errors import TryAgain, Unsure
from fleet.model import Address, SecretRef
from fleet.pace import Pace
from fleet.provider import Issued, Issuer, Secret
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
        provider, source = self.providers[ref.source.provider], ref.source
        if not isinstance(provider, Issuer) or source.kind not in provider.issuing:
            return provider.reveal(ref)
        if source not in self._issued:
            self._issued[source] = provider.issue(source, self.stored.get(source))
        issued = self._issued[source]
        if source not in self._proved:
            provider.prove(source, issued)
            self._proved.add(source)
        return issued.values[ref.field]

    def settle(self, pace: Pace) -> Mapping[Address, str]:
        """The group is written: revoke all but what was issued for it, and what another step retires; the answer
        names what was issued, for the journal."""
        for source in self._issued:
            if source in self.retiring:
                continue
            limits = self.providers[source.provider].limits
            pace.repeat(limits, lambda source=source: self._revoke_others(source))  # type: ignore[misc]
        return {source: issued.key for source, issued in self._issued.items()}

    @property
    def retiring(self) -> tuple[Address, ...]:
        """The identities whose older credential is left, because builds may be using it."""
        return tuple(
            source
            for source, issued in self._issued.items()
            if source in self.retired_later and self.stored.get(source) not in (None, "", issued.key)
        )

    def _revoke_others(self, source: Address) -> None:
        issuer = self.providers[source.provider]
        assert isinstance(issuer, Issuer)
        revoke_others(issuer, source, self._issued[source].key)


def revoke_others(issuer: Issuer, source: Address, keep: str | None) -> None:
    """Revoke all credentials of an identity but one, or all; an answer that was lost is a passing trouble."""
    try:
        issuer.revoke(source, keep)
    except Unsure as error:  # revoking once more does no harm
        raise TryAgain(str(error)) from error
