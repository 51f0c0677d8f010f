"""Credentials that their service shows once: issued while a group is written, and the only ones left once it is.

The journal says that the group is about to be written before anything is issued. A run that is killed in between leaves
the group open: the next run writes it again, with a newer credential, and revokes what was never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from fleet.errors import TryAgain, Unsure
from fleet.model import Address, SecretRef
from fleet.pace import Pace
from fleet.provider import Issued, Issuer, Secret
from fleet.world import Providers


@dataclass(slots=True)
class Issuing:
    """The secrets of one group, for as long as it is being written.

    However often the group is tried, each identity issues once; `stored` says which credential was stored last.
    """

    providers: Providers
    stored: Mapping[Address, str] = field(default_factory=dict)
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
        """The group is written: revoke all but what was issued for it; the answer names that, for the journal."""
        for source in self._issued:
            limits = self.providers[source.provider].limits
            pace.repeat(limits, lambda source=source: self._revoke_others(source))  # type: ignore[misc]
        return {source: issued.key for source, issued in self._issued.items()}

    def _revoke_others(self, source: Address) -> None:
        issuer = self.providers[source.provider]
        assert isinstance(issuer, Issuer)
        try:
            issuer.revoke(source, self._issued[source].key)
        except Unsure as error:  # revoking once more does no harm
            raise TryAgain(str(error)) from error
