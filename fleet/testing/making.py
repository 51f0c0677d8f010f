"""What providers that make things keep: plans come to an end, nobody else's things are touched, reads are batched."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from fleet.model import Action, Change, Owned
from fleet.testing.running import IMAGE, NEIGHBOUR, Rig, refusal, rig_of
from fleet.testing.subject import Subject

OTHER = "another-fleet"
MANY = 12
"""Images that are enough to tell a listing from a request for each."""


def opening_asks_nobody(subject: type[Subject]) -> None:
    """`__init__`, and all that is pure, works without a request and without a secret."""
    with rig_of(subject) as rig:
        for name in subject.environment:
            del os.environ[name]
        provider = rig.provider()
        for resource in rig.resources() if provider.kinds else ():
            change = Change(resource.address, None, resource.spec)
            assert provider.together(resource.address), "together() answers with an empty key"
            assert provider.cost(change) > 0, f"cost() says that {resource.address} comes for nothing"
        assert rig.requests() == 0, f"opening the provider made {rig.requests()} requests"


def second_plan_is_empty(subject: type[Subject]) -> None:
    """What was applied is found as it was wanted, in one run and in the next."""
    with rig_of(subject) as rig:
        rig.wants(NEIGHBOUR, IMAGE)
        actions = {change.action for change in rig.plan().changes}
        assert actions == {subject.makes}, f"in an unused service everything is to be {subject.makes}d, not {actions}"
        rig.apply_well()
        rig.assert_finished()
        before, held = rig.writes(), rig.subject.snapshot()
        rig.apply_well()
        assert rig.writes() == before, "applying once more wrote something"
        assert rig.subject.snapshot() == held


def what_exists_is_adopted(subject: type[Subject]) -> None:
    """What is as fleet wants it, but for the marker, is adopted; once, and with the marker as the only difference."""
    with rig_of(subject) as rig:
        rig.apply_well()
        rig.subject.occupy(IMAGE, None)
        rig.wants(NEIGHBOUR, IMAGE)
        changes = rig.plan().changes
        assert changes, "what exists without a marker is taken for ours"
        for change in changes:
            assert change.action is Action.ADOPT, f"{change.address} is to be {change.action}d: {change.before}"
        rig.apply_well()
        rig.assert_finished()


def what_another_fleet_owns_is_refused(subject: type[Subject]) -> None:
    """Another fleet's marker ends the plan, and a change that was planned before it came; nothing is written."""
    with rig_of(subject) as rig:
        rig.apply_well()
        rig.wants(NEIGHBOUR, IMAGE)
        changes = rig.plan().changes
        rig.subject.occupy(IMAGE, OTHER)
        held, writes = rig.subject.snapshot(), rig.writes()
        sentence = refusal(rig.apply) or ""
        assert rig.writes() == writes, "something was written before the refusal"
        assert OTHER in sentence, f"the refusal does not name the owner: {sentence or 'there is none'}"
        for change in changes:
            if isinstance(change.after, Owned):
                sentence = refusal(partial(rig.write, [change])) or ""
                assert OTHER in sentence, f"writing {change.address} of another fleet is refused without its name"
        assert rig.subject.snapshot() == held, "something of another fleet was changed"


def any_state_will_do(subject: type[Subject]) -> None:
    """Whatever the change says stood there, and whatever stands there: afterwards `read` answers with what it wants."""
    drifts = [None] if "drift" in subject.without else [None, subject.drift]
    for drift in drifts:
        for stands in (False, True):
            for said in (False, True):
                if stands or drift is None:
                    _from(subject, drift, stands=stands, said=said)


def _from(subject: type[Subject], drift: Callable[[Subject, str], None] | None, *, stands: bool, said: bool) -> None:
    with rig_of(subject) as rig:
        rig.apply_well()
        rig.wants(NEIGHBOUR, IMAGE)
        if stands:
            rig.apply_well()
        if drift:
            drift(rig.subject, IMAGE)
        resources = rig.resources()
        changes = [Change(each.address, each.spec if said else None, each.spec) for each in resources]
        rig.write(changes)
        _assert_read(rig)
        held = rig.subject.snapshot()
        rig.write(changes)
        assert rig.subject.snapshot() == held, "the second of two equal writes changed something"
        _assert_read(rig)


def _assert_read(rig: Rig) -> None:
    wanted = {resource.address: resource.spec for resource in rig.resources()}
    found = rig.read(list(wanted))
    assert found == wanted, f"after apply, read answers {found}, not {wanted}"


def reads_are_batched(subject: type[Subject]) -> None:
    """The requests of a plan grow with the images by what `reads_per_image` promises, and no faster."""
    with rig_of(subject) as rig:
        rig.wants(NEIGHBOUR, *(f"image-{number}" for number in range(MANY)))
        rig.apply_well()
        many = _cost(rig)
        rig.wants(NEIGHBOUR, "image-0")
        addresses = [resource.address for resource in rig.resources()]
        before = rig.requests()
        rig.read(addresses)
        few = rig.requests() - before
        allowed = few + (MANY - 1) * subject.reads_per_image
        assert many <= allowed, f"a plan of {MANY + 1} images takes {many} requests, and of two {few}"


def _cost(rig: Rig) -> int:
    before = rig.requests()
    rig.assert_finished()
    return rig.requests() - before


def forgetting_takes_marker_and_credential_only(subject: type[Subject]) -> None:
    """What leaves fleet.yaml keeps all but its marker, credentials go, and what else there is stays as it is."""
    with rig_of(subject) as rig:
        rig.wants(NEIGHBOUR, IMAGE)
        rig.apply_well()
        wanted = {resource.address: resource.spec for resource in rig.resources()}
        rig.wants(NEIGHBOUR)
        kept = {resource.address for resource in rig.resources()}
        rig.apply_well()
        rig.assert_finished()
        found = rig.read(list(wanted))
        for address, spec in wanted.items():
            if address in kept:
                assert found.get(address) == spec, f"forgetting {IMAGE} changed {address}"
            elif address.kind in subject.credentials:
                assert address not in found, f"the credential {address} outlives its image"
            else:
                unmarked = spec.model_copy(update={"owner": None})
                assert found.get(address) == unmarked, f"forgetting {address} left {found.get(address)}"


RULES = {
    "opening a provider asks nobody": (opening_asks_nobody, ("requests",)),
    "a second plan is empty": (second_plan_is_empty, ("kinds",)),
    "what exists is adopted": (what_exists_is_adopted, ("kinds", "occupy")),
    "what another fleet owns is refused": (what_another_fleet_owns_is_refused, ("kinds", "occupy")),
    "apply works from any state": (any_state_will_do, ("kinds", "any state")),
    "reads are batched": (reads_are_batched, ("kinds",)),
    "forgetting takes marker and credential only": (
        forgetting_takes_marker_and_credential_only,
        ("kinds", "forgetting"),
    ),
}
