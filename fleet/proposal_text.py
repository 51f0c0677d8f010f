"""What a proposal says to whoever reviews it: references before and after, the commits between, the hubs reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from fleet.commit_message import TRAILER
from fleet.config import BuiltImage
from fleet.images import home_of
from fleet.markdown import Item, Page, Section, block, code
from fleet.model import Change
from fleet.services import Workshop
from fleet.site import SiteAddress, SiteReference, full_name
from fleet.sources import FIRST_BRANCH
from fleet.terminal import count, printable

LONGEST_BODY = 60_000
"""Characters, below GitHub's 65,536 for the body of a pull request."""


def describe(workshop: Workshop, changes: Sequence[Change]) -> str:
    """The body of a proposal, in Markdown; its last line is the trailer of fleet's commits, which a squash may keep."""
    fleet = workshop.fleet.name
    alike: dict[tuple[str, str], list[Change]] = {}
    for change in changes:
        alike.setdefault((str(change.before), str(change.after)), []).append(change)
    page = Page(
        LONGEST_BODY,
        (f"The fleet {code(fleet)} wants these references, and writes none of them itself.",),
        (
            Section("References", tuple(_reference(*sides, of) for sides, of in alike.items())),
            Section("Commits between", tuple(_commits(workshop, changes))),
        ),
        (
            "",
            "A newer tag updates this pull request. Closed unmerged, it is held until something else is wanted. fleet "
            "did not start a server with a new image.",
            "",
            f"{TRAILER}: {printable(fleet)}",
        ),
        more="the commit",
    )
    return page.render().rstrip("\n")


def _reference(before: str, after: str, changes: Sequence[Change]) -> Item:
    hubs = list(dict.fromkeys(hub for change in changes for hub in change.reaches))
    files = dict.fromkeys(SiteAddress.parse(change.address.name).file for change in changes)
    text = f"{code(before)} → {code(after)}, which {count(len(hubs), 'hub')} will read: {code(', '.join(hubs))}"
    return Item(text, tuple(block(files)), count(len(files), "file"), must=True)


def _commits(workshop: Workshop, changes: Sequence[Change]) -> Iterator[Item]:
    """For each image that the fleet builds, the commits from each old tag to the new one."""
    sources = _sources(workshop)
    said: set[tuple[str, str, str]] = set()
    for change in changes:
        old, new = change.before, change.after
        if not (isinstance(old, SiteReference) and isinstance(new, SiteReference)) or new.image not in sources:
            continue
        move = (sources[new.image], str(old.tag), str(new.tag))
        if move in said:
            continue
        said.add(move)
        host = workshop.host(move[0])
        commits = workshop.pace.repeat(host.limits, partial(host.commits, *move))
        if commits:
            lines = [f"{one.commit[:12]} {one.subject}" for one in commits]
            what = f"{code(move[0])}: {code(move[1])} to {code(move[2])}"
            yield Item(what, tuple(block(lines)), count(len(lines), "commit"))


def _sources(workshop: Workshop) -> Mapping[str, str]:
    """The source repository of each image that is built, by the image's full name."""
    return {
        full_name(home_of(key, image, workshop, FIRST_BRANCH).name): image.repository
        for key, image in workshop.fleet.images.items()
        if isinstance(image, BuiltImage) and image.repository is not None
    }
