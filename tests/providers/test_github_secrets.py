"""The secrets of one credential on GitHub: written together, seen as one, and gone together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import Unsure
from fleet.model import Address, Change, Resource, Secret, SecretRef
from fleet.provider import Context, Receipts, SourceRepository
from fleet.sandbox.github import Sandbox, serve_github
from fleet.sandbox.http import Fault
from fleet_github import GitHub
from fleet_github.settings import GitHubSettings
from fleet_github.specs import SECRET, ActionsSecret

REPOSITORY = "example-org/climate-image"
USER = Address("ecr", "user", "climate")
LOGIN = {
    "AWS_ACCESS_KEY_ID": SecretRef(source=USER, field="id"),
    "AWS_SECRET_ACCESS_KEY": SecretRef(source=USER, field="secret"),
    "OTHER": SecretRef(source=Address("quay", "robot", "x"), field="password"),
}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with serve_github(tmp_path) as github:
        github.state.create_user("ada")
        github.state.create_organization("example-org", admins=["ada"])
        github.state.create_repository(REPOSITORY, {"README.md": "by hand"})
        yield github


def host(github: Sandbox, receipts: Mapping[Address, Mapping[str, Any]], begun: bool = False) -> GitHub:
    settings = GitHubSettings.model_validate(
        {"type": "github", "base_url": github.url, "auth": {"token": {"env": "TOKEN"}}}
    )
    token = github.state.create_token("ada")
    context = Context("ours", Path(), lambda source: Secret(token), lambda: None)
    return GitHub("github", settings, replace(context, recorded=receipts.get, begun=lambda address: begun))


def resources(github: GitHub) -> list[Resource]:
    source = SourceRepository(
        repository=REPOSITORY,
        branch="main",
        description="",
        visibility="public",
        template=None,
        seed={},
        managed={},
        secrets=LOGIN,
        needs=(),
    )
    return [resource for resource in github.workshop(source) if resource.address.kind == SECRET]


def reveal(ref: SecretRef) -> Secret:
    return Secret(f"the {ref.field}")


def stored(github: Sandbox) -> dict[str, str]:
    return {name: secret.value for name, secret in github.state.repository(REPOSITORY).secrets.items()}


def applied(github: Sandbox, changes: Sequence[Change]) -> Receipts:
    """The receipts of changes that are written at once."""
    receipts = host(github, {}).apply(changes, reveal)
    assert isinstance(receipts, Mapping)
    return receipts


def test_the_secrets_of_one_credential_are_one_thing(sandbox: Sandbox) -> None:
    first, other = wanted = resources(host(sandbox, {}))
    assert [resource.address.name for resource in wanted] == [f"{REPOSITORY}/AWS_ACCESS_KEY_ID", f"{REPOSITORY}/OTHER"]
    changes = [Change(resource.address, None, resource.spec) for resource in wanted]
    receipts = applied(sandbox, changes)
    assert stored(sandbox) == {
        "AWS_ACCESS_KEY_ID": "the id",
        "AWS_SECRET_ACCESS_KEY": "the secret",
        "OTHER": "the password",
    }
    found = host(sandbox, receipts).read([first.address, other.address])
    assert found == {first.address: first.spec, other.address: other.spec}
    host(sandbox, receipts).apply([Change(first.address, first.spec, None, removal="forget")], reveal)
    assert stored(sandbox) == {"OTHER": "the password"}


@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_one_that_went_or_was_changed_makes_both_differ(sandbox: Sandbox, name: str) -> None:
    first, _ = resources(host(sandbox, {}))
    receipts = applied(sandbox, [Change(first.address, None, first.spec)])
    held = sandbox.state.repository(REPOSITORY).secrets
    changed = held[name]
    del held[name]
    assert host(sandbox, receipts).read([first.address]).get(first.address) != first.spec
    held[name] = replace(changed, updated_at=changed.updated_at + timedelta(seconds=1))
    assert host(sandbox, receipts).read([first.address]).get(first.address) == ActionsSecret(
        also={"AWS_SECRET_ACCESS_KEY": LOGIN["AWS_SECRET_ACCESS_KEY"]}, changed=True
    )


@pytest.mark.parametrize("nth", [1, 2])
def test_what_was_cut_off_between_the_two_is_written_whole_again(sandbox: Sandbox, nth: int) -> None:
    first, _ = resources(host(sandbox, {}))
    sandbox.loopback.faults.append(Fault("drop", "PUT", nth=nth, when="after"))
    with pytest.raises(Unsure):
        host(sandbox, {}).apply([Change(first.address, None, first.spec)], reveal)
    assert host(sandbox, {}, begun=True).read([first.address]) == {}
