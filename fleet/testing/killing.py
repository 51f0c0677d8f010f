"""Killed with SIGKILL when the service sees a write, before or after it is done, and run again: the same end."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fleet.testing.running import IMAGE, NEIGHBOUR, Rig, Scenario, rig_of
from fleet.testing.subject import Subject

SEVERAL = ("image-1", "image-2", "image-3")


def making(rig: Rig) -> None:
    """An image is new."""
    rig.apply_well()
    rig.wants(NEIGHBOUR, IMAGE)


def making_several(rig: Rig) -> None:
    """Several images are new, and made at once as far as the provider allows."""
    rig.apply_well()
    rig.wants(NEIGHBOUR, *SEVERAL)


def adopting(rig: Rig) -> None:
    """What an image needs is there, and nobody's."""
    making(rig)
    rig.subject.occupy(IMAGE, None)


def changing(rig: Rig) -> None:
    """Somebody has changed by hand what was made for an image."""
    making(rig)
    rig.apply_well()
    rig.subject.drift(IMAGE)


def forgetting(rig: Rig) -> None:
    """An image has left fleet.yaml."""
    making(rig)
    rig.apply_well()
    rig.wants(NEIGHBOUR)


def forgetting_what_was_adopted(rig: Rig) -> None:
    """An image that was there before fleet has left fleet.yaml."""
    adopting(rig)
    rig.apply_well()
    rig.wants(NEIGHBOUR)


def killed_at_every_write(scenario: Scenario, subject: type[Subject]) -> int:
    """Raise AssertionError where a run after a kill does not end as an undisturbed one; returns the kills."""
    with rig_of(subject) as rig:
        scenario(rig)
        before = rig.writes()
        rig.apply_well()
        rig.assert_finished()
        writes, wanted = rig.writes() - before, rig.subject.snapshot()
    assert writes, "an undisturbed run writes nothing"
    for nth in range(1, writes + 1):
        for when in ("before", "after"):
            _killed_at(scenario, subject, nth, when, wanted)
    return 2 * writes


def _killed_at(scenario: Scenario, subject: type[Subject], nth: int, when: str, wanted: object) -> None:
    with rig_of(subject) as rig:
        scenario(rig)
        where = f"killed {when} write {nth} of {scenario.__name__}"
        assert rig.apply_killed_at_write(nth, when).killed, f"not {where}: a run does not always write as much"
        try:
            rig.apply_well()
            rig.assert_finished()
            assert rig.subject.snapshot() == wanted, "the service holds something else than after an undisturbed run"
        except AssertionError as error:
            error.add_note(f"({where}, and run again)")
            raise


def _rule(scenario: Scenario, *needs: str) -> tuple[Callable[[type[Subject]], int], tuple[str, ...]]:
    return partial(killed_at_every_write, scenario), ("kinds", *needs)


RULES = {
    "killed at every write of making an image": _rule(making),
    "killed at every write of making several images at once": _rule(making_several),
    "killed at every write of adopting": _rule(adopting, "occupy"),
    "killed at every write of changing": _rule(changing, "drift"),
    "killed at every write of forgetting": _rule(forgetting, "forgetting"),
    "killed at every write of forgetting what was adopted": _rule(forgetting_what_was_adopted, "occupy"),
}
