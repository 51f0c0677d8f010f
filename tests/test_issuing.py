"""Credentials that are shown once: one issued for a group however often it is tried, one left once it is written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import ClassVar

import pytest

from fleet.apply import Services, carry_out
from fleet.errors import FleetError, ProviderError, TryAgain, Unsure
from fleet.journal import GroupDone, Step
from fleet.model import Address, Change, Secret, SecretRef, Spec
from fleet.pace import Pace
from fleet.plan import Plan
from fleet.provider import Credential, Issued, Issuer, Limits, Provider, Reveal, Settings
from fleet.state import State, fold
from tests.shelf import context
from tests.test_apply import NoSleep, Silent

USER = Address("bank", "user", "builder")
VAULT = Address("vault", "secret", "KEY")
ROOM = 2


class Bank(Issuer):
    """Keys of one user, by number; `troubles` are raised by the next calls of a method, one each."""

    issuing: ClassVar[frozenset[str]] = frozenset({"user"})
    limits = Limits(attempts=5)

    def __init__(self) -> None:
        super().__init__("bank", Settings(type="bank"), context(Pace(), "bank"))
        self.keys: list[str] = []
        self.made = 0
        self.troubles: dict[str, list[FleetError]] = {}

    def credentials(self, source: Address) -> Sequence[Credential]:
        return [Credential(key, datetime.now(UTC)) for key in self.keys]

    def issue(self, source: Address, stored: str | None) -> Issued:
        if len(self.keys) == ROOM:
            self.keys.remove(next(key for key in self.keys if key != stored))
        self.made += 1
        self.keys.append(f"key-{self.made}")
        self._raise("issue")
        return Issued(self.keys[-1], {"id": Secret(self.keys[-1]), "secret": Secret(f"secret of {self.keys[-1]}")})

    def prove(self, source: Address, issued: Issued) -> None:
        self._raise("prove")

    def revoke(self, source: Address, keep: str | None) -> None:
        self.keys = [key for key in self.keys if key == keep]
        self._raise("revoke")

    def _raise(self, method: str) -> None:
        if self.troubles.get(method):
            raise self.troubles[method].pop(0)


class Stored(Spec):
    """What the vault holds: where it came from."""

    source: SecretRef


class Vault(Provider):
    """Stores both fields of a credential; `troubles` are raised between the two."""

    kinds: ClassVar[Mapping[str, type[Spec]]] = {"secret": Stored}
    limits = Limits(attempts=5)

    def __init__(self) -> None:
        super().__init__("vault", Settings(type="vault"), context(Pace(), "vault"))
        self.held: dict[str, str] = {}
        self.troubles: list[FleetError] = []

    def read(self, addresses: Collection[Address]) -> Mapping[Address, Spec]:
        return {}

    def apply(self, changes: Sequence[Change], reveal: Reveal) -> None:
        for field in ("id", "secret"):
            self.held[field] = reveal(SecretRef(source=USER, field=field)).expose()
            if self.troubles:
                raise self.troubles.pop(0)


def store(bank: Bank, vault: Vault, stored: str | None = None) -> Mapping[Address, str] | str:
    """Have the secret stored: the credential that the journal is told of, or why there is none."""
    change = Change(VAULT, None, Stored(source=SecretRef(source=USER, field="id")), group="vault KEY")
    services = Services({"bank": bank, "vault": vault}, Pace(clock=NoSleep()), stored={USER: stored} if stored else {})
    (result,) = carry_out(Plan("example", {}, (change,)), services, Silent()).results
    return result.stored or result.why


def assert_holds(bank: Bank, vault: Vault, key: str) -> None:
    assert (bank.keys, vault.held) == ([key], {"id": key, "secret": f"secret of {key}"})


def test_both_fields_are_of_one_credential_and_the_journal_learns_which() -> None:
    bank, vault = Bank(), Vault()
    assert store(bank, vault) == {USER: "key-1"}
    assert_holds(bank, vault, "key-1")


def test_a_group_that_is_tried_again_issues_nothing_new() -> None:
    bank, vault = Bank(), Vault()
    vault.troubles = [TryAgain("busy"), Unsure("cut off")]
    bank.troubles = {"prove": [TryAgain("too new"), TryAgain("still too new")]}
    assert store(bank, vault) == {USER: "key-1"}
    assert_holds(bank, vault, "key-1")


def test_a_lost_answer_to_issuing_leaves_no_second_credential() -> None:
    bank, vault = Bank(), Vault()
    bank.troubles = {"issue": [Unsure("cut off")], "revoke": [Unsure("cut off"), TryAgain("busy")]}
    assert store(bank, vault) == {USER: "key-2"}
    assert_holds(bank, vault, "key-2")


@pytest.mark.parametrize("stored", [None, "key-1"])
def test_what_a_failed_run_leaves_is_gone_after_the_next(stored: str | None) -> None:
    bank, vault = Bank(), Vault()
    assert store(bank, vault) == {USER: "key-1"}
    for _ in range(3):
        vault.troubles = [ProviderError("no")]
        assert store(bank, vault, stored) == "no"
        assert len(bank.keys) == ROOM
        assert stored is None or stored in bank.keys
    assert store(bank, vault, stored) == {USER: "key-5"}
    assert_holds(bank, vault, "key-5")


def test_a_credential_that_cannot_push_is_not_stored() -> None:
    bank, vault = Bank(), Vault()
    bank.troubles = {"prove": [ProviderError("it may not push")]}
    assert store(bank, vault) == "it may not push"
    assert vault.held == {}


def test_the_state_knows_what_was_stored_until_its_identity_leaves() -> None:
    def done(change: Change, **more: dict[str, str]) -> GroupDone:
        return GroupDone(run="r", at="", group=change.group, plan="", steps=(Step.of(change),), **more)

    source = Stored(source=SecretRef(source=USER, field="id"))
    state = fold(State(fleet="example"), [done(Change(VAULT, None, source, group="v"), stored={str(USER): "key-1"})])
    assert state.stored == {str(USER): "key-1"}
    assert fold(state, [done(Change(USER, source, None, group="u"))]).stored == {}
